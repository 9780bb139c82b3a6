//! `ledger`, `targets`, `prices`: what is recorded of runs, and what it is measured against, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::{SHARE_PATTERN, SIZE_PATTERN, SPAN_PATTERN};

/// What is recorded of runs, and where the records lie.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawLedger {
    /// How long the record of a run is kept, counted from its start.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("default" = "90d", "examples" = ["90d"]))]
    pub(crate) keep: String,
    /// Caches (folders and buckets) that keep the records of all machines, for CI runners are thrown away. Whoever
    /// can read such a cache can read commits, branches, names of runners and of what was built.
    #[schemars(extend("uniqueItems" = true, "default" = [], "examples" = [["dev"]]))]
    pub(crate) caches: Vec<String>,
}

impl Default for RawLedger {
    fn default() -> Self {
        Self {
            keep: "90d".to_owned(),
            caches: Vec::new(),
        }
    }
}

/// How good the caches are to be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawTargets {
    /// The share of paths that come from caches, of all that runs need, at least. Without it nothing is asked.
    #[schemars(regex(pattern = SHARE_PATTERN), extend("examples" = ["85%"]))]
    pub(crate) hit_rate: Option<String>,
    /// How much less time runs take for building and fetching than building all of it, at least. Without it nothing
    /// is asked.
    #[schemars(regex(pattern = SHARE_PATTERN), extend("examples" = ["70%"]))]
    pub(crate) build_time_reduction: Option<String>,
    /// How large all caches that are written are together, at most. Without it nothing is asked.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("examples" = ["50 GB"]))]
    pub(crate) size: Option<String>,
    /// How long a push takes, at most. Without it nothing is asked.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("examples" = ["5m"]))]
    pub(crate) push_time: Option<String>,
}

/// What things cost.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawPrices {
    /// In what it is paid; any word.
    #[serde(default = "currency")]
    #[schemars(length(min = 1, max = 8), extend("default" = "USD", "examples" = ["USD", "EUR"]))]
    pub(crate) currency: String,
    /// Keeping a gigabyte (1,000,000,000 bytes) for a month of 30 days.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0), extend("default" = 0, "examples" = [0.023]))]
    pub(crate) storage: f64,
    /// Downloading a gigabyte from a cache.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0), extend("default" = 0, "examples" = [0.09]))]
    pub(crate) egress: f64,
    /// A minute of a CI runner.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0), extend("default" = 0, "examples" = [0.008]))]
    pub(crate) ci_minute: f64,
}

fn currency() -> String {
    "USD".to_owned()
}
