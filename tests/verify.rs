//! `verify`: a clean cache has no finding, and each planted damage is found by its code, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::semicolon_if_nothing_returned,
    clippy::format_collect,
    clippy::needless_pass_by_value,
    reason = "a table of small closures over short texts reads best without ceremony"
)]

mod e2e_world;
#[path = "verify/local.rs"]
mod local;
#[path = "verify/mended.rs"]
mod mended;
#[path = "verify/planted.rs"]
mod planted;
#[path = "verify/real.rs"]
mod real;
mod support;

use std::path::{Path, PathBuf};

use e2e_world::World;
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::narinfo::NarInfo;
use nanna_cache::nix::store_path::StoreDir;
use support::real_nix::RealNix;

/// A project whose cache was filled by a real push.
struct Pushed {
    world: World,
    /// A copy of the cache as it was pushed.
    clean: tempfile::TempDir,
    app: String,
    lib: String,
    note: String,
}

const ALL: &str = "artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n";

impl Pushed {
    fn new() -> Option<Self> {
        let nix = RealNix::all().into_iter().next()?;
        let world = World::new(nix);
        world.flake(
            r#"note = builtins.toFile "note" "a note that is content-addressed";
               lib = sh "lib" [] "mkdir $out; echo one > $out/a; echo two > $out/b; ln -s a $out/c";
               app = sh "app" [ lib ] "echo $inputs ${note} > $out";"#,
        );
        world.config(ALL);
        let app = world.build("app");
        let lib = world.output("lib");
        let note = world.with_nix("nix eval --raw .#note").success().stdout;
        world.converge();
        let clean = tempfile::tempdir().unwrap();
        copy(&world.cache(), clean.path());
        Some(Self {
            world,
            clean,
            app,
            lib,
            note,
        })
    }

    fn cache(&self) -> PathBuf {
        self.world.cache()
    }

    /// Makes the cache what it was.
    fn restore(&self) {
        std::fs::remove_dir_all(self.cache()).unwrap();
        copy(self.clean.path(), &self.cache());
    }

    fn narinfo(&self, path: &str) -> PathBuf {
        self.cache().join(format!("{}.narinfo", &path[11..43]))
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.narinfo(path)).unwrap()
    }

    /// Changes the text of a narinfo.
    fn edit(&self, path: &str, change: impl FnOnce(String) -> String) {
        std::fs::write(self.narinfo(path), change(self.text(path))).unwrap();
    }

    /// Changes a narinfo and signs what comes of it, as somebody with the key would.
    fn forge(&self, path: &str, change: impl FnOnce(&mut NarInfo)) {
        let store = StoreDir::default();
        let mut info = NarInfo::parse(&self.text(path), &store).unwrap();
        change(&mut info);
        let secret = std::fs::read_to_string(self.world.bed.home().join("keys/dev.sec")).unwrap();
        info.signatures.clear();
        info.sign(&SecretKey::parse(&secret).unwrap(), &store);
        std::fs::write(self.narinfo(path), info.display(&store).to_string()).unwrap();
    }

    fn nar_file(&self, path: &str) -> PathBuf {
        let text = self.text(path);
        let url = text.lines().find_map(|line| line.strip_prefix("URL: "));
        self.cache().join(url.unwrap())
    }

    fn nar(&self, path: &str) -> Vec<u8> {
        zstd::decode_all(std::fs::File::open(self.nar_file(path)).unwrap()).unwrap()
    }

    /// Puts another file in the place of the NAR, with a narinfo that is right about the file, and signed.
    fn replace_file(&self, path: &str, file: &[u8]) {
        std::fs::remove_file(self.nar_file(path)).unwrap();
        let hash = Sha256::of(file);
        let url = format!("nar/{}.nar.zst", hash.to_nix32());
        std::fs::write(self.cache().join(&url), file).unwrap();
        self.forge(path, |info| {
            info.url = url;
            info.file_hash = Some(hash);
            info.file_size = Some(file.len() as u64);
        });
    }

    /// As [`Self::replace_file`] with a NAR, about which the narinfo is right, too.
    fn replace_nar(&self, path: &str, nar: &[u8]) {
        self.replace_file(path, &zstd::encode_all(nar, 3).unwrap());
        self.forge(path, |info| {
            info.nar_hash = Sha256::of(nar);
            info.nar_size = nar.len() as u64;
        });
    }

    /// `CODE NAME` of everything that is found, and the exit code.
    fn verify(&self, flags: &str) -> (Vec<String>, i32) {
        let said = self
            .world
            .run(&format!("verify dev --all --format json{flags}"));
        let report = said.json();
        assert_eq!(report["format"], 1);
        let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let found = report["findings"].as_array().unwrap().iter().map(|one| {
            let about = match word(&one["path"]) {
                Some(path) => path[33..].to_owned(),
                None => word(&one["key"]).unwrap(),
            };
            format!("{} {about}", word(&one["code"]).unwrap())
        });
        (found.collect(), said.code.unwrap())
    }

    #[track_caller]
    fn finds(&self, expected: &[&str], code: i32) {
        let (found, exit) = self.verify("");
        assert_eq!(found, expected);
        assert_eq!(exit, code);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
