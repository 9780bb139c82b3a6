//! Applying an approved plan.
//!
//! # Expected flow
//! Stage by stage, in the order of `plan::stages`; what is known only after a step is observed and planned
//! again by the same function when its turn comes ([`super::late`]), and may not go beyond what was approved.
//!
//! # Guarantees
//! The journal has a line before and after each step; when it cannot be written, nothing more is begun.
//! A step whose world has moved on does not run (stale). A step that waits for one that failed does not
//! run. A stop is honoured between objects, and nothing is broken by it. One step's failure does not keep
//! unrelated steps from running. Every step of the plan has an outcome, whatever happens.
//!
//! # Assumptions
//! The plan was made from `observed`; both are of one moment.
//!
//! # Errors
//! None of its own: what fails is an outcome of its step.

use std::time::Duration;

use super::event::Event;
use super::journal::Entry;
use super::late::Late;
use super::observe::observe;
use super::work::{Applying, Ended, all};
use super::{build, prune, push, single, stale};
use crate::plan::address::Address;
use crate::plan::confirm::Blind;
use crate::plan::guard::ApprovedPlan;
use crate::plan::observed::Observed;
use crate::plan::plan::Plan;
use crate::plan::report::{StepOutcome, promise};
use crate::plan::stages::{Stage, StageKind, stages};
use crate::plan::step::{Known, Op, Step};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::file::FileError;

/// What became of the steps.
#[derive(Debug, Default)]
pub struct Applied {
    /// The steps, in the order in which they ran.
    pub steps: Vec<Step>,
    /// What became of each of them.
    pub outcomes: Vec<StepOutcome>,
    /// Whether a step did not run because another prune is at work.
    pub busy: bool,
    /// Why the journal could not be written any more.
    pub unwritten: Option<String>,
    /// What could not be seen when the plan was made.
    pub before: Blind,
}

/// Applies a plan that was made from `observed`.
#[must_use]
pub fn apply(work: &Applying<'_>, approved: &ApprovedPlan, observed: Observed) -> Applied {
    let plan = approved.plan();
    let applied = Applied {
        before: Blind::of(&observed),
        ..Applied::default()
    };
    let mut run = Run {
        work,
        plan,
        observed,
        broken: Vec::new(),
        applied,
    };
    let clock = SystemClock::new();
    work.progress.expect(counted(&[]), counted(&plan.steps));
    for (number, stage) in (0..).zip(stages(&plan.steps)) {
        let began = clock.elapsed();
        let ended = run.stage(&stage);
        let duration = clock.elapsed().saturating_sub(began);
        run.note(ended, number, duration);
    }
    run.applied
}

/// An apply under way.
struct Run<'a> {
    work: &'a Applying<'a>,
    plan: &'a Plan,
    observed: Observed,
    /// Steps for which others wait in vain.
    broken: Vec<Address>,
    applied: Applied,
}

impl Run<'_> {
    /// Runs a stage; everything that was planned for it, and what came to light, has an outcome.
    fn stage(&mut self, stage: &Stage) -> Vec<Ended> {
        let (work, plan) = (self.work, self.plan);
        let planned: Vec<Step> = stage
            .steps
            .iter()
            .map(|at| plan.steps[*at].clone())
            .collect();
        work.progress.expect(counted(&planned), counted(&[]));
        let (mut steps, mut ended) = self.part(planned);
        if !steps.is_empty() && stage.is_late(&plan.steps) {
            self.observed = observe(work.desired, work.machine, work.progress, work.listener);
            // A look that was interrupted tells nothing of the steps.
            let (still, stopped) = self.part(steps);
            ended.extend(stopped);
            if still.is_empty() {
                return ended;
            }
            steps = still;
            let now = Late {
                desired: work.desired,
                selection: work.selection,
                allowed: work.allowed,
                plan,
                before: &self.applied.before,
            }
            .now(&stage.kind, &steps, &self.observed);
            ended.extend(now.ended);
            let (go, lost) = self.part(now.steps);
            // What did not run by the first plan is said once.
            let is_new = |one: &Ended| ended.iter().all(|e| e.step.address != one.step.address);
            let lost: Vec<Ended> = lost.into_iter().filter(is_new).collect();
            ended.extend(lost);
            steps = go
                .into_iter()
                .filter(|step| ended.iter().all(|one| one.step.address != step.address))
                .collect();
        }
        work.progress.expect(counted(&[]), counted(&steps));
        if !steps.is_empty() {
            ended.extend(self.run(&stage.kind, &steps));
        }
        ended
    }

    /// Parts what may run from what may not.
    fn part(&self, steps: Vec<Step>) -> (Vec<Step>, Vec<Ended>) {
        let mut ended = Vec::new();
        let steps = steps
            .into_iter()
            .filter(|step| {
                let why = self.reason_to_skip(step);
                ended.extend(why.as_ref().map(|why| Ended::skipped(step, why)));
                why.is_none()
            })
            .collect();
        (steps, ended)
    }

    fn reason_to_skip(&self, step: &Step) -> Option<String> {
        if self.work.progress.is_stopped() {
            return Some("it was interrupted before".to_owned());
        }
        if let Some(why) = &self.applied.unwritten {
            return Some(format!("the journal could not be written: {why}"));
        }
        let address = waits_in_vain(step, &self.broken)?;
        Some(format!("{address} did not succeed"))
    }

    fn run(&mut self, kind: &StageKind, steps: &[Step]) -> Vec<Ended> {
        let work = self.work;
        let steps: Vec<&Step> = steps.iter().collect();
        let words: Vec<String> = steps.iter().map(|step| promise(&step.op)).collect();
        (work.listener)(Event::Began {
            steps: steps.iter().map(|step| step.address.clone()).collect(),
            what: words.join(", "),
        });
        for step in &steps {
            if let Err(error) = self.write(&step.address, Entry::Begin) {
                let why = self.unwritten(&error);
                return all(&steps, |step| Ended::skipped(step, &why));
            }
        }
        let ended = match kind {
            StageKind::Push(cache) => push::run(work, &self.observed, cache, &steps),
            StageKind::Prune(cache) => prune::run(work, &self.observed, cache, &steps),
            StageKind::Build => {
                let (fresh, mut moved) = stale::part(work, steps);
                if !fresh.is_empty() {
                    moved.extend(build::run(work, &self.observed, &fresh));
                }
                moved
            }
            StageKind::Single(_) => all(&steps, |step| single::run(work, step)),
        };
        for one in &ended {
            let result = Some(one.outcome.clone());
            if let Err(error) = self.write(&one.step.address, Entry::End { result }) {
                // What is done is done; nothing else is begun.
                self.unwritten(&error);
            }
            let (step, outcome) = (one.step.address.clone(), one.outcome.clone());
            (work.listener)(Event::Ended { step, outcome });
        }
        ended
    }

    fn write(&self, step: &Address, entry: Entry) -> Result<(), FileError> {
        let now = self.work.machine.now();
        self.work.journal.write(now, Some(step), entry)
    }

    /// Remembers the first reason why the journal cannot be written, and says it for a step.
    fn unwritten(&mut self, error: &FileError) -> String {
        let why = super::machine::sentence(error);
        let why = self.applied.unwritten.get_or_insert(why);
        format!("the journal could not be written: {why}")
    }

    fn note(&mut self, ended: Vec<Ended>, stage: u32, duration: Duration) {
        for one in ended {
            if one.blocks {
                self.broken.push(one.step.address.clone());
            }
            self.applied.busy |= one.busy;
            self.applied.outcomes.push(StepOutcome {
                address: one.step.address.clone(),
                promised: promise(&one.step.op),
                promised_effect: one.step.effect,
                outcome: one.outcome,
                did: one.did,
                sent: one.sent,
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                stage,
                seen: None,
                secrets: one.secrets,
            });
            self.applied.steps.push(one.step);
        }
    }
}

/// What of steps is counted while they run: paths, and bytes that are read.
fn counted(steps: &[Step]) -> (u64, u64) {
    steps
        .iter()
        .fold((0, 0), |(paths, bytes), step| match &step.op {
            Op::Push { paths: more, .. } => (paths + more.len() as u64, bytes + step.effect.bytes),
            Op::Prune { paths: more, .. } => (paths + more.len() as u64, bytes),
            _ => (paths, bytes),
        })
}

/// The broken step because of which another must not run.
///
/// What uploads and builds goes on with what there is, unless the machine itself is not ready; a pin
/// waits for the builds of what it names, and for no other. What deletes does not run after anything
/// that was to come before it failed.
fn waits_in_vain<'s>(step: &'s Step, broken: &[Address]) -> Option<&'s Address> {
    let matters = |address: &Address| match (&step.op, &step.known) {
        (Op::Pin { .. }, Known::After { steps, .. }) if steps.contains(address) => true,
        (Op::Push { .. } | Op::Build { .. } | Op::Pin { .. } | Op::Record { .. }, _) => {
            address.is_in("setup")
        }
        _ => true,
    };
    let mut waits = step.waits_for.iter();
    waits.find(|address| broken.contains(address) && matters(address))
}

#[cfg(test)]
mod tests;
