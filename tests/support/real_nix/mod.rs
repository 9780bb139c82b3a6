//! Real Nix stores: the Nix on `PATH` and a current one in a Debian sid root.
//!
//! Every store is a chroot store in a temporary folder: its paths are called `/nix/store/…` and lie
//! in `ROOT/nix/store`, so tests disturb neither each other nor the machine's own store. Builders are
//! `/bin/sh`; the sandbox shows them the host's `/bin`, `/lib`, `/lib64` and `/usr`. There is no
//! network in it anywhere.

mod ask;
mod cache;
mod equip;

pub use ask::PathInfo;
pub use cache::SigningKey;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Which program answers to `nix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one on `PATH`: 2.8 on Debian 12.
    Installed,
    /// The one in the sid root, see `tests/setup/sid-root.sh`.
    Current,
}

/// A store of its own, and the Nix that uses it.
pub struct RealNix {
    which: Which,
    version: String,
    dir: TempDir,
}

/// Many paths that refer to one another, made by [`RealNix::populate`].
pub struct Population {
    /// A path whose runtime closure is all of `paths`.
    pub top: String,
    /// The derivation that built most of it.
    pub derivation: String,
    /// Every path of the closure, sorted.
    pub paths: Vec<String>,
}

impl RealNix {
    /// A store for the Nix on `PATH`; `None`, said loudly, where there is none that can build.
    pub fn old() -> Option<Self> {
        static WORKS: OnceLock<Result<String, String>> = OnceLock::new();
        Self::start(Which::Installed, &WORKS)
    }

    /// A store for a current Nix; `None`, said loudly, where the kernel forbids the root it lives in.
    ///
    /// The root is made on first use, which takes about 40 s and Debian's archive.
    pub fn current() -> Option<Self> {
        static WORKS: OnceLock<Result<String, String>> = OnceLock::new();
        static ROOT: OnceLock<Option<i32>> = OnceLock::new();
        let setup = super::fixture("tests/setup/sid-root.sh");
        let code = *ROOT.get_or_init(|| Command::new("bash").arg(setup).status().ok()?.code());
        match code {
            Some(0) => Self::start(Which::Current, &WORKS),
            // The one skip that is allowed everywhere: no kernel, no root.
            Some(75) => {
                super::skip_always("this machine cannot mount a root for a current Nix");
                None
            }
            code => {
                super::skip(&format!("tests/setup/sid-root.sh failed ({code:?})"));
                None
            }
        }
    }

    /// A store for each Nix at hand.
    pub fn all() -> Vec<Self> {
        [Self::old(), Self::current()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// An empty store for the same Nix.
    pub fn another(&self) -> Self {
        Self {
            which: self.which,
            version: self.version.clone(),
            dir: store_dir(),
        }
    }

    fn start(which: Which, works: &OnceLock<Result<String, String>>) -> Option<Self> {
        let probed = works.get_or_init(|| {
            let mut nix = Self { which, version: String::new(), dir: store_dir() };
            let version = nix.try_run("nix", ["--version"])?;
            version.trim().rsplit(' ').next().unwrap_or_default().clone_into(&mut nix.version);
            nix.try_build(r#"derivation { name = "probe"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }"#)?;
            Ok(nix.version.clone())
        });
        match probed {
            Ok(version) => Some(Self {
                which,
                version: version.clone(),
                dir: store_dir(),
            }),
            Err(why) => {
                super::skip(&format!("{which:?} Nix does not work here: {why}"));
                None
            }
        }
    }

    /// Which Nix this is.
    pub fn which(&self) -> Which {
        self.which
    }

    /// Its version, for instance `2.8.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The folder that holds everything of this store: what `--store` is given.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The folder in which the store paths lie.
    pub fn store(&self) -> PathBuf {
        self.root().join("nix/store")
    }

    /// The folder of the state: `db`, `gcroots`, `profiles`.
    pub fn state(&self) -> PathBuf {
        self.root().join("nix/var/nix")
    }

    /// The SQLite file.
    pub fn database(&self) -> PathBuf {
        self.state().join("db/db.sqlite")
    }

    /// Where a store path lies on the disk.
    pub fn real(&self, store_path: &str) -> PathBuf {
        self.root().join(store_path.trim_start_matches('/'))
    }

    /// A scratch folder beside the store, visible to this Nix at the same path.
    pub fn scratch(&self) -> PathBuf {
        self.root().join("scratch")
    }

    /// A program of this Nix (`nix`, `nix-store`…), its environment cleared, with this store as default.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.which {
            Which::Installed => Command::new(program),
            Which::Current => {
                let mut command = Command::new(super::fixture("tests/setup/sid-nix"));
                command.arg(program);
                command
            }
        };
        let home = self.root().join("home");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("NIX_CONF_DIR", self.root().join("conf"))
            .env("NIX_REMOTE", self.root())
            .env("NIX_CONFIG", NIX_CONFIG)
            .current_dir(self.scratch())
            .stdin(Stdio::null());
        for name in ["NANNA_SID_ROOT", "CARGO_TARGET_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs a program of this Nix and gives its standard output.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        self.try_run(program, arguments)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs a program of this Nix; the error holds what it printed.
    pub fn try_run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String, String> {
        let mut command = self.command(program);
        command.args(arguments);
        text(
            &command
                .output()
                .map_err(|error| format!("{program}: {error}"))?,
            &command,
        )
    }

    /// Runs a program of this Nix with this standard input.
    pub fn feed<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Result<String, String> {
        let mut command = self.command(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A broken pipe shows as the exit code of the reader.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output()
        });
        text(
            &output.map_err(|error| format!("{program}: {error}"))?,
            &command,
        )
    }

    /// The derivation of a Nix expression, not built.
    #[track_caller]
    pub fn instantiate(&self, expression: &str) -> String {
        self.run("nix-instantiate", ["-E", expression])
            .trim()
            .trim_end_matches("!out")
            .to_owned()
    }

    /// Builds a Nix expression and gives its outputs, each a store path.
    #[track_caller]
    pub fn build(&self, expression: &str) -> Vec<String> {
        self.try_build(expression)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Builds a Nix expression; the error holds what Nix printed.
    pub fn try_build(&self, expression: &str) -> Result<Vec<String>, String> {
        let derivation = self.try_run("nix-instantiate", ["-E", expression])?;
        let derivation = derivation.trim().split('!').next().unwrap_or_default();
        Ok(lines(
            &self.try_run("nix-store", ["--realise", derivation])?,
        ))
    }

    /// Adds a file or folder as a content-addressed path.
    #[track_caller]
    pub fn add(&self, path: &Path) -> String {
        self.run("nix-store", [OsStr::new("--add"), path.as_os_str()])
            .trim()
            .to_owned()
    }

    /// Makes at least `count` paths with real references, in about a second.
    ///
    /// A third of them are text files, the rest outputs of one derivation: folders with files of
    /// several sizes, an executable, links, empty folders and names with blanks and beyond ASCII.
    /// Every seventh refers to itself; some have equal NARs.
    #[track_caller]
    pub fn populate(&self, count: usize) -> Population {
        let texts = (count / 3).max(2);
        let outputs = count.saturating_sub(texts).max(2);
        let expression = POPULATION
            .replace("@TEXTS@", &texts.to_string())
            .replace("@OUTPUTS@", &outputs.to_string());
        let derivation = self.instantiate(&expression);
        self.run("nix-store", ["--realise", derivation.as_str()]);
        let top = self
            .run("nix-store", ["--query", "--binding", "out", &derivation])
            .trim()
            .to_owned();
        let paths: Vec<String> = self.closure([&top]).into_iter().collect();
        assert!(paths.len() >= count, "{} paths of {count}", paths.len());
        Population {
            top,
            derivation,
            paths,
        }
    }

    /// Runs the garbage collector.
    #[track_caller]
    pub fn collect_garbage(&self) {
        self.run("nix-store", ["--gc"]);
    }

    /// Asserts that contents and database agree, as Nix itself sees it.
    #[track_caller]
    pub fn verify(&self) {
        self.run("nix-store", ["--verify", "--check-contents"]);
    }
}

/// What every command gets instead of the machine's settings.
const NIX_CONFIG: &str = "experimental-features = nix-command flakes
build-users-group =
sandbox = true
sandbox-fallback = false
sandbox-paths = /bin /lib /lib64 /usr
substituters =
require-sigs = true
trusted-public-keys =
max-jobs = 2
fsync-metadata = false
connect-timeout = 5
download-attempts = 1
narinfo-cache-negative-ttl = 0
narinfo-cache-positive-ttl = 0
warn-dirty = false
";

/// See [`RealNix::populate`].
const POPULATION: &str = include_str!("population.nix");

/// Where `tests/setup/sid-root.sh` puts its root.
fn sid_root() -> PathBuf {
    std::env::var_os("NANNA_SID_ROOT")
        .map_or_else(|| super::target().join("sid-root"), PathBuf::from)
}

fn store_dir() -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix("nanna-nix-")
        .tempdir()
        .unwrap();
    for folder in ["home", "conf", "scratch"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    dir
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn text(output: &Output, command: &Command) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

impl Drop for RealNix {
    fn drop(&mut self) {
        // Store paths are read-only: without the write bit an ordinary user cannot remove them.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.store())
            .stderr(Stdio::null())
            .status();
    }
}
