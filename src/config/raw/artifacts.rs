//! `artifacts` and `pins`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SIZE_OR_NONE_PATTERN;
use super::forms::RawOutput;
use crate::config::units::SPAN_PATTERN;

/// A row of the priority matrix.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawClass {
    /// How important the class is: higher is pushed first, and goes last when a cache is over its
    /// `max-size`.
    #[schemars(range(min = 0, max = 1_000_000), extend("examples" = [100, 20]))]
    pub(crate) priority: u32,
    /// How long a path of this class, and all that it needs, is kept after it was last pushed.
    /// Without it `defaults.retention` holds.
    #[schemars(regex(pattern = SPAN_PATTERN), extend("examples" = ["30d", "180d"]))]
    pub(crate) retention: Option<String>,
    /// Regular expressions; a path belongs to the class if one of them is found in its base name
    /// (`<hash>-<name>`). Anchor with `^` and `$` where the whole is meant.
    #[serde(default, rename = "match")]
    #[schemars(extend("default" = [], "examples" = [["-deps-", "image-.*\\.json$"]]))]
    pub(crate) patterns: Vec<String>,
    /// Outputs of the flake whose top paths belong to the class, and that are pushed: an
    /// installable, or a mapping that also says which closure.
    #[serde(default)]
    #[schemars(extend("default" = [], "examples" = [[".#default"], [{"installable": ".#default", "closure": "build"}]]))]
    pub(crate) outputs: Vec<RawOutput>,
    /// Directories that are pushed as content-addressed store paths, without any Nix: paths or
    /// patterns with `*`, `?` and `[…]`, relative to the folder of this file.
    #[serde(default)]
    #[schemars(extend("default" = [], "examples" = [["models/*"]]))]
    pub(crate) directories: Vec<String>,
    /// Paths of this class that are larger (as a NAR, before compression) are not pushed; `none`
    /// for no limit. Without it `defaults.max-path-size` holds.
    #[schemars(regex(pattern = SIZE_OR_NONE_PATTERN), extend("examples" = ["4 GiB", "none"]))]
    pub(crate) max_path_size: Option<String>,
    /// Whether this is the class of all paths that no other class matches. Exactly one class is.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) default: bool,
}

/// Something that is kept for ever: one of `output`, `path` and `paths-from`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawPin {
    /// Keep what this installable builds.
    #[schemars(length(min = 1), extend("examples" = [".#default"]))]
    pub(crate) output: Option<String>,
    /// Keep this store path, or what this link leads to.
    #[schemars(length(min = 1), extend("examples" = ["./result"]))]
    pub(crate) path: Option<String>,
    /// Keep the store paths that stand in this file, one on each line.
    #[schemars(length(min = 1), extend("examples" = ["releases/v1.txt"]))]
    pub(crate) paths_from: Option<String>,
    /// How much of the past stays.
    #[serde(default)]
    #[schemars(extend("default" = {}, "examples" = [{"revisions": 3}]))]
    pub(crate) keep: RawKeep,
    /// Files inside the path that Cachix offers for download, relative to it; caches of other types have no
    /// such thing.
    #[serde(default)]
    #[schemars(extend("default" = [], "examples" = [["bin/app"]]))]
    pub(crate) artifacts: Vec<String>,
}

/// How much of a pin's past stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawKeep {
    /// How many revisions of the pin are kept, the newest first.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1, "examples" = [3]))]
    pub(crate) revisions: u32,
    /// All revisions are kept, instead of so many.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) forever: bool,
    /// For how many days a revision is kept, instead of so many revisions. Only Cachix counts them: in a
    /// cache of another type, and without it, `revisions` holds.
    #[schemars(range(min = 1, max = 36500), extend("examples" = [14]))]
    pub(crate) days: Option<u32>,
}

impl Default for RawKeep {
    fn default() -> Self {
        Self {
            revisions: 1,
            forever: false,
            days: None,
        }
    }
}
