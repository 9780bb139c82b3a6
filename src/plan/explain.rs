//! What the plan thinks of one path, and why: class, roots, need, priority, and a verdict for
//! each cache. The answer to `explain PATH`, as data.

mod reason;

pub use reason::explain;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drops::DropReason;
use super::observed::Why;
use super::plan::HeldReason;
use super::step::Because;
use super::time::Time;
use crate::config::model::{CacheName, ClassName, PinName};
use crate::nix::store_path::StorePath;

/// Number of the format of an explanation.
pub const FORMAT: u32 = 1;

/// Everything that was decided about a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// Name of the file that declares it, as in the plan.
    #[serde(default = "super::plan::usual_file")]
    pub file: String,
    /// The time it was explained for.
    pub now: Time,
    /// The path.
    pub path: StorePath,
    /// Bytes of its NAR, where some place knows.
    pub nar_size: Option<u64>,
    /// Whether the local Nix store has it; `None`: could not be seen.
    pub in_store: Option<bool>,
    /// Links of the garbage collector that keep it in the local store, sorted; none: it goes with
    /// the next collection.
    #[serde(default)]
    pub gc_roots: Vec<String>,
    /// What asks for it to be pushed: outputs, directories, pins, given paths.
    pub wanted_by: Vec<Wanted>,
    /// Its class.
    pub class: ClassVerdict,
    /// What upstreams say.
    pub upstreams: Vec<UpstreamVerdict>,
    /// What happens to it in each cache.
    pub caches: Vec<CacheVerdict>,
}

/// Something whose closure the path is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// What, such as `.#nanna-coder`.
    pub what: String,
    /// What asked for that.
    pub because: Because,
}

/// The class of a path, and the rule that put it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassVerdict {
    /// The class.
    pub class: ClassName,
    /// Its priority.
    pub priority: u32,
    /// Its retention in seconds.
    pub retention: u64,
    /// The rule that matched, such as the pattern `-deps-`.
    pub because: Because,
    /// Later classes that would have matched too.
    pub also: Vec<ClassName>,
}

/// Whether an upstream has the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamVerdict {
    /// The upstream.
    pub cache: CacheName,
    /// Whether it has it; `None`: it could not be asked.
    pub has: Option<bool>,
    /// How that is known, or why not.
    pub how: String,
}

/// What happens to the path in one cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheVerdict {
    /// The cache.
    pub cache: CacheName,
    /// Whether the cache has it; `None`: could not be seen.
    pub present: Option<bool>,
    /// Root records that reach it, those that keep it longest first.
    pub roots: Vec<RootReach>,
    /// Until when it is wanted there.
    pub need: Need,
    /// Its priority there: the highest of its roots; `None`: no root reaches it.
    pub priority: Option<u32>,
    /// What the plan does with it.
    pub verdict: Verdict,
}

/// A root record that reaches the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RootReach {
    /// The path of the root.
    pub path: StorePath,
    /// The class of the root.
    pub class: ClassName,
    /// When it was last written.
    pub written: Time,
    /// Retention of its class, in seconds.
    pub retention: u64,
    /// Priority of its class.
    pub priority: u32,
    /// Until when it keeps the path.
    pub until: Time,
    /// Output or directory that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attr: Option<String>,
}

/// Until when a path is wanted in a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "need", rename_all = "kebab-case")]
pub enum Need {
    /// For ever, by this pin.
    Pinned {
        /// The pin.
        pin: PinName,
    },
    /// Until then.
    Until {
        /// When it ends, or ended.
        time: Time,
    },
    /// No record of ours covers it: as long as `prune.foreign` says.
    Foreign {
        /// When it ends, or ended; `None`: it is kept.
        time: Option<Time>,
    },
    /// No root and no pin reaches it.
    Unreached,
    /// It cannot be said.
    Unknown {
        /// Why.
        why: Why,
    },
}

/// What the plan does with a path in a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is uploaded.
    Pushed {
        /// What asked for it.
        because: Because,
    },
    /// It is there and stays.
    Kept {
        /// Why, in words.
        why: String,
    },
    /// It is not there and not built; a build of this plan makes it, and then it is uploaded.
    AfterBuild {
        /// The output that is built.
        installable: String,
        /// What asked for it.
        because: Because,
    },
    /// It is not there and nothing asks for it.
    NotWanted,
    /// It is wanted and yet not pushed.
    HeldBack {
        /// Why not.
        reason: HeldReason,
        /// The path that it needs and that is held back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs: Option<StorePath>,
    },
    /// It is deleted.
    Deleted {
        /// Why.
        reason: DropReason,
    },
    /// It would be deleted, but that is refused or cannot be decided.
    Undecided {
        /// Why.
        why: Why,
    },
}
