//! One cache, as a test looks into it and changes it by hand.

use std::sync::Arc;

use super::collect;
use super::nar_file;
use super::read;
use super::stand_in::Shared;
use super::world::{Cache, Entry, Pin, Revision};

/// One cache. Every method panics where it is not there, [`CacheView::exists`] apart.
#[derive(Clone)]
pub struct CacheView {
    shared: Arc<Shared>,
    name: String,
}

impl CacheView {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        Self {
            shared,
            name: name.to_owned(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Cache) -> T) -> T {
        let mut world = self.shared.world();
        let cache = world.caches.get_mut(&self.name);
        work(cache.unwrap_or_else(|| panic!("there is no cache {}", self.name)))
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.shared.world().caches.contains_key(&self.name)
    }

    /// Its address for Nix: the `uri` of the cache object.
    pub fn url(&self) -> String {
        format!("{}/{}", self.shared.service, self.name)
    }

    /// The public keys that it shows, `name:base64`.
    pub fn public_keys(&self) -> Vec<String> {
        self.with(|cache| cache.public_keys())
    }

    /// Base names of all paths, sorted by hash part; those with a hidden narinfo, too.
    pub fn paths(&self) -> Vec<String> {
        self.with(|cache| {
            cache
                .entries
                .values()
                .map(|one| one.base_name.clone())
                .collect()
        })
    }

    /// One path, by the 32 digits of its hash part.
    pub fn entry(&self, hash: &str) -> Option<Entry> {
        self.with(|cache| cache.entries.get(hash).cloned())
    }

    /// The narinfo as it is served; none where it is hidden.
    pub fn narinfo(&self, hash: &str) -> Option<String> {
        self.with(|cache| read::narinfo_text(cache, hash))
    }

    /// The compressed bytes of a path.
    pub fn file(&self, hash: &str) -> Option<Vec<u8>> {
        let entry = self.entry(hash)?;
        std::fs::read(nar_file::path(&self.shared, &entry.file_name())).ok()
    }

    /// The pins, in the order of their making.
    pub fn pins(&self) -> Vec<Pin> {
        self.with(|cache| cache.pins.clone())
    }

    /// Takes a pin away, as a person on the web site does; whether it was there.
    pub fn remove_pin(&self, name: &str) -> bool {
        self.with(|cache| {
            let before = cache.pins.len();
            cache.pins.retain(|pin| pin.name != name);
            cache.pins.len() < before
        })
    }

    /// Lets a pin name a path (in full), as a person on the web site does.
    pub fn set_pin(&self, name: &str, store_path: &str) {
        self.with(|cache| {
            let now = self.shared.clock.now();
            cache.pins.retain(|pin| pin.name != name);
            cache.pins.push(Pin {
                name: name.to_owned(),
                keep: serde_json::json!({ "tag": "Forever" }),
                created: now,
                revisions: vec![Revision {
                    number: 1,
                    store_path: store_path.to_owned(),
                    artifacts: Vec::new(),
                    created: now,
                }],
            });
        });
    }

    /// Takes a path away; whether it was there.
    pub fn remove_path(&self, hash: &str) -> bool {
        let removed = self.with(|cache| cache.remove(hash)).is_some();
        collect::sweep_files(&self.shared);
        removed
    }

    /// Opens it to everybody, or closes it.
    pub fn set_public(&self, is_public: bool) {
        self.with(|cache| cache.is_public = is_public);
    }

    /// Shows other keys than the true ones; none for the true ones again.
    pub fn show_keys(&self, keys: Option<Vec<String>>) {
        self.with(|cache| cache.shown_keys = keys);
    }

    /// Changes the number in `nix-cache-info`.
    pub fn set_priority(&self, priority: i32) {
        self.with(|cache| cache.priority = priority);
    }

    /// Changes the method that it prefers: `XZ` or `ZSTD`.
    pub fn set_preferred(&self, method: &str) {
        self.with(|cache| method.clone_into(&mut cache.preferred));
    }

    /// Lets an upstream have a path, by the 32 digits; with a narinfo, it is passed through.
    pub fn add_upstream(&self, hash: &str, narinfo: Option<&str>) {
        self.with(|cache| {
            cache
                .upstream
                .insert(hash.to_owned(), narinfo.map(str::to_owned))
        });
    }

    /// Bytes of its files.
    pub fn size(&self) -> u64 {
        self.with(|cache| cache.size())
    }
}
