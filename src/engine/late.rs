//! What is known of a stage only when its turn comes: planned again by the same function, and held to
//! what was approved.
//!
//! Promises: nothing runs that was not chosen, nothing that is refused without what was permitted, and
//! nothing beyond the cap that the plan named. Everything that was planned for the stage is among the steps or
//! among what ended. Pure.

use super::work::{Ended, failed};
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::config::units::Size;
use crate::plan::confirm::{Blind, unseen};
use crate::plan::desired::Desired;
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::{Plan, Refusal};
use crate::plan::report::Outcome;
use crate::plan::select::Selection;
use crate::plan::stages::StageKind;
use crate::plan::step::{Known, Op, Step};

/// What a stage is planned again by.
pub(super) struct Late<'a> {
    pub(super) desired: &'a Desired,
    pub(super) selection: &'a Selection,
    pub(super) allowed: &'a Allowances,
    /// The plan that was approved.
    pub(super) plan: &'a Plan,
    /// What could not be seen when it was made.
    pub(super) before: &'a Blind,
}

/// A stage as it is known now.
#[derive(Debug, Default)]
pub(super) struct Now {
    /// What is to run.
    pub(super) steps: Vec<Step>,
    /// What was planned for the stage and does not run, or need not.
    pub(super) ended: Vec<Ended>,
}

impl Late<'_> {
    /// The stage as it is known from a new look; `old` is what was planned for it.
    pub(super) fn now(&self, kind: &StageKind, old: &[Step], observed: &Observed) -> Now {
        let mut fresh = self
            .selection
            .apply(make::plan(self.desired, observed, &self.plan.config));
        let refusals = guard::check(self.desired, &fresh, self.allowed);
        let belongs = |step: &Step| match (kind, &step.op) {
            (
                StageKind::Push(cache),
                Op::Push { cache: of, .. }
                | Op::Pin { cache: of, .. }
                | Op::Record { cache: of, .. },
            ) => cache == of,
            _ => old.iter().any(|old| old.address == step.address),
        };
        fresh.steps.retain(belongs);
        let steps = fresh.steps;
        let refused = refused(&refusals, &steps)
            .or_else(|| hidden(kind, old, &steps, observed))
            .or_else(|| self.beyond(old, &steps));
        if let Some(why) = refused {
            let ended = old.iter().map(|step| failed(step, &why)).collect();
            return Now {
                ended,
                steps: Vec::new(),
            };
        }
        let gone = |old: &&Step| steps.iter().all(|step| step.address != old.address);
        let now = Blind::of(observed);
        let ended = old
            .iter()
            .filter(gone)
            .map(|old| match unseen(old, self.before, &now, observed) {
                Some(why) => failed(old, &format!("whether it is still to be done: {}", why.0)),
                None => Ended::new(old, Outcome::Unchanged),
            })
            .collect();
        Now { steps, ended }
    }

    /// What comes to light is bounded by what was approved.
    fn beyond(&self, old: &[Step], steps: &[Step]) -> Option<String> {
        let bytes = |steps: &[Step]| -> u64 {
            let pushes = steps.iter().filter(|step| is_push(step));
            pushes.map(|step| step.effect.bytes).sum()
        };
        let caps = old.iter().filter_map(|step| match &step.known {
            Known::After { cap, .. } => *cap,
            Known::Now => None,
        });
        let cap = caps
            .max()
            .unwrap_or(self.desired.config.push.max_after_build.0);
        let more = bytes(steps).saturating_sub(bytes(old));
        (more > cap).then(|| {
            format!(
                "after the build {} of NAR would be pushed beyond what the plan named; the limit \
                 (push.limits.after-build) is {}",
                Rough(more),
                Size(cap)
            )
        })
    }
}

/// What only now comes to light may be what must not be done.
fn refused(refusals: &[Refusal], steps: &[Step]) -> Option<String> {
    let concerns = |refusal: &&Refusal| {
        // Waited for where it matters: when the prune begins.
        refusal.code != "prune-busy"
            && (refusal.steps.is_empty()
                || steps
                    .iter()
                    .any(|step| refusal.steps.contains(&step.address)))
    };
    let refusal = refusals.iter().find(concerns)?;
    Some(format!("{}; {}", refusal.text, refusal.help))
}

const fn is_push(step: &Step) -> bool {
    matches!(step.op, Op::Push { .. })
}

/// Why what is to be pushed cannot be told, where nothing seems to be left.
fn hidden(kind: &StageKind, old: &[Step], steps: &[Step], observed: &Observed) -> Option<String> {
    let StageKind::Push(cache) = kind else {
        return None;
    };
    if !old.iter().any(is_push) || steps.iter().any(is_push) {
        return None;
    }
    let why = why_hidden(observed, cache)?;
    Some(format!(
        "after the build it could not be seen what to push: {why}"
    ))
}

/// Why the cache or the store cannot be seen, if so.
fn why_hidden(observed: &Observed, cache: &CacheName) -> Option<String> {
    let seen = observed.caches.get(cache).and_then(Observation::unknown);
    let why = seen.or_else(|| observed.store.unknown())?;
    Some(why.0.clone())
}

#[cfg(test)]
mod tests;
