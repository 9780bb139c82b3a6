//! `caches`.

use indexmap::IndexMap;

use super::buckets;
use super::keys::{self, Seen};
use super::places::normal_path;
use super::replicas;
use super::written::{compression, priority_of, signing_key};
use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{
    Bucket, BucketCache, Cache, CacheKind, CacheName, FileCache, Storage, Written,
};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::caches::{
    RawCache, RawCompression, RawFileCache, RawReplica, RawSigningKey, RawUpstream,
};
use crate::config::secret::SecretRef;

/// The keys that every written cache has, whatever its type.
macro_rules! own {
    ($raw:expr) => {
        Own {
            tier: $raw.tier,
            nix_priority: $raw.nix_priority,
            public_keys: &$raw.public_keys,
            signing_key: $raw.signing_key.as_ref(),
            compression: &$raw.compression,
            max_size: $raw.max_size.as_ref(),
        }
    };
}

/// Checks `caches`.
pub(in crate::config) fn check(
    check: &mut Check<'_>,
    raw: &RawConfig,
) -> IndexMap<CacheName, Cache> {
    let mut seen = Seen::new();
    let project = raw.project.as_str();
    let mut caches: IndexMap<CacheName, Cache> = IndexMap::new();
    for (name, cache) in &raw.caches {
        let pointer = below("/caches", name);
        check.name(&pointer, "a cache", name);
        let names = (project, name.as_str());
        let mut given: &[RawReplica] = &[];
        let mut insecure = false;
        macro_rules! bucket {
            ($raw:expr, $read:path) => {{
                let bucket = $read(check, &pointer, $raw);
                (given, insecure) = (&$raw.replicas, $raw.insecure);
                bucket_cache(check, &pointer, names, (bucket, own!($raw)), &mut seen)
            }};
        }
        let cache = match cache {
            RawCache::File(file) => {
                file_cache(check, &pointer, &raw.project, name, file, &mut seen)
            }
            RawCache::Cachix(cachix) => {
                super::cachix::check(check, &pointer, name, cachix, &mut seen)
            }
            RawCache::S3(raw) => bucket!(raw, buckets::s3),
            RawCache::Gcs(raw) => bucket!(raw, buckets::gcs),
            RawCache::Azure(raw) => bucket!(raw, buckets::azure),
            RawCache::Upstream(upstream) => self::upstream(check, &pointer, upstream, &mut seen),
        };
        let name = CacheName::new(name);
        let others = replicas::expand(check, (&name, &cache), given, insecure);
        caches.insert(name, cache);
        caches.extend(others);
    }
    one_place_each(check, &caches);
    one_name_each(check, &caches);
    caches
}

fn file_cache(
    check: &mut Check<'_>,
    pointer: &str,
    project: &str,
    name: &str,
    raw: &RawFileCache,
    seen: &mut Seen,
) -> Cache {
    check.cache_path(&below(pointer, "path"), &raw.path);
    let tier = raw.tier.or(Some(3));
    Cache {
        tier,
        nix_priority: raw.nix_priority.unwrap_or(priority_of(tier)),
        public_keys: keys::check(
            check,
            &below(pointer, "public-keys"),
            &raw.public_keys,
            seen,
        ),
        replica: None,
        kind: CacheKind::File(FileCache {
            path: raw.path.clone(),
            written: written(check, pointer, (project, name), &own!(raw)),
        }),
    }
}

/// What every written cache has in `cache.yaml`.
struct Own<'r> {
    tier: Option<u8>,
    nix_priority: Option<u32>,
    public_keys: &'r [String],
    signing_key: Option<&'r RawSigningKey>,
    compression: &'r RawCompression,
    max_size: Option<&'r String>,
}

fn bucket_cache(
    check: &mut Check<'_>,
    pointer: &str,
    names: (&str, &str),
    (bucket, own): (Bucket, Own<'_>),
    seen: &mut Seen,
) -> Cache {
    let tier = own.tier.or(Some(1));
    Cache {
        tier,
        nix_priority: own.nix_priority.unwrap_or(priority_of(tier)),
        public_keys: keys::check(check, &below(pointer, "public-keys"), own.public_keys, seen),
        replica: None,
        kind: CacheKind::Bucket(BucketCache {
            bucket,
            written: written(check, pointer, names, &own),
        }),
    }
}

fn written(
    check: &mut Check<'_>,
    pointer: &str,
    (project, name): (&str, &str),
    own: &Own<'_>,
) -> Written {
    let signing = below(pointer, "signing-key");
    let key_name = format!("{project}-{name}-1");
    let key = own
        .signing_key
        .map(|key| signing_key(check, &signing, key, &key_name));
    let compression = compression(check, &below(pointer, "compression"), own.compression);
    let size = own.max_size;
    Written {
        signing_key: key,
        compression,
        recompress: own.compression.recompress,
        max_size: size.and_then(|size| check.size(&below(pointer, "max-size"), size)),
    }
}

fn upstream(check: &mut Check<'_>, pointer: &str, raw: &RawUpstream, seen: &mut Seen) -> Cache {
    let url = check.url(&below(pointer, "url"), &raw.url, raw.insecure);
    Cache {
        tier: raw.tier,
        nix_priority: raw.nix_priority.unwrap_or(priority_of(raw.tier)),
        public_keys: keys::check(
            check,
            &below(pointer, "public-keys"),
            &raw.public_keys,
            seen,
        ),
        replica: None,
        kind: CacheKind::Upstream {
            url: url.unwrap_or_default(),
        },
    }
}

/// Where a cache stands in the file.
fn entry(name: &CacheName, cache: &Cache) -> String {
    let replica = cache.replica.as_ref();
    replica.map_or_else(
        || below("/caches", name.as_str()),
        |replica| replica.setting.clone(),
    )
}

/// Two caches at one place would fight over it, or be asked twice.
fn one_place_each(check: &mut Check<'_>, caches: &IndexMap<CacheName, Cache>) {
    let mut taken: IndexMap<String, String> = IndexMap::new();
    for (name, cache) in caches {
        let pointer = entry(name, cache);
        let (place, pointer) = match &cache.kind {
            CacheKind::File(file) => (normal_path(&file.path), below(&pointer, "path")),
            CacheKind::Cachix(cachix) if cachix.url.is_empty() => continue,
            CacheKind::Cachix(cachix) => (cachix.url.to_ascii_lowercase(), pointer),
            CacheKind::Bucket(cache) => {
                let bucket = &cache.bucket;
                let is_azure = bucket.storage == Storage::Azure;
                let key = if is_azure { "container" } else { "bucket" };
                let identity = buckets::identity(bucket);
                (identity, below(&pointer, key))
            }
            CacheKind::Upstream { url } if url.is_empty() => continue,
            CacheKind::Upstream { url } => (url.to_ascii_lowercase(), below(&pointer, "url")),
        };
        let Some(first) = taken.get(&place) else {
            taken.insert(place, pointer);
            continue;
        };
        let message = format!("the cache `{name}` is at the place of another");
        let problem = Problem::new(Code::DuplicateCache, message);
        let first = check.value(first);
        let problem = problem
            .at(check.value(&pointer), "again here")
            .at(first, "first here");
        check.report(problem.help("give it a place of its own, or take one of them out"));
    }
}

/// A key file that several caches generate has one key, so they have to agree on its name.
fn one_name_each(check: &mut Check<'_>, caches: &IndexMap<CacheName, Cache>) {
    let mut made: IndexMap<String, (&CacheName, &str)> = IndexMap::new();
    for (name, cache) in caches {
        let Some(written) = cache.kind.written().filter(|_| cache.replica.is_none()) else {
            continue;
        };
        let Some(key) = written.signing_key.as_ref().filter(|key| key.generate) else {
            continue;
        };
        let SecretRef::File(path) = &key.secret else {
            continue;
        };
        let (first, other) = *made
            .entry(normal_path(path))
            .or_insert((name, key.name.as_str()));
        // A name that looks like a secret is reported as one, and not repeated.
        if other == key.name || leak::is_secret(other) || leak::is_secret(&key.name) {
            continue;
        }
        let place = |cache: &CacheName| {
            let pointer = below(&below("/caches", cache.as_str()), "signing-key");
            check.value(&below(&pointer, "file"))
        };
        let message = format!(
            "the caches `{first}` and `{name}` generate one key file under two names, `{other}` and `{}`",
            key.name
        );
        let problem = Problem::new(Code::ConflictingKeyName, message)
            .at(place(name), "again here")
            .at(place(first), "first here");
        check.report(
            problem.help("give both `signing-key`s the same `name`, or each a file of its own"),
        );
    }
}
