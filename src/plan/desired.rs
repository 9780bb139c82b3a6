//! What should be: the configuration with every path resolved and every `{system}` expanded.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;

use super::address::{Address, Phase};
use super::place::Place;
use super::service::Service;
use super::step::{Because, Scope};
use crate::config::model::{
    CacheKind, CacheName, CachixCache, ClassName, ClosureKind, Compression, Config, NixConf,
    PinName, PinTarget, Written,
};
use crate::config::secret::SecretRef;
use crate::nix::hash::Sha256;
use crate::nix::key::PublicKey;
use crate::nix::store_path::HashPart;

/// Facts of this machine that paths in `cache.yaml` depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Home folder of the user.
    pub home: Utf8PathBuf,
    /// Folder of `cache.yaml`.
    pub base: Utf8PathBuf,
    /// Folder of the user's nix.conf.
    pub user_conf: Utf8PathBuf,
    /// Folder of the machine's nix.conf.
    pub system_conf: Utf8PathBuf,
    /// The system of this machine, such as `x86_64-linux`.
    pub system: String,
}

impl Site {
    /// A path as a person would write it: with `~` for the home folder.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        match Utf8Path::new(path).strip_prefix(&self.home) {
            Ok(rest) if !self.home.as_str().is_empty() => {
                Utf8Path::new("~").join(rest).into_string()
            }
            _ => path.to_owned(),
        }
    }
}

/// What should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The configuration it was made from.
    pub config: Config,
    /// Where it is to come true.
    pub site: Site,
    /// Writable caches.
    pub caches: IndexMap<CacheName, Cache>,
    /// Caches that are only read.
    pub upstreams: IndexMap<CacheName, UpstreamCache>,
    /// The files of setup and optimize; `None`: no nix.conf is managed.
    pub conf: Option<ConfFiles>,
    /// What is to be pushed, in the order of the file.
    pub tops: Vec<Top>,
    /// Paths to push besides, given on the command line or by a mark.
    pub extra: Extra,
    /// The phases that were chosen: what only others want to know is not asked.
    pub phases: Vec<Phase>,
    /// The phases or leading parts of addresses that were chosen; empty: everything.
    pub chosen: Vec<String>,
}

/// A writable cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Whether others share it.
    pub scope: Scope,
    /// Nix's own priority.
    pub nix_priority: u32,
    /// Where it is.
    pub place: Place,
    /// Accepted keys besides the signing key.
    pub public_keys: Vec<PublicKey>,
    /// The signing key.
    pub signing: Option<Signing>,
    /// How NARs are compressed.
    pub compression: Compression,
    /// Whether what is there by another method is compressed anew.
    pub recompress: bool,
    /// Bytes of NAR files that it may hold.
    pub max_size: Option<u64>,
}

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// Where the secret key is, path resolved.
    pub secret: SecretRef,
    /// Whether to make it when it is missing.
    pub generate: bool,
    /// Name of a key to be made; or the one that a service gives to any key of the cache.
    pub name: String,
    /// Whether a service names it so, whatever name it has by itself.
    pub of_service: bool,
}

/// A cache that is only read.
#[derive(Clone, Debug)]
pub struct UpstreamCache {
    /// Where it answers, without a final slash.
    pub url: String,
    /// Nix's own priority.
    pub nix_priority: u32,
    /// Accepted keys.
    pub public_keys: Vec<PublicKey>,
}

/// The files of setup and optimize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFiles {
    /// nix.conf, which is the user's or the machine's.
    pub nix_conf: Utf8PathBuf,
    /// `nanna-cache.conf` beside it, which is ours.
    pub fragment: Utf8PathBuf,
    /// `nanna-cache-tuning.conf`, which is ours.
    pub tuning: Utf8PathBuf,
    /// Whether only this user reads them.
    pub user: bool,
}

/// Something that is to be in the caches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Top {
    /// What it is.
    pub source: TopSource,
    /// Which closure goes with it.
    pub closure: ClosureKind,
    /// Its class, if `cache.yaml` puts it into one by name (`None`: by patterns).
    pub class: Option<ClassName>,
    /// Where `cache.yaml` asks for it.
    pub because: Because,
    /// Name of the pin that wants it, if it is one.
    pub pin: Option<PinName>,
}

/// What a top is made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopSource {
    /// An output of a flake (expanded installable).
    Output(String),
    /// A directory (absolute, glob not yet expanded).
    Directory(String),
    /// A store path or a link to one.
    Path(String),
    /// A file with one store path on each line.
    PathsFrom(String),
}

/// What the command line adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Store paths or links.
    pub paths: Vec<String>,
    /// Everything new since this mark.
    pub mark: Option<String>,
    /// Foreign content to be taken as ours; then nothing else is planned.
    pub adopt: Option<Adopt>,
    /// Damage of a cache that is to be mended; then nothing else is planned.
    pub repair: Option<Repair>,
}

/// Foreign content of a cache that is to be taken as ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopt {
    /// The cache.
    pub cache: CacheName,
    /// These paths with their closures; `None`: all that no record covers.
    pub paths: Option<Vec<HashPart>>,
}

/// Damage of a cache that is to be mended, as a verification found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The cache.
    pub cache: CacheName,
    /// What is wrong with which path.
    pub damages: BTreeMap<HashPart, Damage>,
    /// Whether `nix-cache-info` is missing or malformed.
    pub info: bool,
    /// Objects that no step can mend: (key, why, and what to do).
    pub by_hand: Vec<(String, String)>,
}

/// What is wrong with a path of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Whether all that is wrong is that no declared key has signed it.
    pub unsigned: bool,
    /// Whether its narinfo or NAR is broken.
    pub broken: bool,
    /// The NAR hash that its narinfo says, where the narinfo itself is right: what takes its place must have
    /// this hash.
    pub nar_hash: Option<Sha256>,
    /// Its references that are nowhere.
    pub lacks: BTreeSet<HashPart>,
}

impl Desired {
    /// Resolves a configuration for a site.
    #[must_use]
    pub fn new(config: Config, site: Site, extra: Extra) -> Self {
        let mut caches = IndexMap::new();
        let mut upstreams = IndexMap::new();
        for (name, cache) in &config.caches {
            match &cache.kind {
                CacheKind::File(file) => {
                    let place = Place::Folder(resolve(&file.path, &site));
                    let cache = written_cache(cache, &file.written, place, &site);
                    caches.insert(name.clone(), cache);
                }
                CacheKind::Cachix(cachix) => {
                    let service = service(&config, name, cachix, &site);
                    let place = Place::Service(Box::new(service));
                    let cache = written_cache(cache, &cachix.written, place, &site);
                    caches.insert(name.clone(), cache);
                }
                CacheKind::Bucket(bucket) => {
                    let place = Place::Bucket(bucket.bucket.clone());
                    let cache = written_cache(cache, &bucket.written, place, &site);
                    caches.insert(name.clone(), cache);
                }
                CacheKind::Upstream { url } => {
                    upstreams.insert(
                        name.clone(),
                        UpstreamCache {
                            url: url.clone(),
                            nix_priority: cache.nix_priority,
                            public_keys: cache.public_keys.clone(),
                        },
                    );
                }
            }
        }
        let conf = conf_files(&config.setup.nix_conf, &site);
        let tops = tops(&config, &site, &extra);
        Self {
            config,
            site,
            caches,
            upstreams,
            conf,
            tops,
            extra,
            phases: Phase::ALL.to_vec(),
            chosen: Vec::new(),
        }
    }

    /// The same for these phases alone (words or addresses; none: all): what only other phases want
    /// is left out, so that nobody evaluates a flake to write a nix.conf.
    #[must_use]
    pub fn only(mut self, parts: &[String]) -> Self {
        let has = |phase: Phase| {
            let is = |part: &String| part.split('/').next() == Some(phase.word());
            parts.is_empty() || parts.iter().any(is)
        };
        self.phases.retain(|phase| has(*phase));
        // A prune has to know what is wanted, too: that is what it spares.
        if !has(Phase::Push) && !has(Phase::Prune) {
            self.tops.clear();
        }
        if !has(Phase::Optimize) {
            self.config.optimize.warm.clear();
        }
        self.chosen = parts.to_vec();
        self
    }

    /// Whether a phase was chosen.
    #[must_use]
    pub fn has(&self, phase: Phase) -> bool {
        self.phases.contains(&phase)
    }

    /// Whether a step of this address would run: what others that do run may count on.
    #[must_use]
    pub fn runs(&self, address: &Address) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|part| address.is_in(part))
    }

    /// The *because* of a setting: a rule in words and where it stands.
    #[must_use]
    pub fn because(&self, rule: impl Into<String>, pointer: &str) -> Because {
        because(&self.config, rule, pointer)
    }

    /// What asks for an output (expanded installable).
    #[must_use]
    pub fn because_of_output(&self, installable: &str) -> Because {
        let is_it =
            |top: &&Top| matches!(&top.source, TopSource::Output(output) if output == installable);
        self.tops.iter().find(is_it).map_or_else(
            || self.because(format!("{installable} is warmed"), "/optimize/warm"),
            |top| top.because.clone(),
        )
    }

    /// Whether `push.exclude` keeps a path back, by its base name.
    #[must_use]
    pub fn excludes(&self, base_name: &str) -> bool {
        let mut patterns = self.config.push.exclude.iter();
        patterns.any(|pattern| pattern.is_match(base_name))
    }

    /// Whether a class is pushed to a cache.
    #[must_use]
    pub fn pushes(&self, cache: &CacheName, class: &ClassName) -> bool {
        self.config.push.enabled
            && self
                .config
                .push
                .to
                .get(cache)
                .is_some_and(|classes| classes.contains(class))
    }
}

fn because(config: &Config, rule: impl Into<String>, pointer: &str) -> Because {
    let setting = config.setting(pointer);
    Because {
        rule: rule.into(),
        line: config.places.nearest(&setting).map(|place| place.line),
        setting,
    }
}

fn service(config: &Config, name: &CacheName, cachix: &CachixCache, site: &Site) -> Service {
    let setting = format!("/caches/{name}/nix-priority");
    let given = config.places.keys.contains_key(&setting);
    let priority = config.caches.get(name).map(|cache| cache.nix_priority);
    Service {
        name: cachix.name.clone(),
        url: cachix.url.clone(),
        // The service has its own priority in its nix-cache-info; ours is said where Nix is told of it.
        substituter: match priority {
            Some(priority) if given => format!("{}?priority={priority}", cachix.url),
            _ => cachix.url.clone(),
        },
        api: cachix.api.clone(),
        token: resolved(&cachix.token, site),
        token_given: cachix.token_given,
        visibility: cachix.visibility,
        create: cachix.create,
        on_error: cachix.on_error,
        records: cachix.records,
    }
}

/// A reference with the path resolved.
fn resolved(secret: &SecretRef, site: &Site) -> SecretRef {
    match secret {
        SecretRef::File(path) => SecretRef::File(resolve(path, site).into_string()),
        other => other.clone(),
    }
}

fn written_cache(
    cache: &crate::config::model::Cache,
    written: &Written,
    place: Place,
    site: &Site,
) -> Cache {
    let of_service = place.service().is_some();
    Cache {
        scope: if cache.tier == Some(3) {
            Scope::Machine
        } else {
            Scope::Shared
        },
        nix_priority: cache.nix_priority,
        place,
        public_keys: cache.public_keys.clone(),
        signing: written.signing_key.as_ref().map(|key| Signing {
            secret: resolved(&key.secret, site),
            generate: key.generate,
            name: key.name.clone(),
            of_service,
        }),
        compression: written.compression,
        recompress: written.recompress,
        max_size: written.max_size.map(|size| size.0),
    }
}

fn conf_files(nix_conf: &NixConf, site: &Site) -> Option<ConfFiles> {
    let (folder, user) = match nix_conf {
        NixConf::None => return None,
        NixConf::User => (site.user_conf.clone(), true),
        NixConf::System => (site.system_conf.clone(), false),
        NixConf::Dir(path) => (resolve(path, site), true),
    };
    Some(ConfFiles {
        nix_conf: folder.join("nix.conf"),
        fragment: folder.join("nanna-cache.conf"),
        tuning: folder.join("nanna-cache-tuning.conf"),
        user,
    })
}

fn tops(config: &Config, site: &Site, extra: &Extra) -> Vec<Top> {
    let mut tops = Vec::new();
    for (class_name, class) in &config.classes {
        for (at, output) in class.outputs.iter().enumerate() {
            let pointer = format!("/artifacts/{class_name}/outputs/{at}");
            for installable in expand(&output.installable, &config.systems) {
                tops.push(Top {
                    source: TopSource::Output(installable),
                    closure: output.closure,
                    class: Some(class_name.clone()),
                    because: because(config, format!("an output of {class_name}"), &pointer),
                    pin: None,
                });
            }
        }
        for (at, directory) in class.directories.iter().enumerate() {
            let pointer = format!("/artifacts/{class_name}/directories/{at}");
            tops.push(Top {
                source: TopSource::Directory(resolve(directory, site).into_string()),
                closure: ClosureKind::Runtime,
                class: Some(class_name.clone()),
                because: because(config, format!("a directory of {class_name}"), &pointer),
                pin: None,
            });
        }
    }
    for (at, path) in config.push.paths.iter().enumerate() {
        tops.push(Top {
            source: TopSource::Path(resolve(path, site).into_string()),
            closure: ClosureKind::Runtime,
            class: None,
            because: because(config, "listed in push.paths", &format!("/push/paths/{at}")),
            pin: None,
        });
    }
    for path in &extra.paths {
        tops.push(Top {
            source: TopSource::Path(resolve(path, site).into_string()),
            closure: ClosureKind::Runtime,
            class: None,
            because: because(config, "given on the command line", ""),
            pin: None,
        });
    }
    for (name, pin) in &config.pins {
        let because = because(
            config,
            format!("pinned as {name}"),
            &format!("/pins/{name}"),
        );
        let sources = match &pin.target {
            PinTarget::Output(installable) => expand(installable, &config.systems)
                .into_iter()
                .map(TopSource::Output)
                .collect(),
            PinTarget::Path(path) => vec![TopSource::Path(resolve(path, site).into_string())],
            PinTarget::PathsFrom(file) => {
                vec![TopSource::PathsFrom(resolve(file, site).into_string())]
            }
        };
        for source in sources {
            tops.push(Top {
                source,
                closure: ClosureKind::Runtime,
                class: None,
                because: because.clone(),
                pin: Some(name.clone()),
            });
        }
    }
    tops
}

/// Puts each system in the place of `{system}`; once, unchanged, where there is none.
#[must_use]
pub fn expand(installable: &str, systems: &[String]) -> Vec<String> {
    if installable.contains("{system}") {
        systems
            .iter()
            .map(|system| installable.replace("{system}", system))
            .collect()
    } else {
        vec![installable.to_owned()]
    }
}

/// The name under which a directory (in full) is recorded: relative to the folder of `cache.yaml`, else to the home
/// folder, so that it means the same on another machine; else in full.
#[must_use]
pub fn name_of_directory(directory: &str, site: &Site) -> String {
    let path = Utf8Path::new(directory);
    if let Ok(rest) = path.strip_prefix(resolve(".", site))
        && !rest.as_str().is_empty()
    {
        return rest.to_string();
    }
    match path.strip_prefix(resolve("~", site)) {
        Ok(rest) => Utf8Path::new("~").join(rest).to_string(),
        Err(_) => directory.to_owned(),
    }
}

/// Resolves `~` and paths relative to the folder of `cache.yaml`; `.` and `..` go, symlinks stay.
#[must_use]
pub fn resolve(path: &str, site: &Site) -> Utf8PathBuf {
    let joined = match path.strip_prefix("~/") {
        Some(rest) => site.home.join(rest),
        None if path == "~" => site.home.clone(),
        None => site.base.join(path),
    };
    let mut clean = Utf8PathBuf::new();
    for part in joined.components() {
        match part {
            camino::Utf8Component::CurDir => {}
            camino::Utf8Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(Utf8Path::new(other.as_str())),
        }
    }
    clean
}

#[cfg(test)]
mod tests;
