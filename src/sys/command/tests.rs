use super::*;

fn sh(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script)
}

fn alive(pid: i32) -> bool {
    // A zombie still has a folder, but no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn collects_output_and_lines() {
    let mut lines = Vec::new();
    let output = sh("echo out; echo one >&2; printf 'two\\r\\nthree' >&2; cat; exit 3")
        .stdin("in")
        .run(&|| false, &mut |line| lines.push(line.to_owned()))
        .unwrap();
    assert_eq!(output.stdout, b"out\nin");
    assert_eq!(lines, ["one", "two", "three"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stderr.starts_with("one\n"));
}

#[test]
fn environment_and_folder_are_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap();
    let output = sh("echo $A-$B-$HOME; pwd")
        .environment([("A", "1"), ("B", "2")])
        .set("A", "3")
        .unset("B")
        .folder(path)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("3--\n{path}\n")
    );
}

#[test]
fn a_program_that_is_missing_is_named() {
    let error = Command::new("/no/such/program").output().unwrap_err();
    assert_eq!(error.to_string(), "start `/no/such/program`");
}

#[test]
fn too_long_too_much_and_stopped_end_the_child() {
    let started = Instant::now();
    let error = sh("sleep 60")
        .time_limit(Duration::from_millis(100))
        .output()
        .unwrap_err();
    assert!(matches!(error, CommandError::TooLong { .. }), "{error}");
    let error = sh("while :; do echo yes; done")
        .stdout_limit(1000)
        .output()
        .unwrap_err();
    assert!(
        matches!(error, CommandError::TooMuch { limit: 1000, .. }),
        "{error}"
    );
    // The grandchild must go, too.
    let mut pid = 0;
    let seen = std::cell::Cell::new(false);
    let error = sh("sleep 60 & echo $! >&2; wait")
        .run(&|| seen.get(), &mut |line| {
            pid = line.parse().unwrap();
            seen.set(true);
        })
        .unwrap_err();
    assert!(matches!(error, CommandError::Stopped { .. }), "{error}");
    std::thread::sleep(Duration::from_millis(50));
    assert!(!alive(pid), "the grandchild {pid} is still there");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_left_in_the_background_does_not_hold_us() {
    let started = Instant::now();
    let output = sh("sleep 30 & echo done").output().unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_kept_error_output_is_bounded() {
    let mut command = sh("i=0; while [ $i -lt 400 ]; do echo line $i >&2; i=$((i+1)); done");
    command.stderr_limit = 100;
    let output = command.output().unwrap();
    assert!(output.stderr.len() <= 100);
    assert!(output.stderr.ends_with("line 399\n"), "{}", output.stderr);
}
