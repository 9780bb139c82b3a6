//! Facts of this process and machine: the one reader of environment, user, clock and terminal.
//!
//! A [`Host`] is captured once and handed around, so everything below asks the same facts, and a
//! test can make one up. Values of variables are never printed by `Debug`: some are secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

pub use mask::Masks;

use super::clock::{Clock as _, SystemClock};

mod mask;

/// Folder name of ours below the state, cache and configuration folders.
const OURS: &str = "nanna-cache";

/// Why the facts of the machine cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Neither `HOME` nor the user database names a home folder.
    #[error("find the home folder: `HOME` is not set to an absolute path")]
    NoHome,
    /// The current folder is gone, or its name is not UTF-8.
    #[error("read the current folder")]
    NoCurrentFolder(#[source] std::io::Error),
}

/// Which standard streams are terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Standard input: somebody can answer.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Whether standard error is a file: whatever is said there stays.
#[must_use]
pub fn stderr_is_a_file() -> bool {
    rustix::fs::fstat(std::io::stderr()).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    })
}

/// What GitHub Actions says of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitHub {
    /// The environment file that later steps read (`GITHUB_ENV`).
    pub environment_file: Option<Utf8PathBuf>,
    /// The commit (`GITHUB_SHA`).
    pub commit: Option<String>,
    /// The run (`GITHUB_RUN_ID`), with its attempt where that is known.
    pub run: Option<String>,
    /// The file for the job's summary (`GITHUB_STEP_SUMMARY`).
    pub summary_file: Option<Utf8PathBuf>,
    /// The file for outputs that later steps read (`GITHUB_OUTPUT`).
    pub output_file: Option<Utf8PathBuf>,
    /// What the job runs for, such as `pull_request` (`GITHUB_EVENT_NAME`).
    pub event: Option<String>,
    /// All that GitHub says of that, as JSON (`GITHUB_EVENT_PATH`).
    pub event_file: Option<Utf8PathBuf>,
    /// `owner/name` (`GITHUB_REPOSITORY`).
    pub repository: Option<String>,
    /// Where its interface for programs is (`GITHUB_API_URL`).
    pub api: Option<String>,
    /// The checkout (`GITHUB_WORKSPACE`).
    pub workspace: Option<Utf8PathBuf>,
    /// Where a person sees the run.
    pub run_url: Option<String>,
}

/// The facts, captured once.
#[derive(Clone)]
pub struct Host {
    /// Environment variables whose name and value are UTF-8.
    variables: BTreeMap<String, String>,
    /// Home folder.
    pub home: Utf8PathBuf,
    /// Current folder.
    pub folder: Utf8PathBuf,
    /// Name of the user; empty if nobody knows.
    pub user: String,
    /// Numeric user; 0 is root.
    pub uid: u32,
    /// Names of the groups that the process is in.
    pub groups: Vec<String>,
    /// Name of the machine.
    pub hostname: String,
    /// The system in Nix's words, such as `x86_64-linux`.
    pub system: String,
    /// Number of CPUs that this process may use.
    pub cpus: usize,
    /// Which streams are terminals.
    pub terminals: Terminals,
    /// Who is told of secrets that are read, so that they can be hidden in a log.
    pub masks: Masks,
    /// The time that it is to be, instead of what the clock of the machine says: seconds since
    /// 1970-01-01 UTC.
    pub fixed_now: Option<i64>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("home", &self.home)
            .field("user", &self.user)
            .field("system", &self.system)
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}

impl Host {
    /// Reads the facts of this process.
    ///
    /// # Errors
    /// When there is no home folder or no current folder.
    pub fn capture() -> Result<Self, HostError> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let uid = rustix::process::geteuid().as_raw();
        let account = account(&read("/etc/passwd"), uid);
        let home = variables
            .get("HOME")
            .map(Utf8PathBuf::from)
            .filter(|home| home.is_absolute())
            .or_else(|| account.as_ref().map(|(_, home)| home.clone()))
            .ok_or(HostError::NoHome)?;
        let folder = std::env::current_dir().map_err(HostError::NoCurrentFolder)?;
        let folder = Utf8PathBuf::from_path_buf(folder).map_err(|_| {
            HostError::NoCurrentFolder(std::io::Error::other("its name is not UTF-8"))
        })?;
        let user = account.map_or_else(
            || {
                let named = ["USER", "LOGNAME"]
                    .iter()
                    .find_map(|name| variables.get(*name));
                named.cloned().unwrap_or_default()
            },
            |(name, _)| name,
        );
        Ok(Self {
            home,
            folder,
            user,
            uid,
            groups: group_names(&read("/etc/group"), &group_ids()),
            hostname: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            system: system(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            terminals: Terminals {
                stdin: std::io::stdin().is_terminal(),
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
            masks: Masks::default(),
            fixed_now: None,
            variables,
        })
    }

    /// A made-up host with nothing but these variables: user `somebody`, no terminal, the clock
    /// of the machine. `HOME` is its home folder, and the current one.
    #[must_use]
    pub fn made_up<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables: BTreeMap<String, String> = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let home = Utf8PathBuf::from(variables.get("HOME").map_or("/homeless", String::as_str));
        Self {
            folder: home.clone(),
            home,
            user: "somebody".to_owned(),
            uid: rustix::process::geteuid().as_raw(),
            groups: Vec::new(),
            hostname: "somewhere".to_owned(),
            system: system(),
            cpus: 1,
            terminals: Terminals::default(),
            masks: Masks::default(),
            fixed_now: None,
            variables,
        }
    }

    /// Value of an environment variable, also an empty one.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Value of an environment variable that is neither missing nor empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.var(name).filter(|value| !value.is_empty())
    }

    /// All variables, for a child process.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same host with a variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.fixed_now.unwrap_or_else(|| SystemClock::new().unix())
    }

    /// Our folder for what should outlive a cache clean-up (marks, journals).
    #[must_use]
    pub fn state_folder(&self) -> Utf8PathBuf {
        self.xdg("XDG_STATE_HOME", ".local/state").join(OURS)
    }

    /// Our folder for what can be made again.
    #[must_use]
    pub fn cache_folder(&self) -> Utf8PathBuf {
        self.xdg("XDG_CACHE_HOME", ".cache").join(OURS)
    }

    /// Our folder for configuration.
    #[must_use]
    pub fn config_folder(&self) -> Utf8PathBuf {
        self.xdg_config().join(OURS)
    }

    /// The configuration folder of all programs, usually `~/.config`.
    #[must_use]
    pub fn xdg_config(&self) -> Utf8PathBuf {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// A base folder; the specification says that a relative value is to be ignored.
    fn xdg(&self, name: &str, below_home: &str) -> Utf8PathBuf {
        self.filled(name)
            .map(Utf8Path::new)
            .filter(|path| path.is_absolute())
            .map_or_else(|| self.home.join(below_home), Utf8Path::to_owned)
    }

    /// Whether this is some CI.
    #[must_use]
    pub fn ci(&self) -> bool {
        let said = |name| {
            self.filled(name)
                .is_some_and(|value| value != "false" && value != "0")
        };
        said("CI") || said("GITHUB_ACTIONS")
    }

    /// What GitHub Actions says, if this is a job of it.
    #[must_use]
    pub fn github(&self) -> Option<GitHub> {
        if self.var("GITHUB_ACTIONS") != Some("true") {
            return None;
        }
        let run = self.filled("GITHUB_RUN_ID").map(|run| {
            let attempt = self.filled("GITHUB_RUN_ATTEMPT");
            attempt.map_or_else(|| run.to_owned(), |attempt| format!("{run}-{attempt}"))
        });
        let file = |name| self.filled(name).map(Utf8PathBuf::from);
        let text = |name| self.filled(name).map(str::to_owned);
        let run_url = || {
            let id = self.filled("GITHUB_RUN_ID")?;
            let server = self.filled("GITHUB_SERVER_URL")?;
            let repository = self.filled("GITHUB_REPOSITORY")?;
            Some(format!("{server}/{repository}/actions/runs/{id}"))
        };
        Some(GitHub {
            environment_file: file("GITHUB_ENV"),
            commit: text("GITHUB_SHA"),
            run,
            summary_file: file("GITHUB_STEP_SUMMARY"),
            output_file: file("GITHUB_OUTPUT"),
            event: text("GITHUB_EVENT_NAME"),
            event_file: file("GITHUB_EVENT_PATH"),
            repository: text("GITHUB_REPOSITORY"),
            api: text("GITHUB_API_URL"),
            workspace: file("GITHUB_WORKSPACE"),
            run_url: run_url(),
        })
    }

    /// Tells of a secret that was read, before anything is done with it. Nothing happens where nobody
    /// wants to know.
    pub fn hide(&self, secret: &str) {
        self.masks.tell(secret);
    }

    /// Tests do not wait as long as people would. Nothing can make it longer.
    #[must_use]
    pub fn test_patience(&self) -> Option<Duration> {
        let seconds: f64 = self.var("NANNA_CACHE_TEST_PATIENCE")?.parse().ok()?;
        (0.0..100.0)
            .contains(&seconds)
            .then(|| Duration::from_secs_f64(seconds))
    }

    /// The program of this name on `PATH`, as an absolute path.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<Utf8PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        self.var("PATH")?
            .split(':')
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| Utf8Path::new(folder).join(name))
            .find(|path| {
                std::fs::metadata(path)
                    .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
            })
    }
}

/// The system of this build in Nix's words.
fn system() -> String {
    let cpu = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        other => other,
    };
    let kernel = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{cpu}-{kernel}")
}

/// A system table as text; empty where it cannot be read.
fn read(path: &str) -> String {
    std::fs::read(path).map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// The home of a user of this machine; `None`: nobody knows.
#[must_use]
pub fn home_of(uid: u32) -> Option<Utf8PathBuf> {
    account(&read("/etc/passwd"), uid).map(|(_, home)| home)
}

/// Name and home of a user in the text of `/etc/passwd`.
fn account(passwd: &str, uid: u32) -> Option<(String, Utf8PathBuf)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, _, home, ..] = fields[..] else {
            return None;
        };
        (id.parse() == Ok(uid)).then(|| (name.to_owned(), Utf8PathBuf::from(home)))
    })
}

/// All groups of the process.
fn group_ids() -> Vec<u32> {
    let mut ids = vec![rustix::process::getegid().as_raw()];
    ids.extend(
        rustix::process::getgroups()
            .unwrap_or_default()
            .iter()
            .map(|gid| gid.as_raw()),
    );
    ids
}

/// Names of groups in the text of `/etc/group`.
fn group_names(group: &str, ids: &[u32]) -> Vec<String> {
    let mut names: Vec<String> = group
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, id, ..] = fields[..] else {
                return None;
            };
            ids.contains(&id.parse().ok()?).then(|| name.to_owned())
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
