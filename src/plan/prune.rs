//! The prune phase: what each cache holds that nothing needs any more.
//!
//! Promise: nothing is deleted from a cache that could not be seen whole, and what stays is whole.

mod steps;

use super::address::Phase;
use super::change::Changes;
use super::class::Classifier;
use super::desired::{Cache, Desired, TopSource};
use super::need::{Need, Rules, need};
use super::observed::{CacheContent, Observation, Observed};
use super::paths::Row;
use super::plan::{Advice, CacheBudget, Refusal, Unknown};
use super::record::{self, PrunePhase};
use super::step::{Op, Step};
use super::wanted::classifier;
use super::{pins, push};
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::config::units::Size;

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
        match observed.caches.get(name) {
            Some(Observation::Present(content)) => {
                let place = Place {
                    desired,
                    name,
                    cache,
                    content,
                    classifier: &classifier,
                };
                let unseen = unseen || pushing.unseen.contains(name);
                place.plan(pushing, unseen, &mut changes);
            }
            Some(Observation::Unknown(why)) => changes.unknowns.push(Unknown {
                what: name.to_string(),
                why: why.clone(),
                effect: "nothing is deleted from it".to_owned(),
            }),
            Some(Observation::Absent) | None => {}
        }
    }
    changes
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
        name,
        cache,
        content,
        classifier: &classifier,
    };
    Some(place.need(&Changes::default()))
}

fn is_unseen(observed: &Observed, source: &TopSource) -> bool {
    match source {
        TopSource::Output(output) => is_unknown(observed.outputs.get(output)),
        TopSource::Directory(glob) => is_unknown(observed.directories.get(glob)),
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
        if self.desired.config.prune.enabled && !self.is_hidden(changes) {
            let mut steps = self.steps(&need, &pushing.steps);
            if unseen {
                steps.retain_mut(only_files);
            }
            budget.bytes_after -= steps
                .iter()
                .map(|step| step.effect.bytes)
                .sum::<u64>()
                .min(budget.bytes);
            self.refuse_busy(&steps, changes);
            changes.steps.extend(steps);
        }
        budget.bytes_after += incoming(&pushing.steps, self.name);
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
                incoming: incoming(&pushing.steps, self.name),
                renewed,
                relied_on: pushing.relied_on.get(self.name).map_or(&[], Vec::as_slice),
                pins: pins::remaining(self.content, &pushing.steps, self.name),
            },
        )
    }

    fn budget(&self) -> CacheBudget {
        let bytes = self.content.nars.bytes();
        CacheBudget {
            cache: self.name.clone(),
            kind: "file".to_owned(),
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

    fn report(&self, need: &Need, changes: &mut Changes) {
        let setting = format!("/caches/{}", self.name);
        let mut advise = |text: String, lines: Vec<String>| {
            changes.advice.push(Advice {
                phase: Phase::Prune,
                about: self.name.to_string(),
                text,
                lines,
                because: self.desired.because("the cache as it was found", &setting),
            });
        };
        if !self.content.damages.is_empty() {
            advise(
                format!(
                    "{} damaged objects are left alone:",
                    self.content.damages.len()
                ),
                self.content.damages.iter().take(5).cloned().collect(),
            );
        }
        let dangling = self.dangling();
        if !dangling.is_empty() {
            advise(
                format!(
                    "{} paths cannot be fetched whole; a push that holds them repairs them:",
                    dangling.len()
                ),
                dangling.into_iter().take(5).collect(),
            );
        }
        if need.unknown_class > 0 {
            advise(
                format!(
                    "{} root records are of classes that cache.yaml does not have; what they reach is kept",
                    need.unknown_class
                ),
                Vec::new(),
            );
        }
        if let (Some(bytes), Some(limit)) = (need.too_big, self.cache.max_size) {
            advise(
                format!(
                    "what must stay (pins, open and present pushes, young paths, foreign content) is \
                     {}, more than its max-size of {}",
                    Rough(bytes),
                    Size(limit)
                ),
                Vec::new(),
            );
        }
    }

    /// Visible paths whose NAR is missing, or a path that they refer to: base names with the reason.
    fn dangling(&self) -> Vec<String> {
        let name = |row: Row| self.content.paths.base_name(row);
        let mut found: Vec<String> = self
            .content
            .paths
            .rows()
            .filter(|row| self.content.narinfos[*row as usize].nar.is_none())
            .map(|row| format!("{}: its NAR is missing", name(row)))
            .collect();
        // What an upstream was not asked for it may well have.
        if self.desired.upstreams.is_empty() {
            let lost = self.content.elsewhere.iter();
            found.extend(lost.map(|(row, hash)| {
                format!("{}: {hash}, to which it refers, is missing", name(*row))
            }));
        }
        found
    }

    fn refuse_busy(&self, steps: &[Step], changes: &mut Changes) {
        let active = self
            .content
            .prunes
            .iter()
            .find(|prune| !prune.gone && prune.phase != PrunePhase::Ended);
        if let Some(active) = active
            && !steps.is_empty()
        {
            changes.refusals.push(Refusal {
                steps: steps.iter().map(|step| step.address.clone()).collect(),
                code: "prune-busy".to_owned(),
                text: format!(
                    "another prune of {} has been running since {}",
                    self.name, active.modified
                ),
                help: "wait for it, or pass --lock-timeout DURATION to wait here".to_owned(),
            });
        }
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

/// Bytes of NAR that push steps bring to a cache, as far as it is known that no upstream has them.
fn incoming(pushing: &[Step], cache: &CacheName) -> u64 {
    let paths = pushing.iter().flat_map(|step| match &step.op {
        Op::Push {
            cache: name, paths, ..
        } if name == cache => paths.as_slice(),
        _ => &[],
    });
    paths
        .filter(|path| !path.unasked)
        .map(|path| path.nar_size)
        .sum()
}

#[cfg(test)]
mod tests;
