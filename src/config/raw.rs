//! The words of `cache.yaml`: the one source of its schema and of how it is decoded.
//!
//! Values stay as written here (`30d`, `20 GiB`); [`super::validate`] gives them meaning. The
//! documentation comments are what an editor shows when it hovers over a key. No value is decoded
//! by trying alternatives: a message must be able to say which alternative was meant.

pub(crate) mod artifacts;
pub(crate) mod caches;
pub(crate) mod forms;
pub(crate) mod gate;
pub(crate) mod ledger;
pub(crate) mod phases;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::units::SPAN_PATTERN;
use artifacts::{RawClass, RawPin};
use caches::RawCache;
use ledger::{RawLedger, RawPrices, RawTargets};
use phases::{RawOptimize, RawPrune, RawPush, RawSetup};

/// The version of the format that this program reads.
pub(crate) const VERSION: u32 = 1;

/// What names of projects, caches, classes, pins and keys look like.
pub(crate) const NAME_PATTERN: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";

/// What may stand where a size may be switched off.
pub(crate) const SIZE_OR_NONE_PATTERN: &str =
    r"^(none|[0-9]+(\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|PB|KiB|MiB|GiB|TiB|PiB))$";

/// How the binary caches of this project should be. `nanna-cache reconcile` shows the difference
/// to how they are, and with `--apply` makes it empty.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "cache.yaml")]
pub(crate) struct RawConfig {
    /// Version of this format. Always `1` for now.
    #[schemars(extend("enum" = [1], "examples" = [1]))]
    #[expect(
        dead_code,
        reason = "looked at before anything else of the file is decoded"
    )]
    pub(crate) version: u32,
    /// Name of the project: letters, digits, `.`, `_` and `-`. It names generated keys, so keep it
    /// once something has been pushed.
    #[schemars(regex(pattern = NAME_PATTERN), extend("examples" = ["nanna-coder"]))]
    pub(crate) project: String,
    /// The flake that installables such as `.#default` belong to, relative to the folder of this
    /// file.
    #[serde(default = "flake")]
    #[schemars(length(min = 1), extend("default" = ".", "examples" = [".", "./nix"]))]
    pub(crate) flake: String,
    /// The systems that `{system}` stands for in installables, by Nix's names.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true, "default" = [], "examples" = [["x86_64-linux", "aarch64-linux"]]))]
    pub(crate) systems: Vec<String>,
    /// The binary caches, by name: those that are written and those that are only read.
    #[schemars(length(min = 1), extend(
        "propertyNames" = {"pattern": NAME_PATTERN},
        "examples" = [{"dev": {"type": "file", "path": "~/.cache/project/binary-cache"}}]
    ))]
    pub(crate) caches: IndexMap<String, RawCache>,
    /// What holds for every artifact class that does not say otherwise.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"retention": "30d", "max-path-size": "4 GiB"}]))]
    pub(crate) defaults: RawDefaults,
    /// The priority matrix: the artifact classes by name, in order. A store path belongs to the
    /// first class that matches it, and to the default class if none does.
    #[schemars(length(min = 1), extend(
        "propertyNames" = {"pattern": NAME_PATTERN},
        "examples" = [{"everything": {"priority": 50, "outputs": [".#default"], "default": true}}]
    ))]
    pub(crate) artifacts: IndexMap<String, RawClass>,
    /// The setup phase: which nix.conf learns of the caches.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"nix-conf": "user"}]))]
    pub(crate) setup: RawSetup,
    /// The push phase: what is uploaded, and where.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"to": {"dev": "all"}}]))]
    pub(crate) push: RawPush,
    /// The optimize phase: how Nix is tuned, and what is fetched before anything is built.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"max-jobs": 4, "cores": 0}]))]
    pub(crate) optimize: RawOptimize,
    /// The prune phase: how what is no longer needed is deleted.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"grace": "24h", "limits": {"share": "30%"}}]))]
    pub(crate) prune: RawPrune,
    /// The ledger: what is recorded of runs, and where the records lie.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"keep": "90d", "caches": ["dev"]}]))]
    pub(crate) ledger: RawLedger,
    /// How good the caches are to be: `analytics --check` fails where they are not.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"hit-rate": "85%", "build-time-reduction": "70%", "size": "50 GB", "push-time": "5m"}]))]
    pub(crate) targets: RawTargets,
    /// What things cost, so that figures and plans can say what they come to.
    #[serde(default)]
    #[schemars(extend("examples" = [{"currency": "USD", "storage": 0.023, "egress": 0.09, "ci-minute": 0.008}]))]
    pub(crate) prices: Option<RawPrices>,
    /// What is kept for ever, by name, whatever retention and size say.
    #[serde(default)]
    #[schemars(extend(
        "propertyNames" = {"pattern": NAME_PATTERN}, "default" = {},
        "examples" = [{"v1": {"output": ".#default", "keep": {"revisions": 3}}}]
    ))]
    pub(crate) pins: IndexMap<String, RawPin>,
}

/// What holds for every artifact class that does not say otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawDefaults {
    /// How long a pushed path is kept, counted from its last push: a whole number with `s`, `m`,
    /// `h`, `d` or `w`.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("default" = "30d", "examples" = ["30d", "12h"]))]
    pub(crate) retention: String,
    /// Store paths that are larger (as a NAR, before compression) are not pushed; `none` for no
    /// limit.
    #[schemars(regex(pattern = SIZE_OR_NONE_PATTERN), extend("default" = "none", "examples" = ["4 GiB", "none"]))]
    pub(crate) max_path_size: String,
}

impl Default for RawDefaults {
    fn default() -> Self {
        Self {
            retention: "30d".to_owned(),
            max_path_size: "none".to_owned(),
        }
    }
}

fn flake() -> String {
    ".".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::units::SIZE_PATTERN;
    use super::*;

    #[test]
    fn the_two_size_patterns_agree() {
        assert_eq!(
            SIZE_OR_NONE_PATTERN
                .replace("(none|", "")
                .replace("))$", ")$"),
            SIZE_PATTERN
        );
    }
}
