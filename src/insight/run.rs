//! One run of Nix or of ours, as it is recorded: where each path came from, what was built, what was pushed.
//!
//! Promises: a record says all that any figure needs (the class of a path, the cache it came from and its tier
//! are those of the time of the run), so records of many machines can be put together without their machines;
//! the same record has the same [`RunId`], wherever it is read; nothing in it is a secret: addresses come without
//! logins and queries, and of a command only the names of what it built. What was not seen is none, never zero.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::model::{CacheName, ClassName};
use crate::nix::hash::Sha256;
use crate::plan::time::Time;

/// Number of the format of a record. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// The project, as `cache.yaml` names it.
    pub project: String,
    /// What was run, in a few words: `nix build .#app`, `push`.
    pub what: String,
    /// When it began.
    pub start: Time,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where and for what it ran.
    pub origin: Origin,
    /// What came from caches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substituted: Vec<Substituted>,
    /// What was built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<Built>,
    /// What was downloaded that is no path of a cache: sources, inputs of flakes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetched: Vec<Fetched>,
    /// What was pushed, by cache and class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushed: Vec<Pushed>,
    /// How full caches were at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<Storage>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it was to do.
    Done,
    /// It failed.
    Failed,
    /// Somebody ended it.
    Interrupted,
    /// A log does not say.
    Unknown,
}

/// Where and for what a run ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The commit, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What it ran for: `main`, `pull-request`, `fork`, `local`, as `--for` names events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The system of the machine, such as `x86_64-linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The machine, by a name that stays the same where the machine stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The job of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// SHA-256 in hex of the log that it was read from, if so: the same log is the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A path that came from a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Substituted {
    /// Base name of the store path: hash and name.
    pub path: String,
    /// Its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassName>,
    /// Where it came from, without login and query.
    pub url: String,
    /// That cache, where `cache.yaml` declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheName>,
    /// The tier of that cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Base name of the derivation that makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<String>,
    /// Bytes that were downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    /// Size of its NAR in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar: Option<u64>,
    /// From the beginning of the download to its end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// A derivation that was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Built {
    /// Base name of the derivation.
    pub drv: String,
    /// What it made.
    pub outputs: Vec<Output>,
    /// Its class: that of its first output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassName>,
    /// The system that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The machine that built it, where that was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// From the beginning of the build to its end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// From when all that it needs was there, as far as this run made or fetched it, to its beginning: the wait
    /// for a free place, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// When it began, counted from the start of the run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// Whether it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Base names of the derivations and sources that it is made of, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
}

/// An output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Base name of the store path.
    pub path: String,
    /// Size of its NAR in bytes; none where it was not made, or not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar: Option<u64>,
}

/// A download that is no path of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fetched {
    /// From where, without login and query.
    pub url: String,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// What was pushed to a cache, of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pushed {
    /// The cache.
    pub cache: CacheName,
    /// The class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassName>,
    /// How many paths.
    pub paths: u64,
    /// Size of their NARs in bytes.
    pub nar: u64,
    /// Bytes that were sent, after compression.
    pub sent: u64,
    /// Milliseconds; those of several classes that went together overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// How full a cache was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// The cache.
    pub cache: CacheName,
    /// How many paths.
    pub paths: u64,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Whether that is an estimate (a service that does not tell).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate: bool,
    /// How many bytes it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Bytes by class, where the classes of its paths are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<ClassName, u64>,
}

/// What tells one run from another: a hash of all that its record says.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Takes an identity as it was written.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    /// The identity of the run with this line, which may say more than this program knows.
    #[must_use]
    pub fn of_line(line: &str) -> Self {
        let mut hex = Sha256::of(line.as_bytes()).to_hex();
        hex.truncate(32);
        Self(hex)
    }

    /// The identity as text: 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is no record.
    #[error("read the record of a run")]
    Json(#[from] serde_json::Error),
    /// A newer program wrote it.
    #[error("read the record of a run: its format is {0}, this program knows {FORMAT}")]
    Newer(u32),
}

impl Run {
    /// The record as one line of JSON, without the end of the line: what [`Run::id`] is the hash of.
    ///
    /// # Panics
    /// Never: names, numbers and lists can always be written.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("names and numbers can be written")
    }

    /// Reads what [`Run::to_line`] wrote. What a newer program added beside is left out.
    ///
    /// # Errors
    /// What is no record, and what has a newer format.
    pub fn from_line(line: &str) -> Result<Self, RunError> {
        let run: Self = serde_json::from_str(line)?;
        if run.format > FORMAT {
            return Err(RunError::Newer(run.format));
        }
        Ok(run)
    }

    /// What tells this run from another.
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId::of_line(&self.to_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_same_after_writing_and_reading() {
        let run = Run {
            format: FORMAT,
            project: "p".into(),
            what: "nix build .#app".into(),
            start: Time(1_700_000_000),
            millis: Some(1500),
            outcome: Outcome::Done,
            origin: Origin::default(),
            substituted: vec![],
            built: vec![Built {
                drv: "x-app.drv".into(),
                outputs: vec![Output {
                    path: "y-app".into(),
                    nar: Some(5),
                }],
                class: Some(ClassName::new("app")),
                system: None,
                machine: None,
                millis: Some(1000),
                queued: Some(0),
                began: Some(3),
                failed: false,
                inputs: vec![],
            }],
            fetched: vec![],
            pushed: vec![],
            storage: vec![],
        };
        let again = Run::from_line(&run.to_line()).unwrap();
        assert_eq!(again, run);
        assert_eq!(again.id(), run.id());
        assert!(RunId::read(run.id().as_str()).is_some());
        let newer = run.to_line().replacen("\"format\":1", "\"format\":2", 1);
        assert!(matches!(Run::from_line(&newer), Err(RunError::Newer(2))));
        let other = Run {
            start: Time(1),
            ..run.clone()
        };
        assert_ne!(other.id(), run.id());
    }
}
