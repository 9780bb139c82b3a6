//! The push phase: what each cache lacks of what it should have, and the roots that keep it there.

mod report;
pub mod service;
mod target;
pub mod unreached;

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Phase, build_address};
use super::change::Changes;
use super::desired::Desired;
use super::observed::{CacheContent, Observation, Observed};
use super::paths::Row;
use super::pins;
use super::plan::Unknown;
use super::roots::Ground;
use super::step::{Effect, Known, Op, RootToWrite, Scope, Step};
use super::verdict::{Verdicts, judge};
use super::wanted::{Wanted, WantedBuild};
use crate::config::model::CacheName;
use crate::nix::closure::RowSet;
use crate::nix::store_path::{HashPart, StorePath};
use target::Target;

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
            Some(Observation::Unknown(why) | Observation::Error(why)) => {
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
        let steps = target.push_steps(&mut changes);
        target.report(&steps, &mut changes);
        let coming = pins::Coming {
            desired,
            name,
            wanted: &wanted,
            verdicts: &verdicts,
        };
        coming.advise_of_kept_back(&mut changes);
        if let Some(service) = cache.place.service() {
            let before = changes.steps.len();
            pins::service::plan(&coming, cache, content.service.as_ref(), &mut changes);
            let pins = changes.steps[before..]
                .iter()
                .map(|step| step.address.clone());
            let steps: Vec<Address> = steps.into_iter().chain(pins).collect();
            let here = (name, cache, service);
            service::record(desired, here, content, &steps, &mut changes);
            service::rights(desired, (name, service), content, steps, &mut changes);
            continue;
        }
        let mut pins = pins::steps(&coming, cache, content);
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
    if desired.extra.adopt.is_some() {
        return hashes;
    }
    if let Some(repair) = &desired.extra.repair {
        return super::repair::questions(desired, observed, repair);
    }
    for name in desired.caches.keys() {
        hashes.extend(questions_of(desired, observed, name).keys());
    }
    hashes
}

/// What is wanted in one cache and not there, with its paths and bytes as far as they are known.
#[must_use]
pub fn questions_of(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
) -> BTreeMap<HashPart, (StorePath, u64)> {
    let mut hashes = BTreeMap::new();
    let empty = CacheContent::default();
    let takes = desired.config.push.enabled && desired.config.push.to.contains_key(name);
    if takes && desired.extra.adopt.is_none() && desired.extra.repair.is_none() {
        let content = match observed.caches.get(name) {
            Some(Observation::Present(content)) => content,
            Some(Observation::Absent) => &empty,
            Some(Observation::Unknown(_) | Observation::Error(_)) | None => return hashes,
        };
        let wanted = Wanted::resolve(desired, observed, content);
        let rows = wanted.paths.rows().filter(|row| {
            let there = content.paths.row(&wanted.paths.hash(*row));
            there.is_none_or(|row| content.narinfos[row as usize].nar().is_none())
        });
        hashes.extend(rows.map(|row| {
            let path = (wanted.paths.path(row), wanted.paths.nar_size(row));
            (wanted.paths.hash(row), path)
        }));
        let outputs = wanted.builds.iter().flat_map(|build| &build.outputs);
        hashes.extend(outputs.map(|path| (path.hash(), (path.clone(), 0))));
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

/// What a push to a cache that writes these roots relies on, as it was observed.
#[must_use]
pub fn reliance(
    desired: &Desired,
    observed: &Observed,
    cache: &CacheName,
    roots: &[RootToWrite],
) -> Reliance {
    let empty = CacheContent::default();
    let content = match observed.caches.get(cache) {
        Some(Observation::Present(content)) => content,
        _ => &empty,
    };
    if desired.extra.adopt.is_some() {
        // All of it is in the cache already, wanted or not.
        let rows = roots
            .iter()
            .filter_map(|root| content.paths.row(&root.path.hash()));
        let reached = content.paths.refs().reach(rows);
        return Reliance {
            closure: reached.iter().map(|row| content.paths.hash(row)).collect(),
            upstream: Vec::new(),
        };
    }
    if desired.extra.repair.is_some() {
        // Nothing is rooted; what was fine without a reference here is so still.
        let had = content.elsewhere.iter().map(|(_, hash)| *hash);
        let asked = observed
            .upstreams
            .values()
            .flat_map(|it| it.has.iter().copied());
        return Reliance {
            closure: Vec::new(),
            upstream: had.chain(asked).collect(),
        };
    }
    let wanted = Wanted::resolve(desired, observed, content);
    let verdicts = judge(desired, observed, cache, content, &wanted);
    let rows = |root: &RootToWrite| Some((wanted.paths.row(&root.path.hash())?, 0));
    let tops: Vec<_> = roots.iter().filter_map(rows).collect();
    let hashes =
        |rows: &mut dyn Iterator<Item = Row>| rows.map(|row| wanted.paths.hash(row)).collect();
    Reliance {
        closure: hashes(&mut ground(&wanted, &verdicts).reach(&tops).iter()),
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

/// The root records that a plan's push steps write to a cache; a prune of the same plan counts them.
pub(super) fn roots_to_write<'s>(
    steps: impl IntoIterator<Item = &'s Step>,
    cache: &'s CacheName,
) -> impl Iterator<Item = &'s RootToWrite> {
    steps.into_iter().flat_map(move |step| match &step.op {
        Op::Push {
            cache: name, roots, ..
        } if name == cache => roots.as_slice(),
        _ => &[],
    })
}

#[cfg(test)]
mod tests;
