//! Replicas: each becomes a cache of its own, `CACHE@NAME`, with what its cache has.
//!
//! What a replica does not set is that of its cache, but for `url`: an address belongs to one place. Whatever
//! is wrong is reported where the replica stands, and only once.

use indexmap::IndexMap;

use super::buckets::{self, Names};
use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{Bucket, BucketCache, Cache, CacheKind, CacheName, Replica, Storage};
use crate::config::problem::Problem;
use crate::config::raw::caches::RawReplica;

/// The replicas of a cache, by their names as caches.
pub(super) fn expand(
    check: &mut Check<'_>,
    (of, main): (&CacheName, &Cache),
    given: &[RawReplica],
    insecure: bool,
) -> IndexMap<CacheName, Cache> {
    let mut replicas = IndexMap::new();
    let CacheKind::Bucket(cache) = &main.kind else {
        return replicas;
    };
    let all = below(&below("/caches", of.as_str()), "replicas");
    let mut taken: IndexMap<String, String> = IndexMap::new();
    for (at, raw) in given.iter().enumerate() {
        let pointer = below(&all, at.to_string());
        let bucket = bucket(check, &pointer, &cache.bucket, raw, insecure);
        let Some(name) = name(check, &pointer, raw) else {
            continue;
        };
        if let Some(first) = taken.get(&name) {
            let message = format!("two replicas of `{of}` are called `{name}`");
            let problem = Problem::new(Code::ReplicaName, message)
                .at(check.value(&pointer), "again here")
                .at(check.value(first), "first here");
            check.report(problem.help("give each a `name` of its own"));
            continue;
        }
        taken.insert(name.clone(), pointer.clone());
        let replica = Cache {
            replica: Some(Replica {
                of: of.clone(),
                name: name.clone(),
                region: raw.region.clone().or_else(|| cache.bucket.region.clone()),
                setting: pointer,
            }),
            kind: CacheKind::Bucket(BucketCache {
                bucket,
                written: cache.written.clone(),
            }),
            ..main.clone()
        };
        replicas.insert(CacheName::new(format!("{of}@{name}")), replica);
    }
    replicas
}

/// What a replica is called, if it can be called so.
fn name(check: &mut Check<'_>, pointer: &str, raw: &RawReplica) -> Option<String> {
    let (key, name) = match (&raw.name, &raw.region) {
        (Some(name), _) => ("name", name),
        (None, Some(region)) => ("region", region),
        (None, None) => {
            if check.intact(pointer) {
                let message = "the replica has neither `name` nor `region`";
                let problem = Problem::new(Code::ReplicaName, message);
                let help = "add one of them: plans and flags call it by that";
                check.report(problem.at(check.value(pointer), "").help(help));
            }
            return None;
        }
    };
    if leak::is_secret(name) {
        return None;
    }
    let before = check.problems.len();
    if key == "name" {
        check.name(&below(pointer, key), "a replica", name);
    }
    (check.problems.len() == before).then(|| name.clone())
}

/// The bucket of a replica.
fn bucket(
    check: &mut Check<'_>,
    pointer: &str,
    main: &Bucket,
    raw: &RawReplica,
    insecure: bool,
) -> Bucket {
    let is_azure = main.storage == Storage::Azure;
    let foreign = [
        ("bucket", raw.bucket.is_some() && is_azure),
        ("account", raw.account.is_some() && !is_azure),
        ("container", raw.container.is_some() && !is_azure),
    ];
    for (key, _) in foreign.into_iter().filter(|(_, is_foreign)| *is_foreign) {
        let word = main.storage.word();
        let message = format!("`{key}` is no key of a cache of type `{word}`");
        let place = check.entry(&below(pointer, key));
        let problem = Problem::new(Code::ForeignKey, message)
            .at(place, "belongs to another type of cache")
            .help("take it out");
        check.report(problem);
    }
    let (key, name) = if is_azure {
        ("container", raw.container.as_deref())
    } else {
        ("bucket", raw.bucket.as_deref())
    };
    let account = raw.account.as_deref().filter(|_| is_azure);
    let names = Names {
        name: name.map(|name| (key, name)),
        account,
        region: raw.region.as_deref(),
        prefix: raw.prefix.as_deref(),
    };
    buckets::names(check, pointer, &names);
    let insecure = raw.insecure.unwrap_or(insecure);
    let mut address = |key: &str, text: &Option<String>| {
        let text = text.as_deref()?;
        check.url(&below(pointer, key), text, insecure)
    };
    let endpoint = address("endpoint", &raw.endpoint);
    let url = address("url", &raw.url);
    let own = |given: Option<&str>, main: &str| given.unwrap_or(main).to_owned();
    let bucket = Bucket {
        storage: main.storage,
        name: own(name, &main.name),
        account: account.map(str::to_owned).or_else(|| main.account.clone()),
        prefix: own(raw.prefix.as_deref(), &main.prefix),
        region: if main.storage == Storage::S3 {
            raw.region.clone().or_else(|| main.region.clone())
        } else {
            None
        },
        endpoint: endpoint.or_else(|| main.endpoint.clone()),
        url,
    };
    buckets::readable(check, pointer, &bucket, raw.url.is_some());
    bucket
}
