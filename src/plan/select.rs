//! A part of a plan: by phase or address, by cache, by scope.
//!
//! A part never does more than the whole: steps are only taken out, and what concerned only them
//! goes with them. The builds that a taken step waits for come along; what setup has to do before it does
//! not: that is refused and named ([`SETUP_FIRST`]).

mod first;
mod possible;

use std::collections::BTreeSet;

pub use first::SETUP_FIRST;
pub use possible::{can_choose, possible};

use super::address::Address;
use super::plan::{CacheBudget, Plan};
use super::step::{Known, Op, Scope, Step};
use crate::config::model::CacheName;

/// What to take of a plan; empty lists take everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Phases or leading parts of addresses.
    pub only: Vec<String>,
    /// Caches.
    pub caches: Vec<CacheName>,
    /// One scope.
    pub scope: Option<Scope>,
}

/// The cache that a step concerns.
#[must_use]
pub const fn cache_of(step: &Step) -> Option<&CacheName> {
    match &step.op {
        Op::GenerateKey { cache, .. }
        | Op::WriteLogin { cache, .. }
        | Op::CreateCache { cache, .. }
        | Op::Push { cache, .. }
        | Op::Pin { cache, .. }
        | Op::Record { cache, .. }
        | Op::Unpin { cache, .. }
        | Op::Prune { cache, .. }
        | Op::Sweep { cache, .. } => Some(cache),
        Op::WriteFile { .. }
        | Op::EditFile { .. }
        | Op::ExportVariable { .. }
        | Op::Warm { .. }
        | Op::Build { .. } => None,
    }
}

impl Selection {
    /// Whether everything is taken.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a step is taken.
    #[must_use]
    pub fn takes(&self, step: &Step) -> bool {
        let only = self.only.is_empty() || self.only.iter().any(|part| step.address.is_in(part));
        let cache = self.caches.is_empty()
            || cache_of(step).is_none_or(|cache| self.caches.contains(cache));
        only && cache && self.scope.is_none_or(|scope| step.scope == scope)
    }

    /// Whether a step that is refused before it is one would be taken: what is done to the content of a cache is
    /// of whom the cache is of, all else is of this machine.
    fn takes_place(&self, address: &Address, caches: &[CacheBudget]) -> bool {
        let only = self.only.is_empty() || self.only.iter().any(|part| address.is_in(part));
        let of = |cache: &CacheName| cache.as_str() == address.place();
        let tier = caches
            .iter()
            .find(|budget| of(&budget.cache))
            .and_then(|budget| budget.tier);
        let is_content = address.is_in("prune") || address.is_in("push");
        let scope = if is_content && tier != Some(3) {
            Scope::Shared
        } else {
            Scope::Machine
        };
        only && self.scope.is_none_or(|wanted| wanted == scope)
            && (self.caches.is_empty() || self.caches.iter().any(of))
    }

    /// The part of a plan that is taken, to be applied: where it lacks what has to come first, that is refused.
    #[must_use]
    pub fn apply(&self, plan: Plan) -> Plan {
        let (mut part, left) = self.part(plan);
        let first = first::refusals(&part.steps, &left);
        if !first.is_empty() {
            part.refusals.extend(first);
            part.refusals.sort();
        }
        part
    }

    /// The part of a plan that is shown; what it lacks runs elsewhere.
    #[must_use]
    pub fn shown(&self, plan: Plan) -> Plan {
        self.part(plan).0
    }

    /// The part of a plan that is taken, and the steps that are not.
    fn part(&self, mut plan: Plan) -> (Plan, Vec<Step>) {
        if self.is_all() {
            return (plan, Vec::new());
        }
        let planned: BTreeSet<Address> = plan.steps.iter().map(|s| s.address.clone()).collect();
        let builds = self.builds(&plan.steps);
        let recorded = self.recorded(&plan.steps);
        let is_taken = |step: &Step| {
            self.takes(step) || builds.contains(&step.address) || recorded.contains(&step.address)
        };
        let (taken, left) = plan.steps.into_iter().partition(is_taken);
        plan.steps = taken;
        // A refusal may name a step that there would be without it.
        let taken = |address: &Address| {
            if planned.contains(address) {
                plan.steps.iter().any(|step| step.address == *address)
            } else {
                self.takes_place(address, &plan.caches)
            }
        };
        plan.refusals
            .retain(|refusal| refusal.steps.is_empty() || refusal.steps.iter().any(taken));
        if !self.only.is_empty() {
            let phases: Vec<_> = self
                .only
                .iter()
                .filter_map(|part| part.split('/').next())
                .collect();
            plan.advice
                .retain(|advice| phases.contains(&advice.phase.word()));
            if !phases.contains(&"push") {
                plan.held_back.clear();
            }
            if !phases.contains(&"prune") && !phases.contains(&"push") {
                plan.caches.clear();
            }
            if !phases.contains(&"optimize") {
                plan.order = None;
            }
        }
        if !self.caches.is_empty() {
            plan.held_back
                .retain(|held| self.caches.contains(&held.cache));
            plan.caches
                .retain(|budget| self.caches.contains(&budget.cache));
            plan.requests
                .retain(|sent| self.caches.contains(&sent.cache));
        }
        (plan, left)
    }

    /// The records that tell what the steps that are taken do: a pin that nobody wrote down is not ours later.
    fn recorded(&self, steps: &[Step]) -> BTreeSet<Address> {
        let is_told = |step: &&Step| matches!(step.op, Op::Push { .. } | Op::Pin { .. });
        let taken = steps.iter().filter(is_told).filter(|step| self.takes(step));
        let caches: BTreeSet<&CacheName> = taken.filter_map(cache_of).collect();
        let records = steps
            .iter()
            .filter(|step| matches!(&step.op, Op::Record { cache, .. } if caches.contains(cache)));
        records.map(|step| step.address.clone()).collect()
    }

    /// The builds that tell what the steps that are taken do.
    fn builds(&self, steps: &[Step]) -> BTreeSet<Address> {
        let taken = steps.iter().filter(|step| self.takes(step));
        let named: BTreeSet<&Address> = taken
            .flat_map(|step| match &step.known {
                Known::After { steps, .. } => steps.as_slice(),
                Known::Now => &[],
            })
            .collect();
        let is_build = |step: &&Step| matches!(step.op, Op::Build { .. });
        let builds = steps.iter().filter(is_build).map(|step| &step.address);
        builds.filter(|it| named.contains(it)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
