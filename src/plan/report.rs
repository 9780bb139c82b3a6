//! The report after apply: what was promised, what happened, and what is still different.
//!
//! Plain data: the engine fills it, nothing here acts. What has not converged is an error.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Address, Phase};
use super::observed::Why;
use super::plan::{CacheBudget, PlanError, Unknown};
use super::step::{Effect, Op};
use super::time::Time;
use crate::config::gate::SecretRule;
use crate::nix::store_path::StorePath;

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
    /// The steps, in the order in which they ran or would have run.
    pub steps: Vec<StepOutcome>,
    /// The same by phase, in numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseOutcome>,
    /// What is still different after apply, when the world was observed again.
    pub remaining: Remaining,
    /// How full the caches were on the second look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<CacheBudget>,
    /// What the plan could not hold because it is in error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PlanError>,
    /// Caches that push is to write to and that could not be looked at before, so nothing was pushed there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Unknown>,
    /// What else the second look found; `None`: nobody looked, for nothing was to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_look: Option<SecondLook>,
    /// Whether a step did not run because another prune was at work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy: bool,
    /// Why the journal could not be written to its end; nothing was begun after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
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
    /// How much it did, also where it failed or was stopped in the middle.
    #[serde(default, skip_serializing_if = "Effect::is_nothing")]
    pub did: Effect,
    /// Bytes that a push sent, after compression, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// How long it took, in milliseconds; steps of one stage ran together, and each has the time of all.
    pub duration_ms: u64,
    /// Number of its stage, in the order of running.
    #[serde(default)]
    pub stage: u32,
    /// What the second look says of it; `None`: nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Secrets that were found in what it was to push.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretFound>,
}

/// A secret that was found in what was about to be pushed; not the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretFound {
    /// The path.
    pub path: StorePath,
    /// The file in it; empty: the path itself is the file.
    pub file: String,
    /// Which rule found it.
    #[schemars(with = "String")]
    pub rule: SecretRule,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// What may be shown of it.
    pub shown: String,
    /// What `push.secrets.allow` knows it by.
    pub fingerprint: String,
    /// Whether the path was not pushed because of it.
    pub refused: bool,
}

impl SecretFound {
    /// It in words: what it is, where it stands, and its fingerprint.
    #[must_use]
    pub fn told(&self) -> String {
        let place = match self.file.as_str() {
            "" => "in it".to_owned(),
            file => format!("in `{file}`"),
        };
        format!(
            "{} ({}: {}) {place} at byte {}, fingerprint {}",
            self.rule.what(),
            self.rule,
            self.shown,
            self.offset,
            self.fingerprint
        )
    }
}

/// What the second look says of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "look", rename_all = "kebab-case")]
pub enum Seen {
    /// A new plan does not have it: all is as it should be.
    Settled,
    /// A new plan would have it again.
    Pending,
    /// What it concerns could not be seen, or not whole.
    Unknown {
        /// Why.
        why: Why,
    },
}

/// What the second look found besides what became of single steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondLook {
    /// What could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknowns: Vec<Unknown>,
    /// Changes that a new plan would have beyond what was applied: left out on purpose, or new.
    #[serde(default)]
    pub others: u64,
    /// Addresses of the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_others: Vec<Address>,
}

/// A phase in numbers: what was planned, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseOutcome {
    /// The phase.
    pub phase: Phase,
    /// What was planned.
    pub planned: Amount,
    /// What of it was done.
    pub done: Amount,
    /// How long its stages took, in milliseconds.
    pub duration_ms: u64,
    /// Those of them in which bytes were moved.
    #[serde(default)]
    pub moving_ms: u64,
}

/// Steps, and what they did or were to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// Steps.
    pub steps: u64,
    /// Paths.
    pub paths: u64,
    /// Bytes: of NARs for a push (before compression), of files for a prune.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, step: bool, effect: Effect) {
        self.steps += u64::from(step);
        self.paths += effect.paths;
        self.bytes += effect.bytes;
    }
}

impl PhaseOutcome {
    /// Sums up steps; only phases that occur are there.
    #[must_use]
    pub fn of(steps: &[StepOutcome]) -> Vec<Self> {
        let one = |phase: Phase| {
            let mine: Vec<&StepOutcome> = steps
                .iter()
                .filter(|step| step.address.is_in(phase.word()))
                .collect();
            let mut sum = Self {
                phase,
                planned: Amount::default(),
                done: Amount::default(),
                duration_ms: 0,
                moving_ms: 0,
            };
            let mut timed = BTreeMap::new();
            for step in &mine {
                sum.planned.add(true, step.promised_effect);
                sum.done.add(step.outcome.is_good(), step.did);
                let stage = timed.entry(step.stage).or_insert((step.duration_ms, false));
                stage.1 |= step.did.bytes > 0;
            }
            for (duration, moves) in timed.into_values() {
                sum.duration_ms += duration;
                sum.moving_ms += if moves { duration } else { 0 };
            }
            (!mine.is_empty()).then_some(sum)
        };
        Phase::ALL.into_iter().filter_map(one).collect()
    }
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
    /// It failed because a service did, and `cache.yaml` says that this is no failure of the run.
    Tolerated {
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

impl Outcome {
    /// Whether it failed, and that is to be no failure of the run.
    #[must_use]
    pub const fn is_tolerated(&self) -> bool {
        matches!(self, Self::Tolerated { .. })
    }

    /// Whether what the step was for is done.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Unchanged)
    }
}

/// What a step does, in words without numbers.
#[must_use]
pub fn promise(op: &Op) -> String {
    match op {
        Op::WriteFile { path, .. } => format!("write {path}"),
        Op::EditFile { path, .. } => format!("edit {path}"),
        Op::GenerateKey { path, .. } => format!("make the signing key {path}"),
        Op::WriteLogin { cache, path, .. } => format!("put the token of {cache} into {path}"),
        Op::CreateCache {
            cache,
            folder,
            before,
            ..
        } if folder.contains("://") => match before {
            None => format!("make the cache {cache} at {folder}"),
            Some(_) => format!("register the key of {cache} at {folder}"),
        },
        Op::CreateCache { cache, folder, .. } => format!("make the cache {cache} in {folder}"),
        Op::ExportVariable { name, .. } => format!("hand {name} to later steps"),
        Op::Warm { installable, .. } => format!("fetch {installable}"),
        Op::Build { installable, .. } => format!("build {installable}"),
        Op::Push { cache, class, .. } => format!("push {class} to {cache}"),
        Op::Pin { cache, name, .. } => format!("pin {name} in {cache}"),
        Op::Record { cache, .. } => format!("write a record into {cache}"),
        Op::Unpin { cache, name, .. } => format!("end the pin {name} in {cache}"),
        Op::Prune { cache, class, .. } => format!("prune {class} from {cache}"),
        Op::Sweep { cache, .. } => format!("sweep unnamed files from {cache}"),
    }
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

    /// Whether anything was done, be it only a part of a step.
    #[must_use]
    pub fn did_something(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.outcome, Outcome::Done { .. }) || !step.did.is_nothing())
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

    /// Whether all steps ran, nothing is left to do, nothing was in error, and every cache that push writes to
    /// was seen.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.interrupted.is_none()
            && self.journal.is_none()
            && self.count(|one| one.is_good() || one.is_tolerated()) == self.steps.len()
            && self.errors.is_empty()
            && self.unreached.is_empty()
            && self.is_converged()
    }

    /// Whether nothing is left to do, apart from what was tolerated.
    fn is_converged(&self) -> bool {
        let tolerated = |step: &&StepOutcome| step.outcome.is_tolerated();
        match &self.remaining {
            Remaining::Converged => true,
            Remaining::Steps { steps } if steps.is_empty() => false,
            Remaining::Steps { steps } => steps.iter().all(|left| {
                let mut tolerated = self.steps.iter().filter(tolerated);
                tolerated.any(|step| step.address == *left)
            }),
            Remaining::Unconfirmed { .. } => {
                let unseen = |step: &&StepOutcome| matches!(step.seen, Some(Seen::Unknown { .. }));
                let mut unseen = self.steps.iter().filter(unseen).peekable();
                unseen.peek().is_some() && unseen.all(|step| step.outcome.is_tolerated())
            }
        }
    }
}

#[cfg(test)]
mod tests;
