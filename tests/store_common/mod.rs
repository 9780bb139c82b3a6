//! A Nix store of its own for a test, made by the real Nix.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "helpers of tests"
)]

use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use nanna_cache::provider::nix_store::Location;
use nanna_cache::sys::host::Host;

/// Settings with which Nix works in a folder of its own, without network.
pub const CONFIG: &str = "experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry = /nonexistent
";

/// A store, its state, its home.
pub struct World {
    folder: tempfile::TempDir,
    pub root: Utf8PathBuf,
    pub host: Host,
}

impl World {
    /// An empty store. The test is skipped, visibly, where there is no Nix.
    pub fn new() -> Option<Self> {
        if Command::new("nix").arg("--version").output().is_err() {
            eprintln!("SKIPPED: no `nix` on this machine");
            assert!(std::env::var_os("CI").is_none(), "CI must have Nix");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        for name in ["home", "conf", "tmp"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let variables = [
            ("PATH", path.as_str()),
            ("HOME", root.join("home").as_str()),
            ("TMPDIR", root.join("tmp").as_str()),
            ("NIX_STORE_DIR", root.join("store").as_str()),
            ("NIX_STATE_DIR", root.join("var").as_str()),
            ("NIX_LOG_DIR", root.join("log").as_str()),
            ("NIX_CONF_DIR", root.join("conf").as_str()),
            ("NIX_CONFIG", CONFIG),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let host = Host::made_up(variables);
        Some(Self { folder, root, host })
    }

    pub fn location(&self) -> Location {
        Location::of(&self.host, None).unwrap()
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.host.variables())
            .current_dir(&self.root);
        command
    }

    /// Runs a program of Nix and gives its standard output.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            text(&output)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Adds a file to the store; the full path.
    pub fn add(&self, name: &str, content: &str) -> String {
        let file = self.root.join("tmp").join(name);
        std::fs::write(&file, content).unwrap();
        self.run("nix-store", &["--add", file.as_str()])
    }

    /// Writes a flake that needs no input; its folder.
    pub fn flake(&self, text: &str) -> Utf8PathBuf {
        let folder = self.root.join("flake");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("flake.nix"), text).unwrap();
        folder
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A flake with outputs of all kinds; `SYSTEM` is this machine's.
pub const FLAKE: &str = r#"{
  outputs = { self }: let
    make = name: extra: derivation ({
      inherit name; system = "SYSTEM"; builder = "/bin/sh";
      args = [ "-c" "echo ${name} $dep > $out" ];
    } // extra);
    dep = make "dep" { };
  in {
    packages.SYSTEM = {
      inherit dep;
      default = self.packages.SYSTEM.top;
      top = make "top" { inherit dep; };
      multi = make "multi" {
        outputs = [ "out" "dev" ];
        args = [ "-c" "echo 1 > $out; echo $out > $dev" ];
      };
      bad = throw "broken on purpose";
      fails = make "fails" { args = [ "-c" "echo so sad >&2; exit 1" ]; };
      foreign = make "foreign" { system = "riscv64-linux"; };
      slow = make "slow" { args = [ "-c" "echo started; while :; do :; done" ]; };
    };
  };
}"#;

pub fn write(path: &Utf8Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
