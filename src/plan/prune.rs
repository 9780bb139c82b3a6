//! The prune phase: what each cache holds that nothing needs any more.
//!
//! Promise: nothing is deleted from a cache that could not be seen whole, and what stays is whole.

mod steps;

use std::collections::BTreeSet;

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
        if lowest.len() < ASKED || lowest.last().is_some_and(|last| hash < last) {
            lowest.insert(*hash);
        }
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
    Some(place.need(&Changes::default()))
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
        let bytes = self.content.nars.iter().map(|nar| nar.size).sum();
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
        if self.content.capabilities.by_age {
            advise(
                "its file system has no locks that hold for every machine: after a push has died, what it \
                 relied on is kept for a day, and a prune that has died keeps others waiting for half an hour"
                    .to_owned(),
                Vec::new(),
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
        let (lost, asked) = (self.content.elsewhere.iter(), asked_of(self.content));
        found.extend(
            lost.filter(|(_, hash)| self.is_nowhere(*hash, &asked))
                .map(|(row, hash)| {
                    format!("{}: {hash}, to which it refers, is missing", name(*row))
                }),
        );
        found
    }

    /// Whether every declared upstream was asked for a path, answered, and does not have it.
    fn is_nowhere(&self, hash: HashPart, asked: &BTreeSet<HashPart>) -> bool {
        let lacks = |name: &CacheName| {
            let upstream = self.observed.upstreams.get(name);
            upstream.is_some_and(|it| !it.has.contains(&hash) && !it.unanswered.contains(&hash))
        };
        let upstreams = &self.desired.upstreams;
        upstreams.is_empty() || asked.contains(&hash) && upstreams.keys().all(lacks)
    }

    /// Refuses what would go beside a record that only a newer version understands.
    fn refuse_forbidden(&self, need: &Need, pushing: &Changes, changes: &mut Changes) {
        let steps = self.steps(need, &pushing.steps);
        let Some(why) = self
            .content
            .forbidden
            .as_ref()
            .filter(|_| !steps.is_empty())
        else {
            self.is_hidden(changes);
            return;
        };
        changes.refusals.push(Refusal {
            steps: steps.iter().map(|step| step.address.clone()).collect(),
            code: "prune-record".to_owned(),
            text: format!("nothing may be deleted from {}: {}", self.name, why.0),
            help: "prune with the version that wrote it, or a newer one".to_owned(),
        });
        changes.steps.extend(steps);
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
