//! The plan: all steps, and all that is no step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Address, Phase};
use super::observed::{Requests, Why};
use super::step::{Because, Op, Step};
use super::time::Time;
use crate::config::model::{CacheName, ClassName};
use crate::nix::store_path::StorePath;

/// Number of the plan format. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// What would have to be done, what could not be seen, what must not be done, and what a person
/// must do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// Program and version that made it.
    pub writer: String,
    /// The project.
    pub project: String,
    /// Name of the file that declares it, as messages say it: a relative path, or a bare name.
    #[serde(default = "usual_file")]
    pub file: String,
    /// SHA-256 of `cache.yaml`, in hex.
    pub config: String,
    /// The time it was planned for.
    pub now: Time,
    /// Numbers for the heading.
    pub counts: Counts,
    /// Priorities of the classes, so that a plan can be read without `cache.yaml`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priorities: BTreeMap<ClassName, u32>,
    /// What would be done, in the order of reading.
    pub steps: Vec<Step>,
    /// What is not pushed though something asked for it.
    pub held_back: Vec<HeldBack>,
    /// In which order Nix asks the caches, if the plan changes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<AskingOrder>,
    /// How full each cache is and would be.
    pub caches: Vec<CacheBudget>,
    /// Requests that the looks at caches in object storage took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<CacheRequests>,
    /// What was asked for and is in error, so that it could not be planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PlanError>,
    /// What could not be seen.
    pub unknowns: Vec<Unknown>,
    /// What will not be done, because it must not.
    pub refusals: Vec<Refusal>,
    /// What a person must do.
    pub advice: Vec<Advice>,
    /// What keeping bytes costs, where `cache.yaml` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<StoragePrice>,
}

impl Plan {
    /// What a month of keeping costs more after this plan, or (negative) less, in millionths of the currency. What is
    /// pushed counts uncompressed, so this is the most that it can be. None: `cache.yaml` has no price for it, or
    /// nothing comes or goes.
    #[must_use]
    pub fn costs(&self) -> Option<i64> {
        let price = self.price.as_ref()?;
        let bytes: i128 = self
            .steps
            .iter()
            .map(|step| match step.op {
                Op::Push { .. } => i128::from(step.effect.bytes),
                Op::Prune { .. } => -i128::from(step.effect.bytes),
                _ => 0,
            })
            .sum();
        let micros = bytes * i128::from(price.gigabyte_month) / 1_000_000_000;
        (bytes != 0).then(|| i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// What keeping bytes costs, as `prices` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoragePrice {
    /// In what it is paid.
    pub currency: String,
    /// Millionths of it, for a gigabyte (10⁹ bytes) and a month of 30 days.
    pub gigabyte_month: u64,
}

/// What plans of before the name was written down were made from.
pub(super) fn usual_file() -> String {
    "cache.yaml".to_owned()
}

/// Numbers for the heading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Caches in `cache.yaml`.
    pub caches: u64,
    /// Artifact classes in `cache.yaml`.
    pub classes: u64,
    /// Paths that were wanted in caches and compared.
    pub compared: u64,
}

/// Paths that are not pushed, by cache and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// The cache they would have gone to.
    pub cache: CacheName,
    /// Why not.
    pub reason: HeldReason,
    /// The paths, sorted.
    pub paths: Vec<HeldPath>,
}

/// A path that is not pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct HeldPath {
    /// The path.
    pub path: StorePath,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// For [`HeldReason::NeedsHeld`]: the path that it needs and that is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<StorePath>,
}

/// Why a path is not pushed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldReason {
    /// An upstream has it.
    Upstream(CacheName),
    /// It matches `push.exclude`.
    Excluded,
    /// It is larger than its class allows.
    TooLarge,
    /// It needs a path that is held back.
    NeedsHeld,
    /// Its class does not go to this cache.
    OtherClass,
}

/// How full a cache is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheBudget {
    /// The cache.
    pub cache: CacheName,
    /// What kind it is, in the words of `cache.yaml`, such as `file`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Visible paths now.
    pub paths: u64,
    /// Bytes of NAR files now.
    pub bytes: u64,
    /// Bytes after the prune (known files only).
    pub bytes_after: u64,
    /// What it may hold.
    pub max_size: Option<u64>,
    /// Whether numbers are an estimate, from what our records say was pushed in the last days: its service
    /// tells neither paths nor sizes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// How many pins a service holds there, without those of our records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<u64>,
    /// Bytes that nothing may end, where that is more than it may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_stay: Option<u64>,
}

/// What a look at a cache took: what was really sent for this plan, which differs from look to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheRequests {
    /// The cache.
    pub cache: CacheName,
    /// How many requests of which kind.
    #[serde(flatten)]
    pub requests: Requests,
}

/// In which order Nix asks the caches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskingOrder {
    /// Now.
    pub before: Vec<Asked>,
    /// After the plan.
    pub after: Vec<Asked>,
    /// Why a cache and its replicas stand so, one sentence for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// A cache that Nix asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Its URL.
    pub url: String,
    /// Its priority; lower is asked first. `None`: not known.
    pub priority: Option<i64>,
}

/// Something that was asked for and is in error: looking again does not help, somebody has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PlanError {
    /// What, such as `.#nanna-coder`: all that have the same error, sorted.
    pub what: Vec<String>,
    /// What is wrong, with the place.
    pub why: Why,
    /// What the plan does about it.
    pub effect: String,
    /// What asks for it (the first of them).
    #[serde(default)]
    pub because: Because,
}

/// Something that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Unknown {
    /// What, such as `dev` or `.#nanna-coder`.
    pub what: String,
    /// Why.
    pub why: Why,
    /// What the plan does about it.
    pub effect: String,
}

/// Something that must not be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Steps that will not run because of it, or that there would be without it; empty: the whole plan.
    pub steps: Vec<Address>,
    /// Stable code, such as `prune-share`.
    pub code: String,
    /// What is refused, with the numbers.
    pub text: String,
    /// The setting and the flag that permit it.
    pub help: String,
}

/// Something that a person must do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The phase it belongs to.
    pub phase: Phase,
    /// What it is about.
    pub about: String,
    /// What to do and why.
    pub text: String,
    /// Lines to add or commands to run, ready to copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// What asked for it.
    pub because: Because,
}
