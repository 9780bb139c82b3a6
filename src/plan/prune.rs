//! The prune phase: what each cache holds that nothing needs any more.
//!
//! Promise: nothing is deleted from a cache that could not be seen whole, and what stays is whole.

mod report;
mod service;
mod steps;

pub use report::UNREACHABLE;

use std::collections::BTreeSet;

use super::change::Changes;
use super::class::Classifier;
use super::desired::{Cache, Desired, TopSource};
use super::need::{Need, Rules, need};
use super::observed::{CacheContent, Observation, Observed};
use super::plan::{CacheBudget, Unknown};
use super::record;
use super::step::{Op, PathToPush, Step};
use super::wanted::classifier;
use super::{pins, push};
use crate::config::model::CacheName;
use crate::nix::store_path::HashPart;

/// Plans what goes from each cache, after the steps of `pushing` have been done.
///
/// Where something that is wanted could not be seen, its roots are not known to be renewed; so no
/// retention ends there in this plan.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, pushing: &Changes) -> Changes {
    let mut changes = Changes::default();
    let classifier = classifier(desired, observed);
    // The class of what could not be seen is not known either, and with it the retention.
    let unseen = desired
        .tops
        .iter()
        .any(|top| is_unseen(observed, &top.source));
    for (name, cache) in &desired.caches {
        if let Some(at) = cache.place.service() {
            let content = observed.caches.get(name).and_then(Observation::present);
            let facts = content.and_then(|content| content.service.as_ref());
            let here = (name, cache, at);
            service::plan(desired, here, content.zip(facts), pushing, &mut changes);
            continue;
        }
        match observed.caches.get(name) {
            Some(Observation::Present(content)) => {
                let place = Place {
                    desired,
                    observed,
                    name,
                    cache,
                    content,
                    classifier: &classifier,
                };
                let unseen = unseen || pushing.unseen.contains(name);
                place.plan(pushing, unseen, &mut changes);
            }
            Some(Observation::Unknown(why) | Observation::Error(why)) => {
                changes.unknowns.push(Unknown {
                    what: name.to_string(),
                    why: why.clone(),
                    effect: "nothing is deleted from it".to_owned(),
                });
            }
            Some(Observation::Absent) | None => {}
        }
    }
    changes
}

/// So many references that lead out of a cache are looked for in upstreams: enough to see that something is
/// broken, and few enough for every plan.
const ASKED: usize = 500;

/// Which paths upstreams have to be asked for, so that references to what is nowhere are seen.
#[must_use]
pub fn questions(observed: &Observed) -> BTreeSet<HashPart> {
    let contents = observed.caches.values().filter_map(Observation::present);
    contents.flat_map(asked_of).collect()
}

/// The lowest of the hashes that lead out of a cache.
fn asked_of(content: &CacheContent) -> BTreeSet<HashPart> {
    let mut lowest = BTreeSet::new();
    for (_, hash) in &content.elsewhere {
        lowest.insert(*hash);
        if lowest.len() > ASKED {
            lowest.pop_last();
        }
    }
    lowest
}

/// What is live in a cache now, by the rules of `cache.yaml`: for the second look of a prune.
#[must_use]
pub fn look(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
    content: &CacheContent,
) -> Option<Need> {
    let cache = desired.caches.get(name)?;
    let classifier = classifier(desired, observed);
    let place = Place {
        desired,
        observed,
        name,
        cache,
        content,
        classifier: &classifier,
    };
    // What was wanted when the plan was made is wanted still, and what came in is there by now. Pins
    // are taken as they are: one that only would be removed still holds.
    let mut pushing = push::plan(desired, observed);
    pushing
        .steps
        .retain(|step| !matches!(step.op, Op::Pin { .. }));
    Some(place.need(&pushing))
}

fn is_unseen(observed: &Observed, source: &TopSource) -> bool {
    match source {
        TopSource::Output(output) => is_unknown(observed.outputs.get(output)),
        TopSource::Directory(glob) => {
            let seen = observed.directories.get(glob);
            let partly = seen.and_then(Observation::present);
            is_unknown(seen) || partly.is_some_and(|seen| !seen.unseen.is_empty())
        }
        TopSource::Path(given) | TopSource::PathsFrom(given) => {
            is_unknown(observed.given.get(given))
        }
    }
}

fn is_unknown<T>(seen: Option<&Observation<T>>) -> bool {
    seen.is_none_or(|seen| seen.unknown().is_some())
}

struct Place<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    name: &'a CacheName,
    cache: &'a Cache,
    content: &'a CacheContent,
    classifier: &'a Classifier<'a>,
}

impl Place<'_> {
    fn plan(&self, pushing: &Changes, unseen: bool, changes: &mut Changes) {
        let need = self.need(pushing);
        let mut budget = self.budget();
        self.report(&need, changes);
        if self.desired.config.prune.enabled && self.content.forbidden.is_some() {
            self.refuse_forbidden(&need, pushing, changes);
        } else if self.desired.config.prune.enabled && !self.is_hidden(changes) {
            let mut steps = self.steps(&need, &pushing.steps);
            if unseen {
                steps.retain_mut(only_files);
            } else {
                budget.must_stay = self.refuse_size(&need, &steps, changes);
            }
            budget.bytes_after -= steps
                .iter()
                .map(|step| step.effect.bytes)
                .sum::<u64>()
                .min(budget.bytes);
            self.refuse_busy(&steps, changes);
            changes.steps.extend(steps);
        }
        budget.bytes_after += incoming(&pushing.steps, self.name, self.content);
        changes.caches.push(budget);
    }

    fn need(&self, pushing: &Changes) -> Need {
        let renewed = push::roots_to_write(&pushing.steps, self.name)
            .map(|root| (root.class.as_str(), root.path.hash()))
            .collect();
        need(
            self.content,
            &Rules {
                classifier: self.classifier,
                grace: self.desired.config.prune.grace,
                foreign: self.desired.config.prune.foreign,
                max_size: self.cache.max_size,
                incoming: incoming(&pushing.steps, self.name, self.content),
                renewed,
                relied_on: pushing.relied_on.get(self.name).map_or(&[], Vec::as_slice),
                pins: pins::remaining(self.content, self.running(&pushing.steps), self.name),
            },
        )
    }

    /// The pushes and pins that run beside this prune: those that were chosen. Of the others, a pin that would
    /// go still holds, and a root that would be written covers nothing.
    fn running<'p>(&self, pushing: &'p [Step]) -> impl Iterator<Item = &'p Step> {
        pushing
            .iter()
            .filter(|step| self.desired.runs(&step.address))
    }

    fn budget(&self) -> CacheBudget {
        let bytes = self.content.nars.bytes();
        CacheBudget {
            cache: self.name.clone(),
            kind: self.cache.place.kind().to_owned(),
            tier: self
                .desired
                .config
                .caches
                .get(self.name)
                .and_then(|cache| cache.tier),
            paths: self.content.paths.len() as u64,
            bytes,
            bytes_after: bytes,
            max_size: self.cache.max_size,
            estimated: false,
            pins: None,
            must_stay: None,
        }
    }

    /// Whether the look is not whole, so that nothing may be deleted; says so.
    fn is_hidden(&self, changes: &mut Changes) -> bool {
        let Some(why) = &self.content.partial else {
            return false;
        };
        changes.unknowns.push(Unknown {
            what: self.name.to_string(),
            why: why.clone(),
            effect: "it was not seen whole, so nothing is deleted from it".to_owned(),
        });
        true
    }
}

/// Leaves of a step only files that no record ever covered; `false`: nothing is left.
fn only_files(step: &mut Step) -> bool {
    let Op::Sweep { objects, .. } = &mut step.op else {
        return false;
    };
    objects.retain(|object| !object.key.starts_with(record::FOLDER));
    step.effect.bytes = objects.iter().map(|object| object.size).sum();
    !objects.is_empty()
}

/// Bytes of NAR that push steps bring to a cache, as far as it is known that no upstream has them,
/// and that are not there already.
fn incoming(pushing: &[Step], cache: &CacheName, content: &CacheContent) -> u64 {
    let is_there = |path: &PathToPush| {
        let row = content.paths.row(&path.path.hash());
        row.is_some_and(|row| content.narinfos[row as usize].nar().is_some())
    };
    let paths = pushing.iter().flat_map(|step| match &step.op {
        Op::Push {
            cache: name, paths, ..
        } if name == cache => paths.as_slice(),
        _ => &[],
    });
    paths
        .filter(|path| !path.unasked && !path.is_there() && !is_there(path))
        .map(|path| path.nar_size)
        .sum()
}

#[cfg(test)]
mod tests;
