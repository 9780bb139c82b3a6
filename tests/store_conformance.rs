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
use stores::{ACCESS_KEY, AZURITE_KEY, SECRET_KEY, Server};
use suite::{Able, suite};

const SOON: Patience = Patience {
    tries: 3,
    first_wait: Duration::from_millis(20),
};

fn open(server: &Server, prefix: &str) -> BucketStore {
    let bucket = server.bucket(prefix);
    let host = Host::made_up([
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AZURE_STORAGE_KEY", AZURITE_KEY),
    ]);
    let identity = Place::Bucket(bucket.clone()).identity();
    BucketStore::open_with(&bucket, identity, &host, SOON).unwrap()
}

fn over(server: Option<Server>, able: Able) {
    let Some(server) = server else { return };
    suite(&|prefix| Box::new(open(&server, prefix)), &able);
}

#[test]
fn a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let able = Able {
        knows_the_dead: true,
        ..Able::default()
    };
    suite(
        &|name| Box::new(FolderStore::new(dir.path().join(name))),
        &able,
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
    suite(&open, &Able::default());
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
fn azurite() {
    over(Server::azurite(), Able::default());
}
