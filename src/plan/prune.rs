//! The prune phase: what each cache holds that nothing needs any more.
//!
//! Promise: nothing is deleted from a cache that could not be seen whole, and what stays is whole.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Phase};
use super::change::Changes;
use super::class::{ClassId, Classifier};
use super::desired::{Cache, Desired, TopSource};
use super::need::{Need, Rules, need, recorded_classes};
use super::observed::{CacheContent, Nar, Observation, Observed};
use super::paths::Row;
use super::plan::{Advice, CacheBudget, Refusal, Unknown};
use super::record::{Intent, PrunePhase, Root};
use super::step::{Effect, Known, Op, PathToDrop, Step};
use super::wanted::classifier;
use super::{pins, push, record};
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::nix::closure::RowSet;
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

/// The address of the step that deletes a class from a cache.
#[must_use]
pub fn prune_address(cache: &CacheName, class: &str) -> Address {
    Address::new(Phase::Prune, cache.as_str(), class)
}

/// The address of the step that deletes files that no narinfo names.
#[must_use]
pub fn sweep_address(cache: &CacheName) -> Address {
    Address::new(Phase::Prune, cache.as_str(), "unnamed-files")
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
    seen.is_some_and(|seen| seen.unknown().is_some())
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
                    limit
                ),
                Vec::new(),
            );
        }
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

    fn steps(&self, need: &Need, pushing: &[Step]) -> Vec<Step> {
        let mut dead = RowSet::new(self.content.paths.len());
        for row in self
            .content
            .paths
            .rows()
            .filter(|row| !need.live.contains(*row))
        {
            dead.insert(row);
        }
        let recorded = recorded_classes(self.content, self.classifier);
        let mut paths = self.paths_by_class(need, &dead, &recorded);
        let mut roots: BTreeMap<ClassId, Vec<String>> = BTreeMap::new();
        for number in &need.ended {
            let root = &self.content.roots[*number];
            if let Some(id) = self.classifier.id(&root.class) {
                roots
                    .entry(id)
                    .or_default()
                    .push(Root::key(&root.class, root.hash));
            }
        }
        let classes: BTreeSet<ClassId> = paths.keys().chain(roots.keys()).copied().collect();
        let mut steps: Vec<Step> = classes
            .into_iter()
            .map(|id| {
                let paths = paths.remove(&id).unwrap_or_default();
                let roots = roots.remove(&id).unwrap_or_default();
                self.prune_step(id, paths, roots)
            })
            .collect();
        steps.sort_by_key(|step| match &step.op {
            Op::Prune { class, .. } => self
                .classifier
                .id(class)
                .map(|id| (self.classifier.priority(id), id)),
            _ => None,
        });
        let objects = self.unnamed(&dead, pushing);
        if !objects.is_empty() {
            steps.push(self.sweep_step(objects));
        }
        steps
    }

    fn paths_by_class(
        &self,
        need: &Need,
        dead: &RowSet,
        recorded: &BTreeMap<HashPart, ClassId>,
    ) -> BTreeMap<ClassId, Vec<PathToDrop>> {
        let mut counted: Vec<bool> = vec![false; self.content.nars.len()];
        for row in self.content.paths.rows().filter(|row| !dead.contains(*row)) {
            if let Some(nar) = self.content.narinfos[row as usize].nar {
                counted[nar as usize] = true;
            }
        }
        let mut paths: BTreeMap<ClassId, Vec<PathToDrop>> = BTreeMap::new();
        let mut rows: Vec<Row> = dead.iter().collect();
        rows.sort_unstable_by_key(|row| self.content.paths.hash(*row));
        for row in rows {
            let hash = self.content.paths.hash(row);
            let id = recorded.get(&hash).copied().unwrap_or_else(|| {
                self.classifier
                    .class(hash, &self.content.paths.base_name(row))
            });
            let nar = self.content.narinfos[row as usize].nar;
            let bytes = nar.map_or(0, |nar| {
                let named_elsewhere = std::mem::replace(&mut counted[nar as usize], true);
                if named_elsewhere {
                    0
                } else {
                    self.content.nars[nar as usize].size
                }
            });
            paths.entry(id).or_default().push(PathToDrop {
                path: self.content.paths.path(row),
                bytes,
                reason: need.reason(row),
            });
        }
        paths
    }

    fn prune_step(&self, id: ClassId, paths: Vec<PathToDrop>, roots: Vec<String>) -> Step {
        let class = self.classifier.name_of(id);
        let rule = format!("{class} is kept {}", self.classifier.retention(id));
        Step {
            address: prune_address(self.name, class.as_str()),
            phase: Phase::Prune,
            scope: self.cache.scope,
            because: self
                .desired
                .because(rule, &format!("/artifacts/{class}/retention")),
            effect: Effect {
                paths: paths.len() as u64,
                bytes: paths.iter().map(|path| path.bytes).sum(),
            },
            known: Known::Now,
            revision: None,
            waits_for: self.after_push(),
            op: Op::Prune {
                cache: self.name.clone(),
                class: class.clone(),
                paths,
                roots,
            },
        }
    }

    fn after_push(&self) -> Vec<Address> {
        let classes = self.desired.config.classes.keys();
        let mut waits_for: Vec<Address> = classes
            .map(|class| push::push_address(self.name, class.as_str()))
            .collect();
        waits_for.extend(
            self.desired
                .config
                .pins
                .keys()
                .map(|pin| pins::pin_address(self.name, pin)),
        );
        waits_for
    }

    /// Files older than grace that no narinfo names now, left-overs, and records of dead pushes
    /// whose paths are all gone, going, or covered.
    fn unnamed(&self, dead: &RowSet, pushing: &[Step]) -> Vec<Nar> {
        let grace = self.desired.config.prune.grace;
        let old = |object: &Nar| self.content.now.since(object.modified) >= grace;
        let mut named = vec![false; self.content.nars.len()];
        for narinfo in &self.content.narinfos {
            if let Some(nar) = narinfo.nar {
                named[nar as usize] = true;
            }
        }
        let nars = self.content.nars.iter().enumerate();
        let nars = nars
            .filter(|(number, nar)| !named[*number] && old(nar))
            .map(|(_, nar)| nar);
        let left = self.content.leftovers.iter().filter(|object| old(object));
        let mut objects: Vec<Nar> = nars.chain(left).cloned().collect();
        let covered = self.covered(pushing);
        let intents = self.content.intents.iter();
        objects.extend(
            intents
                .filter(|intent| self.is_spent(intent, dead, &covered))
                .map(|intent| Nar {
                    key: format!("{}/intents/{}.json", record::FOLDER, intent.id),
                    size: 0,
                    modified: intent.modified,
                }),
        );
        objects.sort();
        objects
    }

    fn covered(&self, pushing: &[Step]) -> RowSet {
        let written = push::roots_to_write(pushing, self.name).map(|root| root.path.hash());
        let recorded = self.content.roots.iter().map(|root| root.hash);
        let rows = recorded
            .chain(written)
            .filter_map(|hash| self.content.paths.row(&hash));
        self.content.paths.refs().reach(rows)
    }

    /// Whether the record of a dead push says nothing any more that would be missed: without it,
    /// what it left behind would pass for foreign content and be kept.
    fn is_spent(&self, intent: &Intent, dead: &RowSet, covered: &RowSet) -> bool {
        let visible = intent
            .absent
            .iter()
            .filter_map(|hash| self.content.paths.row(hash));
        intent.gone
            && visible
                .into_iter()
                .all(|row| dead.contains(row) || covered.contains(row))
    }

    fn sweep_step(&self, objects: Vec<Nar>) -> Step {
        let classes = self.desired.config.classes.keys();
        Step {
            address: sweep_address(self.name),
            phase: Phase::Prune,
            scope: self.cache.scope,
            because: self.desired.because(
                format!(
                    "no narinfo names them, and they are older than {}",
                    self.desired.config.prune.grace
                ),
                "/prune/grace",
            ),
            effect: Effect {
                paths: 0,
                bytes: objects.iter().map(|object| object.size).sum(),
            },
            known: Known::Now,
            revision: None,
            waits_for: classes
                .map(|class| prune_address(self.name, class.as_str()))
                .collect(),
            op: Op::Sweep {
                cache: self.name.clone(),
                objects,
            },
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
