//! The push phase: what each cache lacks of what it should have, and the roots that keep it there.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Phase};
use super::change::Changes;
use super::class::ClassId;
use super::desired::{Cache, Desired};
use super::observed::{CacheContent, Observation, Observed};
use super::paths::Row;
use super::plan::{Advice, HeldBack, HeldPath, HeldReason, Refusal, Unknown};
use super::roots::{Ground, roots};
use super::step::{Because, Effect, Known, Op, PathToPush, RootToWrite, Scope, Selector, Step};
use super::verdict::{Verdict, Verdicts, judge};
use super::wanted::{Origin, Wanted, WantedBuild};
use super::{pins, setup};
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;

/// Plans what is pushed, with the builds that it needs, and the pins.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Changes {
    let mut changes = Changes::default();
    let mut builds: BTreeMap<String, (WantedBuild, Scope)> = BTreeMap::new();
    let empty = CacheContent::default();
    for (name, cache) in &desired.caches {
        if !desired.config.push.enabled || !desired.config.push.to.contains_key(name) {
            continue;
        }
        let content = match observed.caches.get(name) {
            Some(Observation::Present(content)) => content,
            Some(Observation::Absent) => &empty,
            Some(Observation::Unknown(why)) => {
                changes.unknowns.push(Unknown {
                    what: name.to_string(),
                    why: why.clone(),
                    effect: "nothing is pushed to it".to_owned(),
                });
                continue;
            }
            None => continue,
        };
        let wanted = Wanted::resolve(desired, observed, content);
        let verdicts = judge(desired, observed, name, content, &wanted);
        for build in &wanted.builds {
            let known = builds
                .entry(build.installable.clone())
                .or_insert_with(|| (build.clone(), cache.scope));
            known.1 = known.1.max(cache.scope);
        }
        let relied_on = relied_on(&wanted, &verdicts);
        let relied_on = relied_on.iter().map(|row| wanted.paths.hash(row)).collect();
        changes.relied_on.insert(name.clone(), relied_on);
        if wanted.unseen || verdicts.unasked || observed.store.unknown().is_some() {
            changes.unseen.insert(name.clone());
        }
        let target = Target {
            desired,
            name,
            cache,
            content,
            wanted: &wanted,
            verdicts: &verdicts,
        };
        target.report(&mut changes);
        target.push_steps(&mut changes);
        let mut pins = pins::steps(desired, name, cache, content, &wanted, &verdicts);
        if changes.unseen.contains(name) {
            pins.retain_mut(pins::only_additions);
        }
        changes.steps.extend(pins);
    }
    changes.steps.extend(
        builds
            .into_values()
            .map(|(build, scope)| build_step(build, scope)),
    );
    changes.unknowns.sort();
    changes.unknowns.dedup();
    changes.advice.sort();
    changes.advice.dedup();
    changes
}

fn ground<'a>(wanted: &'a Wanted<'a>, verdicts: &'a Verdicts) -> Ground<'a> {
    Ground {
        graph: wanted.paths.refs(),
        kept: &verdicts.kept,
        upstream: &verdicts.upstream,
        classifier: &wanted.classifier,
        classes: &wanted.classes,
    }
}

/// The paths that upstreams have to be asked for: wanted somewhere, and not there.
#[must_use]
pub fn questions(desired: &Desired, observed: &Observed) -> BTreeSet<HashPart> {
    let mut hashes = BTreeSet::new();
    let empty = CacheContent::default();
    for name in desired
        .caches
        .keys()
        .filter(|name| desired.config.push.to.contains_key(*name))
    {
        let content = match observed.caches.get(name) {
            Some(Observation::Present(content)) => content,
            Some(Observation::Absent) => &empty,
            Some(Observation::Unknown(_)) | None => continue,
        };
        let wanted = Wanted::resolve(desired, observed, content);
        hashes.extend(
            wanted
                .paths
                .rows()
                .map(|row| wanted.paths.hash(row))
                .filter(|hash| {
                    content
                        .paths
                        .row(hash)
                        .is_none_or(|row| content.narinfos[row as usize].nar.is_none())
                }),
        );
        let outputs = wanted.builds.iter().flat_map(|build| &build.outputs);
        hashes.extend(outputs.map(crate::nix::store_path::StorePath::hash));
    }
    hashes
}

/// What a push to a cache relies on besides what it uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reliance {
    /// Everything that its roots reach in the cache, with what is uploaded, less what only upstreams have.
    pub closure: Vec<HashPart>,
    /// What upstreams have of what is wanted.
    pub upstream: Vec<HashPart>,
}

/// What a push to a cache relies on, as it was observed.
#[must_use]
pub fn reliance(desired: &Desired, observed: &Observed, cache: &CacheName) -> Reliance {
    let empty = CacheContent::default();
    let content = match observed.caches.get(cache) {
        Some(Observation::Present(content)) => content,
        _ => &empty,
    };
    let wanted = Wanted::resolve(desired, observed, content);
    let verdicts = judge(desired, observed, cache, content, &wanted);
    let hashes =
        |rows: &mut dyn Iterator<Item = Row>| rows.map(|row| wanted.paths.hash(row)).collect();
    Reliance {
        closure: hashes(&mut relied_on(&wanted, &verdicts).iter()),
        upstream: hashes(&mut verdicts.upstream.iter()),
    }
}

/// The rows that the tops reach in the cache, and those that are pushed.
fn relied_on(wanted: &Wanted<'_>, verdicts: &Verdicts) -> RowSet {
    let tops: Vec<_> = wanted.tops.iter().map(|top| (top.row, 0)).collect();
    let mut rows = ground(wanted, verdicts).reach(&tops);
    for row in verdicts.pushed.iter() {
        rows.insert(row);
    }
    rows
}

/// The address of the step that builds an output.
#[must_use]
pub fn build_address(installable: &str) -> Address {
    Address::new(Phase::Push, "build", installable)
}

/// The address of the step that pushes a class to a cache.
#[must_use]
pub fn push_address(cache: &CacheName, class: &str) -> Address {
    Address::new(Phase::Push, cache.as_str(), class)
}

fn build_step(build: WantedBuild, scope: Scope) -> Step {
    Step {
        address: build_address(&build.installable),
        phase: Phase::Push,
        scope,
        because: build.because,
        effect: Effect {
            paths: build.outputs.len() as u64,
            bytes: 0,
        },
        known: Known::Now,
        revision: build.drv.as_ref().map(ToString::to_string),
        waits_for: Vec::new(),
        op: Op::Build {
            installable: build.installable,
            drv: build.drv,
        },
    }
}

/// One cache with all that was found out about it.
struct Target<'a> {
    desired: &'a Desired,
    name: &'a CacheName,
    cache: &'a Cache,
    content: &'a CacheContent,
    wanted: &'a Wanted<'a>,
    verdicts: &'a Verdicts,
}

/// What one step will hold.
#[derive(Default)]
struct Batch {
    paths: Vec<PathToPush>,
    selectors: Vec<Selector>,
    roots: Vec<RootToWrite>,
    because: Option<Because>,
}

impl Target<'_> {
    fn push_steps(&self, changes: &mut Changes) {
        let mut batches: BTreeMap<ClassId, Batch> = BTreeMap::new();
        for (rank, row) in self.order().into_iter().enumerate() {
            let Verdict::Push { unasked } = self.verdicts.of[row as usize] else {
                continue;
            };
            batches
                .entry(self.wanted.class(row))
                .or_default()
                .paths
                .push(PathToPush {
                    path: self.wanted.paths.path(row),
                    nar_size: self.wanted.paths.nar_size(row),
                    nar_hash: self.wanted.nar_hashes[row as usize],
                    rank: u32::try_from(rank).unwrap_or(u32::MAX),
                    directory: match &self.wanted.origins[row as usize] {
                        Origin::Directory(directory) => Some(directory.clone()),
                        Origin::Store | Origin::Cache => None,
                    },
                    unasked,
                });
        }
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
        changes
            .steps
            .extend(batches.into_iter().map(|(id, batch)| self.step(id, batch)));
        changes.compared += u64::from(u32::try_from(self.wanted.paths.len()).unwrap_or(u32::MAX));
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
    /// closure of one top finished before that of the next.
    fn order(&self) -> Vec<Row> {
        let classifier = &self.wanted.classifier;
        let mut tops: Vec<Row> = self.wanted.tops.iter().map(|top| top.row).collect();
        tops.sort_by_key(|row| std::cmp::Reverse(classifier.priority(self.wanted.class(*row))));
        let mut rest: Vec<Row> = self.verdicts.pushed.iter().collect();
        rest.sort_by_key(|row| std::cmp::Reverse(classifier.priority(self.wanted.class(*row))));
        tops.extend(rest);
        self.wanted
            .paths
            .refs()
            .order_by_root(&tops, &self.verdicts.pushed)
            .rows
    }

    fn roots(&self) -> Vec<(ClassId, RootToWrite)> {
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
        let mut waits_for = setup::cache_addresses(self.name);
        waits_for.extend(builds.iter().cloned());
        let because = batch.because.unwrap_or_else(|| {
            self.desired.because(
                format!("{class} is pushed to {}", self.name),
                &format!("/artifacts/{class}"),
            )
        });
        Step {
            address: push_address(self.name, class.as_str()),
            phase: Phase::Push,
            scope: self.cache.scope,
            because,
            effect: Effect {
                paths: batch.paths.len() as u64,
                bytes: batch.paths.iter().map(|path| path.nar_size).sum(),
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

    /// What is held back, unknown, refused, or for a person to do.
    fn report(&self, changes: &mut Changes) {
        self.report_held(changes);
        for (what, why) in &self.wanted.unknowns {
            changes.unknowns.push(Unknown {
                what: what.clone(),
                why: super::observed::Why(why.clone()),
                effect: if self.wanted.unseen {
                    format!("it is not pushed, and no retention ends in {}", self.name)
                } else {
                    "it is not pushed".to_owned()
                },
            });
        }
        for (installable, system) in &self.wanted.elsewhere {
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: installable.clone(),
                text: format!(
                    "it is not built yet and needs a {system} machine: run `nanna-cache push --apply` on one"
                ),
                lines: Vec::new(),
                because: self.desired.because(format!("{installable} is declared"), "/artifacts"),
            });
        }
        if self.cache.signing.is_none() && !self.verdicts.pushed.is_empty() {
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: self.name.to_string(),
                text: "it has no signing-key, so Nix accepts from it only paths that others have \
                       signed: declare one"
                    .to_owned(),
                lines: vec![
                    "signing-key: { file: ~/.config/nanna-cache/key.sec, generate: true }"
                        .to_owned(),
                ],
                because: self.desired.because(
                    "paths are pushed unsigned",
                    &format!("/caches/{}", self.name),
                ),
            });
        }
        for (row, needed) in &self.verdicts.refused {
            let (row, needed) = (
                self.wanted.paths.path(*row),
                self.wanted.paths.path(*needed),
            );
            changes.refusals.push(Refusal {
                steps: Vec::new(),
                code: "push-needs-excluded".to_owned(),
                text: format!(
                    "{row} would be pushed to {} but needs {needed}, which is not",
                    self.name
                ),
                help: "set push.exclude-needed to `hold-back` or `push`, or narrow push.exclude"
                    .to_owned(),
            });
        }
        let unasked: u64 = self
            .verdicts
            .pushed
            .iter()
            .filter(|row| self.verdicts.of[*row as usize] == Verdict::Push { unasked: true })
            .map(|row| self.wanted.paths.nar_size(row))
            .sum();
        let cap = self.desired.config.push.max_unasked;
        if unasked > cap.0 {
            changes.refusals.push(Refusal {
                steps: Vec::new(),
                code: "push-unasked".to_owned(),
                text: format!(
                    "{} of NAR would be pushed to {} though the upstreams that may have it could not \
                     be asked; the limit is {cap}",
                    Rough(unasked),
                    self.name
                ),
                help: "raise push.limits.unasked, or pass --allow unasked=SIZE".to_owned(),
            });
        }
    }

    fn report_held(&self, changes: &mut Changes) {
        let mut held: BTreeMap<HeldReason, Vec<HeldPath>> = BTreeMap::new();
        for row in self.wanted.paths.rows() {
            if let Verdict::Held { reason, needs } = &self.verdicts.of[row as usize] {
                held.entry(reason.clone()).or_default().push(HeldPath {
                    path: self.wanted.paths.path(row),
                    nar_size: self.wanted.paths.nar_size(row),
                    needs: needs.map(|needed| self.wanted.paths.path(needed)),
                });
            }
        }
        changes
            .held_back
            .extend(held.into_iter().map(|(reason, mut paths)| {
                paths.sort();
                HeldBack {
                    cache: self.name.clone(),
                    reason,
                    paths,
                }
            }));
    }
}

/// The root records that a plan's push steps write to a cache; a prune of the same plan counts them.
pub(super) fn roots_to_write<'s>(
    steps: &'s [Step],
    cache: &'s CacheName,
) -> impl Iterator<Item = &'s RootToWrite> {
    steps.iter().flat_map(move |step| match &step.op {
        Op::Push {
            cache: name, roots, ..
        } if name == cache => roots.as_slice(),
        _ => &[],
    })
}
