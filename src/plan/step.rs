//! Steps: what a plan would do, as data.
//!
//! A step is a batch that a reviewer can grasp (a cache × a class), not one object. It says what
//! asked for it, what it would change, and what it waits for. Nothing here does anything.

use super::drops::PathsToDrop;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Address, Phase};
use super::observed::Nar;
use super::service::record::Claim;
use crate::config::model::{CacheName, ClassName, ClosureKind, PinName};
use crate::nix::hash::Sha256;
use crate::nix::store_path::StorePath;

/// Whom a step concerns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Only this machine.
    Machine,
    /// Everybody who uses the cache.
    Shared,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its name, stable from run to run.
    pub address: Address,
    /// The phase under which it is read.
    pub phase: Phase,
    /// Whom it concerns.
    pub scope: Scope,
    /// What it does.
    pub op: Op,
    /// What asked for it.
    pub because: Because,
    /// How much it does.
    pub effect: Effect,
    /// Whether all of it is known now.
    pub known: Known,
    /// What it was planned against; if that has changed, the step is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Steps that must be done before it, if they are in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Address>,
}

/// What asked for something.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Because {
    /// The rule, in words.
    pub rule: String,
    /// The setting, as a JSON pointer into `cache.yaml`; empty: not from there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setting: String,
    /// The line of `cache.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// How much a step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Paths that it concerns.
    pub paths: u64,
    /// Bytes: of NARs for a push (before compression), of files for a prune.
    pub bytes: u64,
}

impl Effect {
    /// Whether it is nothing at all.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.paths == 0 && self.bytes == 0
    }
}

/// Whether all of a step is known when it is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// All of it.
    Now,
    /// Part of it only after these steps; it is then planned again by the same function, and may
    /// not push more than so many bytes of NAR beyond what is known now.
    After {
        /// The steps.
        steps: Vec<Address>,
        /// The cap on what comes to light.
        cap: Option<u64>,
    },
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// Writes a whole file that is ours.
    WriteFile {
        /// Absolute path.
        path: String,
        /// Its text now; `None`: there is no such file.
        before: Option<String>,
        /// Its text then.
        after: String,
    },
    /// Edits a file that is the user's: one line is ours.
    EditFile {
        /// Absolute path.
        path: String,
        /// Its text now; `None`: there is no such file.
        before: Option<String>,
        /// Its text then.
        after: String,
    },
    /// Makes a signing key, 0600.
    GenerateKey {
        /// Cache that it signs for.
        cache: CacheName,
        /// File that will hold it.
        path: String,
        /// Its name.
        name: String,
    },
    /// Puts the token of a private cache into the netrc file that Nix reads, 0600.
    WriteLogin {
        /// Cache that it opens.
        cache: CacheName,
        /// The file.
        path: String,
        /// Host of the cache.
        host: String,
        /// Whether another password goes.
        replaces: bool,
    },
    /// Makes the folder of a cache, with `nix-cache-info` and the folders that Nix expects.
    CreateCache {
        /// The cache.
        cache: CacheName,
        /// Its folder.
        folder: String,
        /// `nix-cache-info` now, if there is one already.
        before: Option<String>,
        /// `nix-cache-info` then.
        info: String,
    },
    /// Hands a variable to the later steps of a job of GitHub Actions.
    ExportVariable {
        /// The environment file.
        file: String,
        /// Name of the variable.
        name: String,
        /// Its value now.
        before: String,
        /// Its value then.
        after: String,
    },
    /// Fetches an output from the caches before anything is built.
    Warm {
        /// The output.
        installable: String,
        /// What it names.
        paths: Vec<StorePath>,
    },
    /// Builds an output.
    Build {
        /// The output.
        installable: String,
        /// Its derivation.
        drv: Option<StorePath>,
    },
    /// Uploads paths and writes the root records of what is pushed.
    Push {
        /// The cache.
        cache: CacheName,
        /// The class.
        class: ClassName,
        /// Paths that the cache lacks, references before referrers.
        paths: Vec<PathToPush>,
        /// Outputs whose paths come to light after a build.
        selectors: Vec<Selector>,
        /// Roots that are written again, or for the first time.
        roots: Vec<RootToWrite>,
    },
    /// Writes pin records and removes those that ended.
    Pin {
        /// The cache.
        cache: CacheName,
        /// The pin.
        name: PinName,
        /// Newly pinned.
        add: Vec<StorePath>,
        /// No longer pinned: hash parts with the reason.
        remove: Vec<StorePath>,
    },
    /// Writes down in a cache of a service what the run does there, and which pins are ours.
    Record {
        /// The cache.
        cache: CacheName,
        /// Pins that are ours already, or are taken as ours; those of the run come with their own steps.
        pins: Vec<PinToRecord>,
        /// Whether it is written for these alone, too, though the run does nothing else.
        renews: bool,
        /// Whether everybody can read it.
        is_public: bool,
    },
    /// Deletes a pin of ours from a cache of a service.
    Unpin {
        /// The cache.
        cache: CacheName,
        /// The pin.
        name: String,
        /// What it names; if it names another path by then, it is not ours any more, and stays.
        path: StorePath,
    },
    /// Deletes narinfos of a class, then what only they needed, with the roots that ended.
    Prune {
        /// The cache.
        cache: CacheName,
        /// The class.
        class: ClassName,
        /// Paths that go.
        #[schemars(with = "Vec<super::drops::PathToDrop>")]
        paths: PathsToDrop,
        /// Root records that go: hash parts.
        roots: Vec<String>,
    },
    /// Deletes files that no narinfo names and that are older than grace.
    Sweep {
        /// The cache.
        cache: CacheName,
        /// The files.
        objects: Vec<Nar>,
    },
}

impl Op {
    /// The file that it writes, whole or in part: its path, its text before, its text then.
    #[must_use]
    pub fn file(&self) -> Option<(&str, Option<&str>, &str)> {
        match self {
            Self::WriteFile {
                path,
                before,
                after,
            }
            | Self::EditFile {
                path,
                before,
                after,
            } => Some((path, before.as_deref(), after)),
            _ => None,
        }
    }
}

/// A pin that a record lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinToRecord {
    /// Its name.
    pub name: String,
    /// What it names, since when, and by which run.
    #[serde(flatten)]
    pub claim: Claim,
    /// Whether it was not ours before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

/// A path to be uploaded.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of its own in the format"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathToPush {
    /// The path.
    pub path: StorePath,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// Hash of its NAR.
    pub nar_hash: Sha256,
    /// Place in the order of uploading, from 0: what has the highest priority first, with what it
    /// refers to before it.
    pub rank: u32,
    /// Directory that it is made from, if it is not in the Nix store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// No upstream could be asked whether it has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
    /// It is there, and only gets our signature.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sign: bool,
    /// It is there by another method, and is compressed anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompress: bool,
    /// It is there and broken, and takes the place of what is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mend: bool,
}

impl PathToPush {
    /// Bytes of NAR that are read, compressed and written for it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        if self.sign { 0 } else { self.nar_size }
    }

    /// Whether the cache has it already: only its narinfo changes, or its NAR's form.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.sign || self.recompress
    }
}

/// What will be pushed after a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selector {
    /// The output.
    pub installable: String,
    /// Its paths, where they are known before the build.
    pub outputs: Vec<StorePath>,
    /// Which closure goes with it.
    pub closure: ClosureKind,
}

/// A root record to be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RootToWrite {
    /// The path.
    pub path: StorePath,
    /// The class of the record.
    pub class: ClassName,
    /// Output or directory it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attr: Option<String>,
    /// Whether the cache has no such record yet.
    pub new: bool,
}

#[cfg(test)]
mod tests;
