//! A directory pushed on one machine and fetched on another, without Nix.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;

use cache_support::{batched, class, path, world};
use nanna_cache::config::model::Method;
use nanna_cache::nix::content_address::{ContentAddress, path_of_directory};
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::store_path::StoreDir;
use nanna_cache::plan::step::RootToWrite;
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::fetch::{FetchError, fetch, find};
use nanna_cache::transfer::progress::Progress;
use nanna_cache::transfer::tree::hash_tree;
use nanna_cache::transfer::unpack::{Occupied, Unpacked};

#[test]
fn a_recorded_directory_comes_back_byte_for_byte() {
    let mut world = world(1);
    let dir = StoreDir::default();
    let item = &mut world.batch.items[0];
    item.path = path_of_directory(item.nar_hash, "tiny-llm", &dir).unwrap();
    item.ca = Some(ContentAddress::of_nar(item.nar_hash));
    item.references.clear();
    let (path, expected) = (item.path.clone(), (item.nar_hash, item.nar_size));
    world.batch.closure = vec![path.hash()];
    world.batch.roots = vec![RootToWrite {
        path: path.clone(),
        class: class(),
        attr: Some("models/tiny-llm".into()),
        new: true,
    }];
    for method in [Method::Zstd, Method::Xz, Method::None] {
        world.batch.compression.method = method;
        let store = world.create();
        let _ = batched(&store, &world.batch).unwrap();
        for name in ["tiny-llm", "models/tiny-llm", &path.to_string()] {
            assert_eq!(find(store.view(), name).unwrap()[0].path, path, "{name}");
        }
        assert!(find(store.view(), "tiny").unwrap().is_empty());
        let into = world.dir.path().join("fetched");
        // Its name follows from its content, so no key is needed.
        let other = SecretKey::generate("other-1", [7; 32])
            .ok()
            .unwrap()
            .public();
        let get = |occupied| {
            let progress = Progress::default();
            fetch(
                store.view(),
                &path,
                &into,
                std::slice::from_ref(&other),
                &dir,
                occupied,
                &progress,
            )
        };
        assert_eq!(get(Occupied::Refuse).unwrap().1, Unpacked::Written);
        assert_eq!(hash_tree(&into, &Progress::default()).unwrap(), expected);
        assert_eq!(get(Occupied::Refuse).unwrap().1, Unpacked::Present);
        std::fs::remove_dir_all(&into).unwrap();
        std::fs::remove_dir_all(world.cache()).unwrap();
    }
}

#[test]
fn what_is_not_signed_missing_or_broken_is_not_fetched() {
    let world = world(3);
    let store = world.create();
    let _ = world.push(&store).unwrap();
    let dir = StoreDir::default();
    let into = world.dir.path().join("fetched");
    let good = SecretKey::parse(cache_support::SECRET)
        .ok()
        .unwrap()
        .public();
    let other = SecretKey::generate("example-1", [7; 32])
        .ok()
        .unwrap()
        .public();
    let get = |number, keys: &[_]| {
        fetch(
            store.view(),
            &path(number),
            &into,
            keys,
            &dir,
            Occupied::Refuse,
            &Progress::default(),
        )
    };
    assert!(matches!(
        get(2, std::slice::from_ref(&other)),
        Err(FetchError::Untrusted(_))
    ));
    assert!(matches!(get(9, &[]), Err(FetchError::Missing(_))));
    assert!(get(0, &[other, good]).is_ok());
    std::fs::remove_dir_all(&into).unwrap();
    let nar = |number: usize| {
        let key = format!("{}.narinfo", path(number).hash());
        let text = std::fs::read_to_string(world.cache().join(key)).unwrap();
        let url = text
            .lines()
            .find_map(|line| line.strip_prefix("URL: "))
            .unwrap();
        world.cache().join(url)
    };
    let bytes = std::fs::read(nar(2)).unwrap();
    std::fs::write(nar(2), &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(get(2, &[]), Err(FetchError::Unpack(_))));
    std::fs::copy(nar(1), nar(2)).unwrap();
    assert!(matches!(get(2, &[]), Err(FetchError::Unpack(_))));
    std::fs::remove_file(nar(2)).unwrap();
    assert!(matches!(get(2, &[]), Err(FetchError::Unpack(_))));
    assert!(!into.exists());
}
