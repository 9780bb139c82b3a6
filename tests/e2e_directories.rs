//! Directories that travel from machine to machine without any Nix.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and shows what was said"
)]

mod e2e_world;
mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use e2e_world::{age, cached, days};
use support::bed::{Output, TestBed};
use support::checker::Checker;
use support::real_nix::RealNix;

/// Kind, executable bit, and content or target, by path.
type Tree = BTreeMap<PathBuf, (char, bool, Vec<u8>)>;

fn tree(folder: &Path) -> Tree {
    fn walk(base: &Path, at: &Path, found: &mut Tree) {
        let name = at.strip_prefix(base).unwrap().to_owned();
        let meta = std::fs::symlink_metadata(at).unwrap();
        if meta.is_symlink() {
            let target = std::fs::read_link(at).unwrap();
            found.insert(name, ('l', false, target.as_os_str().as_bytes().to_vec()));
        } else if meta.is_dir() {
            found.insert(name, ('d', false, Vec::new()));
            for entry in std::fs::read_dir(at).unwrap() {
                walk(base, &entry.unwrap().path(), found);
            }
        } else {
            let is_executable = meta.permissions().mode() & 0o100 != 0;
            found.insert(name, ('f', is_executable, std::fs::read(at).unwrap()));
        }
    }
    let mut found = Tree::new();
    walk(folder, folder, &mut found);
    found
}

/// A model as nobody should make one, but as they are.
fn model(folder: &Path) -> Tree {
    std::fs::create_dir_all(folder.join("shards/deep/empty")).unwrap();
    let put = |name: &OsStr, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    put(OsStr::new("weights.bin"), &large);
    put(OsStr::new("empty"), b"");
    put(OsStr::new("a b\tc"), b"blank");
    put(OsStr::new("gr\u{f6}\u{df}e \u{1f980}"), "ä".as_bytes());
    put(OsStr::new("-rf"), b"dash");
    put(OsStr::new("new\nline"), b"line");
    put(OsStr::from_bytes(b"latin-\xe9"), b"not UTF-8");
    put(OsStr::new(".hidden"), b"hidden");
    put(OsStr::new("run.sh"), b"#!/bin/sh\n");
    std::fs::set_permissions(folder.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("shards/deep/0001"), vec![7; 8]).unwrap();
    symlink("weights.bin", folder.join("latest")).unwrap();
    symlink("../no/such/file", folder.join("shards/dangling")).unwrap();
    symlink("/etc/hostname", folder.join("absolute")).unwrap();
    tree(folder)
}

fn run(bed: &TestBed, line: &str) -> Output {
    let said = bed.run(line.split_whitespace());
    eprintln!("$ nanna-cache {line}\n{said}");
    said
}

struct Shared {
    disk: tempfile::TempDir,
    sender: TestBed,
    receiver: TestBed,
}

impl Shared {
    /// Two machines without Nix and with different homes, and a disk that both see.
    fn new(compression: &str) -> Self {
        let disk = tempfile::Builder::new().prefix("nanna-").tempdir().unwrap();
        let (mut sender, mut receiver) = (TestBed::new(), TestBed::new());
        sender.without_nix();
        receiver.without_nix();
        // The store directory is the one that everybody has, though there is none.
        sender.unset("NIX_STORE_DIR");
        receiver.unset("NIX_STORE_DIR");
        let shared = Self {
            disk,
            sender,
            receiver,
        };
        let key = "signing-key: { file: ~/dev.sec, generate: true }";
        shared
            .sender
            .write("cache.yaml", shared.config(key, compression));
        shared
    }

    fn cache(&self) -> PathBuf {
        self.disk.path().join("cache")
    }

    fn config(&self, key: &str, compression: &str) -> String {
        format!(
            "version: 1
project: models
caches: {{ dev: {{ type: file, path: {}, compression: {{ method: {compression} }}, {key} }} }}
artifacts:
  model-cache: {{ priority: 80, retention: 60d, directories: ['models/*'], default: true }}
",
            self.cache().display()
        )
    }

    /// The receiver knows the public key, not the secret one.
    fn introduce(&self) {
        let fragment =
            std::fs::read_to_string(self.sender.home().join(".config/nix/nanna-cache.conf"))
                .unwrap();
        let key = e2e_world::between(&fragment, "extra-trusted-public-keys = ", "\n");
        let key = format!("public-keys: ['{key}']");
        self.receiver.write("cache.yaml", self.config(&key, "zstd"));
    }
}

#[test]
fn a_directory_travels_byte_for_byte_without_nix() {
    for compression in ["zstd", "none"] {
        let shared = Shared::new(compression);
        let sent = model(&shared.sender.at("models/llama"));
        shared.sender.write("models/tiny/config.json", "{}");
        let plan = run(&shared.sender, "reconcile --detailed-exitcode").fails(2);
        assert!(plan.stdout.contains("2 paths"), "{plan}");
        let before = run(&shared.sender, "status").success();
        assert!(before.stdout.contains("not there yet"), "{before}");
        assert!(before.stdout.contains("to push"), "{before}");
        let applied = run(&shared.sender, "reconcile --apply").success();
        assert!(!applied.stderr.contains("4 of 2"), "{applied}");
        let _ = run(&shared.sender, "reconcile --detailed-exitcode").success();
        assert_eq!(cached(&shared.cache()).len(), 2);
        let after = run(&shared.sender, "status").success();
        assert!(after.stdout.contains("dev has 1 of 1 (100%)"), "{after}");
        assert!(after.stdout.contains("2 paths"), "{after}");
        assert!(after.stdout.contains("Nothing is pending."), "{after}");
        let _ = run(&shared.sender, "status --watch").fails(64);
        Checker::new().deep().assert_whole(&shared.cache());

        shared.introduce();
        let _ = run(&shared.receiver, "fetch models/llama --into fetched/here").success();
        assert_eq!(tree(&shared.receiver.at("fetched/here")), sent);
        // Again: it is there already, and nothing of another kind is overwritten.
        let _ = run(&shared.receiver, "fetch models/llama --into fetched/here").success();
        let said = run(&shared.receiver, "fetch models/tiny --into fetched/here").fails(1);
        assert!(said.stderr.contains("fetched/here"), "{said}");
        assert_eq!(tree(&shared.receiver.at("fetched/here")), sent);
        let said = run(&shared.receiver, "fetch models/lama --into other").fails(1);
        assert!(said.stderr.contains("models/lama"), "{said}");

        // The newest of a name is fetched.
        shared.sender.write("models/tiny/config.json", "{\"v\":2}");
        age(&shared.cache().join("nanna-cache"), days(1));
        let _ = run(&shared.sender, "push --apply").success();
        let _ = run(&shared.receiver, "fetch models/tiny --into tiny").success();
        assert_eq!(shared.receiver.read("tiny/config.json"), "{\"v\":2}");
    }
}

#[test]
fn the_real_nix_agrees_on_the_path_and_the_content() {
    for nix in RealNix::all() {
        let shared = Shared::new("zstd");
        let sent = model(&shared.sender.at("models/llama"));
        let _ = run(&shared.sender, "reconcile --apply").success();
        let path = nix.add(&shared.sender.at("models/llama"));
        assert_eq!(cached(&shared.cache()), [path.clone()].into());
        // It is its own address: no key is needed.
        let other = nix.another();
        other
            .copy_from(&format!("file://{}", shared.cache().display()), &path, &[])
            .unwrap();
        assert_eq!(tree(&other.real(&path)), sent);
    }
}

#[test]
fn a_tampered_cache_is_refused_and_leaves_nothing() {
    type Tamper = fn(&Path, &Path, &Path);
    let flip: Tamper = |nar, _, _| {
        let mut bytes = std::fs::read(nar).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(nar, bytes).unwrap();
    };
    let cut: Tamper = |nar, _, _| {
        let bytes = std::fs::read(nar).unwrap();
        std::fs::write(nar, &bytes[..bytes.len() - 64]).unwrap();
    };
    let grow: Tamper = |nar, _, _| {
        let mut bytes = std::fs::read(nar).unwrap();
        bytes.extend([0; 64]);
        std::fs::write(nar, bytes).unwrap();
    };
    let gone: Tamper = |nar, _, _| std::fs::remove_file(nar).unwrap();
    // Another tree, whose hashes are all right, under the name of this one.
    let swap: Tamper = |_, narinfo, other| {
        let (ours, theirs) = (
            std::fs::read_to_string(narinfo).unwrap(),
            std::fs::read_to_string(other).unwrap(),
        );
        let keep = |line: &&str| {
            line.starts_with("StorePath:")
                || line.starts_with("References:")
                || line.starts_with("Sig:")
                || line.starts_with("CA:")
        };
        let kept = ours.lines().filter(keep);
        let lines: Vec<&str> = kept
            .chain(theirs.lines().filter(|line| !keep(line)))
            .collect();
        let text = lines.join("\n") + "\n";
        std::fs::write(narinfo, text).unwrap();
    };
    for (name, compression, tamper) in [
        ("flip", "none", flip),
        ("flip", "zstd", flip),
        ("cut", "none", cut),
        ("cut", "zstd", cut),
        ("grow", "none", grow),
        ("gone", "zstd", gone),
        ("swap", "none", swap),
    ] {
        eprintln!("──── {name} {compression}");
        let shared = Shared::new(compression);
        shared
            .sender
            .write("models/good/file", "good ".repeat(1000));
        shared
            .sender
            .write("models/evil/file", "evil ".repeat(1000));
        let _ = run(&shared.sender, "reconcile --apply").success();
        shared.introduce();
        let narinfo = |name: &str| {
            let path = cached(&shared.cache())
                .into_iter()
                .find(|path| path.ends_with(name))
                .unwrap();
            shared.cache().join(format!("{}.narinfo", &path[11..43]))
        };
        let (good, evil) = (narinfo("-good"), narinfo("-evil"));
        let text = std::fs::read_to_string(&good).unwrap();
        let nar = shared
            .cache()
            .join(e2e_world::between(&text, "URL: ", "\n"));
        tamper(&nar, &good, &evil);
        let said = run(&shared.receiver, "fetch models/good --into good").fails(1);
        assert!(said.stderr.contains("models/good"), "{said}");
        assert!(!shared.receiver.at("good").exists(), "{name}");
        let left: Vec<_> = std::fs::read_dir(shared.receiver.work())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["cache.yaml"], "{name}");
    }
}

#[test]
fn a_machine_without_a_store_may_still_say_where_it_would_be() {
    let mut shared = Shared::new("zstd");
    shared.sender.set("NIX_STORE_DIR", "/somewhere/else");
    shared.sender.write("models/tiny/config.json", "{}");
    let _ = run(&shared.sender, "reconcile --apply").success();
    let _ = run(&shared.sender, "reconcile --detailed-exitcode").success();
    let info = std::fs::read_to_string(shared.cache().join("nix-cache-info")).unwrap();
    assert!(info.contains("StoreDir: /somewhere/else\n"), "{info}");
    // A cache of another store is not touched.
    shared.sender.unset("NIX_STORE_DIR");
    let said = run(&shared.sender, "reconcile --apply").fails(4);
    assert!(said.stdout.contains("/somewhere/else"), "{said}");
}
