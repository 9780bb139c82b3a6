//! Confirming: the world is observed again after apply, and what is still different is said.

use std::collections::BTreeSet;

use super::event::Listener;
use super::machine::Machine;
use super::observe::observe;
use crate::plan::address::Address;
use crate::plan::desired::Desired;
use crate::plan::make;
use crate::plan::observed::Why;
use crate::plan::plan::Plan;
use crate::plan::report::Remaining;
use crate::transfer::progress::Progress;

/// Observes again, plans again, and compares with what was applied: what of that is still, or again,
/// to be done.
///
/// What came up meanwhile by itself is not counted: it is the next plan's.
#[must_use]
pub fn confirm(
    desired: &Desired,
    machine: &Machine,
    applied: &Plan,
    progress: &Progress,
    listener: Listener<'_>,
) -> Remaining {
    if progress.is_stopped() {
        return Remaining::Unconfirmed {
            why: Why("it was interrupted".to_owned()),
        };
    }
    let observed = observe(desired, machine, progress, listener);
    if let Some(why) = &observed.store.unknown() {
        return Remaining::Unconfirmed {
            why: (*why).clone(),
        };
    }
    let fresh = make::plan(desired, &observed, &applied.config);
    let promised: BTreeSet<&Address> = applied.steps.iter().map(|step| &step.address).collect();
    let mut steps: Vec<Address> = fresh
        .steps
        .iter()
        .filter(|step| step.is_change() && promised.contains(&step.address))
        .map(|step| step.address.clone())
        .collect();
    steps.sort();
    if steps.is_empty() {
        Remaining::Converged
    } else {
        Remaining::Steps { steps }
    }
}
