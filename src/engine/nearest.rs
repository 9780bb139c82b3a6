//! How far a cache and its replicas are from here: asked only where it matters to a plan.

use std::collections::BTreeMap;

use super::machine::Machine;
use crate::config::model::CacheName;
use crate::plan::address::Phase;
use crate::plan::desired::Desired;
use crate::plan::observed::{Distance, Observed};
use crate::plan::setup::nearest;
use crate::provider::upstream;
use crate::sys::http;

/// Measures what the order of asking depends on. Within one process each place is measured once, so that a
/// later look does not find another order.
pub(super) fn measure(
    desired: &Desired,
    machine: &Machine,
    observed: &Observed,
) -> BTreeMap<CacheName, Distance> {
    if !desired.has(Phase::Setup) {
        return BTreeMap::new();
    }
    let open = nearest::questions(desired, observed, machine.options.refresh);
    let probe = |name: CacheName| {
        let url = desired.caches.get(&name)?.place.probe()?;
        Some((name, url))
    };
    let open: Vec<(CacheName, String)> = open.into_iter().filter_map(probe).collect();
    let urls: Vec<String> = open.iter().map(|(_, url)| url.clone()).collect();
    let brief = http::Options {
        connect_timeout: std::time::Duration::from_secs(2),
        idle_timeout: std::time::Duration::from_secs(2),
        tries: 1,
        ..http::Options::of(&machine.host)
    };
    let measured = machine.distances(&urls, |urls| upstream::distances(urls, &brief));
    let distance = |url: &String| measured.get(url).copied().flatten();
    let found = open.into_iter().map(|(name, url)| (name, distance(&url)));
    found.collect()
}
