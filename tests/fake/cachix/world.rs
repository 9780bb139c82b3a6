//! What the stand-in remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use nanna_cache::nix::key::{PublicKey, SecretKey};
use serde_json::Value;

use super::access::Token;

/// Everything.
#[derive(Default)]
pub struct World {
    /// By name.
    pub caches: BTreeMap<String, Cache>,
    /// By the token itself.
    pub tokens: BTreeMap<String, Token>,
    /// By NAR id.
    pub uploads: HashMap<String, Upload>,
    /// What the service lets pass, though it is wrong.
    pub complaints: Vec<String>,
    /// The bytes of files that all caches together may hold.
    pub size_limit: Option<u64>,
}

/// Who signs.
pub enum Signing {
    /// The service, with a key that it made.
    Managed(Box<SecretKey>),
    /// The client; the keys that were registered, named after the cache.
    Client(Vec<PublicKey>),
}

/// One binary cache.
pub struct Cache {
    /// Its name.
    pub name: String,
    /// Whether everybody may read it.
    pub is_public: bool,
    /// Who signs.
    pub signing: Signing,
    /// Keys shown instead of the true ones: a drift made by hand.
    pub shown_keys: Option<Vec<String>>,
    /// `XZ` or `ZSTD`.
    pub preferred: String,
    /// The number in `nix-cache-info`.
    pub priority: i32,
    /// By the hash part of the path.
    pub entries: BTreeMap<String, Entry>,
    /// In the order of their making.
    pub pins: Vec<Pin>,
    /// Hash parts of paths that an upstream has; with a narinfo, it is passed through.
    pub upstream: BTreeMap<String, Option<String>>,
    /// Paths found complete since the last removal.
    pub whole: BTreeSet<String>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `<hash>-<name>`.
    pub base_name: String,
    /// `sha256:` and Nix's base 32.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The file's hash in hexadecimal digits.
    pub file_hash: String,
    /// Bytes of the file.
    pub file_size: u64,
    /// `xz` or `zst`.
    pub suffix: String,
    /// Base names, sorted.
    pub references: Vec<String>,
    /// The deriver's base name.
    pub deriver: Option<String>,
    /// `name:base64`.
    pub signature: String,
    /// When it was completed.
    pub created: Timestamp,
    /// When its narinfo or NAR was read last.
    pub accessed: Option<Timestamp>,
}

impl Entry {
    /// `<file hash>.nar.<suffix>`.
    pub fn file_name(&self) -> String {
        format!("{}.nar.{}", self.file_hash, self.suffix)
    }

    /// What the collector goes by.
    pub fn last_use(&self) -> Timestamp {
        self.accessed.unwrap_or(self.created)
    }
}

/// One pin.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// The rule, as it was given last; null for the service's own.
    pub keep: Value,
    /// When the name was pinned first.
    pub created: Timestamp,
    /// The revisions that are kept, the last at the end; never empty.
    pub revisions: Vec<Revision>,
}

/// One revision of a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Counted from 1.
    pub number: u64,
    /// The full path.
    pub store_path: String,
    /// Files inside it.
    pub artifacts: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// One upload that is under way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The cache it is for.
    pub cache: String,
    /// The id that goes with the NAR id.
    pub secret_id: String,
    /// `xz` or `zst`.
    pub suffix: String,
    /// MD5 (base 64) that each part was announced with.
    pub announced: BTreeMap<u32, String>,
    /// What lies in the storage: `ETag` and length.
    pub parts: BTreeMap<u32, (String, u64)>,
    /// Whether a completion is being worked on.
    pub completing: bool,
}

impl Cache {
    /// The public keys that the cache object shows.
    pub fn public_keys(&self) -> Vec<String> {
        if let Some(shown) = &self.shown_keys {
            return shown.clone();
        }
        match &self.signing {
            Signing::Managed(key) => vec![key.public().to_string()],
            Signing::Client(keys) => keys.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether everything that the path needs is here or in an upstream: else its narinfo is hidden.
    pub fn is_complete(&mut self, hash: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![hash.to_owned()];
        while let Some(hash) = open.pop() {
            let is_known = self.whole.contains(&hash) || self.upstream.contains_key(&hash);
            if is_known || !seen.insert(hash.clone()) {
                continue;
            }
            let Some(entry) = self.entries.get(&hash) else {
                return false;
            };
            open.extend(entry.references.iter().map(|name| name[..32].to_owned()));
        }
        self.whole.append(&mut seen);
        true
    }

    /// Takes a path out, as the collector does.
    pub fn remove(&mut self, hash: &str) -> Option<Entry> {
        self.whole.clear();
        self.entries.remove(hash)
    }

    /// What the pins keep: their paths, and what these need.
    pub fn pinned(&self) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        let revisions = self.pins.iter().flat_map(|pin| &pin.revisions);
        let mut open: Vec<String> = revisions
            .map(|one| one.store_path["/nix/store/".len()..][..32].to_owned())
            .collect();
        while let Some(hash) = open.pop() {
            let Some(entry) = self.entries.get(&hash) else {
                continue;
            };
            if kept.insert(hash) {
                open.extend(entry.references.iter().map(|name| name[..32].to_owned()));
            }
        }
        kept
    }

    /// Bytes of its files, each counted once.
    pub fn size(&self) -> u64 {
        let files: BTreeMap<&str, u64> = self
            .entries
            .values()
            .map(|one| (one.file_hash.as_str(), one.file_size))
            .collect();
        files.values().sum()
    }
}
