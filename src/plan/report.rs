//! The report after apply: what was promised, what happened, and what is still different.
//!
//! Plain data: the engine fills it, nothing here acts. What has not converged is an error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::observed::Why;
use super::step::Effect;
use super::time::Time;

/// Number of the report format. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// Program and version that made it.
    pub writer: String,
    /// The project.
    pub project: String,
    /// SHA-256 of `cache.yaml`, in hex.
    pub config: String,
    /// When apply began.
    pub began: Time,
    /// How long all of it took, in milliseconds.
    pub duration_ms: u64,
    /// The steps, in the order in which they ran; those that did not run come last.
    pub steps: Vec<StepOutcome>,
    /// What is still different after apply, when the world was observed again.
    pub remaining: Remaining,
    /// The signal that ended it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Signal>,
}

/// A signal that ends a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// What was promised for a step, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepOutcome {
    /// The step.
    pub address: Address,
    /// What the plan said it would do, in words without numbers, such as
    /// `push rust-dependencies to dev`.
    pub promised: String,
    /// How much the plan said it would do.
    pub promised_effect: Effect,
    /// What happened.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it had to.
    Done {
        /// How much it did.
        effect: Effect,
        /// What else to know, such as `uploaded 420 MiB`; may be empty.
        detail: String,
    },
    /// Somebody else had done it meanwhile.
    Unchanged,
    /// It failed.
    Failed {
        /// Why.
        why: String,
    },
    /// The world had moved on since the plan; it did not run.
    Stale {
        /// What had moved.
        why: String,
    },
    /// It did not run, for another step's sake or because of an interrupt.
    Skipped {
        /// Why.
        why: String,
    },
}

/// What is still different after apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "confirm", rename_all = "kebab-case")]
pub enum Remaining {
    /// Nothing: a new plan over what was applied is empty.
    Converged,
    /// These steps would be planned again.
    Steps {
        /// Their addresses, sorted.
        steps: Vec<Address>,
    },
    /// The world was not observed again, or not all of it could be.
    Unconfirmed {
        /// Why.
        why: Why,
    },
}

impl Report {
    /// Number of steps that this holds for.
    pub fn count(&self, holds: impl Fn(&Outcome) -> bool) -> usize {
        self.steps
            .iter()
            .filter(|step| holds(&step.outcome))
            .count()
    }

    /// Whether any step did something.
    #[must_use]
    pub fn did_something(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Done { .. })) > 0
    }

    /// Whether a step failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed { .. })) > 0
    }

    /// Whether a step did not run because the world had moved on.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Stale { .. })) > 0
    }

    /// Whether all steps ran and nothing is left to do.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let ran = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. } | Outcome::Unchanged);
        self.interrupted.is_none()
            && self.count(ran) == self.steps.len()
            && self.remaining == Remaining::Converged
    }
}

#[cfg(test)]
mod tests;
