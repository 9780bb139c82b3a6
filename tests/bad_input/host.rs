//! A host that does not want: folders that are read-only, a disk that is full, settings of others.

use std::path::Path;
use std::process::Command;

use crate::crash_support::{Site, narinfos, tree};
use crate::support;
use crate::support::bed::TestBed;

/// The program in a mount namespace of its own, after a script that mounts; `None`, said loudly,
/// where the kernel forbids it.
pub(super) fn mounted(bed: &TestBed, mounts: &str, arguments: &[&str]) -> Option<Command> {
    let ways: [&[&str]; 2] = [&["-m"], &["-r", "-m"]];
    let works = |way: &&&[&str]| {
        let probe = ["sh", "-c", "mount -t tmpfs none /mnt"];
        let output = Command::new("unshare").args(**way).args(probe).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        support::skip_always("this machine allows no private mounts");
        return None;
    };
    let mut command = bed.program("/usr/bin/unshare");
    let script = format!(
        "set -e; OLD=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin; {mounts}; PATH=$OLD; exec \"$@\""
    );
    command.args(*way).args(["/bin/sh", "-c", &script, "sh"]);
    command
        .arg(env!("CARGO_BIN_EXE_nanna-cache"))
        .args(arguments);
    Some(command)
}

/// The program as a user whom permissions bind; all of the bed is that user's.
pub(super) fn as_nobody(bed: &TestBed, arguments: &[&str]) -> Option<Command> {
    let program = env!("CARGO_BIN_EXE_nanna-cache");
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root {
        let mut command = bed.program(program);
        command.args(arguments);
        return Some(command);
    }
    let own = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(bed.root())
        .status();
    let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let works = Command::new("setpriv")
        .args(other)
        .args([program, "--version"])
        .output();
    if !own.unwrap().success() || !works.is_ok_and(|output| output.status.success()) {
        support::skip_always("this machine cannot run the program as somebody else");
        return None;
    }
    let mut command = bed.program("/usr/bin/setpriv");
    command.args(other).arg(program).args(arguments);
    Some(command)
}

fn read_only(folder: &Path) -> String {
    let folder = folder.display();
    format!("mount --bind '{folder}' '{folder}'; mount -o remount,ro,bind '{folder}'")
}

const MODELS: &str = "version: 1
project: site
caches:
  local: { type: file, path: ../cache, signing-key: { file: key.sec, generate: true } }
artifacts:
  models: { priority: 80, directories: ['models/*'] }
  others: { priority: 10, default: true }
setup: { nix-conf: user }
push: { to: { local: all } }
";

fn models() -> TestBed {
    let mut bed = TestBed::new();
    bed.without_nix().unset("NIX_STORE_DIR");
    bed.write("cache.yaml", MODELS);
    bed.write("models/small/weights", "weights");
    bed
}

#[test]
fn a_read_only_home_is_named_with_a_way_out() {
    let bed = models();
    let Some(mut command) = mounted(&bed, &read_only(&bed.home()), &["reconcile", "--apply"])
    else {
        return;
    };
    let before = tree(bed.root());
    let said = bed.finish(&mut command).fails(1);
    assert!(
        said.stderr.contains("[HOME]/.local/state")
            && said.stderr.contains("Read-only file system"),
        "{said}"
    );
    assert!(
        said.stderr.contains("help:") && said.stderr.contains("XDG_STATE_HOME"),
        "{said}"
    );
    assert_eq!(tree(bed.root()), before);
    // A plan needs no place to write.
    let mut plan = mounted(&bed, &read_only(&bed.home()), &["reconcile"]).unwrap();
    let _ = bed.finish(&mut plan).success();
    assert_eq!(tree(bed.root()), before);
}

#[test]
fn a_read_only_folder_of_settings_fails_alone() {
    let bed = models();
    let folder = bed.home().join(".config/nix");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("nix.conf"), "max-jobs = 3").unwrap();
    let before = tree(&folder);
    let Some(mut command) = mounted(&bed, &read_only(&folder), &["reconcile", "--apply"]) else {
        return;
    };
    // It is for whoever may write there: never a step that fails on each run.
    let said = bed.finish(&mut command).success();
    for line in [
        "! ~/.config/nix/nanna-cache.conf",
        "this user may not write it: whoever may adds the lines",
        "extra-substituters = file://[ROOT]/cache",
        "! ~/.config/nix/nix.conf",
        "!include [HOME]/.config/nix/nanna-cache.conf",
        "2 advice",
    ] {
        assert!(said.stdout.contains(line), "{line}: {said}");
    }
    assert_eq!(tree(&folder), before);
    // What has nothing to do with it was done.
    assert_eq!(narinfos(&bed.root().join("cache")).len(), 1);
    // Once it can be written, a rerun does the rest, and ends the user's last line first.
    let _ = bed.run(["reconcile", "--apply"]).success();
    let conf = std::fs::read_to_string(folder.join("nix.conf")).unwrap();
    assert_eq!(conf, "max-jobs = 3\n!include nanna-cache.conf\n");
}

#[test]
fn permissions_bind_an_ordinary_user() {
    let bed = models();
    let folder = bed.home().join(".config/nix");
    std::fs::create_dir_all(&folder).unwrap();
    let Some(mut command) = as_nobody(&bed, &["reconcile", "--apply"]) else {
        return;
    };
    std::process::Command::new("chmod")
        .arg("555")
        .arg(&folder)
        .status()
        .unwrap();
    let said = bed.finish(&mut command).success();
    assert!(said.stdout.contains("this user may not write it"), "{said}");
    assert!(said.stdout.contains("2 advice"), "{said}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::process::Command::new("chmod")
        .arg("755")
        .arg(&folder)
        .status()
        .unwrap();
    let _ = bed.finish(&mut command).success();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
}

#[test]
fn a_full_disk_keeps_what_is_whole_and_a_rerun_finishes() {
    let bed = models();
    let cache = bed.root().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let mut state = 1_u64;
    for number in 0..6 {
        let bytes: Vec<u8> = (0..1_000_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        bed.write(format!("models/m{number}/weights"), bytes);
    }
    // The disk is copied back, so that what was left on it can be looked at.
    let saved = bed.root().join("saved");
    let (at, to) = (cache.display(), saved.display());
    let Some(mut command) = mounted(
        &bed,
        &format!(
            "mount -t tmpfs -o size=3500k none '{at}'; PATH=$OLD \"$@\" || code=$?; cp -a '{at}' '{to}'; exit $code"
        ),
        &["reconcile", "--apply"],
    ) else {
        return;
    };
    let said = bed.finish(&mut command).fails(6);
    assert!(said.stdout.contains("No space left on device"), "{said}");
    assert!(
        said.stdout.contains("1 step would still be planned"),
        "{said}"
    );
    crate::support::checker::Checker::new()
        .deep()
        .assert_whole(&saved);
    // Nothing unfinished takes the room of the next attempt.
    let temporary = crate::crash_support::names(&saved.join("nar"));
    assert!(
        temporary.iter().all(|name| !name.contains("tmp")),
        "{temporary:?}"
    );
    std::fs::remove_dir(&cache).unwrap();
    std::fs::rename(&saved, &cache).unwrap();
    let _ = bed.run(["reconcile", "--apply"]).success();
    assert_eq!(narinfos(&cache).len(), 7);
    crate::support::checker::Checker::new()
        .deep()
        .assert_whole(&cache);
    let said = bed.run(["reconcile", "--detailed-exitcode"]).success();
    assert!(said.stdout.contains("No changes."), "{said}");
}

#[test]
fn a_nix_conf_that_nix_refuses_is_left_alone() {
    let Some(site) = Site::new(2) else { return };
    let bad = "# mine\ncores=3\n";
    site.bed.write("conf/nix.conf", bad);
    let said = site.bed.run(["setup", "--apply"]).success();
    assert!(said.stdout.contains("Nix refuses line 2 of it"), "{said}");
    assert_eq!(site.bed.read("conf/nix.conf"), bad);
    // The user's own, which makes Nix itself fail.
    site.configure("");
    let text = site.bed.read("cache.yaml").replace("{ dir: conf }", "user");
    site.bed.write("cache.yaml", text);
    let conf = site.bed.home().join(".config/nix/nix.conf");
    std::fs::create_dir_all(conf.parent().unwrap()).unwrap();
    std::fs::write(&conf, "cores=3\n").unwrap();
    let said = site.bed.run(["reconcile", "--apply"]).success();
    assert!(
        said.stdout.contains("illegal configuration line 'cores=3'"),
        "{said}"
    );
    assert!(said.stdout.contains("Nix refuses line 1 of it"), "{said}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), "cores=3\n");
    let _ = site.bed.run(["reconcile", "--strict"]).fails(7);
}

#[test]
fn settings_of_others_are_not_edited() {
    let mut bed = models();
    let folder = bed.root().join("nix/store");
    bed.set("NIX_STORE_DIR", folder);
    let folder = bed.home().join(".config/nix");
    std::fs::create_dir_all(&folder).unwrap();
    // A link into the store: some other tool's.
    let store = bed
        .root()
        .join("nix/store/00000000000000000000000000000000-nix.conf");
    std::fs::create_dir_all(store.parent().unwrap()).unwrap();
    std::fs::write(&store, "cores = 1\n").unwrap();
    std::os::unix::fs::symlink(&store, folder.join("nix.conf")).unwrap();
    let said = bed.run(["setup", "--apply"]).success();
    assert!(
        said.stdout.contains("advice")
            && said
                .stdout
                .contains("!include [HOME]/.config/nix/nanna-cache.conf"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "cores = 1\n");
    assert!(folder.join("nix.conf").is_symlink());
    // A comment that only names our file is no include.
    std::fs::remove_file(folder.join("nix.conf")).unwrap();
    std::fs::write(
        folder.join("nix.conf"),
        "# not nanna-cache.conf\r\ncores = 2\r\n",
    )
    .unwrap();
    let _ = bed.run(["setup", "--apply"]).success();
    let conf = std::fs::read_to_string(folder.join("nix.conf")).unwrap();
    assert_eq!(
        conf,
        "# not nanna-cache.conf\r\ncores = 2\r\n!include nanna-cache.conf\r\n"
    );
    // A fragment that somebody else wrote.
    std::fs::write(folder.join("nanna-cache.conf"), "cores = 9\n").unwrap();
    // A plan remembers what directories hash to; from here on nothing may change.
    let _ = bed.run(["reconcile"]).fails(4);
    let before = tree(bed.root());
    let said = bed.run(["reconcile", "--apply"]).fails(4);
    assert!(
        said.stdout.contains("not ours (setup-foreign-file)")
            && said.stdout.contains("move it away"),
        "{said}"
    );
    assert_eq!(tree(bed.root()), before);
}
