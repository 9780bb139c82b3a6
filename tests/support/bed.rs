//! A host of its own for one test: home, XDG folders, a cleared environment, a fixed width.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The folders that make up a [`TestBed`], relative to its root.
const FOLDERS: [&str; 9] = [
    "home",
    "home/.config",
    "home/.cache",
    "home/.local/share",
    "home/.local/state",
    "run",
    "tmp",
    "work",
    "etc/nix",
];

/// A temporary host: the program sees no setting, file or credential of the machine it runs on.
pub struct TestBed {
    root: TempDir,
    environment: BTreeMap<OsString, OsString>,
}

impl Default for TestBed {
    fn default() -> Self {
        Self::new()
    }
}

impl TestBed {
    /// An empty host.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("nanna-").tempdir().unwrap();
        for folder in FOLDERS {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let at = |relative: &str| root.path().join(relative).into_os_string();
        let mut environment: BTreeMap<OsString, OsString> = [
            ("HOME", at("home")),
            ("XDG_CONFIG_HOME", at("home/.config")),
            ("XDG_CACHE_HOME", at("home/.cache")),
            ("XDG_DATA_HOME", at("home/.local/share")),
            ("XDG_STATE_HOME", at("home/.local/state")),
            ("XDG_RUNTIME_DIR", at("run")),
            ("TMPDIR", at("tmp")),
            // Else the machine's /etc/nix/nix.conf would be a part of the test.
            ("NIX_CONF_DIR", at("etc/nix")),
            (
                "PATH",
                "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into(),
            ),
            ("LANG", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("TERM", "dumb".into()),
            ("COLUMNS", "100".into()),
            ("NO_COLOR", "1".into()),
        ]
        .map(|(name, value): (&str, OsString)| (name.into(), value))
        .into();
        // Coverage tools tell the program under test by this variable where to write.
        for name in ["LLVM_PROFILE_FILE", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                environment.insert(name.into(), value);
            }
        }
        Self { root, environment }
    }

    /// The folder that stands for the whole host.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The user's home.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Where commands start: a folder like a project's.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// A file or folder below [`work`](Self::work), made or not.
    pub fn at(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.work().join(relative)
    }

    /// Writes a file below [`work`](Self::work) with its folders, and gives its path.
    pub fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Reads a text file below [`work`](Self::work).
    pub fn read(&self, relative: impl AsRef<Path>) -> String {
        let path = self.at(relative);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Sets a variable for all later runs.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment
            .insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// Takes a variable away for all later runs.
    pub fn unset(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.environment.remove(name.as_ref());
        self
    }

    /// Makes a host without Nix: `PATH` is one empty folder, and the default store is elsewhere.
    pub fn without_nix(&mut self) -> &mut Self {
        let empty = self.root().join("bin");
        std::fs::create_dir_all(&empty).unwrap();
        let state = self.root().join("nix/var/nix");
        let store = self.root().join("nix/store");
        self.set("PATH", empty)
            .set("NIX_STATE_DIR", state)
            .set("NIX_STORE_DIR", store)
    }

    /// Any program, with this host's environment and folder.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// The program under test, ready to be given arguments.
    pub fn command(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_nanna-cache"))
    }

    /// Runs the program under test to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.finish(self.command().args(arguments))
    }

    /// Runs a command to its end, and masks this host's folders in what it prints.
    pub fn finish(&self, command: &mut Command) -> Output {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Output {
            stdout: self.mask(&String::from_utf8_lossy(&output.stdout)),
            stderr: self.mask(&String::from_utf8_lossy(&output.stderr)),
            code: output.status.code(),
            signal: output.status.signal(),
            command: format!("{command:?}"),
        }
    }

    /// Replaces this host's folders by names: `[HOME]`, `[WORK]`, `[ROOT]`.
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let canonical = self.root().canonicalize().unwrap();
        for root in [canonical.as_path(), self.root()] {
            for (folder, name) in [("home", "[HOME]"), ("work", "[WORK]"), ("", "[ROOT]")] {
                let path = root.join(folder);
                text = text.replace(path.to_str().unwrap().trim_end_matches('/'), name);
            }
        }
        text
    }
}

/// What a run printed and how it ended; `Display` is made for snapshots.
#[must_use = "look at the exit code at least: `.success()` or `.fails(code)`"]
#[derive(Clone, Debug)]
pub struct Output {
    /// Standard output, the host's folders masked.
    pub stdout: String,
    /// Standard error, the host's folders masked.
    pub stderr: String,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    command: String,
}

impl Output {
    /// Asserts exit code 0 and hands the output on.
    #[track_caller]
    pub fn success(self) -> Self {
        self.fails(0)
    }

    /// Asserts this exit code and hands the output on.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{self}", self.command);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit: {code}")?,
            (None, Some(signal)) => writeln!(f, "signal: {signal}")?,
            (None, None) => writeln!(f, "exit: unknown")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "──── {name}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}
