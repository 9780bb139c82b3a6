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

use nanna_cache::config::model::Storage;
use nanna_cache::provider::binary_cache::bucket::BucketStore;
use nanna_cache::provider::binary_cache::{Area, CacheStore as _, CacheView as _, LARGEST_RECORD};
use nanna_cache::sys::host::Host;

use crate::e2e_world::World;
use crate::stores::proxy::Proxy;
use crate::stores::{AZURITE, AZURITE_KEY, SECRET_KEY, SERVICE_ACCOUNT, Server};
use crate::support::bed::Output;
use crate::support::checker::Checker;
use crate::support::planted::Planted;
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
        let (key, secret) = server.credentials();
        world.bed.set("AWS_ACCESS_KEY_ID", key);
        world.bed.set("AWS_SECRET_ACCESS_KEY", secret);
        world.bed.set("AWS_EC2_METADATA_DISABLED", "true");
        match server.storage() {
            Storage::S3 => {}
            Storage::Azure => {
                world.bed.set("AZURE_STORAGE_KEY", AZURITE_KEY);
            }
            Storage::Gcs => {
                world.bed.set("GOOGLE_SERVICE_ACCOUNT_KEY", SERVICE_ACCOUNT);
            }
        }
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

    /// What `cache.yaml` says of the place.
    fn place(&self) -> String {
        let at = format!("http://127.0.0.1:{}", self.proxy.port);
        let rest = match self.server.storage() {
            Storage::S3 => format!(
                "bucket: cache\n    region: us-east-1\n    endpoint: {at}\n    url: {at}/cache"
            ),
            Storage::Gcs => format!("bucket: cache\n    endpoint: {at}\n    url: {at}/cache"),
            Storage::Azure => {
                let at = format!("{at}/{AZURITE}");
                format!(
                    "account: {AZURITE}\n    container: cache\n    endpoint: {at}\n    url: {at}/cache"
                )
            }
        };
        let kind = match self.server.storage() {
            Storage::S3 => "s3",
            Storage::Gcs => "gcs",
            Storage::Azure => "azure",
        };
        format!("type: {kind}\n    {rest}\n    insecure: true")
    }

    /// Writes `cache.yaml` so that this path is wanted.
    pub fn configure(&self, top: &str) {
        self.world.whole_config(&format!(
            "version: 1
project: shop
caches:
  team:
    {}
    signing-key: {{ file: keys/team.sec, generate: true }}
    {}
artifacts:
  all: {{ priority: 10, retention: 14d, default: true }}
setup: {{ nix-conf: none }}
push: {{ paths: [{top}] }}
",
            self.place(),
            self.more
        ));
    }

    pub fn run(&self, line: &str) -> Output {
        self.world.run(line)
    }

    /// The bucket itself, past the proxy.
    pub fn bucket(&self) -> BucketStore {
        let (key, secret) = self.server.credentials();
        let host = Host::made_up([
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AZURE_STORAGE_KEY", AZURITE_KEY),
            ("GOOGLE_SERVICE_ACCOUNT_KEY", SERVICE_ACCOUNT),
        ]);
        BucketStore::open(&self.server.bucket(""), String::new(), &host).unwrap()
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

    /// Nothing that was written, here or in the storage, holds its secret, plain or encoded.
    #[track_caller]
    pub fn assert_no_secret(&self) {
        let copy = tempfile::tempdir().unwrap();
        self.copy_to(copy.path());
        let mut found = planted().found_below(copy.path());
        found.extend(planted().found_below(&self.server.dir.path().join("data")));
        found.extend(planted().found_below(self.world.bed.root()));
        assert_eq!(found, [""; 0]);
    }
}

/// The secret of the storage.
pub fn planted() -> Planted {
    Planted::of([SECRET_KEY, AZURITE_KEY, "planted-private-key-of-a-service"])
}
