//! What is: everything that observers found, or could not find out.
//!
//! Observers fill these types and nothing else; they read only. Whatever could not be seen is
//! [`Observation::Unknown`] with its reason, never an empty list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::nars::Nar;
use super::nars::Nars;
use super::paths::{Paths, Row};
use super::record::{Intent, PinRecord, PruneRecord, Root};
use super::service::{Login, ServiceFacts};
use super::time::Time;
use crate::config::model::CacheName;
use crate::nix::hash::Sha256;
use crate::nix::key::PublicKey;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};

/// What an observer found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation<T> {
    /// It is there.
    Present(T),
    /// It is not there: the observer looked and is sure.
    Absent,
    /// It could not be seen.
    Unknown(Why),
    /// It was looked at and is in error, such as an output that does not evaluate: looking again does not
    /// help, somebody has to mend it. Whatever follows from unknown follows from this, too.
    Error(Why),
}

impl<T> Observation<T> {
    /// The thing, if it is there.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(thing) => Some(thing),
            Self::Absent | Self::Unknown(_) | Self::Error(_) => None,
        }
    }

    /// Why it could not be seen, or what is wrong with it, if so.
    pub const fn unknown(&self) -> Option<&Why> {
        match self {
            Self::Unknown(why) | Self::Error(why) => Some(why),
            Self::Present(_) | Self::Absent => None,
        }
    }
}

/// Why something could not be seen: a sentence for the plan, without any secret in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Why(pub String);

/// Everything that was observed, at one time.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When, by the local clock.
    pub now: Time,
    /// The Nix at hand.
    pub nix: Observation<NixFacts>,
    /// Directory of store paths here, usually `/nix/store`; known also where there is no store.
    pub store_dir: StoreDir,
    /// The local Nix store.
    pub store: Observation<LocalStore>,
    /// Our writable caches.
    pub caches: BTreeMap<CacheName, Observation<CacheContent>>,
    /// What upstreams say of the paths that were asked for.
    pub upstreams: BTreeMap<CacheName, Upstream>,
    /// Outputs by expanded installable.
    pub outputs: BTreeMap<String, Observation<OutputFacts>>,
    /// Directories to be pushed, by resolved glob.
    pub directories: BTreeMap<String, Observation<Directories>>,
    /// Given store paths, result links and files of paths, resolved → what they name.
    pub given: BTreeMap<String, Observation<Vec<StorePath>>>,
    /// Files that setup and optimize manage or edit, by absolute path. `Absent`: no such file.
    pub files: BTreeMap<String, Observation<FileFacts>>,
    /// Those of the absent files that this process cannot make: it may not write their folder.
    pub closed: BTreeSet<String>,
    /// Public halves of signing keys, by cache. `Absent`: the key does not exist yet.
    pub keys: BTreeMap<CacheName, Observation<PublicKey>>,
    /// What the netrc file of Nix has for private caches of services.
    pub logins: BTreeMap<CacheName, Observation<Login>>,
    /// How far caches with replicas and these are from here; only those that were measured.
    pub distances: BTreeMap<CacheName, Distance>,
    /// What the looks at caches took, where each request counts.
    pub requests: BTreeMap<CacheName, Requests>,
    /// What this process's environment says that matters to a plan.
    pub environment: Environment,
}

/// The Nix at hand and its effective settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NixFacts {
    /// Version, such as `2.8.0`; `None`: no Nix program, settings are from our own reading.
    pub version: Option<String>,
    /// Effective settings by main name, as one line each.
    pub settings: BTreeMap<String, SettingFacts>,
    /// Whether Nix works through a daemon.
    pub daemon: bool,
    /// Who the user is to the daemon (always trusted without one).
    pub trusted: bool,
    /// The user's name.
    pub user: String,
    /// The systems that can be built here.
    pub systems: Vec<String>,
    /// The substituters in effect, in the order of the setting.
    pub substituters: Vec<SubstituterFacts>,
}

/// A substituter in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubstituterFacts {
    /// Its URL as the setting has it.
    pub url: String,
    /// Its priority by URL or by its `nix-cache-info` (0 where that has none); `None`: not known.
    pub priority: Option<i64>,
}

/// The effective value of a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingFacts {
    /// Value as nix.conf would write it.
    pub value: String,
    /// `FILE:LINE` of the assignments that gave it, in load order; empty: a default.
    pub origins: Vec<String>,
}

/// The local Nix store.
#[derive(Clone, Debug, Default)]
pub struct LocalStore {
    /// Its directory, usually `/nix/store`.
    pub dir: StoreDir,
    /// All valid paths.
    pub paths: Paths,
    /// NAR hash of each row.
    pub nar_hashes: Vec<Sha256>,
    /// Derivation row → rows of its valid outputs.
    pub outputs: BTreeMap<Row, Vec<Row>>,
    /// Rows that the marks asked for saw as new, if a mark was asked for.
    pub since_mark: Option<Vec<Row>>,
    /// Free words on how it was read (`database`, `nix path-info`), for the plan.
    pub source: String,
}

/// What a cache can do, whatever its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a separate ability of a store"
)]
pub struct Capabilities {
    /// Its objects can be listed.
    pub list: bool,
    /// Objects can be deleted.
    pub delete: bool,
    /// It keeps our records.
    pub records: bool,
    /// It says how large objects are.
    pub sizes: bool,
    /// It says when objects were written.
    pub times: bool,
    /// Whether a push or prune has died is only told by how old its record is.
    pub by_age: bool,
    /// It was found to overwrite objects although it was told to write only if there is none.
    #[serde(default)]
    pub unconditional: bool,
    /// An object can be replaced by another that is as old as it.
    #[serde(default)]
    pub replace: bool,
}

/// A writable cache as it was found.
#[derive(Clone, Debug, Default)]
pub struct CacheContent {
    /// What it can do.
    pub capabilities: Capabilities,
    /// The text of `nix-cache-info`; `None`: there is none.
    pub info: Option<String>,
    /// Folders that an opening Nix would otherwise create are there.
    pub folders: bool,
    /// Visible narinfos; `paths.nar_size` is `NarSize`.
    pub paths: Arc<Paths>,
    /// By row: what else the narinfo says.
    pub narinfos: Vec<Narinfo>,
    /// NAR files.
    pub nars: Nars,
    /// References to paths that are not visible here: (row, hash part), sorted.
    pub elsewhere: Vec<(Row, HashPart)>,
    /// Root records.
    pub roots: Vec<Root>,
    /// Pin records.
    pub pins: Vec<PinRecord>,
    /// Pushes under way, or dead.
    pub intents: Vec<Intent>,
    /// Prunes under way, or over.
    pub prunes: Vec<PruneRecord>,
    /// Left-over temporary files and listings: keys, with size and time.
    pub leftovers: Vec<Nar>,
    /// What is wrong with it, one sentence each; such objects are never deleted.
    pub damages: Vec<String>,
    /// What its signatures say of the key that is to sign here; `None`: nobody asked.
    pub signed: Option<Signed>,
    /// Paths that are wanted, here and there the same, and that lack the signature of the key that signs
    /// here: sorted.
    pub unsigned: Vec<HashPart>,
    /// Paths that are wanted, here and there the same, and whose NARs are compressed by another method than
    /// they are to be: sorted. Empty where that is to stay so.
    pub otherwise: Vec<HashPart>,
    /// Paths that damaged narinfos seem to refer to, sorted: some Nix may read such a narinfo.
    pub bound: Vec<HashPart>,
    /// Why the look is not whole; if so, nothing in it is deleted.
    pub partial: Option<Why>,
    /// Which record keeps this version from deleting anything, if one does; then the look is `partial`, too.
    pub forbidden: Option<Why>,
    /// What the service says that keeps it; `None`: none does.
    pub service: Option<ServiceFacts>,
    /// The cache's own now.
    pub now: Time,
}

/// What the signatures of a cache say of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Name of the key.
    pub name: String,
    /// Narinfos with a signature of that name, among those that were looked at: all, if there is no
    /// such key at hand.
    pub paths: u64,
    /// Those of them that the key at hand has signed; 0 without one.
    pub verified: u64,
}

impl Signed {
    /// Nothing found yet of a key of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// What the core needs of a narinfo besides path, size and references. In eight bytes, for there are millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narinfo {
    /// [`NO_NAR`]: it is missing.
    nar: u32,
    /// Seconds since 1970; what lies outside is moved to the edge.
    modified: u32,
}

const NO_NAR: u32 = u32::MAX;

impl Narinfo {
    /// A narinfo, its NAR by its index in [`CacheContent::nars`].
    #[must_use]
    pub fn new(nar: Option<u32>, modified: Time) -> Self {
        Self {
            nar: nar.unwrap_or(NO_NAR),
            modified: modified.seconds(),
        }
    }

    /// Index in [`CacheContent::nars`]; `None`: the NAR is missing.
    #[must_use]
    pub fn nar(&self) -> Option<u32> {
        (self.nar != NO_NAR).then_some(self.nar)
    }

    /// When the object was last written, by the clock of the cache.
    #[must_use]
    pub fn modified(&self) -> Time {
        Time(i64::from(self.modified))
    }

    /// Says which NAR it names.
    pub fn set_nar(&mut self, nar: Option<u32>) {
        self.nar = nar.unwrap_or(NO_NAR);
    }
}

/// What an upstream says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Paths that it has: known from signatures in the local store, or asked.
    pub has: BTreeSet<HashPart>,
    /// Paths that it was asked for and could not answer.
    pub unanswered: BTreeSet<HashPart>,
    /// Why it could not answer.
    pub why: Option<Why>,
}

/// An evaluated output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputFacts {
    /// Its derivation.
    pub drv: Option<StorePath>,
    /// Its output paths by output name, where they are known before a build.
    pub outputs: BTreeMap<String, StorePath>,
    /// The system it is built on.
    pub system: Option<String>,
}

/// What a pattern of directories means. One that cannot be seen keeps no other from being pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// Those that were seen, in the order of names.
    pub found: Vec<DirectoryFacts>,
    /// Those that could not be, each with the reason.
    pub unseen: BTreeMap<String, Why>,
}

/// A directory that becomes a content-addressed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// Absolute path of the directory.
    pub directory: String,
    /// The path it becomes.
    pub path: StorePath,
    /// Hash of its NAR.
    pub nar_hash: Sha256,
    /// Bytes of its NAR.
    pub nar_size: u64,
}

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its text.
    pub text: String,
    /// Permission bits.
    pub mode: u32,
    /// Why it must not be edited by us, if so (it belongs to NixOS, Determinate Nix…).
    pub managed: Option<String>,
    /// Whether this process may write it.
    pub writable: bool,
}

/// How far a cache is: the shortest of some answers, in milliseconds; `None`: none came.
pub type Distance = Option<u32>;

/// Requests that were sent, each as often as it was.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Requests {
    /// Pages of listings.
    pub lists: u64,
    /// Objects that were read or asked for.
    pub reads: u64,
}

/// What the environment of this process says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Whether this is a job of GitHub Actions, and where its environment file is.
    pub github_env: Option<String>,
    /// Whether this is some CI.
    pub ci: bool,
    /// Text of `NIX_CONFIG`, with what the environment file will add.
    pub nix_config: String,
    /// Commit and run, for records.
    pub commit: Option<String>,
    /// Identity of the run, for records.
    pub run: Option<String>,
}

#[cfg(test)]
mod tests;
