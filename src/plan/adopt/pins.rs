//! Adopting pins of a cache that a service keeps: a record lists them as ours. Nothing else is written.

use std::collections::BTreeSet;

use crate::plan::change::Changes;
use crate::plan::desired::{Adopt, Cache, Desired};
use crate::plan::observed::{CacheContent, Observation, Observed};
use crate::plan::pins::service::foreign;
use crate::plan::plan::{Refusal, Unknown};
use crate::plan::push::service::{record_step, rights};
use crate::plan::service::Service;
use crate::plan::service::record::{Claim, owned};
use crate::plan::step::{Because, PinToRecord, Step};

/// Plans which pins become ours: all foreign ones, or those that name one of the paths.
pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    (adopt, cache, service): (&Adopt, &Cache, &Service),
    changes: &mut Changes,
) {
    let name = &adopt.cache;
    let mut refuse = |code: &str, text: String, help: &str| {
        changes.refusals.push(Refusal {
            steps: Vec::new(),
            code: code.to_owned(),
            text,
            help: help.to_owned(),
        });
    };
    if !service.records {
        let text = format!(
            "{name} is kept by a service, and `records: none` keeps no records of ours there"
        );
        refuse(
            "adopt-service",
            text,
            "take `records: none` out: a record is what makes a pin ours",
        );
        return;
    }
    let content = match observed.caches.get(name) {
        Some(Observation::Present(content)) => content,
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: name.to_string(),
                why: why.clone(),
                effect: "nothing of it is adopted".to_owned(),
            });
            return;
        }
        Some(Observation::Absent) | None => return,
    };
    let Some(facts) = &content.service else {
        return;
    };
    let found: Vec<(String, Claim)> = foreign(desired, facts)
        .filter_map(|pin| {
            let claim = Claim {
                path: pin.path.clone()?,
                pinned: observed.now,
                run: observed.environment.run.clone(),
            };
            Some((pin.name.clone(), claim))
        })
        .filter(|(_, claim)| {
            let paths = adopt.paths.as_ref();
            paths.is_none_or(|paths| paths.contains(&claim.path.hash()))
        })
        .collect();
    let ours = owned(facts, &desired.config.project);
    if let Some(paths) = &adopt.paths {
        let mut known: BTreeSet<_> = found.iter().map(|(_, claim)| claim.path.hash()).collect();
        known.extend(ours.values().map(|owned| owned.claim.path.hash()));
        let absent: Vec<String> = paths
            .iter()
            .filter(|hash| !known.contains(*hash))
            .map(ToString::to_string)
            .collect();
        if !absent.is_empty() {
            let text = format!("{name} has no foreign pin of {}", absent.join(", "));
            refuse(
                "adopt-absent",
                text,
                "name paths that are pinned there, or pass --all",
            );
        }
    }
    if !found.is_empty() {
        let step = step(desired, (adopt, cache, service), content, found);
        let address = step.address.clone();
        changes.steps.push(step);
        rights(desired, (name, service), content, vec![address], changes);
    }
}

/// The record that takes these pins as ours, with those that are already.
fn step(
    desired: &Desired,
    (adopt, cache, service): (&Adopt, &Cache, &Service),
    content: &CacheContent,
    found: Vec<(String, Claim)>,
) -> Step {
    let name = &adopt.cache;
    let facts = content.service.as_ref();
    let ours = facts.map(|facts| owned(facts, &desired.config.project));
    let count = found.len();
    let things = if count == 1 { "pin" } else { "pins" };
    let adopted = found.into_iter().map(|(name, claim)| (name, claim, true));
    let carried = ours
        .unwrap_or_default()
        .into_iter()
        .map(|(name, owned)| (name.to_owned(), owned.claim.clone(), false));
    let pins = carried
        .chain(adopted)
        .map(|(name, claim, adopted)| PinToRecord {
            name,
            claim,
            adopted,
        });
    let step = record_step(
        desired,
        (name, cache, service),
        content,
        (pins.collect(), true),
    );
    let rule =
        format!("adopted: {count} foreign {things}, which a prune ends unless cache.yaml has them");
    Step {
        because: Because {
            rule,
            ..desired.because("", "/pins")
        },
        ..step
    }
}
