//! What a push to a service needs besides: what the service says of paths, and the right to write.

use crate::config::model::{CacheName, Visibility};
use crate::nix::store_path::StorePath;
use crate::plan::address::{Address, Phase, cache_addresses, push_address, record_address};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, Desired};
use crate::plan::nars::Nars;
use crate::plan::observed::{CacheContent, Narinfo};
use crate::plan::paths::Paths;
use crate::plan::plan::{Advice, Refusal};
use crate::plan::service::Service;
use crate::plan::service::record::{is_renewal_due, owned};
use crate::plan::step::{Effect, Known, Op, PinToRecord, Step};
use std::sync::Arc;

/// There is a token, and it may not write.
const NO_RIGHT: &str = "push-no-right";

/// Says what keeps these steps from running.
///
/// Without a token a plan is still of use: it is what a run that has one would do.
pub(in crate::plan) fn rights(
    desired: &Desired,
    (name, service): (&CacheName, &Service),
    content: &CacheContent,
    steps: Vec<Address>,
    changes: &mut Changes,
) {
    let phase = match steps.first() {
        Some(step) if step.is_in(Phase::Prune.word()) => Phase::Prune,
        _ => Phase::Push,
    };
    let Some(facts) = content.service.as_ref().filter(|_| !steps.is_empty()) else {
        return;
    };
    let setting = format!("caches.{name}.token");
    if facts.has_token && !facts.may_write {
        changes.refusals.push(Refusal {
            steps,
            code: NO_RIGHT.to_owned(),
            text: format!("the token for {name} may read it, and not write"),
            help: format!("give {setting} one that may write, or set caches.{name}.read-only"),
        });
    } else if !facts.has_token {
        changes.advice.push(Advice {
            phase,
            about: name.to_string(),
            text: format!(
                "there is no token here, so an apply could not {} it: {setting} is the {}",
                if phase == Phase::Prune {
                    "delete from"
                } else {
                    "push to"
                },
                service.token
            ),
            lines: Vec::new(),
            because: desired.because(
                "what writes needs a token",
                &format!("/caches/{name}/token"),
            ),
        });
    }
}

/// Plans the record of what `steps` do in a cache; also one for the pins alone, where the newest that knows of
/// one of them will not stay for long.
pub(super) fn record(
    desired: &Desired,
    (name, cache, service): (&CacheName, &Cache, &Service),
    content: &CacheContent,
    steps: &[Address],
    changes: &mut Changes,
) {
    if !service.records {
        return;
    }
    let facts = content.service.as_ref();
    let ours = facts.map(|facts| owned(facts, &desired.config.project));
    let ours = ours.unwrap_or_default();
    let renews = is_renewal_due(&ours, content.now) && facts.is_some_and(|facts| facts.may_write);
    if steps.is_empty() && !renews {
        return;
    }
    let pins = ours.into_iter().map(|(name, owned)| PinToRecord {
        name: name.to_owned(),
        claim: owned.claim.clone(),
        adopted: false,
    });
    let step = record_step(
        desired,
        (name, cache, service),
        content,
        (pins.collect(), renews),
    );
    changes.steps.push(step);
}

/// The step that writes a record of these pins.
pub(in crate::plan) fn record_step(
    desired: &Desired,
    (name, cache, service): (&CacheName, &Cache, &Service),
    content: &CacheContent,
    (pins, renews): (Vec<PinToRecord>, bool),
) -> Step {
    let facts = content.service.as_ref();
    let declared = service.visibility == Visibility::Public;
    let mut waits_for = cache_addresses(name);
    let classes = desired.config.classes.keys();
    waits_for.extend(classes.map(|class| push_address(name, class.as_str())));
    Step {
        address: record_address(name),
        phase: Phase::Push,
        scope: cache.scope,
        because: desired.because(
            "what a run pushes and pins is written down",
            &format!("/caches/{name}/records"),
        ),
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for,
        op: Op::Record {
            cache: name.clone(),
            pins,
            renews,
            is_public: facts.map_or(declared, |facts| facts.is_public),
        },
    }
}

/// The content of a cache of which a service said that these are not missing.
///
/// It tells neither what they refer to nor how large their files are.
#[must_use]
pub fn with_present(
    content: CacheContent,
    present: impl IntoIterator<Item = (StorePath, u64)>,
) -> CacheContent {
    let mut paths = Paths::builder(0);
    let mut narinfos = Vec::new();
    for (path, size) in present {
        paths.push(path.hash(), path.name(), size);
        narinfos.push(Narinfo::new(Some(0), content.now));
    }
    let mut nars = Nars::default();
    if !narinfos.is_empty() {
        // The service does not say what its files are called; one stands for all.
        nars.add("nar/of-the-service", 0, content.now);
    }
    CacheContent {
        paths: Arc::new(paths.index()),
        narinfos,
        nars,
        ..content
    }
}

#[cfg(test)]
mod tests;
