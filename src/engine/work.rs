//! What the parts of an apply share: what they work with, and how a step ended.

use std::time::Duration;

use super::event::Listener;
use super::gate::SecretGate;
use super::journal::Journal;
use super::links::Links;
use super::machine::{Machine, sentence};
use crate::config::model::CacheName;
use crate::plan::desired::{Cache, Desired};
use crate::plan::guard::Allowances;
use crate::plan::report::{Outcome, SecretFound};
use crate::plan::select::Selection;
use crate::plan::step::{Effect, Op, Step};
use crate::provider::binary_cache::CacheStore;
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
    /// Where links are made that keep what is built until it is pushed; `None`: nothing is built.
    pub links: Option<&'a Links>,
    /// Where steps are written down.
    pub journal: &'a Journal,
    /// Takes events.
    pub listener: Listener<'a>,
    /// How long to wait for another prune.
    pub patience: Duration,
    /// The part of the plan that is meant; what is planned again keeps to it.
    pub selection: &'a Selection,
    /// What is permitted beyond `cache.yaml`, also to what is planned again.
    pub allowed: &'a Allowances,
}

impl Applying<'_> {
    /// A cache that is written, and its store.
    ///
    /// # Errors
    /// Why there is none to work with.
    pub(super) fn cache(&self, name: &CacheName) -> Result<(&Cache, Box<dyn CacheStore>), String> {
        let cache = self.desired.caches.get(name);
        let cache = cache.ok_or("cache.yaml does not have this cache")?;
        let store = self.machine.store(cache);
        Ok((cache, store.map_err(|error| sentence(&error))?))
    }
}

/// How a step ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The step.
    pub step: Step,
    /// How.
    pub outcome: Outcome,
    /// How much it did, also where it failed or was stopped in the middle.
    pub did: Effect,
    /// Bytes that a push sent, after compression, where that is known.
    pub sent: Option<u64>,
    /// Whether it did not run because another prune is at work.
    pub busy: bool,
    /// Whether what waits for it must not run.
    pub blocks: bool,
    /// Secrets that were found in what it was to push.
    pub secrets: Vec<SecretFound>,
}

impl Ended {
    pub(super) fn new(step: &Step, outcome: Outcome) -> Self {
        let did = match &outcome {
            Outcome::Done { effect, .. } => *effect,
            _ => Effect::default(),
        };
        Self {
            step: step.clone(),
            blocks: !outcome.is_good(),
            outcome,
            did,
            sent: None,
            busy: false,
            secrets: Vec::new(),
        }
    }

    /// As much as the plan said.
    pub(super) fn done(step: &Step) -> Self {
        let (effect, detail) = (step.effect, String::new());
        Self::new(step, Outcome::Done { effect, detail })
    }

    pub(super) fn failed(step: &Step, why: &str) -> Self {
        let why = why.to_owned();
        Self::new(step, Outcome::Failed { why })
    }

    pub(super) fn skipped(step: &Step, why: &str) -> Self {
        let why = why.to_owned();
        Self::new(step, Outcome::Skipped { why })
    }

    pub(super) fn stale(step: &Step, why: &str) -> Self {
        let why = why.to_owned();
        Self::new(step, Outcome::Stale { why })
    }

    pub(super) fn busy(step: &Step, why: &str) -> Self {
        Self {
            busy: true,
            ..Self::skipped(step, why)
        }
    }

    /// Says what was found in what it was to push.
    pub(super) fn having_found(self, gate: Option<&SecretGate>) -> Self {
        let (Some(gate), Op::Push { paths, .. }) = (gate, &self.step.op) else {
            return self;
        };
        let secrets = gate.found(paths.iter().map(|path| &path.path));
        Self { secrets, ..self }
    }

    /// Says how many bytes it sent.
    pub(super) fn having_sent(self, bytes: u64) -> Self {
        Self {
            sent: Some(bytes),
            ..self
        }
    }

    /// Says how much it did all the same.
    pub(super) fn having_done(self, did: Effect) -> Self {
        Self { did, ..self }
    }
}

/// All of them ended alike.
pub(super) fn all(steps: &[&Step], how: impl Fn(&Step) -> Ended) -> Vec<Ended> {
    steps.iter().map(|step| how(step)).collect()
}

/// A step that failed, and why.
pub(super) fn failed(step: &Step, why: &str) -> Ended {
    Ended::failed(step, why)
}
