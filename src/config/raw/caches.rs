//! `caches`: one structure for each type of cache.
//!
//! A new type is one variant and one structure here. The schema of a cache is put together from
//! them in a shape that editors understand: all keys of all types side by side, and for each type
//! a condition that takes away what is not its own.

mod bucket;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::NAME_PATTERN;
use crate::config::units::SIZE_PATTERN;
pub(crate) use bucket::{RawAzure, RawGcs, RawReplica, RawS3};

/// One cache, by its `type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum RawCache {
    File(RawFileCache),
    Cachix(RawCachix),
    S3(RawS3),
    Gcs(RawGcs),
    Azure(RawAzure),
    Upstream(RawUpstream),
}

/// The types of cache: word and description.
pub(crate) const TYPES: [(&str, &str); 6] = [
    (
        "file",
        "a folder that is written: on this machine, or on a disk that machines share",
    ),
    (
        "cachix",
        "a cache of the service Cachix, or of a server that speaks its interface",
    ),
    (
        "s3",
        "a bucket of Amazon S3, or of a storage that speaks like it",
    ),
    (
        "gcs",
        "a bucket of Google Cloud Storage (experimental: not tried against the service itself)",
    ),
    ("azure", "a container of Azure Blob Storage"),
    (
        "upstream",
        "a cache over HTTP that is only read: what it has is never pushed",
    ),
];

/// A binary cache in a folder.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawFileCache {
    /// Which tier the cache is: `1` shared by all, `2` of one CI job, `3` of one machine (what a
    /// cache of type `file` is without it). Nix is told to ask the third first, then the second,
    /// then the first.
    #[schemars(extend("enum" = [1, 2, 3], "examples" = [3]))]
    pub(crate) tier: Option<u8>,
    /// Nix's own priority of the cache: **lower is asked first**. Without it the tier decides:
    /// tier 3 has 30, tier 2 has 35, tier 1 has 41, an upstream without tier has 40 (as
    /// cache.nixos.org).
    #[schemars(range(min = 0, max = 2_147_483_647), extend("examples" = [30]))]
    pub(crate) nix_priority: Option<u32>,
    /// Public keys, each `name:base64`, whose signatures Nix accepts from this cache. The public
    /// half of `signing-key` is always among them.
    #[serde(default)]
    #[schemars(extend("default" = [], "examples" = [["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]]))]
    pub(crate) public_keys: Vec<String>,
    /// The folder; `~` is the home folder, and a relative path starts at the folder of this file.
    #[schemars(length(min = 1), extend("examples" = ["~/.cache/project/binary-cache"]))]
    pub(crate) path: String,
    /// The key that signs what is pushed: where it is, never the key itself. One of `env`, `file`
    /// and `command`.
    #[schemars(extend("examples" = [{"file": "~/.config/nanna-cache/dev.sec", "generate": true}]))]
    pub(crate) signing_key: Option<RawSigningKey>,
    /// How NARs are compressed.
    #[serde(default)]
    #[schemars(extend("default" = {"method": "zstd"}, "examples" = [{"method": "zstd", "level": 3}]))]
    pub(crate) compression: RawCompression,
    /// How many bytes the compressed NARs of the cache may have together. Over that, prune deletes
    /// the least important first. Without it the cache may grow. Of a cache of type `cachix`, whose
    /// service tells no sizes, our records give an estimate, and prune only advises.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("examples" = ["20 GiB", "50 GB"]))]
    pub(crate) max_size: Option<String>,
}

/// A cache of the service Cachix.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawCachix {
    /// Which tier the cache is: `1` shared by all, `2` of one CI job, `3` of one machine (what a
    /// cache of type `file` is without it). Nix is told to ask the third first, then the second,
    /// then the first.
    #[schemars(extend("enum" = [1, 2, 3], "examples" = [1]))]
    pub(crate) tier: Option<u8>,
    /// Nix's own priority of the cache: **lower is asked first**. Without it the tier decides:
    /// tier 3 has 30, tier 2 has 35, tier 1 has 41, an upstream without tier has 40 (as
    /// cache.nixos.org).
    #[schemars(range(min = 0, max = 2_147_483_647), extend("examples" = [41]))]
    pub(crate) nix_priority: Option<u32>,
    /// Public keys, each `name:base64`, whose signatures Nix accepts from this cache. The public
    /// half of `signing-key` is always among them.
    #[serde(default)]
    #[schemars(extend("default" = [], "examples" = [["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]]))]
    pub(crate) public_keys: Vec<String>,
    /// Its name at Cachix; without it the name that it has here.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]*$"), extend("examples" = ["nanna-coder"]))]
    pub(crate) name: Option<String>,
    /// Where the cache answers, without parameters.
    #[schemars(length(min = 1), extend("examples" = ["https://nanna-coder.cachix.org"]))]
    pub(crate) url: Option<String>,
    /// Where the interface of the service answers, for a server of one's own; without it
    /// `https://cachix.org/api/v1`.
    #[schemars(length(min = 1), extend("examples" = ["https://cachix.org/api/v1"]))]
    pub(crate) api: Option<String>,
    /// Allow `http://`, where anybody on the way can see and hold back what is fetched.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) insecure: bool,
    /// Where the token is, never the token itself: one of `env`, `file` and `command`. Without it the
    /// environment variable `CACHIX_AUTH_TOKEN`, else the file in which the client of Cachix keeps it.
    #[schemars(extend("examples" = [{"env": "CACHIX_AUTH_TOKEN"}]))]
    pub(crate) token: Option<RawToken>,
    /// Who may read the cache. A difference is advice: the service has no call that changes it.
    #[serde(default)]
    #[schemars(extend("enumDescriptions" = ["everybody", "who has a token"], "default" = "public", "examples" = ["private"]))]
    pub(crate) visibility: RawVisibility,
    /// The key that signs what is pushed: where it is, never the key itself. One of `env`, `file`
    /// and `command`. For a cache of type `cachix`: without it, the service signs.
    #[schemars(extend("examples" = [{"env": "CACHIX_SIGNING_KEY"}]))]
    pub(crate) signing_key: Option<RawSigningKey>,
    /// How NARs are compressed.
    #[serde(default)]
    #[schemars(extend("default" = {"method": "zstd"}, "examples" = [{"method": "zstd", "level": 3}]))]
    pub(crate) compression: RawCompression,
    /// Make the cache if the service says that there is none. That needs the token of an account.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) create: bool,
    /// Only read it: nothing is pushed to it, and nothing pinned.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) read_only: bool,
    /// What follows when the service fails (no answer, 5xx, 429) in an apply: the run fails, or says so
    /// and ends well. A refusal, such as for a wrong token, always fails.
    #[serde(default)]
    #[schemars(extend("enumDescriptions" = ["the run fails", "the run says so, and ends well"], "default" = "fail", "examples" = ["warn"]))]
    pub(crate) on_error: RawOnError,
    /// Whether each run that pushes or pins writes down there what it did, for later plans: as a tiny store path,
    /// pinned for 30 days. **In a public cache everybody can read it**, with project, commit and run. Without
    /// records no pin of the cache is ever deleted, and nothing is said of its `max-size`.
    #[serde(default)]
    #[schemars(extend("enumDescriptions" = ["what runs pushed and pinned is written down", "nothing is written down"], "default" = "keep", "examples" = ["none"]))]
    pub(crate) records: RawRecords,
    /// How many bytes the compressed NARs of the cache may have together. Over that, prune deletes
    /// the least important first. Without it the cache may grow. Of a cache of type `cachix`, whose
    /// service tells no sizes, our records give an estimate, and prune only advises.
    #[schemars(regex(pattern = SIZE_PATTERN), extend("examples" = ["20 GiB", "50 GB"]))]
    pub(crate) max_size: Option<String>,
}

/// Whether records are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawRecords {
    #[default]
    Keep,
    None,
}

/// Who may read.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawVisibility {
    #[default]
    Public,
    Private,
}

/// What follows a failure of a service.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawOnError {
    #[default]
    Fail,
    Warn,
}

/// Where a token is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawToken {
    /// Name of the environment variable that holds the token.
    #[schemars(length(min = 1), extend("examples" = ["CACHIX_AUTH_TOKEN"]))]
    pub(crate) env: Option<String>,
    /// The file that holds the token; `~` is the home folder, and a relative path starts at the
    /// folder of this file.
    #[schemars(length(min = 1), extend("examples" = ["~/.config/project/cachix-token"]))]
    pub(crate) file: Option<String>,
    /// A command, with its arguments, that prints the token. It has 30 seconds; then it is ended, with
    /// all that it started.
    #[schemars(length(min = 1), extend("examples" = [["pass", "show", "cachix-token"]]))]
    pub(crate) command: Option<Vec<String>>,
}

/// A cache that is only read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawUpstream {
    /// Which tier the cache is: `1` shared by all, `2` of one CI job, `3` of one machine (what a
    /// cache of type `file` is without it). Nix is told to ask the third first, then the second,
    /// then the first.
    #[schemars(extend("enum" = [1, 2, 3], "examples" = [1]))]
    pub(crate) tier: Option<u8>,
    /// Nix's own priority of the cache: **lower is asked first**. Without it the tier decides:
    /// tier 3 has 30, tier 2 has 35, tier 1 has 41, an upstream without tier has 40 (as
    /// cache.nixos.org).
    #[schemars(range(min = 0, max = 2_147_483_647), extend("examples" = [40]))]
    pub(crate) nix_priority: Option<u32>,
    /// Public keys, each `name:base64`, whose signatures Nix accepts from this cache. The public
    /// half of `signing-key` is always among them.
    #[schemars(length(min = 1), extend("examples" = [["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]]))]
    pub(crate) public_keys: Vec<String>,
    /// Where the cache answers, without parameters.
    #[schemars(length(min = 1), extend("examples" = ["https://cache.nixos.org"]))]
    pub(crate) url: String,
    /// Allow `http://`, where anybody on the way can see and hold back what is fetched.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) insecure: bool,
}

/// Where the signing key is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawSigningKey {
    /// Name of the environment variable that holds the secret key.
    #[schemars(length(min = 1), extend("examples" = ["CACHE_SIGNING_KEY"]))]
    pub(crate) env: Option<String>,
    /// The file that holds the secret key; `~` is the home folder, and a relative path starts at
    /// the folder of this file.
    #[schemars(length(min = 1), extend("examples" = ["~/.config/nanna-cache/dev.sec"]))]
    pub(crate) file: Option<String>,
    /// A command, with its arguments, that prints the secret key. It has 30 seconds; then it is ended, with
    /// all that it started.
    #[schemars(length(min = 1), extend("examples" = [["pass", "show", "cache-key"]]))]
    pub(crate) command: Option<Vec<String>>,
    /// Make a key if `file` does not exist. Never done in CI, where it would be a new key each
    /// time, nor while a key of this name has signed what is in the cache: then it is lost.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) generate: bool,
    /// Name of the key that is made; without it `<project>-<cache>-1`.
    #[schemars(regex(pattern = NAME_PATTERN), extend("examples" = ["nanna-coder-dev-1"]))]
    pub(crate) name: Option<String>,
}

/// Method and level of compression.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawCompression {
    /// The method. Every Nix since 2.4 reads all three.
    #[schemars(extend(
        "type" = "string",
        "enumDescriptions" = ["fast, small enough", "smaller, much slower", "not compressed"],
        "default" = "zstd", "examples" = ["zstd"]
    ))]
    pub(crate) method: RawMethod,
    /// The level: 1 to 22 for `zstd` (3 without it), 0 to 9 for `xz` (6 without it).
    #[schemars(range(min = 0, max = 22), extend("examples" = [3]))]
    pub(crate) level: Option<i32>,
    /// Compress anew what lies in the cache by another method, as far as it is to be pushed and is here. A
    /// change of the level alone changes nothing that is there.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(crate) recompress: bool,
}

/// The methods.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawMethod {
    #[default]
    Zstd,
    Xz,
    None,
}

impl Default for RawCompression {
    fn default() -> Self {
        Self {
            method: RawMethod::Zstd,
            level: None,
            recompress: false,
        }
    }
}

/// What a key's schema demands beyond the one that all types share.
fn stricter(own: &Json, shared: &Json) -> Option<Json> {
    let mut demands = own.as_object()?.clone();
    demands.retain(|keyword, value| {
        !matches!(keyword.as_str(), "description" | "default" | "examples")
            && shared.get(keyword) != Some(value)
    });
    (!demands.is_empty()).then_some(Json::Object(demands))
}

impl JsonSchema for RawCache {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cache".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types = [
            ("file", RawFileCache::json_schema(generator)),
            ("cachix", RawCachix::json_schema(generator)),
            ("s3", RawS3::json_schema(generator)),
            ("gcs", RawGcs::json_schema(generator)),
            ("azure", RawAzure::json_schema(generator)),
            ("upstream", RawUpstream::json_schema(generator)),
        ];
        let of = |schema: &Schema, key: &str| schema.get(key).cloned().unwrap_or_default();
        // Where nothing is, there is no such keyword.
        let required = |schema: &Schema| match of(schema, "required") {
            Json::Null => json!([]),
            required => required,
        };
        let keys = |schema: &Schema| match of(schema, "properties") {
            Json::Object(keys) => keys,
            _ => Map::new(),
        };
        let mut all: IndexMap<String, Json> = IndexMap::new();
        for (_, schema) in &types {
            for (key, value) in keys(schema) {
                all.entry(key).or_insert(value);
            }
        }
        let conditions: Vec<Json> = types
            .iter()
            .map(|(name, schema)| {
                let own = keys(schema);
                let of_type = all.iter().filter_map(|(key, shared)| match own.get(key) {
                    None => Some((key.clone(), Json::Bool(false))),
                    Some(value) => stricter(value, shared).map(|value| (key.clone(), value)),
                });
                let of_type: Map<String, Json> = of_type.collect();
                json!({
                    "if": { "properties": { "type": { "const": name } }, "required": ["type"] },
                    "then": { "required": required(schema), "properties": of_type }
                })
            })
            .collect();
        let mut properties = Map::new();
        properties.insert(
            "type".to_owned(),
            json!({
                "type": "string",
                "enum": TYPES.map(|(name, _)| name),
                "enumDescriptions": TYPES.map(|(_, text)| text),
                "description": "What kind of cache it is; it decides which other keys there are.",
                "examples": TYPES.map(|(name, _)| name)
            }),
        );
        properties.extend(all);
        json_schema!({
            "type": "object",
            "description": "A binary cache.",
            "properties": properties,
            "required": ["type"],
            "additionalProperties": false,
            "allOf": conditions
        })
    }
}
