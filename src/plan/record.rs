//! The records that we keep in a cache, under `nanna-cache/v1/`: intents, roots, pins, prunes.
//!
//! Every body is one JSON object with `schema`, `requires` and `writer`. Unknown fields are kept
//! when a record is written again; a schema above ours, or a name in `requires` that we do not
//! know, is for the reader to refuse ([`Requirement`]). The formats are public: other versions of this program read
//! them, so a change of meaning needs a name in `requires`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Time;
use crate::config::model::{ClassName, PinName};
use crate::nix::store_path::{HashPart, StorePath};

/// The folder of our records in a cache.
pub const FOLDER: &str = "nanna-cache/v1";

/// The number of the record formats that we write, and the highest that we read.
pub const SCHEMA: u64 = 1;

/// Keeps the closure of a path for as long as the path's class says, counted from `modified`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Class from the key.
    pub class: ClassName,
    /// Hash part from the key.
    pub hash: HashPart,
    /// When the record was last written, by the clock of the cache.
    pub modified: Time,
    /// Base name of the path, if the body was read.
    pub path: Option<StorePath>,
    /// Which output or directory it was pushed for, if the body was read.
    pub attr: Option<String>,
}

impl Root {
    /// Key of the record of `class` and `hash`.
    #[must_use]
    pub fn key(class: &ClassName, hash: HashPart) -> String {
        format!("{FOLDER}/roots/{class}/{hash}.json")
    }
}

/// Keeps the closure of a path for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinRecord {
    /// Name from the key.
    pub name: PinName,
    /// Hash part from the key.
    pub hash: HashPart,
    /// When the record was written; orders the revisions of a name.
    pub modified: Time,
    /// Project that pinned it, from the body; only its own pins may a project remove.
    pub project: Option<String>,
}

impl PinRecord {
    /// Key of the record of `name` and `hash`.
    #[must_use]
    pub fn key(name: &PinName, hash: HashPart) -> String {
        format!("{FOLDER}/pins/{name}/{hash}.json")
    }
}

/// A push that is under way, or was when its process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Identity from the key.
    pub id: String,
    /// When the record was last written.
    pub modified: Time,
    /// Whether its process is gone.
    pub gone: bool,
    /// Everything it relies on.
    pub paths: Vec<HashPart>,
    /// What it set out to upload.
    pub absent: Vec<HashPart>,
}

/// A prune that is under way, ended, or was under way when its process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneRecord {
    /// Identity from the key.
    pub id: String,
    /// When the record was last written.
    pub modified: Time,
    /// Whether its process is gone.
    pub gone: bool,
    /// How far it is.
    pub phase: PrunePhase,
    /// Paths that it is about to delete, now or later.
    pub paths: Vec<HashPart>,
}

/// How far a prune is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrunePhase {
    /// Deleting narinfos.
    Paths,
    /// Deleting NARs.
    Nars,
    /// Over.
    Ended,
}

/// What every body starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the format.
    pub schema: u64,
    /// Meanings that a reader must know.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Program and version that wrote it.
    pub writer: String,
}

impl Head {
    /// The head of a record that we write.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            schema: SCHEMA,
            requires: Vec::new(),
            writer: concat!("nanna-cache ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Body of a root record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootBody {
    /// Format and writer.
    #[serde(flatten)]
    pub head: Head,
    /// Base name of the path.
    pub path: StorePath,
    /// Class.
    pub class: ClassName,
    /// Output or directory that it was pushed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attr: Option<String>,
    /// System of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Commit that it was pushed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Run that pushed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When, by the writer's clock (for people only).
    pub pushed: Time,
    /// What other versions wrote; kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Body of a pin record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinBody {
    /// Format and writer.
    #[serde(flatten)]
    pub head: Head,
    /// Base name of the path.
    pub path: StorePath,
    /// Name of the pin.
    pub name: PinName,
    /// Project that pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When, by the writer's clock (for people only).
    pub pinned: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What other versions wrote; kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Body of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentBody {
    /// Format and writer.
    #[serde(flatten)]
    pub head: Head,
    /// The highest class that is pushed (for people only).
    pub class: ClassName,
    /// Base names of the paths that are pushed as such.
    pub tops: Vec<StorePath>,
    /// The whole closure less what only upstreams have: hash parts, sorted, one space between.
    pub paths: String,
    /// What it set out to upload, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// When it began, by the writer's clock (for people only).
    pub began: Time,
    /// Commit that is pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Run that pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What other versions wrote; kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Body of a prune record. Lists are space separated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneBody {
    /// Format and writer.
    #[serde(flatten)]
    pub head: Head,
    /// How far it is.
    pub phase: PrunePhase,
    /// Hash parts of the paths it is about to delete.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub paths: String,
    /// Hash parts of the paths that it found dead, too, and deletes in later rounds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub later: String,
    /// Keys under `roots/` that it is about to delete.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub roots: String,
    /// Keys under `nar/` that it is about to delete.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nars: String,
    /// Digest of the plan.
    pub plan: String,
    /// When it began, by the writer's clock (for people only).
    pub began: Time,
    /// Run that prunes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What other versions wrote; kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Why a record must not be acted on by this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Its format is newer than ours.
    Schema(u64),
    /// It requires a meaning that we do not know.
    Meaning(String),
}

impl Head {
    /// Whether this version may act on the record.
    ///
    /// # Errors
    /// What it requires that this version does not know.
    pub fn check(&self) -> Result<(), Requirement> {
        if self.schema > SCHEMA {
            return Err(Requirement::Schema(self.schema));
        }
        match self.requires.first() {
            Some(name) => Err(Requirement::Meaning(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
