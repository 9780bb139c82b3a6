//! `ledger`, `targets`, `prices`.

use indexmap::IndexMap;

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::model::{Cache, CacheKind, CacheName, Ledger, Prices, Targets};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::units::Span;

/// Checks `ledger`.
pub(in crate::config) fn check(
    check: &mut Check<'_>,
    raw: &RawConfig,
    caches: &IndexMap<CacheName, Cache>,
) -> Ledger {
    let raw = &raw.ledger;
    let keep = check
        .span("/ledger/keep", &raw.keep)
        .unwrap_or(Span(u64::MAX));
    let names = check.names("/caches");
    let mut known = Vec::new();
    for (at, name) in raw.caches.iter().enumerate() {
        let pointer = below("/ledger/caches", at.to_string());
        let name = CacheName::new(name.clone());
        match caches.get(&name).map(|cache| &cache.kind) {
            None => {
                check.known(&pointer, false, "cache", name.as_str(), &names);
            }
            Some(CacheKind::File(_) | CacheKind::Bucket(_)) => known.push(name),
            Some(_) => {
                let problem = Problem::new(
                    Code::InvalidValue,
                    format!(
                        "`{name}` cannot keep records of runs: it takes nothing but store paths"
                    ),
                );
                let help = "name a folder (`file`) or a bucket (`s3`, `gcs`, `azure`); `run --record FILE` writes a file that a workflow can keep";
                check.report(problem.at(check.value(&pointer), "").help(help));
            }
        }
    }
    Ledger {
        keep,
        caches: known,
    }
}

/// Checks `targets`.
pub(in crate::config) fn targets(check: &mut Check<'_>, raw: &RawConfig) -> Targets {
    let raw = &raw.targets;
    let share = |check: &mut Check<'_>, name: &str, text: &Option<String>| {
        let text = text.as_ref()?;
        check.share(&below("/targets", name), text)
    };
    let hit_rate = share(check, "hit-rate", &raw.hit_rate);
    let build_time_reduction = share(check, "build-time-reduction", &raw.build_time_reduction);
    let size = raw.size.as_ref();
    let push_time = raw.push_time.as_ref();
    Targets {
        hit_rate,
        build_time_reduction,
        size: size.and_then(|text| check.size("/targets/size", text)),
        push_time: push_time.and_then(|text| check.span("/targets/push-time", text)),
    }
}

/// What `prices` says; the schema has checked it.
pub(in crate::config) fn prices(raw: &RawConfig) -> Option<Prices> {
    raw.prices.as_ref().map(|raw| Prices {
        currency: raw.currency.clone(),
        storage: raw.storage,
        egress: raw.egress,
        ci_minute: raw.ci_minute,
    })
}
