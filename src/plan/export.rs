//! What a `cache.yaml` says to those who cannot read it, above all to a flake: Nix reads JSON, and not YAML.
//!
//! Promises: only what holds on every machine (no folder, no key of one machine, no secret), the same
//! text for the same file, and settings by the same functions that plan them. What is left out is named.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Number, Value};

use super::optimize;
use super::place::Place;
use super::setup::with_priority;
use crate::config::model::{Cache, CacheKind, CacheName, Config, Jobs};

/// The number of the format; it grows when a reader would have to change.
pub const FORMAT: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'c> {
    format: u32,
    project: &'c str,
    binary_cache_config: Summary<'c>,
    nix: Nix,
    /// Caches that `nix` does not name, and why.
    left_out: IndexMap<&'c str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'c> {
    cache_name: Option<&'c str>,
    push_to_cache: bool,
    /// In units of 10^9 bytes.
    #[serde(rename = "maxCacheSizeGB")]
    max_cache_size_gb: Value,
    retention_days: Value,
    max_jobs: Value,
    build_cores: Option<u32>,
    priorities: BTreeMap<&'c str, u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nix {
    substituters: Vec<String>,
    trusted_public_keys: Vec<String>,
    settings: BTreeMap<String, Value>,
}

/// The export of a configuration as JSON text that ends with a newline.
#[must_use]
#[expect(
    clippy::missing_panics_doc,
    reason = "every map in it has texts as keys"
)]
pub fn text(config: &Config) -> String {
    let (nix, left_out) = nix(config);
    let export = Export {
        format: FORMAT,
        project: &config.project,
        binary_cache_config: summary(config),
        nix,
        left_out,
    };
    let text = serde_json::to_string_pretty(&export).expect("its maps have texts as keys");
    text + "\n"
}

/// The cache that people mean by "the cache": of those that are pushed to the one of the lowest tier,
/// else the first that is written.
fn main_cache(config: &Config) -> Option<(&CacheName, &Cache)> {
    let pushed = config.push.to.keys();
    let pushed = pushed.filter_map(|name| config.caches.get_key_value(name));
    let first = pushed.min_by_key(|(_, cache)| cache.tier.unwrap_or(u8::MAX));
    first.or_else(|| {
        let mut caches = config.caches.iter();
        caches.find(|(_, cache)| cache.kind.written().is_some())
    })
}

fn summary(config: &Config) -> Summary<'_> {
    let main = main_cache(config);
    let max_size = main
        .and_then(|(_, cache)| cache.kind.written())
        .and_then(|written| written.max_size);
    Summary {
        cache_name: main.map(|(name, cache)| match &cache.kind {
            CacheKind::Cachix(cachix) => cachix.name.as_str(),
            _ => name.as_str(),
        }),
        push_to_cache: config.push.enabled && !config.push.to.is_empty(),
        max_cache_size_gb: max_size.map_or(Value::Null, |size| parts(size.0, 1_000_000_000)),
        retention_days: parts(config.retention.0, 24 * 3600),
        max_jobs: config
            .optimize
            .max_jobs
            .map_or(Value::Null, |jobs| match jobs {
                Jobs::Auto => "auto".into(),
                Jobs::Count(count) => count.into(),
            }),
        build_cores: config.optimize.cores,
        priorities: config
            .classes
            .iter()
            .map(|(name, class)| (name.as_str(), class.priority))
            .collect(),
    }
}

/// How many units an amount is: whole where it is, else rounded.
fn parts(amount: u64, unit: u64) -> Value {
    if amount.is_multiple_of(unit) {
        return (amount / unit).into();
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "it is rounded to thousandths at once"
    )]
    let share = (amount as f64 / unit as f64 * 1000.0).round() / 1000.0;
    Number::from_f64(share).map_or(Value::Null, Value::Number)
}

fn nix(config: &Config) -> (Nix, IndexMap<&str, &'static str>) {
    let mut left_out = IndexMap::new();
    let (mut asked, mut keys) = (Vec::new(), Vec::new());
    for (name, cache) in &config.caches {
        let url = match &cache.kind {
            CacheKind::File(_) => Err("a folder is of one machine"),
            CacheKind::Cachix(_) | CacheKind::Bucket(_) if cache.public_keys.is_empty() => {
                Err("cache.yaml has no public key of it")
            }
            CacheKind::Bucket(bucket) => Ok(Place::Bucket(bucket.bucket.clone()).substituter()),
            CacheKind::Cachix(cachix) => Ok(declared(config, name, cache, &cachix.url)),
            CacheKind::Upstream { url } => Ok(declared(config, name, cache, url)),
        };
        match url {
            Ok(url) => {
                asked.push((cache.nix_priority, url));
                keys.extend(cache.public_keys.iter().map(ToString::to_string));
            }
            Err(why) => drop(left_out.insert(name.as_str(), why)),
        }
    }
    asked.sort_by_key(|(priority, _)| *priority);
    keys.sort();
    keys.dedup();
    let nix = Nix {
        substituters: asked.into_iter().map(|(_, url)| url).collect(),
        trusted_public_keys: keys,
        settings: optimize::settings(&config.optimize, None)
            .into_iter()
            .map(|(name, value)| (name, typed(value)))
            .collect(),
    };
    (nix, left_out)
}

/// A URL with the priority, where `cache.yaml` has one; else the cache's own `nix-cache-info` says it.
fn declared(config: &Config, name: &CacheName, cache: &Cache, url: &str) -> String {
    let setting = format!("/caches/{name}/nix-priority");
    if config.places.keys.contains_key(&setting) {
        with_priority(url, cache.nix_priority)
    } else {
        url.to_owned()
    }
}

/// A value as the modules of Nix want it: they check types, nix.conf does not.
fn typed(value: String) -> Value {
    match value.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        // `007` is no number to anybody who writes it back as text.
        digits => match digits.parse::<u64>() {
            Ok(number) if number.to_string() == digits => number.into(),
            _ => value.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRATEGY: &str = "version: 1
project: nanna-coder
flake: .
caches:
  team:
    type: cachix
    tier: 1
    name: nanna-coder
    public-keys: ['nanna-coder.cachix.org-1:U/8OwBxzrmKhrghm7KtNA3cRnYR5ioKlB637gbc2BF4=']
    max-size: 50 GB
  dev: { type: file, tier: 3, path: /tmp/dev }
  nixos:
    type: upstream
    url: https://cache.nixos.org
    nix-priority: 7
    public-keys: [cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=]
defaults: { retention: 30d }
artifacts:
  rust: { priority: 100, match: ['-deps-'] }
  rest: { priority: 20, retention: 180d, default: true }
push: { to: { dev: all, team: all } }
optimize: { max-jobs: 4, cores: 0, nix-settings: { keep-outputs: true } }
";

    fn exported(yaml: &str) -> Value {
        match crate::config::read("cache.yaml", yaml.as_bytes()) {
            Ok((config, _)) => serde_json::from_str(&text(&config)).unwrap(),
            Err(problems) => panic!("{problems:?}"),
        }
    }

    #[test]
    fn the_export_of_the_strategy_has_its_numbers() {
        let export = exported(STRATEGY);
        let expected = serde_json::json!({
            "cacheName": "nanna-coder", "pushToCache": true, "maxCacheSizeGB": 50, "retentionDays": 30,
            "maxJobs": 4, "buildCores": 0, "priorities": { "rust": 100, "rest": 20 }
        });
        assert_eq!(export["binaryCacheConfig"], expected);
        assert_eq!(
            export["nix"]["substituters"],
            serde_json::json!([
                "https://cache.nixos.org?priority=7",
                "https://nanna-coder.cachix.org"
            ])
        );
        assert_eq!(
            export["nix"]["settings"],
            serde_json::json!({ "max-jobs": 4, "cores": 0, "keep-outputs": true })
        );
        assert_eq!(export["leftOut"].as_object().unwrap().len(), 1);
        assert!(export["leftOut"]["dev"].is_string());
    }

    #[test]
    fn a_cache_without_a_known_key_is_left_out_and_said() {
        let without = STRATEGY.replace(
            "    public-keys: ['nanna-coder.cachix.org-1:U/8OwBxzrmKhrghm7KtNA3cRnYR5ioKlB637gbc2BF4=']\n",
            "",
        );
        let export = exported(&without);
        assert!(export["leftOut"]["team"].is_string(), "{export}");
        assert_eq!(export["nix"]["substituters"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn amounts_are_whole_where_they_are() {
        assert_eq!(parts(50_000_000_000, 1_000_000_000), Value::from(50));
        assert_eq!(parts(20 << 30, 1_000_000_000), Value::from(21.475));
        assert_eq!(typed("007".to_owned()), Value::from("007"));
    }
}
