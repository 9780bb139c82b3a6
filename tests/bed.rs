//! The host that tests run on is closed: nothing of the real one is seen, and what is printed is the same everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::bed::TestBed;

#[test]
fn the_environment_is_the_beds_own() {
    let mut bed = TestBed::new();
    bed.set("NANNA_TEST", "here").unset("TERM");
    let said = bed.finish(&mut bed.program("env")).success();
    for line in said.stdout.lines() {
        let (name, value) = line.split_once('=').unwrap();
        let own = value.starts_with("[HOME]") || value.starts_with("[ROOT]");
        let fixed = ["PATH", "LANG", "TZ", "COLUMNS", "NO_COLOR", "NANNA_TEST"].contains(&name);
        let tools = ["LLVM_PROFILE_FILE", "RUST_BACKTRACE"].contains(&name);
        assert!(own || fixed || tools, "{line} comes from outside");
    }
    assert!(
        said.stdout.contains("NANNA_TEST=here") && !said.stdout.contains("TERM="),
        "{said}"
    );
}

#[test]
fn an_output_prints_everything_and_hides_the_temporary_folders() {
    let bed = TestBed::new();
    let file = bed.write("deep/er/file", "text");
    assert_eq!(bed.read("deep/er/file"), "text");
    let mut command = bed.program("sh");
    command
        .args(["-c", "echo $1; pwd; echo $HOME/x >&2; exit 3", "sh"])
        .arg(&file);
    let said = bed.finish(&mut command).fails(3);
    let expected = "exit: 3\n──── stdout\n[WORK]/deep/er/file\n[WORK]\n──── stderr\n[HOME]/x\n";
    assert_eq!(said.to_string(), expected);
}

#[test]
fn the_program_runs_in_it_with_and_without_nix() {
    let mut bed = TestBed::new();
    assert!(bed.run(["--version"]).code.is_some());
    assert!(bed.without_nix().run(["--version"]).code.is_some());
    let killed = bed.finish(TestBed::new().program("sh").args(["-c", "kill -9 $$"]));
    assert_eq!((killed.code, killed.signal), (None, Some(9)));
}
