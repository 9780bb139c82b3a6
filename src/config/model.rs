//! A valid `cache.yaml`: what the rest of the program works with.
//!
//! Everything here has been checked by [`super::read`]: names exist, patterns compile, there
//! is exactly one default class. Paths and `~` are still as written; they are resolved in
//! `plan::desired`, which is told where home and the file are. Nothing here reads or writes.

use std::fmt;

use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::{Share, Size, Span};
use crate::nix::key::PublicKey;
use crate::text::place::Places;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a name as it stands in `cache.yaml`.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// Name of a cache in `caches`.
    CacheName
}
name! {
    /// Name of an artifact class in `artifacts`.
    ClassName
}
name! {
    /// Name of a pin in `pins`.
    PinName
}

/// A whole, valid `cache.yaml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the project.
    pub project: String,
    /// Flake that relative installables (`.#x`) belong to; `.` is the folder of `cache.yaml`.
    pub flake: String,
    /// Systems that `{system}` stands for, such as `x86_64-linux`.
    pub systems: Vec<String>,
    /// The caches, in the order of the file.
    pub caches: IndexMap<CacheName, Cache>,
    /// How long a class that says nothing else keeps its paths (`defaults.retention`).
    pub retention: Span,
    /// The artifact classes in the order of the file; a path belongs to the first that matches.
    pub classes: IndexMap<ClassName, Class>,
    /// What `setup` manages.
    pub setup: Setup,
    /// What `push` uploads, and where.
    pub push: Push,
    /// What `optimize` tunes.
    pub optimize: Optimize,
    /// How `prune` deletes.
    pub prune: Prune,
    /// What is recorded of runs, and where the records lie.
    pub ledger: Ledger,
    /// How good the caches are to be.
    pub targets: Targets,
    /// What things cost.
    pub prices: Option<Prices>,
    /// What is kept for ever, by name.
    pub pins: IndexMap<PinName, Pin>,
    /// Where each setting stands in the file, by JSON pointer.
    pub places: Places,
}

impl Config {
    /// Where a setting of a cache, or of anything else, stands in `cache.yaml`: for what a replica does not
    /// set, that is in the cache that it is a replica of.
    ///
    /// `pointer` is a JSON pointer in which a replica is called by its name as a cache.
    #[must_use]
    pub fn setting(&self, pointer: &str) -> String {
        let found = pointer.strip_prefix("/caches/").and_then(|rest| {
            let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let replica = self.caches.get(&CacheName::new(name))?.replica.as_ref()?;
            let own = format!("{}{below}", replica.setting);
            let inherited = format!("/caches/{}{below}", replica.of);
            let has = |pointer: &str| self.places.keys.contains_key(pointer);
            Some(if !has(&own) && has(&inherited) {
                inherited
            } else {
                own
            })
        });
        found.unwrap_or_else(|| pointer.to_owned())
    }

    /// A setting as sentences name it, such as `caches.team.max-size`; `pointer` as for [`Config::setting`].
    #[must_use]
    pub fn words(&self, pointer: &str) -> String {
        let pointer = self.setting(pointer);
        pointer.trim_start_matches('/').replace('/', ".")
    }
}

/// One cache. What every kind has is here; what only one kind has is in `kind`.
#[derive(Clone, Debug)]
pub struct Cache {
    /// 1 shared, 2 CI job, 3 local; `None` only for upstreams without one.
    pub tier: Option<u8>,
    /// Nix's own priority (lower is asked first), given or by tier.
    pub nix_priority: u32,
    /// Keys whose signatures are accepted.
    pub public_keys: Vec<PublicKey>,
    /// Whose replica it is; `None`: a cache of `caches`.
    pub replica: Option<Replica>,
    /// What only this kind of cache has.
    pub kind: CacheKind,
}

impl Cache {
    /// By what names a cache or a replica can be preferred: the cache `name`'s own, and its region's.
    #[must_use]
    pub fn called<'c>(&'c self, name: &'c CacheName) -> Vec<&'c str> {
        let region = match (&self.replica, &self.kind) {
            (Some(replica), _) => replica.region.as_deref(),
            (None, CacheKind::Bucket(cache)) => cache.bucket.region.as_deref(),
            (None, _) => None,
        };
        let own = self.replica.as_ref().map(|replica| replica.name.as_str());
        let mut names = vec![name.as_str()];
        names.extend(own.into_iter().chain(region));
        names
    }
}

/// What a cache has that is the same as another in another place. It is a cache of its own in all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The cache of `caches`.
    pub of: CacheName,
    /// Its own name, without that of the cache.
    pub name: String,
    /// Its region, if it has one.
    pub region: Option<String>,
    /// Where it stands in `cache.yaml`, as a JSON pointer.
    pub setting: String,
}

/// The kinds of cache.
#[derive(Clone, Debug)]
pub enum CacheKind {
    /// A folder that we write.
    File(FileCache),
    /// A cache that Cachix keeps.
    Cachix(CachixCache),
    /// A bucket of an object storage that we write.
    Bucket(BucketCache),
    /// A cache that is only read.
    Upstream {
        /// Where it answers, without a final slash.
        url: String,
    },
}

impl CacheKind {
    /// What a cache has that we write; `None`: it is only read.
    #[must_use]
    pub const fn written(&self) -> Option<&Written> {
        match self {
            Self::File(file) => Some(&file.written),
            Self::Bucket(bucket) => Some(&bucket.written),
            Self::Cachix(cachix) if !cachix.read_only => Some(&cachix.written),
            Self::Cachix(_) | Self::Upstream { .. } => None,
        }
    }
}

/// A binary cache in a folder.
#[derive(Clone, Debug)]
pub struct FileCache {
    /// The folder, as written (`~` not yet resolved).
    pub path: String,
    /// What it has as a cache that we write.
    pub written: Written,
}

/// A cache that Cachix keeps.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct CachixCache {
    /// Its name there.
    pub name: String,
    /// Where Nix reads it, without a final slash.
    pub url: String,
    /// Where its interface answers, without a final slash.
    pub api: String,
    /// Where the token is.
    pub token: SecretRef,
    /// Whether `cache.yaml` says where the token is.
    pub token_given: bool,
    /// Who may read it.
    pub visibility: Visibility,
    /// Whether it may be made.
    pub create: bool,
    /// Whether it is only read.
    pub read_only: bool,
    /// What follows when the service fails.
    pub on_error: OnError,
    /// Whether what runs push and pin is written down in it.
    pub records: bool,
    /// What it has as a cache that we write; its signing key is that of a cache which signs itself.
    pub written: Written,
}

/// Who may read a cache of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Who has a token.
    Private,
}

/// What follows when a service fails: not when it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The run fails.
    Fail,
    /// The run says so, and goes on.
    Warn,
}

/// A binary cache in a bucket.
#[derive(Clone, Debug)]
pub struct BucketCache {
    /// Which bucket.
    pub bucket: Bucket,
    /// What it has as a cache that we write.
    pub written: Written,
}

/// The interfaces of object storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Amazon S3, and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Storage {
    /// The word for it in `type` and in URLs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

/// A bucket (for Azure: a container), and the part of it that is the cache. No credentials: those
/// are found where the tools of the storage find them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How it is spoken to.
    pub storage: Storage,
    /// Its name.
    pub name: String,
    /// Name of the account (Azure).
    pub account: Option<String>,
    /// What the keys of the cache begin with, without slashes at its ends; empty: nothing.
    pub prefix: String,
    /// Region; `None`: the storage's first, or, if there is a `url`, the one that the environment names.
    pub region: Option<String>,
    /// Where the storage answers, without a final slash; `None`: at its own address.
    pub endpoint: Option<String>,
    /// By which URL Nix reads the cache, without a final slash; `None`: by the storage's own.
    pub url: Option<String>,
}

/// What every kind of cache has that we write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The key that signs what we push.
    pub signing_key: Option<SigningKey>,
    /// How NARs are compressed.
    pub compression: Compression,
    /// Whether what is there by another method is compressed anew.
    pub recompress: bool,
    /// Bytes of all NAR files that the cache may hold.
    pub max_size: Option<Size>,
}

/// A signing key by reference.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// Where the secret key is.
    pub secret: SecretRef,
    /// Make the key if its file does not exist (never in CI).
    pub generate: bool,
    /// Name of a key to be generated, such as `nanna-coder-dev-1`.
    pub name: String,
}

/// Method and level of NAR compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// The method.
    pub method: Method,
    /// The level, in the method's own scale.
    pub level: i32,
}

/// The methods that we write; all are read by every Nix since 2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Zstandard, window at most 2^27.
    Zstd,
    /// xz.
    Xz,
    /// Not compressed.
    None,
}

/// A row of the priority matrix.
#[derive(Clone, Debug)]
pub struct Class {
    /// Higher is pushed first and kept longer.
    pub priority: u32,
    /// How long a root of this class keeps its paths.
    pub retention: Span,
    /// A path whose base name (`<hash>-<name>`) matches one of these belongs to the class.
    pub patterns: Vec<Regex>,
    /// Outputs whose top paths belong to the class, and that are pushed. `{system}` is not yet expanded.
    pub outputs: Vec<Output>,
    /// Directories (globs) that become content-addressed paths of the class.
    pub directories: Vec<String>,
    /// Larger paths (NAR bytes) are not pushed; `None`: no limit.
    pub max_path_size: Option<Size>,
    /// The class of everything that nothing else matches.
    pub default: bool,
}

/// An installable and how much of it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Output {
    /// What Nix calls an installable, such as `.#nanna-coder`; may hold `{system}`.
    pub installable: String,
    /// Which closure belongs to it.
    pub closure: ClosureKind,
}

/// Which paths go with a top path.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ClosureKind {
    /// What it needs to run: its references, and theirs.
    #[default]
    Runtime,
    /// Also everything valid that it was built from, except `.drv` files.
    Build,
    /// What it takes to work on it: the outputs of its direct build inputs, and their references.
    Dev,
}

/// What `setup` manages.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which nix.conf gets our fragment.
    pub nix_conf: NixConf,
    /// Regions, replicas and caches by which replicas are asked first; empty: what is measured decides.
    pub prefer: Vec<String>,
}

/// The nix.conf that `setup` and `optimize` work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NixConf {
    /// The user's (`~/.config/nix`).
    User,
    /// The machine's (`/etc/nix`).
    System,
    /// None: no nix.conf is touched.
    None,
    /// A folder of its own, as written.
    Dir(String),
}

/// What `push` uploads, and where.
#[derive(Clone, Debug)]
pub struct Push {
    /// Whether anything is pushed at all.
    pub enabled: bool,
    /// Classes by cache; only writable caches.
    pub to: IndexMap<CacheName, Classes>,
    /// Store paths or result links to push besides the outputs, as written.
    pub paths: Vec<String>,
    /// A path whose base name matches one of these is not pushed.
    pub exclude: Vec<Regex>,
    /// What happens with an excluded or too large path that a pushed one refers to.
    pub exclude_needed: ExcludeNeeded,
    /// Bytes (NAR) that may be pushed after a build that the plan could not look into.
    pub max_after_build: Size,
    /// Bytes (NAR) that may be pushed though an upstream that may have them could not be asked.
    pub max_unasked: Size,
    /// How what is pushed is looked through for secrets.
    pub secrets: super::gate::Secrets,
}

/// A choice of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// Every class.
    All,
    /// These.
    Only(Vec<ClassName>),
}

impl Classes {
    /// Whether `class` is chosen.
    #[must_use]
    pub fn contains(&self, class: &ClassName) -> bool {
        match self {
            Self::All => true,
            Self::Only(classes) => classes.contains(class),
        }
    }
}

/// What happens with a path that must not be pushed but that a pushed one refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludeNeeded {
    /// Hold back what refers to it, too.
    HoldBack,
    /// Push it all the same.
    Push,
    /// Refuse the push.
    Refuse,
}

/// What `optimize` tunes.
#[derive(Clone, Debug, Default)]
pub struct Optimize {
    /// Parallel local builds.
    pub max_jobs: Option<Jobs>,
    /// Cores of one build; 0 means all.
    pub cores: Option<u32>,
    /// Parallel transfers.
    pub http_connections: Option<u32>,
    /// Parallel substitutions, where the Nix at hand knows the setting.
    pub max_substitution_jobs: Option<u32>,
    /// How long Nix remembers that a cache has a path.
    pub narinfo_ttl_positive: Option<Span>,
    /// How long Nix remembers that a cache lacks a path.
    pub narinfo_ttl_negative: Option<Span>,
    /// Further settings, by Nix's own names, values as nix.conf writes them.
    pub nix_settings: IndexMap<String, String>,
    /// Outputs that are substituted before anything is built. `{system}` is not yet expanded.
    pub warm: Vec<String>,
}

/// Number of parallel builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// As many as there are CPUs.
    Auto,
    /// This many.
    Count(u32),
}

/// How `prune` deletes.
#[derive(Clone, Debug)]
pub struct Prune {
    /// Whether anything is pruned at all.
    pub enabled: bool,
    /// Younger narinfos are live, younger unreferenced NARs stay. At least one hour.
    pub grace: Span,
    /// What happens with content that no record of ours covers.
    pub foreign: Foreign,
    /// Deleting more than this is refused.
    pub limits: PruneLimits,
}

/// Content of a cache that no record of ours covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Foreign {
    /// Kept.
    Keep,
    /// Kept as long as its class says, counted from when it was written.
    Retention,
}

/// The brakes of `prune`, for each cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneLimits {
    /// Share of the paths (and of the bytes) of a cache.
    pub share: Share,
    /// Bytes of NAR files.
    pub bytes: Option<Size>,
    /// Number of paths.
    pub count: Option<u64>,
}

/// What is recorded of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// How long a record is kept, from the start of its run.
    pub keep: Span,
    /// Caches that keep the records of all machines.
    pub caches: Vec<CacheName>,
}

/// How good the caches are to be; none: nothing is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Share of paths that come from caches, at least.
    pub hit_rate: Option<Share>,
    /// How much less time runs take than building everything, at least.
    pub build_time_reduction: Option<Share>,
    /// Bytes of all caches that are written, at most.
    pub size: Option<Size>,
    /// How long a push takes, at most.
    pub push_time: Option<Span>,
}

/// What things cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// In what it is paid.
    pub currency: String,
    /// A gigabyte (10⁹ bytes) for a month of 30 days.
    pub storage: f64,
    /// A gigabyte (10⁹ bytes) that is downloaded.
    pub egress: f64,
    /// A minute of CI.
    pub ci_minute: f64,
}

/// Something that is kept for ever.
#[derive(Clone, Debug)]
pub struct Pin {
    /// What is pinned.
    pub target: PinTarget,
    /// How many revisions (newest first) stay pinned; [`u32::MAX`]: all.
    pub revisions: u32,
    /// For how many days a revision stays, where a service counts them.
    pub days: Option<u32>,
    /// Files of it that a service offers for download.
    pub artifacts: Vec<String>,
}

/// What a pin names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinTarget {
    /// The output of an installable.
    Output(String),
    /// A store path or a link to one.
    Path(String),
    /// A file with one store path on each line.
    PathsFrom(String),
}
