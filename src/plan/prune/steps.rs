//! The delete steps of one cache: paths and ended roots by class, then files that nothing names.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::address::{
    Address, Phase, pin_address, prune_address, push_address, sweep_address,
};
use crate::plan::class::ClassId;
use crate::plan::drops::PathsToDrop;
use crate::plan::need::{Need, recorded_classes};
use crate::plan::observed::Nar;
use crate::plan::paths::Row;
use crate::plan::push;
use crate::plan::record::{self, Intent, Root};
use crate::plan::step::{Effect, Known, Op, Step};

impl Place<'_> {
    /// The steps, for the lowest class first.
    pub(super) fn steps(&self, need: &Need, pushing: &[Step]) -> Vec<Step> {
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
    ) -> BTreeMap<ClassId, PathsToDrop> {
        let mut counted: Vec<bool> = vec![false; self.content.nars.len()];
        for row in self.content.paths.rows().filter(|row| !dead.contains(*row)) {
            if let Some(nar) = self.content.narinfos[row as usize].nar() {
                counted[nar as usize] = true;
            }
        }
        let all = &self.content.paths;
        let class_of = |row: Row| {
            let hash = all.hash(row);
            let known = recorded.get(&hash).copied();
            known.unwrap_or_else(|| self.classifier.class(hash, &all.base_name(row)))
        };
        // Counted first: half a million in a list that grows would take twice their room.
        let mut counts: BTreeMap<ClassId, usize> = BTreeMap::new();
        let mut classes: Vec<u32> = Vec::with_capacity(dead.iter().count());
        for row in all.by_hash().filter(|row| dead.contains(*row)) {
            let id = class_of(row);
            *counts.entry(id).or_default() += 1;
            classes.push(u32::try_from(id).unwrap_or(u32::MAX));
        }
        let mut paths: BTreeMap<ClassId, PathsToDrop> = counts
            .into_iter()
            .map(|(id, count)| (id, PathsToDrop::of(all, count)))
            .collect();
        let rows = all.by_hash().filter(|row| dead.contains(*row));
        for (row, id) in rows.zip(classes) {
            let nar = self.content.narinfos[row as usize].nar();
            let bytes = nar.map_or(0, |nar| {
                let named_elsewhere = std::mem::replace(&mut counted[nar as usize], true);
                if named_elsewhere {
                    0
                } else {
                    self.content.nars.size(nar)
                }
            });
            if let Some(paths) = paths.get_mut(&(id as ClassId)) {
                paths.push(row, bytes, &need.reason(row));
            }
        }
        paths
    }

    fn prune_step(&self, id: ClassId, paths: PathsToDrop, roots: Vec<String>) -> Step {
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
                bytes: paths.bytes().iter().sum(),
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
            .map(|class| push_address(self.name, class.as_str()))
            .collect();
        waits_for.extend(
            self.desired
                .config
                .pins
                .keys()
                .map(|pin| pin_address(self.name, pin)),
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
            if let Some(nar) = narinfo.nar() {
                named[nar as usize] = true;
            }
        }
        let nars = self.content.nars.numbers();
        let nars = nars
            .filter(|number| !named[*number as usize])
            .map(|number| self.content.nars.get(number))
            .filter(old);
        let left = self.content.leftovers.iter().filter(|object| old(object));
        let mut objects: Vec<Nar> = nars.chain(left.cloned()).collect();
        // Rarely there is any, and then this is a walk through the whole cache.
        let gone = self.content.intents.iter().filter(|intent| intent.gone);
        let covered = match gone.clone().next() {
            Some(_) => self.covered(pushing),
            None => RowSet::default(),
        };
        objects.extend(
            gone.filter(|intent| self.is_spent(intent, dead, &covered))
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
        let written =
            push::roots_to_write(self.running(pushing), self.name).map(|root| root.path.hash());
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
