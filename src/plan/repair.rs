//! Repairing: what a verification found broken in a cache is pushed again from the local store, signed, or goes.
//!
//! Promises: what takes the place of a path has the NAR hash that its narinfo says, wherever that narinfo is right;
//! only what is valid in the local store is signed; what goes, goes with all that refers to it, and never from
//! under a pin. What no step can mend is advice. Nothing here looks at NARs: a repair is planned from findings.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Phase, cache_address, prune_address, push_address};
use super::change::Changes;
use super::class::{ClassId, Classifier};
use super::desired::{Cache, Damage, Desired, Repair};
use super::drops::{DropReason, PathsToDrop};
use super::observed::{CacheContent, LocalStore, Observation, Observed};
use super::paths::Row;
use super::plan::{Advice, CacheBudget, Refusal, Unknown};
use super::record::Root;
use super::setup;
use super::step::{Because, Effect, Known, Op, PathToPush, Step};
use super::wanted::{classifier, is_upstream};
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;

/// Plans the mending of a cache.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, repair: &Repair) -> Changes {
    let mut changes = Changes::default();
    let Some(cache) = desired.caches.get(&repair.cache) else {
        return changes;
    };
    let content = match observed.caches.get(&repair.cache) {
        Some(Observation::Present(content)) => content,
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: repair.cache.to_string(),
                why: why.clone(),
                effect: "nothing of it is mended".to_owned(),
            });
            return changes;
        }
        Some(Observation::Absent) | None => return changes,
    };
    if repair.info {
        let setup = setup::plan(desired, observed).steps.into_iter();
        let address = cache_address(&repair.cache);
        changes
            .steps
            .extend(setup.filter(|step| step.address == address));
    }
    let classifier = classifier(desired, observed);
    let mending = Mending {
        desired,
        repair,
        cache,
        content,
        store: observed.store.present(),
        observed,
        classifier: &classifier,
    };
    mending.plan(&mut changes);
    for (key, why) in &repair.by_hand {
        changes.advice.push(advice(key, why));
    }
    changes.compared = content.paths.len() as u64;
    changes
}

/// What upstreams have to be asked: references of what is pushed that are not in the cache.
#[must_use]
pub fn questions(desired: &Desired, observed: &Observed, repair: &Repair) -> BTreeSet<HashPart> {
    let _ = desired;
    let mut asked = BTreeSet::new();
    let (Some(Observation::Present(content)), Some(store)) =
        (observed.caches.get(&repair.cache), observed.store.present())
    else {
        return asked;
    };
    for (hash, damage) in &repair.damages {
        for hash in std::iter::once(hash).chain(&damage.lacks) {
            let Some(row) = store.paths.row(hash) else {
                continue;
            };
            for row in store.paths.refs().reach([row]).iter() {
                let hash = store.paths.hash(row);
                if content.paths.row(&hash).is_none() {
                    asked.insert(hash);
                }
            }
        }
    }
    asked
}

/// These paths with all that refers to them, as rows of a cache.
#[must_use]
pub fn closed(content: &CacheContent, hashes: &BTreeSet<HashPart>) -> RowSet {
    let rows = hashes.iter().filter_map(|hash| content.paths.row(hash));
    let mut dead = content.paths.refs().reversed().reach(rows);
    // What refers to a path without a narinfo that can be read.
    let bare = |hash: &HashPart| hashes.contains(hash) && content.paths.row(hash).is_none();
    let above: Vec<Row> = content
        .elsewhere
        .iter()
        .filter(|(_, to)| bare(to))
        .map(|(row, _)| *row)
        .collect();
    content.paths.refs().reversed().reach_into(above, &mut dead);
    dead
}

fn advice(about: &str, text: &str) -> Advice {
    Advice {
        phase: Phase::Push,
        about: about.to_owned(),
        text: text.to_owned(),
        lines: Vec::new(),
        because: Because::default(),
    }
}

struct Mending<'a> {
    desired: &'a Desired,
    repair: &'a Repair,
    cache: &'a Cache,
    content: &'a CacheContent,
    store: Option<&'a LocalStore>,
    observed: &'a Observed,
    classifier: &'a Classifier<'a>,
}

impl Mending<'_> {
    fn plan(&self, changes: &mut Changes) {
        let mut pushed: BTreeMap<HashPart, PathToPush> = BTreeMap::new();
        let mut lost = BTreeSet::new();
        for (hash, damage) in &self.repair.damages {
            if damage.broken || !damage.lacks.is_empty() {
                match self.again(*hash, damage) {
                    Some(paths) => pushed.extend(paths.into_iter().map(|it| (it.path.hash(), it))),
                    None => {
                        lost.insert(*hash);
                    }
                }
            } else if damage.unsigned {
                match self.signed(*hash, damage) {
                    Some(path) => {
                        pushed.entry(*hash).or_insert(path);
                    }
                    None => changes.advice.push(advice(
                        &hash.to_string(),
                        "no declared key has signed it, and it is not in the local store with the same NAR \
                         hash, so nobody here can vouch for it: repair where it was built, or adopt nothing \
                         that needs it",
                    )),
                }
            }
        }
        let dead = closed(self.content, &lost);
        for hash in &lost {
            if self.content.paths.row(hash).is_none() {
                changes.advice.push(advice(
                    &format!("{hash}.narinfo"),
                    "its narinfo is of no use, and the path is not in the local store: repair where it was \
                     built, or delete the object by hand",
                ));
            }
        }
        pushed.retain(|hash, _| {
            let row = self.content.paths.row(hash);
            row.is_none_or(|row| !dead.contains(row))
        });
        let pinned = self.pinned(&dead);
        changes.steps.extend(self.pushes(pushed.into_values()));
        let prunes = self.prunes(&dead, &changes.steps);
        if let Some(why) = &self.content.partial
            && !prunes.is_empty()
        {
            changes.unknowns.push(Unknown {
                what: self.repair.cache.to_string(),
                why: why.clone(),
                effect: "it was not seen whole, so nothing is deleted from it".to_owned(),
            });
            return;
        }
        if !pinned.is_empty() {
            changes.refusals.push(Refusal {
                steps: prunes.iter().map(|step| step.address.clone()).collect(),
                code: "repair-pinned".to_owned(),
                text: format!("{} is pinned, and only broken", pinned.join(", ")),
                help: "repair where it was built, or take the pin out of cache.yaml first"
                    .to_owned(),
            });
        }
        changes.caches.push(self.budget(&prunes));
        changes.steps.extend(prunes);
    }

    /// A path of the local store; with a hash, only if it has this one.
    fn local(&self, hash: HashPart, damage: &Damage) -> Option<PathToPush> {
        let store = self.store?;
        let row = store.paths.row(&hash)?;
        let nar_hash = *store.nar_hashes.get(row as usize)?;
        if damage.nar_hash.is_some_and(|wanted| wanted != nar_hash) {
            return None;
        }
        Some(PathToPush {
            path: store.paths.path(row),
            nar_size: store.paths.nar_size(row),
            nar_hash,
            rank: 0,
            directory: None,
            unasked: false,
            sign: false,
            recompress: false,
            mend: false,
        })
    }

    /// What makes a path whole again: itself, and what it lacks with all below; `None`: nothing here does.
    fn again(&self, hash: HashPart, damage: &Damage) -> Option<Vec<PathToPush>> {
        let mut paths = Vec::new();
        if damage.broken {
            paths.push(PathToPush {
                mend: true,
                ..self.local(hash, damage)?
            });
        }
        for lacking in &damage.lacks {
            let store = self.store?;
            let row = store.paths.row(lacking)?;
            for row in store.paths.refs().reach([row]).iter() {
                let hash = store.paths.hash(row);
                let there = self.content.paths.row(&hash).is_some();
                if !there && !is_upstream(self.observed, &hash) {
                    paths.push(self.local(hash, &Damage::default())?);
                }
            }
        }
        Some(paths)
    }

    /// A path that our key can vouch for: valid here, with the same NAR.
    fn signed(&self, hash: HashPart, damage: &Damage) -> Option<PathToPush> {
        self.cache.signing.as_ref()?;
        let path = self.local(hash, damage)?;
        Some(PathToPush { sign: true, ..path })
    }

    /// Paths that a pin names and that would go.
    fn pinned(&self, dead: &RowSet) -> Vec<String> {
        let pins = self.content.pins.iter();
        let rows = pins.filter_map(|pin| self.content.paths.row(&pin.hash));
        rows.filter(|row| dead.contains(*row))
            .map(|row| self.content.paths.base_name(row))
            .collect()
    }

    fn pushes(&self, paths: impl Iterator<Item = PathToPush>) -> Vec<Step> {
        let mut by_class: BTreeMap<ClassId, Vec<PathToPush>> = BTreeMap::new();
        for path in paths {
            let id = self
                .classifier
                .class(path.path.hash(), &path.path.to_string());
            by_class.entry(id).or_default().push(path);
        }
        let step = |(id, paths): (ClassId, Vec<PathToPush>)| {
            let class = self.classifier.name_of(id);
            Step {
                address: push_address(&self.repair.cache, class.as_str()),
                phase: Phase::Push,
                scope: self.cache.scope,
                because: Because {
                    rule: "broken or unsigned in the cache, and whole in the local store"
                        .to_owned(),
                    ..Because::default()
                },
                effect: Effect {
                    paths: paths.len() as u64,
                    bytes: paths.iter().map(PathToPush::bytes).sum(),
                },
                known: Known::Now,
                revision: None,
                waits_for: vec![cache_address(&self.repair.cache)],
                op: Op::Push {
                    cache: self.repair.cache.clone(),
                    class: class.clone(),
                    paths,
                    selectors: Vec::new(),
                    roots: Vec::new(),
                },
            }
        };
        by_class.into_iter().map(step).collect()
    }

    fn prunes(&self, dead: &RowSet, before: &[Step]) -> Vec<Step> {
        let all = &self.content.paths;
        let mut by_class: BTreeMap<ClassId, PathsToDrop> = BTreeMap::new();
        for row in all.by_hash().filter(|row| dead.contains(*row)) {
            let id = self.classifier.class(all.hash(row), &all.base_name(row));
            let nar = self.content.narinfos[row as usize].nar();
            let bytes = nar.map_or(0, |nar| self.content.nars.size(nar));
            let drops = by_class
                .entry(id)
                .or_insert_with(|| PathsToDrop::of(all, 0));
            drops.push(row, bytes, &DropReason::Broken);
        }
        let root_of = |root: &&super::record::Root| {
            let row = all.row(&root.hash);
            row.is_some_and(|row| dead.contains(row))
        };
        let mut roots: Vec<String> = self
            .content
            .roots
            .iter()
            .filter(root_of)
            .map(|root| Root::key(&root.class, root.hash))
            .collect();
        let mut steps = Vec::new();
        for (id, paths) in by_class {
            let class = self.classifier.name_of(id);
            steps.push(Step {
                address: prune_address(&self.repair.cache, class.as_str()),
                phase: Phase::Prune,
                scope: self.cache.scope,
                because: Because {
                    rule: "broken, and not in the local store".to_owned(),
                    ..Because::default()
                },
                effect: Effect {
                    paths: paths.len() as u64,
                    bytes: paths.bytes().iter().sum(),
                },
                known: Known::Now,
                revision: None,
                waits_for: before.iter().map(|step| step.address.clone()).collect(),
                op: Op::Prune {
                    cache: self.repair.cache.clone(),
                    class: class.clone(),
                    paths,
                    // All of them go with the first step: they are of one batch.
                    roots: std::mem::take(&mut roots),
                },
            });
        }
        steps
    }

    fn budget(&self, prunes: &[Step]) -> CacheBudget {
        let bytes = self.content.nars.bytes();
        let going: u64 = prunes.iter().map(|step| step.effect.bytes).sum();
        let configured = self.desired.config.caches.get(&self.repair.cache);
        CacheBudget {
            cache: self.repair.cache.clone(),
            kind: self.cache.place.kind().to_owned(),
            tier: configured.and_then(|cache| cache.tier),
            paths: self.content.paths.len() as u64,
            bytes,
            bytes_after: bytes.saturating_sub(going),
            max_size: self.cache.max_size,
            estimated: false,
            pins: None,
            must_stay: None,
        }
    }
}
