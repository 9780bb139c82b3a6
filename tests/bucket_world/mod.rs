//! A project whose cache is a bucket of a real S3 server, behind a proxy that can misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "only tests use it, each a part of it"
)]

use std::collections::BTreeSet;
use std::path::Path;

use nanna_cache::config::model::Bucket;
use nanna_cache::provider::binary_cache::bucket::BucketStore;
use nanna_cache::provider::binary_cache::{Area, CacheStore as _, CacheView as _, LARGEST_RECORD};
use nanna_cache::sys::host::Host;

use crate::e2e_world::World;
use crate::stores::proxy::Proxy;
use crate::stores::{ACCESS_KEY, SECRET_KEY, Server};
use crate::support::bed::Output;
use crate::support::checker::Checker;
use crate::support::real_nix::{Population, RealNix};

pub struct Shop {
    pub world: World,
    pub population: Population,
    pub server: Server,
    pub proxy: Proxy,
    more: String,
}

impl Shop {
    /// A shop with an empty bucket and a dozen paths; `None` where the tools are missing. `more` is
    /// put at the end of the cache's own settings.
    pub fn new(more: &str) -> Option<Self> {
        Self::with(more, 12)
    }

    pub fn with(more: &str, count: usize) -> Option<Self> {
        let server = Server::seaweed()?;
        Self::at(server, more, count)
    }

    pub fn at(server: Server, more: &str, count: usize) -> Option<Self> {
        let nix = RealNix::old()?;
        let population = nix.populate(count);
        let mut world = World::new(nix);
        world.bed.set("AWS_ACCESS_KEY_ID", ACCESS_KEY);
        world.bed.set("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        world.bed.set("AWS_EC2_METADATA_DISABLED", "true");
        let proxy = Proxy::before(server.port);
        let shop = Self {
            world,
            population,
            server,
            proxy,
            more: more.to_owned(),
        };
        shop.configure(&shop.population.top);
        Some(shop)
    }

    /// Writes `cache.yaml` so that this path is wanted.
    pub fn configure(&self, top: &str) {
        let port = self.proxy.port;
        self.world.whole_config(&format!(
            "version: 1
project: shop
caches:
  team:
    type: s3
    bucket: cache
    region: us-east-1
    endpoint: http://127.0.0.1:{port}
    url: http://127.0.0.1:{port}/cache
    insecure: true
    signing-key: {{ file: keys/team.sec, generate: true }}
    {}
artifacts:
  all: {{ priority: 10, retention: 14d, default: true }}
setup: {{ nix-conf: none }}
push: {{ paths: [{top}] }}
",
            self.more
        ));
    }

    pub fn run(&self, line: &str) -> Output {
        self.world.run(line)
    }

    fn open(bucket: &Bucket) -> BucketStore {
        let host = Host::made_up([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]);
        BucketStore::open(bucket, String::new(), &host).unwrap()
    }

    /// The bucket itself, past the proxy.
    pub fn bucket(&self) -> BucketStore {
        Self::open(&self.server.bucket(""))
    }

    /// The keys of all objects but that of the conditions.
    pub fn objects(&self) -> BTreeSet<String> {
        let store = self.bucket();
        let mut keys = BTreeSet::new();
        for area in [
            Area::Top,
            Area::Nars,
            Area::Intents,
            Area::Prunes,
            Area::Roots,
            Area::Pins,
            Area::Realisations,
        ] {
            let mut each = |one: nanna_cache::provider::binary_cache::Listed<'_>| {
                keys.insert(one.key.to_owned());
            };
            store.list(area, &mut each).unwrap();
        }
        keys
    }

    pub fn delete(&self, key: &str) {
        let deleted = self.bucket().delete(&[key.to_owned()]);
        assert!(deleted.iter().all(Result::is_ok));
    }

    pub fn put(&self, key: &str, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.bucket().write(key, bytes).unwrap();
    }

    /// Copies the bucket into a folder: narinfos before NARs, as a reader goes.
    pub fn copy_to(&self, folder: &Path) {
        let store = self.bucket();
        let keys: Vec<String> = self.objects().into_iter().collect();
        for (key, object) in keys.iter().zip(store.get_many(&keys, LARGEST_RECORD)) {
            let Some(object) = object.unwrap() else {
                continue;
            };
            let path = folder.join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, object.bytes).unwrap();
        }
    }

    pub fn public_key(&self) -> String {
        let secret = self.world.bed.work().join("keys/team.sec");
        self.world.public_key(secret)
    }

    /// The independent checker finds every promise kept.
    #[track_caller]
    pub fn assert_whole(&self) {
        self.assert_whole_with(&[]);
    }

    #[track_caller]
    pub fn assert_whole_with(&self, roots: &[String]) {
        let copy = tempfile::tempdir().unwrap();
        self.copy_to(copy.path());
        if !copy.path().join("nix-cache-info").exists() {
            return;
        }
        std::fs::create_dir_all(copy.path().join("nar")).unwrap();
        let mut checker = Checker::new().deep();
        if self.world.bed.work().join("keys/team.sec").exists() {
            checker = checker.key(&self.public_key());
        }
        let checker = roots
            .iter()
            .fold(checker, |checker, root| checker.root(root));
        checker.assert_whole(copy.path());
    }

    /// The real Nix reads everything over HTTP, with signatures required.
    #[track_caller]
    pub fn assert_nix_reads(&self) {
        let store = self.world.nix.another();
        let url = format!("http://127.0.0.1:{}/cache", self.server.port);
        let key = self.public_key();
        store.run(
            "nix",
            [
                "copy",
                "--from",
                &url,
                "--option",
                "require-sigs",
                "true",
                "--option",
                "trusted-public-keys",
                &key,
                self.population.top.as_str(),
            ],
        );
        store.verify();
    }

    /// Nothing that was written or said holds the secret of the storage, plain or encoded.
    #[track_caller]
    pub fn assert_no_secret(&self) {
        let mut found = Vec::new();
        let copy = tempfile::tempdir().unwrap();
        self.copy_to(copy.path());
        for folder in [
            self.world.bed.home(),
            self.world.bed.work(),
            copy.path().to_owned(),
        ] {
            holders(&folder, &mut found);
        }
        assert!(found.is_empty(), "{found:?}");
    }
}

/// The secret in the forms in which it could be written.
pub fn forms() -> Vec<String> {
    let bytes = SECRET_KEY.as_bytes();
    vec![
        SECRET_KEY.to_owned(),
        data_encoding::BASE64
            .encode(bytes)
            .trim_end_matches('=')
            .to_owned(),
        data_encoding::HEXLOWER.encode(bytes),
    ]
}

fn holders(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            holders(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if forms().iter().any(|form| text.contains(form.as_str())) {
                found.push(path.display().to_string());
            }
        }
    }
}
