//! What the parts of an apply share: what they work with, and how a step ended.

use std::time::Duration;

use super::event::Listener;
use super::journal::Journal;
use super::machine::Machine;
use crate::plan::desired::Desired;
use crate::plan::report::Outcome;
use crate::plan::step::Step;
use crate::transfer::progress::Progress;

/// Everything that applying needs.
pub struct Applying<'a> {
    /// What should be.
    pub desired: &'a Desired,
    /// Where it is to come true.
    pub machine: &'a Machine,
    /// Digest of the plan, for records.
    pub digest: &'a str,
    /// Identity of the run, for records.
    pub run: Option<String>,
    /// Counters, and the wish to stop.
    pub progress: &'a Progress,
    /// Where steps are written down.
    pub journal: &'a Journal,
    /// Takes events.
    pub listener: Listener<'a>,
    /// How long to wait for another prune.
    pub patience: Duration,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The step.
    pub step: Step,
    /// How.
    pub outcome: Outcome,
    /// Whether it did not run because another prune is at work.
    pub busy: bool,
}

impl Ended {
    pub(super) fn new(step: &Step, outcome: Outcome) -> Self {
        Self {
            step: step.clone(),
            outcome,
            busy: false,
        }
    }

    pub(super) fn busy(step: &Step, why: &str) -> Self {
        Self {
            busy: true,
            ..Self::new(
                step,
                Outcome::Skipped {
                    why: why.to_owned(),
                },
            )
        }
    }
}

/// A step that failed, and why.
pub(super) fn failed(step: &Step, why: &str) -> Ended {
    Ended::new(
        step,
        Outcome::Failed {
            why: why.to_owned(),
        },
    )
}
