//! The push steps of one cache: a batch for each class, in the order of uploading, with its roots.

use std::collections::{BTreeMap, BTreeSet};

use super::ground;
use crate::config::model::CacheName;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::address::{Address, Phase, build_address, cache_addresses, push_address};
use crate::plan::change::Changes;
use crate::plan::class::ClassId;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;
use crate::plan::roots::roots;
use crate::plan::step::{Because, Effect, Known, Op, PathToPush, RootToWrite, Selector, Step};
use crate::plan::verdict::{Verdict, Verdicts};
use crate::plan::wanted::{Origin, Wanted, WantedBuild};

/// One cache with all that was found out about it.
pub(super) struct Target<'a> {
    pub(super) desired: &'a Desired,
    pub(super) name: &'a CacheName,
    pub(super) cache: &'a Cache,
    pub(super) content: &'a CacheContent,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) verdicts: &'a Verdicts,
}

/// What one step will hold.
#[derive(Default)]
struct Batch {
    paths: Vec<PathToPush>,
    selectors: Vec<Selector>,
    roots: Vec<RootToWrite>,
    because: Option<Because>,
    /// Whether any of its paths is asked for itself.
    asked: bool,
    /// The first of its paths.
    first: Option<Row>,
    /// What brings the first of its paths along, if none of them is asked for itself.
    owner: Option<Row>,
}

impl Target<'_> {
    /// Plans the steps, for the highest class first; returns their addresses.
    pub(super) fn push_steps(&self, changes: &mut Changes) -> Vec<Address> {
        let mut batches: BTreeMap<ClassId, Batch> = BTreeMap::new();
        let tops: BTreeSet<Row> = self.wanted.tops.iter().map(|top| top.row).collect();
        let order = self.order();
        for (rank, row) in order.into_iter().enumerate() {
            let Verdict::Push { unasked } = self.verdicts.of[row as usize] else {
                continue;
            };
            let batch = batches.entry(self.wanted.class(row)).or_default();
            batch.asked |= tops.contains(&row) && self.goes(row);
            batch.first.get_or_insert(row);
            batch.paths.push(PathToPush {
                path: self.wanted.paths.path(row),
                nar_size: self.wanted.paths.nar_size(row),
                nar_hash: self.wanted.nar_hashes[row as usize],
                rank: u32::try_from(rank).unwrap_or(u32::MAX),
                directory: match &self.wanted.origins[row as usize] {
                    Origin::Directory(directory) => Some(directory.clone()),
                    Origin::Store | Origin::Cache => None,
                },
                unasked,
                sign: false,
                recompress: false,
                mend: false,
            });
        }
        self.find_owners(&mut batches);
        self.mends(&mut batches);
        for (class, root) in self.roots() {
            batches.entry(class).or_default().roots.push(root);
        }
        for build in &self.wanted.builds {
            let Some(class) = self.class_of_build(build) else {
                continue;
            };
            let batch = batches.entry(class).or_default();
            batch.because.get_or_insert_with(|| build.because.clone());
            batch.selectors.push(Selector {
                installable: build.installable.clone(),
                outputs: build.outputs.clone(),
                closure: build.closure,
            });
        }
        let mut batches: Vec<(ClassId, Batch)> = batches.into_iter().collect();
        batches
            .sort_by_key(|(id, _)| (std::cmp::Reverse(self.wanted.classifier.priority(*id)), *id));
        let steps: Vec<Step> = batches
            .into_iter()
            .map(|(id, batch)| self.step(id, batch))
            .collect();
        let addresses = steps.iter().map(|step| step.address.clone()).collect();
        changes.steps.extend(steps);
        changes.compared += self.wanted.paths.len() as u64;
        addresses
    }

    /// Says of each batch of which nothing is asked for itself what brings it along: the top of the highest
    /// priority whose closure has its first path.
    fn find_owners(&self, batches: &mut BTreeMap<ClassId, Batch>) {
        let mut open: Vec<&mut Batch> = batches.values_mut().filter(|it| !it.asked).collect();
        let mut seen = RowSet::new(self.wanted.paths.len());
        // What is kept back itself brings nothing.
        let brings = |top: &Row| self.goes(*top) && self.verdicts.kept.contains(*top);
        for top in self.tops().into_iter().filter(brings) {
            if open.is_empty() {
                return;
            }
            self.wanted.paths.refs().reach_into([top], &mut seen);
            open.retain_mut(|batch| {
                let is_reached = batch.first.is_some_and(|row| seen.contains(row));
                if is_reached {
                    batch.owner = Some(top);
                }
                !is_reached
            });
        }
    }

    /// Adds what is there and lacks our signature, or is compressed by another method, after what is
    /// uploaded. What is compressed anew is signed with that.
    fn mends(&self, batches: &mut BTreeMap<ClassId, Batch>) {
        let wanted = self.wanted;
        let is_in = |list: &[HashPart], row: Row| {
            let hash = wanted.paths.hash(row);
            list.binary_search(&hash).is_ok()
        };
        let is_meant = |row: &Row| {
            (is_in(&self.content.unsigned, *row) || is_in(&self.content.otherwise, *row))
                && self.verdicts.of[*row as usize] == Verdict::Present
                && wanted.origins[*row as usize] == Origin::Store
                && self
                    .desired
                    .pushes(self.name, wanted.classifier.name_of(wanted.class(*row)))
        };
        for row in wanted.paths.rows().filter(is_meant) {
            let paths = &mut batches.entry(wanted.class(row)).or_default().paths;
            let recompress = is_in(&self.content.otherwise, row);
            paths.push(PathToPush {
                path: wanted.paths.path(row),
                nar_size: wanted.paths.nar_size(row),
                nar_hash: wanted.nar_hashes[row as usize],
                rank: u32::MAX,
                directory: None,
                unasked: false,
                sign: !recompress,
                recompress,
                mend: false,
            });
        }
    }

    /// The class under which a build is shown: its own, or, where that does not go to this cache but parts
    /// of its closure may, the highest that does.
    fn class_of_build(&self, build: &WantedBuild) -> Option<ClassId> {
        let classifier = &self.wanted.classifier;
        let goes = |id: &ClassId| self.desired.pushes(self.name, classifier.name_of(*id));
        let all = 0..self.desired.config.classes.len();
        Some(build.class).filter(goes).or_else(|| {
            all.filter(goes)
                .max_by_key(|id| (classifier.priority(*id), std::cmp::Reverse(*id)))
        })
    }

    /// The rows to push: what has the highest priority first, each after what it refers to, and the
    /// closure of one top finished before that of the next of its priority.
    fn order(&self) -> Vec<Row> {
        let mut tops = self.tops();
        tops.extend(self.verdicts.pushed.iter());
        self.sort_by_priority(&mut tops);
        self.wanted
            .paths
            .refs()
            .order_by_root(&tops, &self.verdicts.pushed)
            .rows
    }

    /// Whether the class of a row goes to this cache; if not, it comes along where something needs it.
    fn goes(&self, row: Row) -> bool {
        let class = self.wanted.classifier.name_of(self.wanted.class(row));
        self.desired.pushes(self.name, class)
    }

    /// What is wanted itself, the highest priority first.
    fn tops(&self) -> Vec<Row> {
        let mut tops: Vec<Row> = self.wanted.tops.iter().map(|top| top.row).collect();
        self.sort_by_priority(&mut tops);
        tops
    }

    fn sort_by_priority(&self, rows: &mut [Row]) {
        let priority = |row: &Row| self.wanted.classifier.priority(self.wanted.class(*row));
        rows.sort_by_key(|row| std::cmp::Reverse(priority(row)));
    }

    fn roots(&self) -> Vec<(ClassId, RootToWrite)> {
        // A service holds no records of ours.
        if self.cache.place.service().is_some() {
            return Vec::new();
        }
        let wanted = self.wanted;
        let tops: Vec<(Row, ClassId)> = wanted
            .tops
            .iter()
            .map(|top| (top.row, wanted.class(top.row)))
            .collect();
        let rows = roots(&ground(wanted, self.verdicts), &tops);
        let known: BTreeSet<(&str, HashPart)> = self
            .content
            .roots
            .iter()
            .map(|root| (root.class.as_str(), root.hash))
            .collect();
        let attrs: BTreeMap<Row, &String> = wanted
            .tops
            .iter()
            .rev()
            .filter_map(|top| Some((top.row, top.attr.as_ref()?)))
            .collect();
        rows.into_iter()
            .map(|(row, id)| {
                let class = wanted.classifier.name_of(id);
                let root = RootToWrite {
                    path: wanted.paths.path(row),
                    class: class.clone(),
                    attr: attrs.get(&row).map(ToString::to_string),
                    new: !known.contains(&(class.as_str(), wanted.paths.hash(row))),
                };
                (id, root)
            })
            .collect()
    }

    fn step(&self, id: ClassId, batch: Batch) -> Step {
        let class = self.wanted.classifier.name_of(id);
        let builds: Vec<Address> = batch
            .selectors
            .iter()
            .map(|selector| build_address(&selector.installable))
            .collect();
        let mut waits_for = cache_addresses(self.name);
        waits_for.extend(builds.iter().cloned());
        let because = batch.because.unwrap_or_else(|| {
            let rule = match batch.owner {
                Some(top) => format!(
                    "needed by {} ({})",
                    self.wanted.paths.path(top).name(),
                    self.wanted.classifier.name_of(self.wanted.class(top))
                ),
                None if self.desired.pushes(self.name, class) => {
                    format!("{class} is pushed to {}", self.name)
                }
                None => format!("needed by what is pushed to {}", self.name),
            };
            self.desired.because(rule, &format!("/artifacts/{class}"))
        });
        Step {
            address: push_address(self.name, class.as_str()),
            phase: Phase::Push,
            scope: self.cache.scope,
            because,
            effect: Effect {
                paths: batch.paths.len() as u64,
                bytes: batch.paths.iter().map(PathToPush::bytes).sum(),
            },
            known: if builds.is_empty() {
                Known::Now
            } else {
                let cap = self.desired.config.push.max_after_build.0;
                Known::After {
                    steps: builds,
                    cap: Some(cap),
                }
            },
            revision: None,
            waits_for,
            op: Op::Push {
                cache: self.name.clone(),
                class: class.clone(),
                paths: batch.paths,
                selectors: batch.selectors,
                roots: batch.roots,
            },
        }
    }
}
