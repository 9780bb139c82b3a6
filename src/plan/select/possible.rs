//! The addresses that steps can have, by `cache.yaml` alone: what a selection is checked against.

use crate::config::secret::SecretRef;
use crate::plan::address::{
    Address, Phase, build_address, cache_address, fragment_address, key_address, nix_conf_address,
    pin_address, prune_address, push_address, record_address, sweep_address, tuning_address,
};
use crate::plan::desired::{Desired, TopSource};
use crate::plan::optimize::warm_outputs;

/// Every address that a step could have, in the order of reading. A pin that `cache.yaml` no longer has is
/// not among them, though a step may end it.
#[must_use]
pub fn possible(desired: &Desired) -> Vec<Address> {
    let config = &desired.config;
    let mut all = Vec::new();
    if desired.conf.is_some() {
        all.extend([fragment_address(), nix_conf_address()]);
    }
    for (name, cache) in &desired.caches {
        all.push(cache_address(name));
        let signing = cache.signing.as_ref();
        if signing.is_some_and(|key| key.generate && matches!(key.secret, SecretRef::File(_))) {
            all.push(key_address(name));
        }
    }
    let mut builds: Vec<&str> = desired
        .tops
        .iter()
        .filter_map(|top| match &top.source {
            TopSource::Output(installable) => Some(installable.as_str()),
            TopSource::Directory(_) | TopSource::Path(_) | TopSource::PathsFrom(_) => None,
        })
        .collect();
    builds.sort_unstable();
    builds.dedup();
    all.extend(builds.into_iter().map(build_address));
    for (cache, declared) in &desired.caches {
        let classes = config.classes.keys();
        let classes = classes.filter(|class| desired.pushes(cache, class));
        all.extend(classes.map(|class| push_address(cache, class.as_str())));
        all.extend(config.pins.keys().map(|pin| pin_address(cache, pin)));
        if declared.place.service().is_some_and(|it| it.records) {
            all.push(record_address(cache));
        }
    }
    if desired.conf.is_some() {
        all.push(tuning_address());
    }
    all.push(Address::new(Phase::Optimize, "job", "NIX_CONFIG"));
    let warm = warm_outputs(desired);
    all.extend(
        warm.iter()
            .map(|output| Address::new(Phase::Optimize, "warm", output)),
    );
    for cache in desired.caches.keys() {
        let classes = config.classes.keys();
        all.extend(classes.map(|class| prune_address(cache, class.as_str())));
        all.push(sweep_address(cache));
    }
    all
}

/// Whether a selector chooses any address that a step could have.
#[must_use]
pub fn can_choose(desired: &Desired, selector: &str) -> bool {
    let of_pin = |cache: &crate::config::model::CacheName| {
        [Phase::Push, Phase::Prune]
            .iter()
            .any(|phase| selector.starts_with(&format!("{phase}/{cache}/pin-")))
    };
    possible(desired)
        .iter()
        .any(|address| address.is_in(selector))
        || desired.caches.keys().any(of_pin)
}
