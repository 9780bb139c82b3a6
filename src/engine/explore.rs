//! The second wave of looking: what names mean, and what upstreams have of what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use camino::Utf8Path;

use super::event::{Event, Listener};
use super::machine::{Machine, sentence};
use crate::config::model::CacheName;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::address::Phase;
use crate::plan::desired::{Desired, TopSource};
use crate::plan::observed::{Observation, Observed, Upstream, Why};
use crate::plan::{optimize, prune, push};
use crate::provider::nix_store::{self, Details};
use crate::provider::upstream::{self, Lifetimes, Local, Settings};
use crate::sys::http;
use crate::transfer::progress::Progress;

/// What given paths, links and files of paths name.
pub(super) fn given(
    desired: &Desired,
    machine: &Machine,
) -> BTreeMap<String, Observation<Vec<StorePath>>> {
    let resolve = |source: &TopSource| {
        let (given, list) = match source {
            TopSource::Path(path) => (path, false),
            TopSource::PathsFrom(path) => (path, true),
            TopSource::Output(_) | TopSource::Directory(_) => return None,
        };
        let found = match &machine.store {
            Err(why) => Observation::Unknown(Why(why.clone())),
            Ok(store) if list => nix_store::list_of_paths(store, Utf8Path::new(given)),
            Ok(store) => match nix_store::resolve(store, Utf8Path::new(given)) {
                Observation::Present(path) => Observation::Present(vec![path]),
                Observation::Absent => Observation::Absent,
                Observation::Unknown(why) => Observation::Unknown(why),
                Observation::Error(why) => Observation::Error(why),
            },
        };
        Some((given.clone(), found))
    };
    desired
        .tops
        .iter()
        .filter_map(|top| resolve(&top.source))
        .collect()
}

/// What the chosen phases want to know of upstreams.
fn questions(desired: &Desired, observed: &Observed) -> BTreeSet<HashPart> {
    let mut wanted = push::questions(desired, observed);
    wanted.extend(optimize::questions(desired, observed));
    // Whether references out of a cache lead anywhere concerns nobody else.
    if desired.has(Phase::Push) || desired.has(Phase::Prune) {
        wanted.extend(prune::questions(observed));
    }
    wanted
}

/// What upstreams have of the paths that are wanted and missing.
pub(super) fn upstreams(
    desired: &Desired,
    observed: &Observed,
    machine: &Machine,
    progress: &Progress,
    listener: Listener<'_>,
) -> BTreeMap<CacheName, Upstream> {
    let wanted = questions(desired, observed);
    if desired.upstreams.is_empty() || wanted.is_empty() {
        let nothing = |name: &CacheName| (name.clone(), Upstream::default());
        return desired.upstreams.keys().map(nothing).collect();
    }
    listener(Event::Looking("upstreams"));
    let details = details(observed, machine, &wanted);
    let store = observed.store_dir.clone();
    let http = http::Options::of(&machine.host);
    let settings = Settings {
        refresh: machine.options.refresh,
        lifetimes: lifetimes(observed),
        ..Settings::new(
            http,
            store.clone(),
            Some(machine.answers()),
            machine.host.now(),
        )
    };
    let stopped = || progress.is_stopped();
    thread::scope(|scope| {
        let asked: Vec<_> = desired
            .upstreams
            .iter()
            .map(|(name, cache)| {
                let (details, wanted, settings, store) = (&details, &wanted, &settings, &store);
                let ask = move || {
                    // A signature proves that it was there once: who wants to know what is there now asks.
                    let keys = if settings.refresh {
                        &[][..]
                    } else {
                        &cache.public_keys
                    };
                    let known = upstream::signed(store, details.iter().map(local), keys);
                    upstream::observe(&cache.url, wanted, &known, settings, &stopped)
                };
                (name, scope.spawn(ask))
            })
            .collect();
        let broke = || Upstream {
            unanswered: wanted.clone(),
            why: Some(Why("its observer broke".to_owned())),
            ..Upstream::default()
        };
        asked
            .into_iter()
            .map(|(name, asked)| (name.clone(), asked.join().unwrap_or_else(|_| broke())))
            .collect()
    })
}

const fn local(details: &Details) -> Local<'_> {
    Local {
        path: &details.path,
        nar_hash: details.nar_hash,
        nar_size: details.nar_size,
        references: details.references.as_slice(),
        signatures: details.signatures.as_slice(),
    }
}

/// Details of the wanted paths that are valid here. Without them signatures prove nothing, and the
/// upstreams are asked: slower, not wrong.
fn details(observed: &Observed, machine: &Machine, wanted: &BTreeSet<HashPart>) -> Vec<Details> {
    let (Some(store), Ok(location)) = (observed.store.present(), &machine.store) else {
        return Vec::new();
    };
    let rows = wanted.iter().filter_map(|hash| store.paths.row(hash));
    let paths: Vec<StorePath> = rows.map(|row| store.paths.path(row)).collect();
    match nix_store::details(location, &paths) {
        Ok(details) => details.into_values().collect(),
        Err(error) => {
            tracing::debug!(error = sentence(&error), "signatures are not looked at");
            Vec::new()
        }
    }
}

/// For how long Nix would believe an answer.
fn lifetimes(observed: &Observed) -> Lifetimes {
    let setting = |name: &str, default: u64| {
        let nix = observed.nix.present();
        let value = nix.and_then(|nix| nix.settings.get(name)?.value.parse().ok());
        value.unwrap_or(default)
    };
    let nix = Lifetimes::default();
    Lifetimes {
        positive: setting("narinfo-cache-positive-ttl", nix.positive),
        negative: setting("narinfo-cache-negative-ttl", nix.negative),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{desired, hash, world};

    #[test]
    fn references_out_of_a_cache_are_asked_of_by_push_and_prune_alone() {
        let world = world().with_cached(1, &["a 10 elsewhere"]);
        for (part, asked) in [
            ("setup", false),
            ("optimize", false),
            ("push", true),
            ("prune/dev", true),
        ] {
            let desired = desired("").only(&[part.to_owned()]);
            let questions = questions(&desired, &world.observe(&desired));
            assert_eq!(questions.contains(&hash("elsewhere")), asked, "{part}");
        }
    }
}
