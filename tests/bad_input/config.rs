//! Every bad `cache.yaml`, through the command line.

use std::fmt::Write as _;

use crate::crash_support::tree;
use crate::support::bed::TestBed;

const VALID: &str = "version: 1
project: sample
caches:
  local: { type: file, path: out/cache, signing-key: { file: out/key.sec, generate: true } }
artifacts:
  all: { priority: 1, default: true }
setup: { nix-conf: { dir: out/nix } }
push: { to: { local: all } }
";

/// Ten levels of nine aliases each: three thousand million nodes.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = level - 1;
        let list = vec![format!("*a{below}"); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
    }
    text
}

#[test]
fn every_bad_file_is_refused_and_nothing_is_written() {
    let mut huge = VALID.as_bytes().to_vec();
    huge.resize(100 << 20, b'#');
    let twice = format!("{VALID}project: other\n");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "empty"),
        ("binary", vec![0x7f, b'E', b'L', b'F', 0, 1, 2, 0xff], ""),
        ("nul", format!("{VALID}\0").into_bytes(), ""),
        ("huge", huge, "more than"),
        ("bomb", bomb().into_bytes(), ""),
        (
            "tabs",
            b"version: 1\ncaches:\n\tlocal: {}\n".to_vec(),
            "tab",
        ),
        (
            "not UTF-8",
            b"version: 1\nproject: \xff\xfe\n".to_vec(),
            "UTF-8",
        ),
        ("a list", b"[1, 2]".to_vec(), ""),
        ("a word", b"hello".to_vec(), ""),
        ("open bracket", b"version: 1\ncaches: {".to_vec(), ""),
        ("key twice", twice.into_bytes(), "project"),
        (
            "another version",
            VALID.replace("version: 1", "version: 9").into_bytes(),
            "version",
        ),
        (
            "a typo",
            VALID.replace("priority", "priorty").into_bytes(),
            "`priority`",
        ),
        (
            "no default",
            VALID.replace("default: true", "match: ['x']").into_bytes(),
            "default",
        ),
        (
            "bad regex",
            VALID.replace("default: true", "match: ['(']").into_bytes(),
            "(",
        ),
    ];
    for (what, bytes, word) in cases {
        let mut bed = TestBed::new();
        bed.without_nix();
        bed.write("cache.yaml", &bytes);
        let before = tree(bed.root());
        for arguments in [
            vec!["reconcile", "--apply"],
            vec!["prune", "--apply"],
            vec!["validate"],
        ] {
            let said = bed.run(&arguments).fails(3);
            let all = format!("{}{}", said.stdout, said.stderr);
            assert!(
                all.contains("cache.yaml") && all.contains(word),
                "{what}: {said}"
            );
            assert!(all.len() < 20_000, "{what}: {} bytes are said", all.len());
            assert!(!all.contains("panicked"), "{what}: {said}");
        }
        assert_eq!(tree(bed.root()), before, "{what}");
    }
}

#[test]
fn other_line_ends_and_marks_are_understood() {
    let crlf = VALID.replace('\n', "\r\n");
    for text in [format!("\u{feff}{VALID}"), crlf] {
        let mut bed = TestBed::new();
        bed.without_nix();
        bed.write("cache.yaml", text);
        let _ = bed.run(["validate"]).success();
        let _ = bed.run(["reconcile", "--apply"]).success();
    }
}

#[test]
fn what_is_no_file_is_said() {
    let mut bed = TestBed::new();
    bed.without_nix();
    let said = bed
        .run(["reconcile", "--apply", "--config", "nowhere.yaml"])
        .fails(1);
    assert!(
        said.stderr
            .contains("`nowhere.yaml`: there is no such file"),
        "{said}"
    );
    std::fs::create_dir(bed.at("cache.yaml")).unwrap();
    let said = bed.run(["reconcile", "--apply"]).fails(1);
    assert!(
        said.stderr.contains("cache.yaml") && said.stderr.contains("it is a folder"),
        "{said}"
    );
    std::fs::remove_dir(bed.at("cache.yaml")).unwrap();
    std::os::unix::fs::symlink("cache.yaml", bed.at("cache.yaml")).unwrap();
    let said = bed.run(["reconcile", "--apply"]).fails(1);
    assert!(said.stderr.contains("cache.yaml"), "{said}");
    std::fs::remove_file(bed.at("cache.yaml")).unwrap();
    let status = std::process::Command::new("mkfifo")
        .arg(bed.at("cache.yaml"))
        .status();
    assert!(status.unwrap().success());
    let said = bed.run(["reconcile", "--apply"]).fails(1);
    assert!(said.stderr.contains("cache.yaml"), "{said}");
}

#[test]
fn a_file_that_may_not_be_read_is_said() {
    let mut bed = TestBed::new();
    bed.without_nix();
    bed.write("cache.yaml", VALID);
    let Some(mut command) = crate::host::as_nobody(&bed, &["reconcile", "--apply"]) else {
        return;
    };
    std::process::Command::new("chmod")
        .arg("0")
        .arg(bed.at("cache.yaml"))
        .status()
        .unwrap();
    let said = bed.finish(&mut command).fails(1);
    assert!(
        said.stderr.contains("cache.yaml") && said.stderr.contains("ermission denied"),
        "{said}"
    );
    assert!(!bed.at("out").exists());
}
