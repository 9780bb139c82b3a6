//! Finding and starting `nix`.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::message::{essential, is_elsewhere, of_program, place, plain};
use crate::nix::store_path::StoreDir;
use crate::sys::command::{Command, CommandError, Output};
use crate::sys::host::Host;

/// Questions that Nix answers from its own head take no longer.
pub(super) const QUICK: Duration = Duration::from_secs(30);

/// Why Nix did not do it.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// It could not be run to its end.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It failed.
    #[error("{what}: Nix says: {message}")]
    Failed {
        /// What was tried, such as `evaluate .#x`.
        what: String,
        /// The essential line.
        message: String,
        /// Where in the expressions, as `FILE:LINE:COLUMN`, if Nix said so.
        place: Option<String>,
        /// Whether it is the doing of the machine or the network, and not of what was to be evaluated.
        elsewhere: bool,
    },
    /// It answered something that we do not understand.
    #[error("{what}: the answer of Nix is not understood: {message}")]
    Answer {
        /// What was tried.
        what: String,
        /// What is odd.
        message: String,
    },
}

impl NixError {
    /// The same, as the doing of the machine.
    pub(super) fn of_machine(mut self) -> Self {
        if let Self::Failed { elsewhere, .. } = &mut self {
            *elsewhere = true;
        }
        self
    }

    /// Whether we were asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Command(CommandError::Stopped { .. }))
    }
}

/// The `nix` program of this machine.
#[derive(Clone, Debug)]
pub struct Nix {
    program: Utf8PathBuf,
    version: String,
    host: Host,
    store: Option<String>,
    dir: StoreDir,
}

impl Nix {
    /// Finds `nix` on `PATH` and asks for its version. `None`: there is none.
    ///
    /// # Errors
    /// There is one, but it does not run.
    pub fn find(host: &Host) -> Result<Option<Self>, NixError> {
        let Some(program) = host.program("nix") else {
            return Ok(None);
        };
        let mut nix = Self {
            program,
            version: String::new(),
            host: host.clone(),
            store: None,
            dir: StoreDir::default(),
        };
        if let Some(dir) = host
            .filled("NIX_STORE_DIR")
            .and_then(|dir| StoreDir::new(dir).ok())
        {
            nix.dir = dir;
        }
        let what = "ask for the version of Nix";
        let output = nix.command().arg("--version").time_limit(QUICK).output()?;
        let text = succeeded(what, output)?;
        let version = text
            .split_whitespace()
            .rfind(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let odd = || NixError::Answer {
            what: what.to_owned(),
            message: text.trim().to_owned(),
        };
        version.ok_or_else(odd)?.clone_into(&mut nix.version);
        Ok(Some(nix))
    }

    /// The same Nix with another store, as `--store` takes it.
    #[must_use]
    pub fn with_store(mut self, store: &str) -> Self {
        self.store = Some(store.to_owned());
        self
    }

    /// Its version, such as `2.8.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it is at least this version.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.version.split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        });
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    /// Directory that its store paths name.
    pub(super) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// `nix` with the environment of the host and nothing else.
    pub(super) fn command(&self) -> Command {
        Command::new(self.program.clone()).environment(self.host.variables())
    }

    /// `nix` with the experimental features that we need, added to the user's own, in a store.
    pub(super) fn with_features(&self, folder: Option<&Utf8Path>) -> Command {
        let mut command = self
            .command()
            .args(["--extra-experimental-features", "nix-command flakes"]);
        if let Some(store) = &self.store {
            command = command.args(["--store", store]);
        }
        match folder {
            Some(folder) => command.folder(folder),
            None => command,
        }
    }

    /// All valid paths as JSON, in whatever form this version has; what is to be asked where the
    /// database cannot be read.
    ///
    /// # Errors
    /// Nix fails, or we are stopped.
    pub fn path_info_all(&self, stopped: &dyn Fn() -> bool) -> Result<Vec<u8>, NixError> {
        let mut command = self
            .with_features(None)
            .args(["path-info", "--all", "--json"]);
        if self.at_least(2, 33) {
            command = command.args(["--json-format", "2"]);
        }
        let output = command.run(stopped, &mut |_| {})?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed("list the valid paths", &output))
    }
}

/// Standard output as text, if the program succeeded.
pub(super) fn succeeded(what: &str, output: Output) -> Result<String, NixError> {
    if !output.status.success() {
        return Err(failed(what, &output));
    }
    String::from_utf8(output.stdout).map_err(|_| NixError::Answer {
        what: what.to_owned(),
        message: "not UTF-8".to_owned(),
    })
}

pub(super) fn failed(what: &str, output: &Output) -> NixError {
    let mut message = essential(&output.stderr);
    if let Some(said) = of_program(&output.stderr)
        && !message.contains(&said)
    {
        message = format!("{message} ({said})");
    }
    NixError::Failed {
        what: what.to_owned(),
        place: place(&output.stderr),
        // What a signal ended had no chance to say what is wrong.
        elsewhere: output.status.code().is_none() || is_elsewhere(&message),
        message,
    }
}

/// Whether Nix refused for want of an experimental feature.
pub(super) fn wants_feature(error: &NixError) -> bool {
    matches!(error, NixError::Failed { message, .. } if message.contains("experimental"))
}

/// A line of Nix's log for a person.
pub(super) fn line_for_people(line: &str) -> String {
    plain(line)
}
