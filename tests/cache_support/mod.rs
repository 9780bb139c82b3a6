//! A made-up store of paths, and a checker of cache folders that shares no code with the crate
//! beyond hashing.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "only tests use it"
)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nanna_cache::config::model::{ClassName, Compression, Method};
use nanna_cache::config::units::Span;
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::store_path::{HashPart, StoreDir, StorePath};
use nanna_cache::plan::observed::{CacheContent, Observation};
use nanna_cache::plan::step::RootToWrite;
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::provider::binary_cache::push::{Batch, Item, PushDone, PushError, push};
use nanna_cache::sys::clock::SystemClock;
use nanna_cache::transfer::progress::Progress;
use nanna_cache::transfer::tree::hash_tree;

pub const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
pub const SECRET: &str = "example-1:8koO89VNylQW6s7ZojnKSDE6u2s+to+/rAh/tkIlwBgN29HtbsuxbJ7I1i2eUEvYGR5Nr76Ey+9oWEAKuiV0QA==";

pub struct World {
    pub dir: tempfile::TempDir,
    pub batch: Batch,
}

pub fn path(number: usize) -> StorePath {
    let digest = Sha256::of(&number.to_le_bytes());
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&digest.0[..20]);
    StorePath::new(HashPart::from_bytes(bytes), &format!("thing-{number}")).unwrap()
}

/// A world of `count` paths, each of which refers to some before it and (some) to itself; two in
/// ten have equal content and so share a NAR file.
pub fn world(count: usize) -> World {
    // In memory where there is such a place: thousands of files are synced.
    let shm = Path::new("/dev/shm");
    let place = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let dir = tempfile::tempdir_in(place).unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let mut items = Vec::new();
    for number in 0..count {
        let path = path(number);
        let root = store.join(path.to_string());
        if number % 5 == 1 {
            std::fs::write(&root, "the same everywhere").unwrap();
        } else {
            std::fs::create_dir(&root).unwrap();
            std::fs::write(
                root.join("file"),
                format!("{number} ").repeat(number * 200 + 1),
            )
            .unwrap();
            std::os::unix::fs::symlink("file", root.join("link")).unwrap();
        }
        let (nar_hash, nar_size) = hash_tree(&root, &Progress::default()).unwrap();
        let mut references: Vec<StorePath> = [1, 3, 7]
            .iter()
            .filter_map(|back| number.checked_sub(*back))
            .map(self::path)
            .collect();
        if number % 4 == 0 {
            references.push(path.clone());
        }
        items.push(Item {
            path,
            root,
            nar_hash,
            nar_size,
            references,
            deriver: None,
            signatures: Vec::new(),
            ca: None,
            class: class(),
            rank: 0,
            recompress: false,
            mend: false,
        });
    }
    // Pushed in an order that has nothing to do with references.
    items.sort_by_key(|item| item.nar_hash);
    let closure = items.iter().map(|item| item.path.hash()).collect();
    let roots = vec![RootToWrite {
        path: path(count - 1),
        class: class(),
        attr: Some("top".into()),
        new: true,
    }];
    let key: SecretKey = SecretKey::parse(SECRET).ok().unwrap();
    let batch = Batch {
        store_dir: StoreDir::default(),
        class: class(),
        items,
        roots,
        closure,
        upstream: HashSet::new(),
        keys: Arc::from(vec![key]),
        compression: Compression {
            method: Method::Zstd,
            level: 3,
        },
        grace: Span(86_400),
        commit: None,
        run: None,
        threads: 2,
        gate: None,
    };
    World { dir, batch }
}

pub fn class() -> ClassName {
    ClassName::new("things")
}

impl World {
    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub fn store(&self) -> FolderStore {
        FolderStore::new(self.cache())
    }

    pub fn create(&self) -> FolderStore {
        let store = self.store();
        store.create(INFO).unwrap();
        store
    }

    pub fn push(&self, store: &FolderStore) -> Result<PushDone, PushError> {
        batched(store, &self.batch)
    }
}

pub fn batched(store: &FolderStore, batch: &Batch) -> Result<PushDone, PushError> {
    push(store, batch, &SystemClock::new(), &Progress::default())
}

/// Makes every file below a folder this much older.
pub fn age(folder: &Path, hours: u64) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            age(&entry.path(), hours);
        } else {
            let file = std::fs::File::open(entry.path()).unwrap();
            let then = file.metadata().unwrap().modified().unwrap();
            file.set_modified(then - std::time::Duration::from_hours(hours))
                .unwrap();
        }
    }
}

pub fn look(store: &FolderStore) -> CacheContent {
    let dir = StoreDir::default();
    match observe(store.view(), &Look::new(&dir), &Progress::default()) {
        Observation::Present(content) => content,
        other => panic!("{other:?}"),
    }
}

/// A store that fails at the call `at`, counted from 0, and at every call after it, as if the
/// process had been killed; and the counter of its calls.
pub fn dying(cache: &Path, at: u64) -> (FolderStore, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let store = FolderStore::with_hook(cache, move |_, _| {
        if counter.fetch_add(1, Ordering::SeqCst) >= at {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    });
    (store, calls)
}

/// Checks I1, I2 and I5 from the raw files; answers the visible narinfos by hash part.
pub fn check(cache: &Path) -> BTreeMap<String, String> {
    let mut narinfos = BTreeMap::new();
    for entry in std::fs::read_dir(cache).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(hash) = name.strip_suffix(".narinfo") {
            let text = std::fs::read_to_string(cache.join(&name)).unwrap();
            narinfos.insert(hash.to_owned(), text);
        }
    }
    for (hash, text) in &narinfos {
        let field = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key))
                .unwrap_or_else(|| panic!("{hash}: no {key}"))
        };
        assert!(text.ends_with('\n'));
        assert!(field("StorePath: /nix/store/").starts_with(hash.as_str()));
        assert!(field("Sig: ").starts_with("example-1:"));
        let url = field("URL: ");
        let nar =
            std::fs::read(cache.join(url)).unwrap_or_else(|e| panic!("I1: {hash}: {url}: {e}"));
        let file_hash = Sha256::of(&nar);
        assert_eq!(
            format!("nar/{}.nar.zst", file_hash.to_nix32()),
            url,
            "I5: {hash}"
        );
        assert_eq!(field("FileSize: "), nar.len().to_string());
        let plain = zstd::decode_all(nar.as_slice()).unwrap();
        assert_eq!(field("NarHash: "), Sha256::of(&plain).to_string(), "{hash}");
        for reference in field("References: ").split(' ').filter(|r| !r.is_empty()) {
            assert!(
                narinfos.contains_key(&reference[..32]),
                "I2: {hash} refers to {reference}"
            );
        }
    }
    narinfos
}
