//! A project on a host with a real Nix: what the end-to-end tests start from.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says with which Nix"
)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::bed::{Output, TestBed};
use crate::support::checker::Checker;
use crate::support::real_nix::RealNix;

/// A host with a Nix of its own, an empty store, and a folder for one cache.
pub struct World {
    /// The host.
    pub bed: TestBed,
    /// Its Nix.
    pub nix: RealNix,
}

/// What most tests say about the cache: one folder, one key that is made on request.
pub const DEV: &str = "version: 1
project: e2e
systems: [@SYSTEM@]
caches:
  dev:
    type: file
    path: @CACHE@
    signing-key: { file: ~/keys/dev.sec, generate: true }
";

/// Runs a test with every Nix at hand.
pub fn with_each_nix(test: impl Fn(World)) {
    for nix in RealNix::all() {
        eprintln!("──── with Nix {}", nix.version());
        test(World::new(nix));
    }
}

/// The system that is built for here, by Nix's name.
pub fn system() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

impl World {
    /// An empty project.
    pub fn new(nix: RealNix) -> Self {
        let mut bed = TestBed::new();
        nix.equip(&mut bed);
        Self { bed, nix }
    }

    /// The folder of the cache that tests call `dev`.
    pub fn cache(&self) -> PathBuf {
        self.bed.root().join("cache")
    }

    /// Replaces `@CACHE@`, `@ROOT@` and `@SYSTEM@`.
    fn fill(&self, text: &str) -> String {
        text.replace("@CACHE@", self.cache().to_str().unwrap())
            .replace("@ROOT@", self.bed.root().to_str().unwrap())
            .replace("@SYSTEM@", &system())
    }

    /// Writes `cache.yaml`: [`DEV`] and what follows it.
    pub fn config(&self, rest: &str) {
        self.whole_config(&format!("{DEV}{rest}"));
    }

    /// Writes a `cache.yaml` of the test's own.
    pub fn whole_config(&self, text: &str) {
        self.bed.write("cache.yaml", self.fill(text));
    }

    /// Writes `flake.nix` without inputs; `packages` are attributes of this system. In it, `sh name
    /// inputs script` builds a path by a shell script that sees its inputs as `$inputs`.
    pub fn flake(&self, packages: &str) {
        let text = format!(
            r#"{{
  outputs = _: let
    for = system: name: inputs: script: derivation {{
      inherit name inputs system;
      builder = "/bin/sh";
      args = [ "-c" ("PATH=/usr/bin:/bin; " + script) ];
    }};
    sh = for "@SYSTEM@";
  in {{ packages.@SYSTEM@ = rec {{
    {packages}
  }}; }};
}}
"#
        );
        self.bed.write("flake.nix", self.fill(&text));
    }

    /// Runs the program under test.
    pub fn run(&self, line: &str) -> Output {
        let said = self.bed.run(line.split_whitespace());
        eprintln!("$ nanna-cache {line}\n{said}");
        said
    }

    /// Applies everything, and asserts that the second plan has nothing left.
    #[track_caller]
    pub fn converge(&self) {
        let _ = self.run("reconcile --apply").success();
        self.assert_nothing_to_do();
    }

    /// Asserts that a plan has no changes.
    #[track_caller]
    pub fn assert_nothing_to_do(&self) {
        let plan = self.run("reconcile --detailed-exitcode").success();
        assert!(plan.stdout.contains("No changes"), "{plan}");
    }

    /// A program of the real Nix on this host: by this host's own settings, and its store.
    pub fn with_nix(&self, line: &str) -> Output {
        self.with_nix_in(&self.nix, line)
    }

    /// The same with another store.
    pub fn with_nix_in(&self, store: &RealNix, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let mut command = self.bed.program("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\"", words.next().unwrap()])
            .args(words)
            .env("NIX_REMOTE", store.root());
        let said = self.bed.finish(&mut command);
        eprintln!("$ {line}\n{said}");
        said
    }

    /// The output path of a package of the flake, not built.
    #[track_caller]
    pub fn output(&self, package: &str) -> String {
        let line = format!("nix eval --raw .#{package}.outPath");
        self.with_nix(&line).success().stdout
    }

    /// The derivation of a package of the flake.
    #[track_caller]
    pub fn derivation(&self, package: &str) -> String {
        let line = format!("nix eval --raw .#{package}.drvPath");
        self.with_nix(&line).success().stdout
    }

    /// Builds a package of the flake by hand.
    #[track_caller]
    pub fn build(&self, package: &str) -> String {
        let _ = self
            .with_nix(&format!("nix build --no-link .#{package}"))
            .success();
        self.output(package)
    }

    /// The public half of a key, as the real Nix derives it.
    #[track_caller]
    pub fn public_key(&self, secret: impl AsRef<Path>) -> String {
        let secret = std::fs::read(self.bed.home().join(secret)).unwrap();
        self.nix
            .feed("nix", ["key", "convert-secret-to-public"], &secret)
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The paths that the cache `dev` has.
    pub fn cached(&self) -> BTreeSet<String> {
        cached(&self.cache())
    }

    /// Asserts that the cache `dev` is whole, signed by its key, and has exactly these paths.
    #[track_caller]
    pub fn assert_cached<P: AsRef<str>>(&self, paths: impl IntoIterator<Item = P>) {
        let paths: BTreeSet<String> = paths.into_iter().map(|p| p.as_ref().to_owned()).collect();
        assert_eq!(self.cached(), paths);
        let checker = Checker::new().deep().key(&self.public_key("keys/dev.sec"));
        paths
            .iter()
            .fold(checker, |checker, path| checker.root(path))
            .assert_whole(&self.cache());
    }
}

/// The paths that a cache folder names.
pub fn cached(cache: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(cache)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension() == Some(OsStr::new("narinfo")))
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("StorePath: "));
            line.unwrap().to_owned()
        })
        .collect()
}

/// Makes everything in a folder look as if it had been written that much earlier.
pub fn age(folder: &Path, by: Duration) {
    each_file(folder, &|modified| modified - by);
}

/// Undoes [`age`].
pub fn rejuvenate(folder: &Path, by: Duration) {
    each_file(folder, &|modified| modified + by);
}

fn each_file(folder: &Path, time: &dyn Fn(SystemTime) -> SystemTime) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, time);
            continue;
        }
        // Opened for reading: what `nix copy` wrote may be read-only.
        let file = std::fs::File::open(&path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(time(modified)).unwrap();
    }
    // Who only plans believes what it knows of a folder in which no name changed.
    let passing = folder.join("passing");
    std::fs::write(&passing, "").unwrap();
    std::fs::remove_file(&passing).unwrap();
}

/// A number of days.
pub const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

/// What stands between two texts.
#[track_caller]
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start:?} in {text}"));
    rest.split_once(end).map_or(rest, |(inner, _)| inner)
}
