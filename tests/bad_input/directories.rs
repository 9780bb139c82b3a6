//! Directories that hold what no store path can hold.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::crash_support::{narinfos, tree, unwrapped};
use crate::support::bed::TestBed;
use crate::support::checker::Checker;

fn bed(directories: &str) -> TestBed {
    let mut bed = TestBed::new();
    bed.without_nix().unset("NIX_STORE_DIR");
    bed.write(
        "cache.yaml",
        format!(
            "version: 1
project: site
caches:
  local: {{ type: file, path: out/cache, signing-key: {{ file: out/key.sec, generate: true }} }}
artifacts:
  models: {{ priority: 80, directories: [{directories}] }}
  others: {{ priority: 10, default: true }}
setup: {{ nix-conf: none }}
push: {{ to: {{ local: all }} }}
"
        ),
    );
    bed.write("models/good/weights", "weights");
    bed
}

fn made(bed: &TestBed) -> Vec<String> {
    narinfos(&bed.at("out/cache"))
}

#[test]
fn what_is_no_content_is_named_and_the_rest_goes_on() {
    let bed = bed("models/good, models/pipe, models/socket, models/loop, models/nowhere");
    for folder in ["pipe", "socket", "loop"] {
        std::fs::create_dir(bed.at("models").join(folder)).unwrap();
    }
    assert!(
        Command::new("mkfifo")
            .arg(bed.at("models/pipe/fifo"))
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(bed.at("models/socket/s")).unwrap();
    // Links are content, wherever they lead.
    symlink("loop", bed.at("models/loop/loop")).unwrap();
    symlink("../..", bed.at("models/loop/up")).unwrap();
    symlink("/no/such/file", bed.at("models/loop/dangling")).unwrap();
    let before = tree(&bed.at("models"));
    let said = bed.run(["reconcile", "--apply", "--strict"]);
    assert_eq!(said.code, Some(7), "{said}");
    for words in [
        "[WORK]/models/pipe/fifo`: it is a FIFO, which a NAR cannot hold",
        "[WORK]/models/socket/s`: it is a socket, which a NAR cannot hold",
    ] {
        let joined = unwrapped(&said.stdout);
        assert!(joined.contains(words), "{words}: {said}");
    }
    let _ = bed.run(["reconcile", "--strict"]).fails(7);
    assert_eq!(made(&bed).len(), 2, "{said}");
    Checker::new().deep().assert_whole(&bed.at("out/cache"));
    let _ = bed
        .run(["fetch", "models/loop", "--into", "fetched"])
        .success();
    assert_eq!(tree(&bed.at("fetched")), tree(&bed.at("models/loop")));
    assert_eq!(tree(&bed.at("models")), before);
}

#[test]
fn names_that_are_not_utf8_work_inside_and_are_named_outside() {
    let bed = bed("'models/*'");
    let odd = bed
        .at("models/good")
        .join(OsStr::from_bytes(b"\xff\xfe name\n"));
    std::fs::write(&odd, "odd").unwrap();
    let _ = bed.run(["reconcile", "--apply"]).success();
    Checker::new().deep().assert_whole(&bed.at("out/cache"));
    let _ = bed
        .run(["fetch", "models/good", "--into", "fetched"])
        .success();
    assert_eq!(tree(&bed.at("fetched")), tree(&bed.at("models/good")));

    std::fs::create_dir(bed.at("models").join(OsStr::from_bytes(b"bad\xff"))).unwrap();
    bed.write("models/late/weights", "more weights");
    let before = made(&bed).len();
    let said = bed.run(["reconcile", "--apply"]).success();
    assert!(
        unwrapped(&said.stdout).contains("is not UTF-8, so it cannot become a store path"),
        "{said}"
    );
    assert!(
        unwrapped(&said.stdout).contains("no retention ends in local"),
        "{said}"
    );
    // One that cannot be keeps no other from being pushed.
    assert_eq!(made(&bed).len(), before + 1, "{said}");
    // A name that is UTF-8, but none of a store path.
    std::fs::remove_dir(bed.at("models").join(OsStr::from_bytes(b"bad\xff"))).unwrap();
    std::fs::create_dir(bed.at("models/two words")).unwrap();
    let said = bed.run(["reconcile", "--apply"]).success();
    assert!(
        unwrapped(&said.stdout).contains("two words")
            && unwrapped(&said.stdout).contains("cannot become a store path"),
        "{said}"
    );
}

#[test]
fn what_may_not_be_read_is_named() {
    let bed = bed("models/good, models/secret");
    bed.write("models/secret/file", "x");
    let Some(mut command) = crate::host::as_nobody(&bed, &["reconcile", "--apply"]) else {
        return;
    };
    assert!(
        Command::new("chmod")
            .arg("0")
            .arg(bed.at("models/secret/file"))
            .status()
            .unwrap()
            .success()
    );
    let said = bed.finish(&mut command).success();
    assert!(
        unwrapped(&said.stdout).contains("models/secret/file")
            && unwrapped(&said.stdout).contains("ermission denied"),
        "{said}"
    );
    assert_eq!(made(&bed).len(), 1);
}
