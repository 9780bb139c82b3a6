//! What one phase wants: the parts of a plan, before they are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Advice, AskingOrder, CacheBudget, HeldBack, PlanError, Refusal, Unknown};
use super::step::Step;
use crate::config::model::CacheName;
use crate::nix::store_path::HashPart;

/// The outcome of planning one phase.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What would be done.
    pub steps: Vec<Step>,
    /// What is not pushed though something asked for it.
    pub held_back: Vec<HeldBack>,
    /// How full each cache is and would be.
    pub caches: Vec<CacheBudget>,
    /// In which order Nix asks the caches.
    pub order: Option<AskingOrder>,
    /// What is in error.
    pub errors: Vec<PlanError>,
    /// What could not be seen.
    pub unknowns: Vec<Unknown>,
    /// What must not be done.
    pub refusals: Vec<Refusal>,
    /// What a person must do.
    pub advice: Vec<Advice>,
    /// Caches for which something that is wanted could not be seen.
    pub unseen: BTreeSet<CacheName>,
    /// Paths of each cache that a push relies on: they are there, and wanted.
    pub relied_on: BTreeMap<CacheName, Vec<HashPart>>,
    /// Paths that were wanted in caches and compared.
    pub compared: u64,
}
