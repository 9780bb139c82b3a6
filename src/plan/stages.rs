//! In which order steps run: by what they wait for, with the steps of one cache that only make sense
//! together (its pushes and pins; its deletes) taken as one stage.
//!
//! References cross classes: a narinfo of one class may have to come before one of another, so the
//! classes of a cache are uploaded, and deleted, in one go.

use std::collections::BTreeMap;

use super::address::Address;
use super::step::{Known, Op, Step};
use crate::config::model::CacheName;

/// Steps that run as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What holds them together.
    pub kind: StageKind,
    /// Numbers of the steps in the plan, ascending.
    pub steps: Vec<usize>,
}

/// What holds the steps of a stage together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageKind {
    /// A step of its own.
    Single(usize),
    /// All builds, so that they share what they need.
    Build,
    /// The uploads to a cache, then its pins.
    Push(CacheName),
    /// The deletes from a cache.
    Prune(CacheName),
}

impl Stage {
    /// Whether it has to be planned again when its turn comes: something in it is known only then.
    ///
    /// A build also tells more about outputs that other caches have already, so it makes every push late.
    #[must_use]
    pub fn is_late(&self, all: &[Step]) -> bool {
        let built = || all.iter().any(|step| matches!(step.op, Op::Build { .. }));
        let pushes = matches!(self.kind, StageKind::Push(_));
        self.steps.iter().any(|step| all[*step].known != Known::Now) || pushes && built()
    }
}

fn kind(number: usize, step: &Step) -> StageKind {
    match &step.op {
        Op::Build { .. } => StageKind::Build,
        Op::Push { cache, .. } | Op::Pin { cache, .. } | Op::Record { cache, .. } => {
            StageKind::Push(cache.clone())
        }
        Op::Prune { cache, .. } | Op::Sweep { cache, .. } | Op::Unpin { cache, .. } => {
            StageKind::Prune(cache.clone())
        }
        _ => StageKind::Single(number),
    }
}

/// The stages of a plan, in the order in which they run. What is waited for and not in the plan
/// counts as done. Stages that would wait for each other run in the order of the plan.
#[must_use]
pub fn stages(steps: &[Step]) -> Vec<Stage> {
    let mut members: BTreeMap<StageKind, Vec<usize>> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        members.entry(kind(number, step)).or_default().push(number);
    }
    let owner: BTreeMap<&Address, StageKind> = steps
        .iter()
        .enumerate()
        .map(|(number, step)| (&step.address, kind(number, step)))
        .collect();
    let mut waiting: Vec<(StageKind, Vec<usize>)> = members.into_iter().collect();
    waiting.sort_by_key(|(_, numbers)| numbers.first().copied());
    let mut stages = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |(kind, numbers): &(StageKind, Vec<usize>)| {
            numbers
                .iter()
                .flat_map(|number| &steps[*number].waits_for)
                .all(|address| {
                    let needed = owner.get(address);
                    needed.is_none_or(|needed| {
                        needed == kind || waiting.iter().all(|(other, _)| other != needed)
                    })
                })
        };
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        let (kind, steps) = waiting.remove(next);
        stages.push(Stage { kind, steps });
    }
    stages
}

#[cfg(test)]
mod tests;
