//! Adding our signature to narinfos that are there without it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache_support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use cache_support::{World, age, batched, check, class, look, path, world};
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::store_path::{StoreDir, StorePath};
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::push::Batch;
use nanna_cache::provider::binary_cache::signers::{Known, Standard, short_of};
use nanna_cache::provider::binary_cache::{
    CacheStore, CacheView, Outcome, SMALL_OBJECT, narinfo_key,
};
use nanna_cache::transfer::progress::Progress;

/// Texts of all narinfos, with their times in nanoseconds.
fn narinfos(cache: &Path) -> BTreeMap<String, (String, i64)> {
    std::fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "narinfo"))
        .map(|path| {
            let meta = std::fs::metadata(&path).unwrap();
            let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, (std::fs::read_to_string(&path).unwrap(), time))
        })
        .collect()
}

/// A cache whose narinfos were written two days ago, and nobody has signed them.
fn unsigned_cache() -> (World, FolderStore) {
    let world = world(12);
    let store = world.create();
    let bare = Batch {
        keys: Arc::new([]),
        ..world.batch.clone()
    };
    let _ = batched(&store, &bare).unwrap();
    age(&world.cache(), 48);
    (world, store)
}

fn lacking(world: &World, store: &FolderStore) -> usize {
    let known: Vec<Known> = world
        .batch
        .items
        .iter()
        .map(|item| Known {
            hash: item.path.hash(),
            nar_hash: item.nar_hash,
            nar_size: item.nar_size,
            references: item.references.iter().map(StorePath::hash).collect(),
        })
        .collect();
    let dir = StoreDir::default();
    let standard = Standard {
        key: Some("example-1"),
        method: None,
    };
    let short = short_of(standard, store.view(), &dir, &known, &Progress::default());
    assert!(short.otherwise.is_empty());
    short.unsigned.len()
}

#[test]
fn a_push_adds_its_signature_and_leaves_all_else_as_it_is() {
    let (world, store) = unsigned_cache();
    assert_eq!(lacking(&world, &store), 12);
    let before = narinfos(&world.cache());
    let done = world.push(&store).unwrap();
    assert_eq!(done.classes[&class()].signed.len(), 12);
    assert!(done.classes[&class()].uploaded.is_empty());
    let after = narinfos(&world.cache());
    for (name, (text, time)) in &after {
        let (old, then) = &before[name];
        assert_eq!(time, then, "{name}: it is as old as it was");
        let unsigned: String = text
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("Sig: "))
            .collect();
        assert_eq!(&unsigned, old);
    }
    assert_eq!(check(&world.cache()).len(), 12, "all signed, all whole");
    assert!(look(&store).intents.is_empty());
    // A second push finds nothing to do.
    assert_eq!(lacking(&world, &store), 0);
    assert!(
        world.push(&store).unwrap().classes[&class()]
            .signed
            .is_empty()
    );
    assert_eq!(narinfos(&world.cache()), after);
}

#[test]
fn signatures_of_others_stay() {
    let (world, store) = unsigned_cache();
    let other = SecretKey::generate("other-1", [3; 32]).unwrap();
    let batch = Batch {
        keys: Arc::new([other]),
        ..world.batch.clone()
    };
    let _ = batched(&store, &batch).unwrap();
    let _ = world.push(&store).unwrap();
    for (text, _) in narinfos(&world.cache()).values() {
        let lines = text.lines().filter(|line| line.starts_with("Sig: "));
        let mut names: Vec<&str> = lines
            .map(|line| line[5..].split(':').next().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["example-1", "other-1"]);
    }
}

#[test]
fn what_says_something_else_is_not_vouched_for() {
    let (world, store) = unsigned_cache();
    let item = world
        .batch
        .items
        .iter()
        .find(|item| item.path == path(7))
        .unwrap();
    let key = narinfo_key(item.path.hash());
    let file = world.cache().join(&key);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let all = lines
        .iter_mut()
        .find(|line| line.starts_with("References: "));
    let all = all.unwrap();
    let first = all
        .match_indices(' ')
        .nth(1)
        .map_or(all.len(), |(at, _)| at);
    let kept = format!("{}\n", all[..first].trim_end());
    *all = &kept;
    let less = lines.concat();
    assert_ne!(less, text);
    std::fs::write(&file, &less).unwrap();
    assert_eq!(lacking(&world, &store), 11);
    assert_eq!(
        world.push(&store).unwrap().classes[&class()].signed.len(),
        11
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), less);
}

#[test]
fn only_the_version_that_was_read_is_replaced() {
    let (world, store) = unsigned_cache();
    let key = narinfo_key(path(3).hash());
    let read = store.get(&key, SMALL_OBJECT).unwrap().unwrap();
    let bytes = |text: &str| text.as_bytes().to_vec();
    let first = store.replace(&key, bytes("first"), &read.meta).unwrap();
    assert_eq!(first, Outcome::Written);
    let now = store.get(&key, SMALL_OBJECT).unwrap().unwrap();
    assert_eq!(
        (now.bytes, now.meta.modified),
        (bytes("first"), read.meta.modified)
    );
    assert_ne!(
        now.meta.revision, read.meta.revision,
        "an index reads it again"
    );
    let late = store.replace(&key, bytes("late"), &read.meta).unwrap();
    assert_eq!(late, Outcome::Kept);
    let gone = narinfo_key(path(99).hash());
    assert_eq!(
        store.replace(&gone, bytes("x"), &read.meta).unwrap(),
        Outcome::Kept
    );
    assert!(store.head(&gone).unwrap().is_none());
    assert_eq!(
        store.get(&key, SMALL_OBJECT).unwrap().unwrap().bytes,
        bytes("first")
    );
    let left = std::fs::read_dir(world.cache()).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains(".tmp.")
    });
    assert_eq!(left.count(), 0, "no temporary file is left");
}
