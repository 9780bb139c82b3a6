//! Caches in buckets: what all storages have, and what each has of its own.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawCompression, RawSigningKey};
use crate::config::raw::NAME_PATTERN;
use crate::config::units::SIZE_PATTERN;

/// A structure with the keys of every bucket, and its own.
macro_rules! bucket {
    ($(#[doc = $doc:literal])+ $name:ident { $($own:tt)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct $name {
            /// Which tier the cache is: `1` shared by all (what a bucket is without it), `2` of one
            /// CI job, `3` of one machine. Nix is told to ask the third first, then the second, then
            /// the first.
            #[schemars(extend("enum" = [1, 2, 3], "examples" = [1]))]
            pub(crate) tier: Option<u8>,
            /// Nix's own priority of the cache: **lower is asked first**. Without it the tier decides:
            /// tier 3 has 30, tier 2 has 35, tier 1 has 41, an upstream without tier has 40 (as
            /// cache.nixos.org).
            #[schemars(range(min = 0, max = 2_147_483_647), extend("examples" = [41]))]
            pub(crate) nix_priority: Option<u32>,
            /// Public keys, each `name:base64`, whose signatures Nix accepts from this cache. The
            /// public half of `signing-key` is always among them.
            #[serde(default)]
            #[schemars(extend("default" = [], "examples" = [["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]]))]
            pub(crate) public_keys: Vec<String>,
            $($own)*
            /// What the keys of all objects of the cache begin with, without a slash at its ends;
            /// several caches can so share a bucket.
            #[schemars(length(min = 1), extend("examples" = ["nix"]))]
            pub(crate) prefix: Option<String>,
            /// Where the storage answers, if not at its own address.
            #[schemars(length(min = 1), extend("examples" = ["https://s3.example.org"]))]
            pub(crate) endpoint: Option<String>,
            /// By which URL Nix reads the cache, such as that of a CDN or of a public bucket. Without it:
            /// `s3://…` for S3, which some builds of Nix do not have, else the storage's own address.
            #[schemars(length(min = 1), extend("examples" = ["https://cache.example.org"]))]
            pub(crate) url: Option<String>,
            /// Allow `http://`, where anybody on the way can see and hold back what is fetched.
            #[serde(default)]
            #[schemars(extend("default" = false, "examples" = [true]))]
            pub(crate) insecure: bool,
            /// The key that signs what is pushed: where it is, never the key itself. One of `env`,
            /// `file` and `command`.
            #[schemars(extend("examples" = [{"env": "CACHE_SIGNING_KEY"}]))]
            pub(crate) signing_key: Option<RawSigningKey>,
            /// How NARs are compressed.
            #[serde(default)]
            #[schemars(extend("default" = {"method": "zstd"}, "examples" = [{"method": "zstd", "level": 3}]))]
            pub(crate) compression: RawCompression,
            /// How many bytes the compressed NARs of the cache may have together. Over that, prune
            /// deletes the least important first. Without it the cache may grow. Of a cache of type `cachix`, whose
            /// service tells no sizes, our records give an estimate, and prune only advises.
            #[schemars(regex(pattern = SIZE_PATTERN), extend("examples" = ["20 GiB", "50 GB"]))]
            pub(crate) max_size: Option<String>,
            /// The same cache in other places, so that everybody has one nearby. Each is written as the
            /// cache itself is, with the same keys, classes and limits; Nix asks the nearest first.
            #[serde(default)]
            #[schemars(extend("default" = [], "examples" = [[{"region": "eu-west-1", "bucket": "team-nix-cache-eu"}]]))]
            pub(crate) replicas: Vec<RawReplica>,
        }
    };
}

/// Another place of a cache: what it does not set is as in the cache.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) struct RawReplica {
    /// What it is called: the replica `eu` of the cache `team` is the cache `team@eu` in plans and
    /// flags. Without it the region names it.
    #[schemars(regex(pattern = NAME_PATTERN), extend("examples" = ["eu"]))]
    pub(crate) name: Option<String>,
    /// Region of its bucket. Without it that of the cache. For `gcs` and `azure` it is a name alone.
    #[schemars(length(min = 1), extend("examples" = ["eu-west-1"]))]
    pub(crate) region: Option<String>,
    /// Name of its bucket, for `s3` and `gcs`. Without it that of the cache.
    #[schemars(length(min = 1), extend("examples" = ["team-nix-cache-eu"]))]
    pub(crate) bucket: Option<String>,
    /// Name of its storage account, for `azure`. Without it that of the cache.
    #[schemars(length(min = 1), extend("examples" = ["teamstorageeu"]))]
    pub(crate) account: Option<String>,
    /// Name of its container, for `azure`. Without it that of the cache.
    #[schemars(length(min = 1), extend("examples" = ["nix-cache"]))]
    pub(crate) container: Option<String>,
    /// What the keys of its objects begin with. Without it as in the cache.
    #[schemars(length(min = 1), extend("examples" = ["nix"]))]
    pub(crate) prefix: Option<String>,
    /// Where its storage answers. Without it as for the cache.
    #[schemars(length(min = 1), extend("examples" = ["https://s3.eu.example.org"]))]
    pub(crate) endpoint: Option<String>,
    /// By which URL Nix reads it; never that of the cache. Without it the storage's own address.
    #[schemars(length(min = 1), extend("examples" = ["https://cache-eu.example.org"]))]
    pub(crate) url: Option<String>,
    /// Allow `http://` for it. Without it as for the cache.
    #[schemars(extend("examples" = [true]))]
    pub(crate) insecure: Option<bool>,
}

bucket! {
    /// A bucket of S3, or of a storage that speaks like it.
    RawS3 {
        /// Name of the bucket. It has to exist: nanna-cache never makes one.
        #[schemars(length(min = 1), extend("examples" = ["team-nix-cache"]))]
        pub(crate) bucket: String,
        /// Region of the bucket. Without it `us-east-1`; where `url` is given, the environment and the profile
        /// of AWS may name another.
        #[schemars(length(min = 1), extend("examples" = ["eu-central-1"]))]
        pub(crate) region: Option<String>,
    }
}

bucket! {
    /// A bucket of Google Cloud Storage.
    RawGcs {
        /// Name of the bucket. It has to exist: nanna-cache never makes one.
        #[schemars(length(min = 1), extend("examples" = ["team-nix-cache"]))]
        pub(crate) bucket: String,
    }
}

bucket! {
    /// A container of Azure Blob Storage.
    RawAzure {
        /// Name of the storage account.
        #[schemars(length(min = 1), extend("examples" = ["teamstorage"]))]
        pub(crate) account: String,
        /// Name of the container. It has to exist: nanna-cache never makes one.
        #[schemars(length(min = 1), extend("examples" = ["nix-cache"]))]
        pub(crate) container: String,
    }
}
