//! `setup`, `push`, `optimize` and `prune`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::forms::{RawClasses, RawJobs, RawNixConf, RawSetting};
use super::gate::RawSecrets;
use crate::config::units::{SHARE_PATTERN, SIZE_PATTERN, SPAN_PATTERN};

/// What the setup phase manages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawSetup {
    /// The nix.conf that learns of the caches: `user` (`~/.config/nix`), `system` (`/etc/nix`),
    /// `none`, or a folder of its own, `{ dir: PATH }`. It gets one `!include` line; all else
    /// stands in a file beside it.
    #[schemars(extend("default" = "user", "examples" = ["user", "system", "none", {"dir": "out/nix"}]))]
    pub(crate) nix_conf: RawNixConf,
    /// Which of a cache and its replicas Nix asks first, the best first: names of regions, replicas or
    /// caches. Those not named come after, as they stand in this file. Without it the nearest comes first,
    /// as measured from this machine.
    #[schemars(extend("uniqueItems" = true, "default" = [], "examples" = [["eu-west-1", "us-east-1"]]))]
    pub(crate) prefer: Vec<String>,
}

impl Default for RawSetup {
    fn default() -> Self {
        Self {
            prefer: Vec::new(),
            nix_conf: RawNixConf::Word("user".to_owned()),
        }
    }
}

/// What the push phase uploads, and where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawPush {
    /// Whether anything is pushed at all.
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(crate) enabled: bool,
    /// Which classes go to which cache: `all`, or a list of classes. Without it everything goes to
    /// every cache that can be written. What a pushed path refers to comes along, of whatever class it is:
    /// half a closure is of no use. What must not come along is for `exclude` and `exclude-needed`.
    #[schemars(extend("examples" = [{"dev": "all"}, {"dev": ["build-artifacts"]}]))]
    pub(crate) to: Option<IndexMap<String, RawClasses>>,
    /// Store paths, or links to them such as `result`, to push besides the outputs of the classes.
    #[schemars(inner(length(min = 1)), extend("default" = [], "examples" = [["./result"]]))]
    pub(crate) paths: Vec<String>,
    /// Regular expressions; a path is not pushed if one of them is found in its base name
    /// (`<hash>-<name>`).
    #[schemars(extend("default" = [], "examples" = [["-source$", "nixpkgs\\.tar\\.gz$"]]))]
    pub(crate) exclude: Vec<String>,
    /// What happens with an excluded or too large path that a pushed one refers to.
    #[schemars(extend(
        "type" = "string",
        "enumDescriptions" = [
            "do not push what refers to it, either",
            "push it all the same",
            "refuse the push and name both paths"
        ],
        "default" = "hold-back", "examples" = ["push"]
    ))]
    pub(crate) exclude_needed: RawExcludeNeeded,
    /// Caps on what is pushed although the plan could not know it exactly.
    #[schemars(extend("default" = {}, "examples" = [{"after-build": "20 GiB", "unasked": "5 GiB"}]))]
    pub(crate) limits: RawPushLimits,
    /// How what is about to be pushed is looked through for secrets, and what follows.
    #[schemars(extend("default" = {}, "examples" = [{"on-private": "refuse"}]))]
    pub(crate) secrets: RawSecrets,
}

impl Default for RawPush {
    fn default() -> Self {
        Self {
            enabled: true,
            to: None,
            paths: Vec::new(),
            exclude: Vec::new(),
            exclude_needed: RawExcludeNeeded::HoldBack,
            limits: RawPushLimits::default(),
            secrets: RawSecrets::default(),
        }
    }
}

/// What happens with an excluded path that is needed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawExcludeNeeded {
    HoldBack,
    Push,
    Refuse,
}

/// Caps of the push phase.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawPushLimits {
    /// Bytes (NAR) that may be pushed after a build that the plan could not look into.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("default" = "20 GiB", "examples" = ["20 GiB"]))]
    pub(crate) after_build: String,
    /// Bytes (NAR) that may be pushed although an upstream that may have them could not be asked.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("default" = "5 GiB", "examples" = ["5 GiB"]))]
    pub(crate) unasked: String,
}

impl Default for RawPushLimits {
    fn default() -> Self {
        Self {
            after_build: "20 GiB".to_owned(),
            unasked: "5 GiB".to_owned(),
        }
    }
}

/// What the optimize phase tunes. What is not given stays as Nix has it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawOptimize {
    /// How many builds run at once on this machine: a number, or `auto` for one on each CPU.
    #[schemars(extend("examples" = [4, "auto"]))]
    pub(crate) max_jobs: Option<RawJobs>,
    /// How many cores one build may use; `0` means all.
    #[schemars(range(min = 0, max = 65535), extend("examples" = [0]))]
    pub(crate) cores: Option<u32>,
    /// How many transfers run at once; `0` means no limit.
    #[schemars(range(min = 0, max = 65535), extend("examples" = [50]))]
    pub(crate) http_connections: Option<u32>,
    /// How many substitutions run at once, where the Nix at hand knows the setting (2.16 and
    /// later).
    #[schemars(range(min = 1, max = 65535), extend("examples" = [32]))]
    pub(crate) max_substitution_jobs: Option<u32>,
    /// How long Nix remembers what a cache said about a path.
    #[schemars(extend("default" = {}, "examples" = [{"positive": "30d", "negative": "1h"}]))]
    pub(crate) narinfo_ttl: RawNarinfoTtl,
    /// Further settings of nix.conf, by Nix's own names. What has a word of its own in this file
    /// is refused here.
    #[schemars(extend("default" = {}, "examples" = [{"keep-outputs": true}]))]
    pub(crate) nix_settings: IndexMap<String, RawSetting>,
    /// Installables that are fetched from the caches before anything is built. `{system}` stands
    /// for each of `systems`.
    #[schemars(inner(length(min = 1)), extend("default" = [], "examples" = [[".#devShells.{system}.default"]]))]
    pub(crate) warm: Vec<String>,
}

/// How long Nix remembers what a cache said.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawNarinfoTtl {
    /// How long Nix remembers that a cache has a path.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("examples" = ["30d"]))]
    pub(crate) positive: Option<String>,
    /// How long Nix remembers that a cache lacks a path. Short is good where a CI job pushes what
    /// the next one wants.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("examples" = ["1h", "0s"]))]
    pub(crate) negative: Option<String>,
}

/// How the prune phase deletes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawPrune {
    /// Whether anything is deleted at all.
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(crate) enabled: bool,
    /// How old a file of a cache must be before it may be deleted, so that no push at work loses
    /// what it relies on. At least `1h`.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("default" = "24h", "examples" = ["24h"]))]
    pub(crate) grace: String,
    /// What happens with content of a cache that no record of ours covers.
    #[schemars(extend(
        "type" = "string",
        "enumDescriptions" = [
            "keep it",
            "keep it as long as its class says, counted from when it was written"
        ],
        "default" = "keep", "examples" = ["keep"]
    ))]
    pub(crate) foreign: RawForeign,
    /// The brakes, for each cache: deleting more than this is refused.
    #[schemars(extend("default" = {}, "examples" = [{"share": "30%", "bytes": "20 GiB"}]))]
    pub(crate) limits: RawPruneLimits,
}

impl Default for RawPrune {
    fn default() -> Self {
        Self {
            enabled: true,
            grace: "24h".to_owned(),
            foreign: RawForeign::Keep,
            limits: RawPruneLimits::default(),
        }
    }
}

/// What happens with foreign content.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawForeign {
    Keep,
    Retention,
}

/// The brakes of the prune phase.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawPruneLimits {
    /// The largest share of a cache's paths, and of its bytes, that one run may delete.
    #[schemars(regex(pattern = SHARE_PATTERN), extend("default" = "30%", "examples" = ["30%", "12.5%"]))]
    pub(crate) share: String,
    /// The most bytes (of NAR files) that one run may delete. Without it only the share counts.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("examples" = ["20 GiB"]))]
    pub(crate) bytes: Option<String>,
    /// The most paths that one run may delete. Without it only the share counts.
    #[schemars(extend("examples" = [1000]))]
    pub(crate) count: Option<u64>,
}

impl Default for RawPruneLimits {
    fn default() -> Self {
        Self {
            share: "30%".to_owned(),
            bytes: None,
            count: None,
        }
    }
}
