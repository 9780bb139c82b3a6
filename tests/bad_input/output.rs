//! Readers who go away, disks that cannot take the output, colours, and JSON that stays JSON.

use std::process::Command;

use crate::support::bed::{Output, TestBed};

fn bed() -> TestBed {
    let mut bed = TestBed::new();
    bed.without_nix().unset("NIX_STORE_DIR");
    bed.write(
        "cache.yaml",
        "version: 1
project: site
caches:
  local: { type: file, path: out/cache, signing-key: { file: out/key.sec, generate: true } }
artifacts:
  models: { priority: 80, directories: ['models/*'] }
  others: { priority: 10, default: true }
setup: { nix-conf: { dir: out/nix } }
push: { to: { local: all } }
",
    );
    for number in 0..300 {
        bed.write(format!("models/m{number}/weights"), number.to_string());
    }
    bed
}

fn shell(bed: &TestBed, script: &str) -> Output {
    let mut command: Command = bed.program("/bin/bash");
    command
        .env("PATH", "/usr/bin:/bin")
        .env("P", env!("CARGO_BIN_EXE_nanna-cache"));
    bed.finish(command.args(["-c", script]))
}

#[test]
fn a_reader_who_leaves_and_a_disk_that_is_full() {
    let bed = bed();
    let said = shell(
        &bed,
        "\"$P\" reconcile --full | head -n 1; exit ${PIPESTATUS[0]}",
    )
    .success();
    assert_eq!(said.stdout.lines().count(), 1);
    assert!(
        !said.stderr.contains("panicked") && !said.stderr.contains("error"),
        "{said}"
    );
    let said = shell(&bed, "\"$P\" reconcile --full > /dev/full").fails(1);
    assert!(
        said.stderr
            .contains("failed to write to standard output: No space left on device"),
        "{said}"
    );
    let said = shell(&bed, "\"$P\" reconcile --full >&-");
    assert!(!said.stderr.contains("panicked"), "{said}");
    // Applying goes on, whoever listens.
    let said = shell(
        &bed,
        "\"$P\" reconcile --apply --full 2>&- | head -n 1; exit ${PIPESTATUS[0]}",
    )
    .success();
    assert_eq!(said.stderr, "");
    let said = bed.run(["reconcile", "--detailed-exitcode"]).success();
    assert!(said.stdout.contains("No changes."), "{said}");
}

#[test]
fn json_is_json_and_all_else_is_elsewhere() {
    let bed = bed();
    let plan = bed.run(["reconcile", "--format", "json"]).success().json();
    assert!(plan["steps"].as_array().unwrap().len() >= 4, "{plan}");
    let said = bed
        .run(["-vv", "reconcile", "--apply", "--format", "json"])
        .success();
    let report = said.json();
    assert!(report["steps"].as_array().is_some(), "{report}");
    assert!(said.stderr.contains("push models to local"), "{said}");
    let said = bed
        .run(["reconcile", "--apply", "--format", "json"])
        .success();
    let _ = said.json();
    // Problems are said on standard error.
    let text = bed.read("cache.yaml");
    bed.write(
        "cache.yaml",
        text.replace("priority: 80", "priority: eighty"),
    );
    let said = bed.run(["reconcile", "--format", "json"]).fails(3);
    assert!(
        said.stdout.is_empty() && said.stderr.contains("eighty"),
        "{said}"
    );
}

#[test]
fn colours_follow_the_conventions() {
    let mut bed = bed();
    let colourless =
        |said: &Output| !said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}');
    bed.set("CLICOLOR_FORCE", "1");
    let said = bed.run(["reconcile"]).success();
    assert!(colourless(&said), "NO_COLOR wins: {said}");
    bed.unset("NO_COLOR");
    let said = bed.run(["reconcile"]).success();
    assert!(!colourless(&said), "{said}");
    bed.unset("CLICOLOR_FORCE");
    assert!(colourless(&bed.run(["reconcile"]).success()));
    assert!(!colourless(
        &bed.run(["--color", "always", "reconcile"]).success()
    ));
}
