//! Pins that a service holds: one path under one name, with the past that it keeps by itself.
//!
//! A service tells nobody who set a pin. So a pin that is not declared counts as somebody else's, unless our
//! records say that it is ours: it is named, and stays. What becomes of ours is the prune's.

use std::collections::BTreeSet;

use super::{Coming, rule};
use crate::config::model::{Pin, PinName};
use crate::nix::store_path::StorePath;
use crate::plan::address::Phase;
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::Why;
use crate::plan::plan::{Advice, Unknown};
use crate::plan::service::record::{is_record, owned};
use crate::plan::service::{Keep, ServiceFacts, ServicePin};

/// How long the revisions of a declared pin stay.
#[must_use]
pub const fn keep(pin: &Pin) -> Keep {
    match (pin.days, pin.revisions) {
        (Some(days), _) => Keep::Days(days),
        (None, u32::MAX) => Keep::Forever,
        (None, revisions) => Keep::Revisions(revisions),
    }
}

/// The pin that a service should hold for a declared one.
#[must_use]
pub fn wanted(desired: &Desired, name: &PinName, path: &StorePath) -> Option<ServicePin> {
    let pin = desired.config.pins.get(name)?;
    Some(ServicePin {
        name: name.to_string(),
        path: Some(path.clone()),
        artifacts: pin.artifacts.clone(),
        keep: Some(keep(pin)),
    })
}

/// Plans the pins of a cache that a service keeps.
pub(in crate::plan) fn plan(
    coming: &Coming<'_>,
    cache: &Cache,
    facts: Option<&ServiceFacts>,
    changes: &mut Changes,
) {
    let (desired, name) = (coming.desired, coming.name);
    let none = Vec::new();
    let held = match facts.map(|facts| &facts.pins) {
        None => &none,
        Some(Ok(held)) => held,
        Some(Err(why)) => {
            changes.unknowns.push(Unknown {
                what: format!("{name} pins"),
                why: Why(why.clone()),
                effect: "nothing is pinned".to_owned(),
            });
            return;
        }
    };
    if let Some(facts) = facts {
        advise_of_foreign(desired, coming, facts, changes);
    }
    for (pin, declared) in &desired.config.pins {
        let current = coming.current(pin);
        if current.len() > 1 {
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: format!("pin {pin}"),
                text: format!(
                    "it names {} paths, and {name} holds one under each name: give each a pin of its own",
                    current.len()
                ),
                lines: Vec::new(),
                because: desired.because(rule(desired, pin), &format!("/pins/{pin}")),
            });
            continue;
        }
        let is_held = |path: &StorePath| {
            let wanted = wanted(desired, pin, path);
            wanted.is_some_and(|wanted| held.contains(&wanted))
        };
        let add: Vec<StorePath> = current.into_iter().filter(|path| !is_held(path)).collect();
        if !add.is_empty() {
            let rule = match keep(declared) {
                Keep::Days(days) => format!("{pin} keeps each revision for {days} days"),
                Keep::Revisions(_) | Keep::Forever => rule(desired, pin),
            };
            let step = coming.step(cache, pin, rule, (add, Vec::new()));
            changes.steps.push(step);
        }
    }
}

/// The pins of a cache that are neither declared nor ours.
pub(in crate::plan) fn foreign<'a>(
    desired: &Desired,
    facts: &'a ServiceFacts,
) -> impl Iterator<Item = &'a ServicePin> {
    let ours = owned(facts, &desired.config.project);
    let declared: BTreeSet<String> = desired
        .config
        .pins
        .keys()
        .map(ToString::to_string)
        .collect();
    let held = facts.pins.as_deref().unwrap_or_default();
    held.iter().filter(move |pin| {
        let name = pin.name.as_str();
        !is_record(name) && !declared.contains(name) && !ours.contains_key(name)
    })
}

/// Names the pins that are neither declared nor ours.
fn advise_of_foreign(
    desired: &Desired,
    coming: &Coming<'_>,
    facts: &ServiceFacts,
    changes: &mut Changes,
) {
    let others: Vec<String> = foreign(desired, facts)
        .map(|pin| pin.name.clone())
        .collect();
    if others.is_empty() {
        return;
    }
    let (count, they) = match others.len() {
        1 => ("1 pin is".to_owned(), "it is ours: it stays"),
        many => (format!("{many} pins are"), "they are ours: they stay"),
    };
    changes.advice.push(Advice {
        phase: Phase::Push,
        about: coming.name.to_string(),
        text: format!(
            "{count} not in cache.yaml, and no record says that {they}. Remove on the service's page what is not \
             wanted, or declare it, or take it over with `nanna-cache adopt`:"
        ),
        lines: others,
        because: desired.because("the pins of the cache", "/pins"),
    });
}
