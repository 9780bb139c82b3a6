//! This machine as the engine reaches it: the host, its Nix, its store, and our own folders.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::config::model::{Bucket, Config};
use crate::nix::hash::Sha256;
use crate::plan::desired::{Cache, Site};
use crate::plan::observed::Distance;
use crate::plan::place::Place;
use crate::plan::service::Service;
use crate::plan::time::Time;
use crate::provider::binary_cache::bucket::BucketStore;
use crate::provider::binary_cache::folder::FolderStore;
use crate::provider::binary_cache::terms::Terms;
use crate::provider::binary_cache::{CacheStore, CacheView, StoreError};
use crate::provider::nix_cli::Nix;
use crate::provider::nix_conf;
use crate::provider::nix_store::{Location, Marks};
use crate::sys::host::Host;

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Believe nothing that is remembered.
    pub refresh: bool,
    /// Another Nix store, as `--store` takes it.
    pub store: Option<String>,
    /// The time that it is to be (a saved plan's).
    pub now: Option<Time>,
}

/// This machine.
#[derive(Debug)]
pub struct Machine {
    /// Its facts.
    pub host: Host,
    /// Its Nix; `Ok(None)`: none; `Err`: it does not run, and why.
    pub nix: Result<Option<Nix>, String>,
    /// Its store; `Err`: it is not here, and why.
    pub store: Result<Location, String>,
    /// How to look.
    pub options: Options,
    /// How far places are, by URL, as far as this process measured it.
    measured: Mutex<BTreeMap<String, Distance>>,
}

impl Machine {
    /// The numbers by which this process pushes and prunes. Tests that stop processes make it give
    /// up sooner; nothing can make it give up later.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let seconds = self.host.var("NANNA_CACHE_TEST_TRUST");
        match seconds.and_then(|seconds| seconds.parse().ok()) {
            Some(seconds) => Terms::STANDARD.with_trust(Duration::from_secs(seconds)),
            None => Terms::STANDARD,
        }
    }

    /// Finds Nix and the store.
    #[must_use]
    pub fn new(host: Host, options: Options) -> Self {
        let nix = Nix::find(&host)
            .map_err(|error| sentence(&error))
            .map(|nix| {
                nix.map(|nix| match &options.store {
                    Some(store) => nix.with_store(store),
                    None => nix,
                })
            });
        let store = Location::of(&host, options.store.as_deref()).map_err(|error| sentence(&error));
        Self {
            host,
            nix,
            store,
            options,
            measured: Mutex::default(),
        }
    }

    /// How far these places are: those that are not known yet are measured.
    pub(super) fn distances(
        &self,
        urls: &[String],
        measure: impl FnOnce(&[String]) -> BTreeMap<String, Distance>,
    ) -> BTreeMap<String, Distance> {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |url: &&String| !measured.contains_key(*url);
        let open: Vec<String> = urls.iter().filter(is_open).cloned().collect();
        if !open.is_empty() {
            measured.extend(measure(&open));
        }
        measured.clone()
    }

    /// Now, or the time that it is to be.
    #[must_use]
    pub fn now(&self) -> Time {
        self.options.now.unwrap_or_else(|| Time(self.host.now()))
    }

    /// The facts that paths in `cache.yaml`, which is in `base`, depend on.
    #[must_use]
    pub fn site(&self, base: &Utf8Path) -> Site {
        let version = self
            .nix
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map(Nix::version);
        Site {
            home: self.host.home.clone(),
            base: base.to_owned(),
            user_conf: nix_conf::user_folder(&self.host, version),
            system_conf: nix_conf::system_folder(&self.host),
            system: self.host.system.clone(),
        }
    }

    /// The file that remembers the narinfos of the cache in this place.
    #[must_use]
    pub fn index(&self, place: &Place) -> Utf8PathBuf {
        let name = Sha256::of(place.identity().as_bytes()).to_nix32();
        self.host
            .cache_folder()
            .join("narinfos")
            .join(format!("{}.index", &name[..32]))
    }

    /// The file that remembers what upstreams answered.
    #[must_use]
    pub fn answers(&self) -> Utf8PathBuf {
        self.host.cache_folder().join("upstreams.sqlite")
    }

    /// The file that remembers what directories hash to.
    #[must_use]
    pub fn directories(&self) -> Utf8PathBuf {
        self.host.cache_folder().join("directories.json")
    }

    /// The journal of a project.
    #[must_use]
    pub fn journal(&self, config: &Config) -> Utf8PathBuf {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = config.project.chars().map(safe).collect();
        self.host
            .state_folder()
            .join("journal")
            .join(format!("{name}.jsonl"))
    }

    /// The marks.
    #[must_use]
    pub fn marks(&self) -> Marks {
        Marks::new(&self.host.state_folder())
    }

    /// A cache for a reader.
    ///
    /// # Errors
    /// There is no way to reach it, such as without credentials.
    pub(super) fn view(&self, cache: &Cache) -> Result<Box<dyn CacheView>, StoreError> {
        match &cache.place {
            Place::Folder(folder) => Ok(Box::new(FolderStore::new(folder.as_std_path()))),
            Place::Bucket(bucket) => Ok(Box::new(self.bucket(bucket, &cache.place)?)),
            Place::Service(service) => Err(closed(service)),
        }
    }

    /// A cache for writing: for `engine::apply` alone.
    ///
    /// # Errors
    /// As [`Machine::view`].
    pub(super) fn store(&self, cache: &Cache) -> Result<Box<dyn CacheStore>, StoreError> {
        match &cache.place {
            Place::Folder(folder) => Ok(Box::new(FolderStore::new(folder.as_std_path()))),
            Place::Bucket(bucket) => Ok(Box::new(self.bucket(bucket, &cache.place)?)),
            Place::Service(service) => Err(closed(service)),
        }
    }

    fn bucket(&self, bucket: &Bucket, place: &Place) -> Result<BucketStore, StoreError> {
        BucketStore::open(bucket, place.identity(), &self.host)
    }
}

/// A service does not hand out its objects.
fn closed(service: &Service) -> StoreError {
    let why = "a service keeps it, which hands out no objects: fetch from it with Nix";
    StoreError::refused("open", service.url.clone(), why)
}

/// An error with its causes as one sentence, without repeating itself.
#[must_use]
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
