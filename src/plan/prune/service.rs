//! What a prune means for a cache that its service collects: our pins that are no longer declared go, and what
//! our records say of its size is an estimate.

use super::incoming;
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::config::units::Size;
use crate::plan::address::{Address, Phase, cache_addresses, record_address, unpin_address};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{CacheContent, Why};
use crate::plan::plan::{Advice, CacheBudget, Refusal, Unknown};
use crate::plan::push::service::rights;
use crate::plan::service::record::{KEPT_DAYS, Owned, estimate, is_record, owned};
use crate::plan::service::{Service, ServiceFacts};
use crate::plan::step::{Effect, Known, Op, Step};

/// One cache of a service.
type Here<'a> = (&'a CacheName, &'a Cache, &'a Service);

/// Plans what goes from a cache of a service; `seen`: it, as it was found.
pub(super) fn plan(
    desired: &Desired,
    here: Here<'_>,
    seen: Option<(&CacheContent, &ServiceFacts)>,
    pushing: &Changes,
    changes: &mut Changes,
) {
    let (name, cache, service) = here;
    let mut known = None;
    if let Some((content, facts)) = seen.filter(|_| service.records) {
        unread(name, facts, changes);
        let steps = steps(desired, (name, cache), facts);
        if desired.config.prune.enabled && !steps.is_empty() {
            let addresses: Vec<Address> = steps.iter().map(|step| step.address.clone()).collect();
            refuse_forbidden(name, facts, &addresses, changes);
            changes.steps.extend(steps);
            rights(desired, (name, service), content, addresses, changes);
        }
        let budget = budget(desired, here, (content, facts), pushing);
        known = Some((budget.paths, budget.bytes));
        changes.caches.push(budget);
    }
    if desired.config.prune.enabled {
        advise(desired, (name, cache), known, changes);
    }
}

/// Records that could not be read.
fn unread(name: &CacheName, facts: &ServiceFacts, changes: &mut Changes) {
    for (record, why) in &facts.records.unread {
        changes.unknowns.push(Unknown {
            what: format!("{name} {record}"),
            why: Why(why.clone()),
            effect: "a pin that only this record lists counts as somebody else's, and stays"
                .to_owned(),
        });
    }
}

/// A step for each pin of ours that is no longer declared.
fn steps(
    desired: &Desired,
    (name, cache): (&CacheName, &Cache),
    facts: &ServiceFacts,
) -> Vec<Step> {
    let declared = |pin: &str| desired.config.pins.keys().any(|it| it.as_str() == pin);
    let ended = owned(facts, &desired.config.project);
    let ended = ended.into_iter().filter(|(pin, _)| !declared(pin));
    let step = |(pin, owned): (&str, Owned<'_>)| {
        let run = owned.claim.run.as_deref();
        let by = run.map_or_else(String::new, |run| format!(" in run {run}"));
        let rule = format!(
            "cache.yaml no longer has the pin {pin}, which we set{by} on {} ({})",
            owned.claim.pinned, owned.record.name
        );
        let mut waits_for = cache_addresses(name);
        waits_for.push(record_address(name));
        Step {
            address: unpin_address(name, pin),
            phase: Phase::Prune,
            scope: cache.scope,
            because: desired.because(rule, "/pins"),
            effect: Effect { paths: 1, bytes: 0 },
            known: Known::Now,
            revision: None,
            waits_for,
            op: Op::Unpin {
                cache: name.clone(),
                name: pin.to_owned(),
                path: owned.claim.path.clone(),
            },
        }
    };
    ended.map(step).collect()
}

/// Refuses what would go beside a record that only a newer version understands.
fn refuse_forbidden(
    name: &CacheName,
    facts: &ServiceFacts,
    steps: &[Address],
    changes: &mut Changes,
) {
    if let Some(why) = &facts.records.forbidden {
        changes.refusals.push(Refusal {
            steps: steps.to_vec(),
            code: "prune-record".to_owned(),
            text: format!("nothing may be deleted from {name}: {}", why.0),
            help: "prune with the version that wrote it, or a newer one".to_owned(),
        });
    }
}

fn budget(
    desired: &Desired,
    (name, cache, _): Here<'_>,
    (content, facts): (&CacheContent, &ServiceFacts),
    pushing: &Changes,
) -> CacheBudget {
    let (paths, bytes) = estimate(&facts.records);
    let declared = desired.config.caches.get(name);
    let pins = facts.pins.as_ref().ok();
    CacheBudget {
        cache: name.clone(),
        kind: cache.place.kind().to_owned(),
        tier: declared.and_then(|cache| cache.tier),
        paths,
        bytes,
        bytes_after: bytes.saturating_add(incoming(&pushing.steps, name, content)),
        max_size: cache.max_size,
        estimated: true,
        pins: pins.map(|pins| pins.iter().filter(|pin| !is_record(&pin.name)).count() as u64),
        must_stay: None,
    }
}

/// Says what becomes of a cache that its service prunes, and how full it may be.
fn advise(
    desired: &Desired,
    (name, cache): (&CacheName, &Cache),
    known: Option<(u64, u64)>,
    changes: &mut Changes,
) {
    let mut say = |text: String, (rule, key): (&str, &str)| {
        changes.advice.push(Advice {
            phase: Phase::Prune,
            about: name.to_string(),
            text,
            lines: Vec::new(),
            because: desired.because(rule, &format!("/caches/{name}{key}")),
        });
    };
    say(
        "its service tells neither its size nor its paths, and deletes what was used least when the account is \
         full: retention and priority do not act there, pins do"
            .to_owned(),
        ("the cache is of a service", ""),
    );
    let Some((max, (paths, bytes))) = cache.max_size.zip(known) else {
        return;
    };
    let things = if paths == 1 { "path" } else { "paths" };
    let much = format!(
        "by our records of the last {KEPT_DAYS} days, {paths} {things} with {} were pushed to it",
        Rough(bytes)
    );
    let of = format!("max-size is {}", Size(max));
    let text = if bytes > max {
        format!(
            "{much}, and its {of}. That is an estimate: what the service has deleted since, and what others pushed, \
             is not known. Push fewer classes to it (push.to), or raise its max-size"
        )
    } else {
        format!("{much} (an estimate; its {of})")
    };
    say(text, ("what our records say", "/max-size"));
}
