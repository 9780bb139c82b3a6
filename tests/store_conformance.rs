//! One suite for every store of a cache: a folder, memory, and real servers of object storage.
//!
//! A store differs in what it can, never in what it promises: the suite is told what it can.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod cache_support;
mod stores;
#[path = "store_conformance/suite.rs"]
mod suite;

use std::time::Duration;

use nanna_cache::plan::place::Place;
use nanna_cache::provider::binary_cache::bucket::{BucketStore, Patience};
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::sys::host::Host;
use stores::garage::Cluster;
use stores::{AZURITE_KEY, SERVICE_ACCOUNT, Server};
use suite::{Able, suite};

const SOON: Patience = Patience {
    tries: 3,
    first_wait: Duration::from_millis(20),
    answer: Duration::from_secs(30),
};

fn open(server: &Server, prefix: &str) -> BucketStore {
    let bucket = server.bucket(prefix);
    let (key, secret) = server.credentials();
    let host = Host::made_up([
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AZURE_STORAGE_KEY", AZURITE_KEY),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", SERVICE_ACCOUNT),
    ]);
    let identity = Place::Bucket(bucket.clone()).identity();
    BucketStore::open_with(&bucket, identity, &host, SOON).unwrap()
}

fn over(server: Option<Server>, able: Able) {
    let Some(server) = server else { return };
    suite(&|prefix| Box::new(open(&server, prefix)), able);
}

#[test]
fn a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let able = Able {
        knows_the_dead: true,
        replaces: true,
        ..Able::default()
    };
    suite(
        &|name| Box::new(FolderStore::new(dir.path().join(name))),
        able,
    );
}

#[test]
fn memory() {
    let store = std::sync::Mutex::new(std::collections::BTreeMap::new());
    let open = |name: &str| {
        let mut stores = store.lock().unwrap();
        let make = || BucketStore::in_memory(name);
        Box::new(stores.entry(name.to_owned()).or_insert_with(make).clone()) as _
    };
    suite(&open, Able::default());
}

#[test]
fn seaweedfs() {
    over(Server::seaweed(), Able::default());
}

#[test]
fn moto() {
    over(Server::moto(), Able::default());
}

#[test]
fn rclone_which_ignores_conditions() {
    let able = Able {
        conditions: false,
        ..Able::default()
    };
    over(Server::rclone(), able);
}

#[test]
fn a_cluster_which_ignores_conditions() {
    let Some((_cluster, server)) = Cluster::new() else {
        return;
    };
    let able = Able {
        conditions: false,
        ..Able::default()
    };
    over(Some(server), able);
}

#[test]
fn a_second_look_lists_and_reads_no_narinfo() {
    use nanna_cache::nix::store_path::StoreDir;
    use nanna_cache::plan::observed::Observation;
    use nanna_cache::provider::binary_cache::observe::{Look, observe};
    use nanna_cache::provider::binary_cache::push::push;
    use nanna_cache::provider::binary_cache::{Area, CacheStore as _, CacheView as _};
    use nanna_cache::sys::clock::SystemClock;
    use nanna_cache::transfer::progress::Progress;

    let Some(server) = Server::moto() else { return };
    let store = open(&server, "");
    store.create(cache_support::INFO).unwrap();
    let world = cache_support::world(100);
    let progress = Progress::default();
    let done = push(&store, &world.batch, &SystemClock::new(), &progress).unwrap();
    assert_eq!(done.failed, []);
    let (dir, index) = (StoreDir::default(), world.dir.path().join("index"));
    let look = || {
        // Another process.
        let store = open(&server, "");
        let how = Look {
            index: Some(&index),
            thorough: true,
            ..Look::new(&dir)
        };
        let Observation::Present(content) = observe(&store, &how, &progress) else {
            panic!("it is there")
        };
        assert_eq!((content.paths.len(), content.partial), (100, None));
        store.requests()
    };
    let first = look();
    assert!(first.reads > 100, "{first:?}");
    let second = look();
    assert!(second.reads < 8, "{second:?}");
    assert_eq!(first.lists, second.lists);
    assert_eq!((second.writes, second.deletes), (0, 0));
    // What changed is read again, and nothing else.
    let mut key = None;
    store
        .list(Area::Top, &mut |one| {
            let is_narinfo = one.key.ends_with(".narinfo");
            key = key.take().or(is_narinfo.then(|| one.key.to_owned()));
        })
        .unwrap();
    let key = key.unwrap();
    let mut object = store.get(&key, 10_000).unwrap().unwrap();
    object.bytes.extend(b"Deriver: unknown-deriver\n");
    store.write(&key, object.bytes).unwrap();
    assert_eq!(look().reads, second.reads + 1);
}

#[test]
fn azurite() {
    over(Server::azurite(), Able::default());
}

#[test]
fn what_a_push_has_seen_to_be_there_is_not_asked_for_again() {
    use nanna_cache::provider::binary_cache::push::{Batch, push};
    use nanna_cache::provider::binary_cache::{CacheStore as _, narinfo_key};
    use nanna_cache::sys::clock::SystemClock;
    use nanna_cache::transfer::progress::Progress;

    let Some(server) = Server::moto() else { return };
    let store = open(&server, "");
    store.create(cache_support::INFO).unwrap();
    let mut world = cache_support::world(12);
    let send = |batch: &Batch| {
        // Another process.
        let store = open(&server, "");
        let done = push(&store, batch, &SystemClock::new(), &Progress::default()).unwrap();
        assert_eq!(done.failed, []);
        store.requests().reads
    };
    send(&world.batch);
    let top = cache_support::path(11);
    world.batch.items.retain(|item| item.path == top);
    assert!(world.batch.items[0].references.len() > 2);
    let key = [narinfo_key(top.hash())];
    assert!(store.delete(&key)[0].is_ok());
    let with_references = send(&world.batch);
    assert!(store.delete(&key)[0].is_ok());
    world.batch.items[0].references.clear();
    assert_eq!(with_references, send(&world.batch));
}

/// The interface of Google Cloud Storage, from a server of our own: what the service really does is not known here.
#[test]
fn gcs_of_our_own() {
    over(Some(Server::gcs()), Able::default());
}
