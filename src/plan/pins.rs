//! Pins: what is kept for ever, as records in each cache that is pushed to.
//!
//! Promise: a pin that could not be resolved loses nothing, and pins of other projects are never
//! touched.

pub mod service;

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Phase, build_address, cache_addresses, pin_address, push_address};
use super::change::Changes;
use super::class::ClassId;
use super::desired::{Cache, Desired};
use super::observed::CacheContent;
use super::paths::Row;
use super::plan::{Advice, HeldReason};
use super::record::PinRecord;
use super::step::{Effect, Known, Op, Step};
use super::verdict::{Verdict, Verdicts};
use super::wanted::{Wanted, WantedBuild};
use crate::config::model::{CacheName, PinName};
use crate::nix::store_path::{HashPart, StorePath};

/// Plans the pins of one cache.
#[must_use]
pub(super) fn steps(coming: &Coming<'_>, cache: &Cache, content: &CacheContent) -> Vec<Step> {
    let desired = coming.desired;
    let mut recorded: BTreeMap<&PinName, Vec<&PinRecord>> = BTreeMap::new();
    for record in &content.pins {
        recorded.entry(&record.name).or_default().push(record);
    }
    let names: BTreeSet<&PinName> = desired
        .config
        .pins
        .keys()
        .chain(recorded.keys().copied())
        .collect();
    let mut steps = Vec::new();
    for pin in names {
        let records = recorded.remove(pin).unwrap_or_default();
        let (add, remove) = match desired.config.pins.get(pin) {
            Some(declared) => {
                // A name may be another project's, too: its records are left alone, and count as kept.
                let (ours, others): (Vec<&PinRecord>, Vec<&PinRecord>) =
                    records.iter().partition(|record| is_ours(desired, record));
                let mut current = coming.current(pin);
                current.retain(|path| others.iter().all(|other| other.hash != path.hash()));
                let (add, remove) = revise(&current, &ours, declared.revisions);
                // What a pin lacks here, another runner may have pinned: nothing of it ends.
                let whole = coming.is_whole(pin);
                (add, if whole { remove } else { Vec::new() })
            }
            None => (Vec::new(), ended(desired, &records)),
        };
        let remove: Vec<StorePath> = remove
            .into_iter()
            .filter_map(|hash| {
                content
                    .paths
                    .row(&hash)
                    .map(|row| content.paths.path(row))
                    .or_else(|| gone(hash))
            })
            .collect();
        if add.is_empty() && remove.is_empty() {
            continue;
        }
        steps.push(coming.step(cache, pin, rule(desired, pin), (add, remove)));
    }
    steps
}

/// What `cache.yaml` says of a pin.
fn rule(desired: &Desired, pin: &PinName) -> String {
    match desired.config.pins.get(pin).map(|pin| pin.revisions) {
        None => format!("cache.yaml no longer has the pin {pin}"),
        Some(u32::MAX) => format!("{pin} keeps all its revisions"),
        Some(1) => format!("{pin} keeps its newest revision alone"),
        Some(many) => format!("{pin} keeps its {many} newest revisions"),
    }
}

/// A name for the path of a record whose narinfo is gone: the record is all that is left of it.
fn gone(hash: HashPart) -> Option<StorePath> {
    StorePath::new(hash, "gone").ok()
}

/// What a cache has, or gets by the pushes that run.
pub(super) struct Coming<'a> {
    pub(super) desired: &'a Desired,
    pub(super) name: &'a CacheName,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) verdicts: &'a Verdicts,
}

impl Coming<'_> {
    /// What a pin names now, as far as the cache has it or gets it.
    fn current(&self, pin: &PinName) -> BTreeSet<StorePath> {
        let tops = self.wanted.tops.iter();
        let tops = tops
            .filter(|top| top.pin.as_ref() == Some(pin) && self.has(top.row))
            .map(|top| self.wanted.paths.path(top.row));
        let builds = builds(pin, self.wanted).filter(|build| self.is_pushed(build.class));
        let outputs = builds.flat_map(|build| build.outputs.iter());
        let outputs = outputs.filter(|path| !self.desired.excludes(&path.to_string()));
        tops.chain(outputs.cloned()).collect()
    }

    /// Whether a path is kept back by a limit of `cache.yaml`, of its own or of what it needs.
    fn is_kept_back(&self, row: Row) -> bool {
        let verdict = self.verdicts.of.get(row as usize);
        matches!(
            verdict,
            Some(Verdict::Held {
                reason: HeldReason::Excluded | HeldReason::TooLarge | HeldReason::NeedsHeld,
                ..
            })
        )
    }

    /// Says which declared pins do not hold what they name, because it is never pushed.
    pub(super) fn advise_of_kept_back(&self, changes: &mut Changes) {
        for pin in self.desired.config.pins.keys() {
            let tops = self.wanted.tops.iter();
            let tops = tops
                .filter(|top| top.pin.as_ref() == Some(pin) && self.is_kept_back(top.row))
                .map(|top| self.wanted.paths.path(top.row).to_string());
            let outputs = builds(pin, self.wanted).flat_map(|build| build.outputs.iter());
            let outputs = outputs.map(ToString::to_string);
            let outputs = outputs.filter(|path| self.desired.excludes(path));
            let kept_back: BTreeSet<String> = tops.chain(outputs).collect();
            if kept_back.is_empty() {
                continue;
            }
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: format!("pin {pin}"),
                text: format!(
                    "{} does not hold it, because what it names, or something that this needs, is kept back by \
                     push.exclude or max-path-size:",
                    self.name
                ),
                lines: kept_back.into_iter().collect(),
                because: self
                    .desired
                    .because(rule(self.desired, pin), &format!("/pins/{pin}")),
            });
        }
    }

    /// The step that adds these revisions to a pin, and removes those.
    fn step(
        &self,
        cache: &Cache,
        pin: &PinName,
        rule: String,
        (add, remove): (Vec<StorePath>, Vec<StorePath>),
    ) -> Step {
        let mut waits_for = cache_addresses(self.name);
        let classes = self.desired.config.classes.keys();
        waits_for.extend(classes.map(|class| push_address(self.name, class.as_str())));
        let builds: Vec<Address> = builds(pin, self.wanted)
            .map(|build| build_address(&build.installable))
            .collect();
        waits_for.extend(builds.iter().cloned());
        Step {
            address: pin_address(self.name, pin),
            phase: Phase::Push,
            scope: cache.scope,
            because: self.desired.because(rule, &format!("/pins/{pin}")),
            effect: Effect {
                paths: (add.len() + remove.len()) as u64,
                bytes: 0,
            },
            known: if builds.is_empty() {
                Known::Now
            } else {
                Known::After {
                    steps: builds,
                    cap: None,
                }
            },
            revision: None,
            waits_for,
            op: Op::Pin {
                cache: self.name.clone(),
                name: pin.clone(),
                add,
                remove,
            },
        }
    }

    /// Whether everything that a pin names is in the cache, or gets there.
    fn is_whole(&self, pin: &PinName) -> bool {
        let mut tops = self.wanted.tops.iter();
        !self.wanted.open_pins.contains(pin)
            && tops.all(|top| top.pin.as_ref() != Some(pin) || self.has(top.row))
            && builds(pin, self.wanted).all(|build| {
                let mut outputs = build.outputs.iter();
                self.is_pushed(build.class)
                    && !outputs.any(|path| self.desired.excludes(&path.to_string()))
            })
    }

    fn has(&self, row: Row) -> bool {
        self.verdicts.kept.contains(row)
            && (!self.verdicts.pushed.contains(row) || self.is_pushed(self.wanted.class(row)))
    }

    fn is_pushed(&self, class: ClassId) -> bool {
        let class = self.wanted.classifier.name_of(class);
        let push = push_address(self.name, class.as_str());
        self.desired.runs(&push)
    }
}

/// The builds that a pin waits for.
fn builds<'w>(pin: &'w PinName, wanted: &'w Wanted<'_>) -> impl Iterator<Item = &'w WantedBuild> {
    wanted
        .builds
        .iter()
        .filter(move |build| build.pins.contains(pin))
}

/// Which records to write and which to remove so that what is pinned now and the newest other
/// revisions stay. Without anything current, nothing changes.
fn revise(
    current: &BTreeSet<StorePath>,
    records: &[&PinRecord],
    revisions: u32,
) -> (Vec<StorePath>, Vec<HashPart>) {
    if current.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let now: BTreeSet<HashPart> = current.iter().map(StorePath::hash).collect();
    let mut others: Vec<&&PinRecord> = records
        .iter()
        .filter(|record| !now.contains(&record.hash))
        .collect();
    others.sort_by_key(|record| (std::cmp::Reverse(record.modified), record.hash));
    let newest = others.first().map(|record| record.modified);
    let add = current
        .iter()
        .filter(|path| {
            let record = records.iter().find(|record| record.hash == path.hash());
            // A revision that comes back becomes the newest again.
            record.is_none_or(|record| newest.is_some_and(|newest| record.modified < newest))
        })
        .cloned()
        .collect();
    let room = (revisions.saturating_sub(1) as usize).saturating_mul(current.len());
    let remove = others
        .into_iter()
        .skip(room)
        .map(|record| record.hash)
        .collect();
    (add, remove)
}

fn is_ours(desired: &Desired, record: &PinRecord) -> bool {
    record.project.as_deref() == Some(desired.config.project.as_str())
}

/// The records of a pin that is no longer declared, if this project wrote them.
fn ended(desired: &Desired, records: &[&PinRecord]) -> Vec<HashPart> {
    records
        .iter()
        .filter(|record| is_ours(desired, record))
        .map(|record| record.hash)
        .collect()
}

/// Leaves of a step what it adds; `false`: nothing is left.
pub(super) fn only_additions(step: &mut Step) -> bool {
    let Op::Pin { add, remove, .. } = &mut step.op else {
        return true;
    };
    remove.clear();
    step.effect.paths = add.len() as u64;
    !add.is_empty()
}

/// The pin records that stay after these steps: those that are there, less those that go.
pub(super) fn remaining<'s>(
    content: &CacheContent,
    steps: impl IntoIterator<Item = &'s Step>,
    cache: &CacheName,
) -> Vec<PinRecord> {
    let mut going: BTreeSet<(&PinName, HashPart)> = BTreeSet::new();
    for step in steps {
        if let Op::Pin {
            cache: of,
            name,
            remove,
            ..
        } = &step.op
            && of == cache
        {
            going.extend(remove.iter().map(|path| (name, path.hash())));
        }
    }
    let pins = content.pins.iter();
    pins.filter(|pin| !going.contains(&(&pin.name, pin.hash)))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
