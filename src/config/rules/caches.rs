//! `caches`.

use indexmap::IndexMap;

use super::keys::{self, Seen};
use super::places::normal_path;
use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::leak;
use crate::config::model::{
    Cache, CacheKind, CacheName, Compression, FileCache, Method, SigningKey, Written,
};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::caches::{
    RawCache, RawCompression, RawFileCache, RawMethod, RawSigningKey, RawUpstream,
};
use crate::config::secret::SecretRef;

/// Nix's priority of a cache that has none of its own, by tier: lower is asked first, and an
/// upstream without a tier has that of cache.nixos.org.
pub(super) const fn priority_of(tier: Option<u8>) -> u32 {
    match tier {
        Some(3) => 30,
        Some(2) => 35,
        Some(_) => 41,
        None => 40,
    }
}

/// Checks `caches`.
pub(in crate::config) fn check(
    check: &mut Check<'_>,
    raw: &RawConfig,
) -> IndexMap<CacheName, Cache> {
    let mut seen = Seen::new();
    let caches: IndexMap<CacheName, Cache> = raw
        .caches
        .iter()
        .map(|(name, cache)| {
            let pointer = below("/caches", name);
            check.name(&pointer, "a cache", name);
            let cache = match cache {
                RawCache::File(file) => {
                    file_cache(check, &pointer, &raw.project, name, file, &mut seen)
                }
                RawCache::Upstream(upstream) => {
                    self::upstream(check, &pointer, upstream, &mut seen)
                }
            };
            (CacheName::new(name), cache)
        })
        .collect();
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
        kind: CacheKind::File(FileCache {
            path: raw.path.clone(),
            written: Written {
                signing_key: raw.signing_key.as_ref().map(|key| {
                    signing_key(
                        check,
                        &below(pointer, "signing-key"),
                        key,
                        &format!("{project}-{name}-1"),
                    )
                }),
                compression: compression(check, &below(pointer, "compression"), &raw.compression),
                recompress: raw.compression.recompress,
                max_size: raw
                    .max_size
                    .as_ref()
                    .and_then(|size| check.size(&below(pointer, "max-size"), size)),
            },
        }),
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
        kind: CacheKind::Upstream {
            url: url.unwrap_or_default(),
        },
    }
}

fn signing_key(
    check: &mut Check<'_>,
    pointer: &str,
    raw: &RawSigningKey,
    name: &str,
) -> SigningKey {
    let given = [
        raw.env.clone().map(SecretRef::Env),
        raw.file.clone().map(SecretRef::File),
        raw.command.clone().map(SecretRef::Command),
    ];
    let mut given: Vec<SecretRef> = given.into_iter().flatten().collect();
    let invalid =
        |message: String, help: &str| Problem::new(Code::InvalidSecretRef, message).help(help);
    if given.len() != 1 && check.intact(pointer) {
        let message = match given.len() {
            0 => "`signing-key` does not say where the key is",
            _ => "`signing-key` names more than one place",
        };
        let problem = invalid(
            message.to_owned(),
            "give exactly one of `env`, `file` and `command`",
        );
        check.report(problem.at(check.entry(pointer), ""));
    }
    let secret = given.pop().unwrap_or(SecretRef::Env(String::new()));
    match &secret {
        SecretRef::Env(variable) if given.is_empty() && raw.env.is_some() => {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_';
            let good = variable.starts_with(first)
                && variable.chars().all(|c| first(c) || c.is_ascii_digit());
            if !good && !leak::is_secret(variable) {
                let message = format!("`{variable}` is no name of an environment variable");
                let problem = invalid(
                    message,
                    "write the name alone, without `$`; never the secret itself",
                );
                check.report(problem.at(check.value(&below(pointer, "env")), ""));
            }
        }
        SecretRef::File(path) => check.path(&below(pointer, "file"), path),
        SecretRef::Command(words) if words.first().is_none_or(|word| word.trim().is_empty()) => {
            let problem = invalid(
                "`command` names no program".to_owned(),
                "for example: `[pass, show, cache-key]`",
            );
            check.report(problem.at(check.entry(&below(pointer, "command")), ""));
        }
        _ => {}
    }
    if raw.generate && raw.file.is_none() && check.intact(pointer) {
        let problem = Problem::new(
            Code::GenerateWithoutFile,
            "`generate` needs a `file` to put the key in",
        );
        let help = "name the key by `file`, or make it yourself and take `generate` out";
        check.report(
            problem
                .at(check.entry(&below(pointer, "generate")), "")
                .help(help),
        );
    }
    if let Some(name) = raw.name.as_ref().filter(|name| !leak::is_secret(name)) {
        check.name(&below(pointer, "name"), "a key", name);
    }
    SigningKey {
        secret,
        generate: raw.generate,
        name: raw.name.clone().unwrap_or_else(|| name.to_owned()),
    }
}

fn compression(check: &mut Check<'_>, pointer: &str, raw: &RawCompression) -> Compression {
    let (method, word, levels, usual) = match raw.method {
        RawMethod::Zstd => (Method::Zstd, "zstd", 1..=22, 3),
        RawMethod::Xz => (Method::Xz, "xz", 0..=9, 6),
        RawMethod::None => (Method::None, "none", 0..=0, 0),
    };
    let level = raw.level.unwrap_or(usual);
    if !levels.contains(&level) {
        let message = format!("`{word}` has no level {level}");
        let help = if levels.start() == levels.end() {
            format!("take `level` out: `{word}` has none")
        } else {
            format!(
                "choose a level from {} to {}; without one it is {usual}",
                levels.start(),
                levels.end()
            )
        };
        let problem = Problem::new(Code::CompressionLevel, message).help(help);
        check.report(problem.at(check.value(&below(pointer, "level")), ""));
    }
    Compression { method, level }
}

/// Two caches at one place would fight over it, or be asked twice.
fn one_place_each(check: &mut Check<'_>, caches: &IndexMap<CacheName, Cache>) {
    let mut taken: IndexMap<String, String> = IndexMap::new();
    for (name, cache) in caches {
        let pointer = below("/caches", name.as_str());
        let (place, pointer) = match &cache.kind {
            CacheKind::File(file) => (normal_path(&file.path), below(&pointer, "path")),
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
        let Some(written) = cache.kind.written() else {
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
