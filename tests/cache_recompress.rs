//! Compressing anew what lies in a cache by another method.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use cache_support::{World, age, batched, check, class, dying, look, path, world};
use nanna_cache::config::model::{Compression, Method};
use nanna_cache::nix::key::SecretKey;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::narinfo_key;
use nanna_cache::provider::binary_cache::push::Batch;

/// A cache that was pushed with xz two days ago, by somebody with another key; and the batch that is to
/// compress it anew.
fn other_cache() -> (World, FolderStore) {
    let mut world = world(12);
    let store = world.create();
    let theirs = Batch {
        compression: Compression {
            method: Method::Xz,
            level: 1,
        },
        keys: Arc::new([SecretKey::generate("other-1", [3; 32]).unwrap()]),
        ..world.batch.clone()
    };
    let _ = batched(&store, &theirs).unwrap();
    age(&world.cache(), 48);
    for item in &mut world.batch.items {
        item.recompress = true;
    }
    (world, store)
}

/// Texts of all narinfos, with their times.
fn narinfos(cache: &Path) -> BTreeMap<String, (String, SystemTime)> {
    let files = std::fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), file.path()))
        .filter(|(name, _)| name.ends_with(".narinfo"))
        .map(|(name, path)| {
            let time = std::fs::metadata(&path).unwrap().modified().unwrap();
            (name, (std::fs::read_to_string(&path).unwrap(), time))
        })
        .collect()
}

/// The NAR files of a method, and whether all of them were written in the last hour.
fn nars(cache: &Path, end: &str) -> (usize, bool) {
    let files = std::fs::read_dir(cache.join("nar")).unwrap();
    let files = files.map(|entry| entry.unwrap());
    let ages: Vec<Duration> = files
        .filter(|file| file.file_name().to_str().unwrap().ends_with(end))
        .map(|file| file.metadata().unwrap().modified().unwrap())
        .map(|time| time.elapsed().unwrap_or_default())
        .collect();
    let young = ages.iter().all(|age| *age < Duration::from_hours(1));
    (ages.len(), young)
}

/// What compressing anew may not change.
fn rest(text: &str) -> Vec<&str> {
    let may = [
        "URL: ",
        "Compression: ",
        "FileHash: ",
        "FileSize: ",
        "Sig: example-1:",
    ];
    let lines = text.lines();
    lines
        .filter(|line| !may.iter().any(|start| line.starts_with(start)))
        .collect()
}

#[test]
fn a_push_compresses_anew_and_leaves_all_else_as_it_is() {
    let (world, store) = other_cache();
    let before = narinfos(&world.cache());
    let (old, young) = nars(&world.cache(), ".nar.xz");
    assert!(old > 8 && !young);
    let done = world.push(&store).unwrap();
    let done = &done.classes[&class()];
    assert_eq!((done.recompressed.len(), done.present.len()), (12, 12));
    assert!(done.uploaded.is_empty() && done.signed.is_empty());
    assert!(done.file_bytes > 0 && done.nar_bytes > done.file_bytes);
    let after = narinfos(&world.cache());
    for (name, (text, time)) in &after {
        let (was, then) = &before[name];
        assert_eq!(time, then, "{name}: it is as old as it was");
        assert_eq!(rest(text), rest(was), "{name}");
        assert!(text.contains("\nSig: other-1:"), "{name}: {text}");
        assert!(text.contains("\nSig: example-1:"), "{name}: signed with it");
        assert!(text.contains("\nCompression: zstd\n"), "{name}: {text}");
    }
    check(&world.cache());
    // Who read the old narinfos may fetch the old files until grace is over.
    assert_eq!(nars(&world.cache(), ".nar.xz"), (old, true));
    assert_eq!(nars(&world.cache(), ".nar.zst"), (old, true));
    assert!(look(&store).intents.is_empty());
    // A second push finds nothing to do.
    let done = world.push(&store).unwrap();
    assert!(done.classes[&class()].recompressed.is_empty());
    assert_eq!(narinfos(&world.cache()), after);
}

#[test]
fn without_being_asked_nothing_is_compressed_anew() {
    let (mut world, store) = other_cache();
    for item in &mut world.batch.items {
        item.recompress = false;
    }
    let done = world.push(&store).unwrap();
    assert!(done.classes[&class()].recompressed.is_empty());
    assert_eq!(nars(&world.cache(), ".nar.zst"), (0, true));
}

#[test]
fn what_says_something_else_stays() {
    let (mut world, store) = other_cache();
    let file = world.cache().join(narinfo_key(path(7).hash()));
    let before = std::fs::read_to_string(&file).unwrap();
    // The store has another build of it than the cache.
    let item = world
        .batch
        .items
        .iter_mut()
        .find(|item| item.path == path(7));
    item.unwrap().references.pop();
    let done = world.push(&store).unwrap();
    assert_eq!(done.classes[&class()].recompressed.len(), 11);
    let after = std::fs::read_to_string(&file).unwrap();
    assert_eq!(after, before);
}

#[test]
fn what_is_damaged_here_stays_as_it_is_there_and_is_told() {
    let (world, store) = other_cache();
    let item = world.batch.items.iter().find(|item| item.path == path(7));
    std::fs::write(item.unwrap().root.join("file"), "other words").unwrap();
    let done = world.push(&store).unwrap();
    let failed: Vec<_> = done.failed.iter().map(|failed| &failed.path).collect();
    assert_eq!(
        failed,
        [&path(7)],
        "what refers to it is compressed anew all the same"
    );
    assert_eq!(done.classes[&class()].recompressed.len(), 11);
    let file = world.cache().join(narinfo_key(path(7).hash()));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("\nCompression: xz\n"), "{text}");
    check_mixed(&world.cache());
}

/// Every narinfo has its NAR, whatever the method.
fn check_mixed(cache: &Path) {
    for (name, (text, _)) in narinfos(cache) {
        let field = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap()
        };
        let nar =
            std::fs::read(cache.join(field("URL: "))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(field("FileSize: "), nar.len().to_string(), "{name}");
        let magic: &[u8] = match field("Compression: ") {
            "xz" => b"\xfd7zXZ\0",
            "zstd" => b"\x28\xb5\x2f\xfd",
            other => panic!("{name}: {other}"),
        };
        assert!(nar.starts_with(magic), "{name}: not what it says");
    }
}

#[test]
fn killed_at_any_operation_it_leaves_all_whole_and_a_rerun_finishes() {
    let mut seen = BTreeSet::new();
    for at in (0..).step_by(9) {
        let (world, _) = other_cache();
        let before = narinfos(&world.cache());
        let (store, calls) = dying(&world.cache(), at);
        let ended = batched(&store, &world.batch);
        drop(store);
        check_mixed(&world.cache());
        let after = narinfos(&world.cache());
        let anew = after.iter().filter(|(name, (text, time))| {
            let (was, then) = &before[*name];
            assert_eq!(time, then, "{name}");
            text != was
        });
        seen.insert(anew.count());
        if ended.is_ok() {
            assert!(calls.load(Ordering::SeqCst) <= at);
            break;
        }
        let _ = world.push(&world.store()).unwrap();
        check(&world.cache());
        assert!(
            narinfos(&world.cache())
                .values()
                .all(|(text, _)| text.contains("Compression: zstd"))
        );
    }
    assert!(
        seen.contains(&0) && seen.contains(&12) && seen.len() > 4,
        "{seen:?}"
    );
}
