//! A project with a real Nix store and a cache folder, on which the program is killed, stopped and misled.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::unused_self,
    reason = "each test uses a part of it; a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::bed::{Output, TestBed};
use crate::support::checker::Checker;
use crate::support::real_nix::{Population, RealNix};

/// How long anything may take before a test says that it hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A project on a host of its own.
pub struct Site {
    pub bed: TestBed,
    pub nix: RealNix,
    pub population: Population,
    memory: tempfile::TempDir,
}

impl Site {
    /// A site whose store holds at least `count` paths that refer to one another, and whose cache
    /// is set up; `None` where there is no Nix.
    pub fn new(count: usize) -> Option<Self> {
        let nix = RealNix::old()?;
        let population = nix.populate(count);
        let mut bed = TestBed::new();
        nix.equip(&mut bed);
        let memory = memory();
        let site = Self {
            bed,
            nix,
            population,
            memory,
        };
        site.configure("");
        let _ = site.bed.run(["setup", "--apply"]).success();
        Some(site)
    }

    /// Writes `cache.yaml` anew, with more sections at its end.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "version: 1
project: site
flake: ./flake
caches:
  local:
    type: file
    path: {}
    signing-key: {{ file: keys/local.sec, generate: true }}
artifacts:
  outputs: {{ priority: 60, retention: 30d, match: ['-o[0-9]+$'] }}
  others: {{ priority: 10, retention: 90d, default: true }}
setup: {{ nix-conf: {{ dir: conf }} }}
push: {{ to: {{ local: all }} }}
{more}",
            self.cache().display()
        );
        self.bed.write("cache.yaml", text);
    }

    /// The folder of the cache.
    pub fn cache(&self) -> PathBuf {
        self.memory.path().join("cache")
    }

    /// A folder for copies of the cache, in memory as the cache is.
    pub fn copies(&self) -> PathBuf {
        self.memory.path().join("copies")
    }

    /// The public key of the cache.
    pub fn public_key(&self) -> String {
        let text = self.bed.read("conf/nanna-cache.conf");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("extra-trusted-public-keys = "));
        line.unwrap().to_owned()
    }

    /// `push --apply` of the whole population, ready to be started.
    pub fn push(&self) -> Command {
        self.command(["push", "--apply", "--path", &self.population.top])
    }

    /// The program with these arguments, ready to be started.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.bed.command();
        command.args(arguments);
        command
    }

    /// Pushes everything, and says that this went well.
    #[track_caller]
    pub fn push_all(&self) -> Output {
        self.bed.finish(&mut self.push()).success()
    }

    /// A checker that knows the key of the cache.
    pub fn checker(&self) -> Checker {
        Checker::new().key(&self.public_key())
    }

    /// A checker of what must always be so, without the (slow) look at signatures.
    pub fn checker_of_structure(&self) -> Checker {
        Checker::new()
    }

    /// The whole population is visible, and every promise holds.
    #[track_caller]
    pub fn assert_has_everything(&self) {
        self.checker_of_structure()
            .root(&self.population.top)
            .assert_whole(&self.cache());
        assert_eq!(narinfos(&self.cache()).len(), self.population.paths.len());
    }

    /// Every promise holds, and the whole population is in the cache.
    #[track_caller]
    pub fn assert_complete(&self) {
        self.checker()
            .deep()
            .root(&self.population.top)
            .assert_whole(&self.cache());
        assert_eq!(narinfos(&self.cache()).len(), self.population.paths.len());
    }

    /// Nothing is left to be done for the population.
    #[track_caller]
    pub fn assert_converged(&self) {
        let top = self.population.top.as_str();
        let said = self
            .bed
            .run(["push", "--detailed-exitcode", "--path", top])
            .success();
        assert!(said.stdout.contains("No changes."), "{said}");
    }

    /// The real Nix reads every visible path, with its closure and signatures, into an empty store.
    #[track_caller]
    pub fn assert_nix_reads(&self, paths: impl IntoIterator<Item = String>) {
        let store = self.nix.another();
        let url = format!("file://{}", self.cache().display());
        let key = self.public_key();
        let mut arguments: Vec<String> = [
            "copy",
            "--from",
            &url,
            "--option",
            "require-sigs",
            "true",
            "--option",
            "trusted-public-keys",
            &key,
        ]
        .map(str::to_owned)
        .to_vec();
        let before = arguments.len();
        arguments.extend(paths);
        if arguments.len() > before {
            store.run("nix", arguments);
            store.verify();
        }
    }

    /// The store paths of all visible narinfos.
    pub fn visible(&self) -> Vec<String> {
        narinfos(&self.cache())
            .iter()
            .map(|name| {
                let text = std::fs::read_to_string(self.cache().join(name)).unwrap();
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix("StorePath: "));
                line.unwrap().to_owned()
            })
            .collect()
    }

    /// Puts another folder in the place of the cache; no reader finds none in between.
    pub fn replace_cache(&self, with: &Path) {
        let (here, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
        rustix::fs::renameat_with(here, with, here, self.cache(), exchange).unwrap();
        std::fs::remove_dir_all(with).unwrap();
    }

    /// The state of a journal's newest lines.
    pub fn journal(&self) -> String {
        let path = self
            .bed
            .home()
            .join(".local/state/nanna-cache/journal/site.jsonl");
        std::fs::read_to_string(path).unwrap()
    }
}

/// A text from a plan's box as one line, however it was wrapped.
pub fn unwrapped(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "┃")
        .collect();
    words.join(" ")
}

/// Copies a folder with the times of its files.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

/// Makes every file below a folder 200 days old.
pub fn age(folder: &Path) {
    let touch = [
        "-type",
        "f",
        "-exec",
        "touch",
        "-d",
        "200 days ago",
        "{}",
        "+",
    ];
    let status = Command::new("find").arg(folder).args(touch).status();
    assert!(status.unwrap().success());
}

/// A temporary folder in memory, where there is such a place: thousands of files are synced.
pub fn memory() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let place = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("nanna-crash-")
        .tempdir_in(place)
        .unwrap()
}

/// The names of all narinfos in a cache folder.
pub fn narinfos(cache: &Path) -> Vec<String> {
    names(cache)
        .into_iter()
        .filter(|name| name.ends_with(".narinfo"))
        .collect()
}

/// The names in a folder; none if it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// How many objects (narinfos, NARs, records) a cache holds.
pub fn objects(cache: &Path) -> usize {
    let folder = |name: &str| names(&cache.join(name)).len();
    let roots = cache.join("nanna-cache/v1/roots");
    let roots: usize = names(&roots)
        .iter()
        .map(|class| names(&roots.join(class)).len())
        .sum();
    narinfos(cache).len() + folder("nar") + folder("nanna-cache/v1/intents") + roots
}

/// What a folder holds: each name below it with kind, mode, and content.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(facts) = path.symlink_metadata() else {
            continue;
        };
        let content = if facts.is_dir() {
            for entry in std::fs::read_dir(&path).unwrap() {
                open.push(entry.unwrap().path());
            }
            String::new()
        } else if facts.is_symlink() {
            format!("→ {}", path.read_link().unwrap().display())
        } else if facts.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            format!("{} bytes, {:?}", bytes.len(), blurred(&bytes))
        } else {
            String::new()
        };
        let name = path.strip_prefix(folder).unwrap().to_owned();
        found.insert(name, format!("{:o} {content}", facts.mode()));
    }
    found
}

/// A short content as text, a long one as a number.
fn blurred(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    if bytes.len() < 400 {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish().to_string()
}

/// A program at work, and what it says.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts it; what it prints is collected.
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still at work.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until something is so; `false`: it ended before.
    #[track_caller]
    pub fn until(&mut self, mut so: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        loop {
            if so() {
                return true;
            }
            if !self.runs() {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "it neither came nor ended");
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Sends a signal by its name, as `KILL`.
    pub fn signal(&self, name: &str) {
        // The shell's own: a small system has no program of that name.
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name])
            .arg(self.id().to_string())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success() || status.code() == Some(1));
    }

    /// Kills it as `kill -9` does, and says whether it was still at work.
    pub fn kill(mut self) -> bool {
        let _ = self.child.kill();
        self.child.wait().unwrap().signal() == Some(9)
    }

    /// Waits for its end.
    pub fn end(self) -> Ended {
        let began = Instant::now();
        let output = self.child.wait_with_output().unwrap();
        assert!(began.elapsed() < PATIENCE, "it took too long to end");
        Ended {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}
