//! Confirming: the world is observed again after apply, and what is still different is said.

use super::apply::Applied;
use super::event::Listener;
use super::machine::Machine;
use super::observe::observe;
use crate::plan::confirm::{Confirmation, judge};
use crate::plan::desired::Desired;
use crate::plan::make;
use crate::plan::observed::Why;
use crate::transfer::progress::Progress;

/// Observes again, plans again, and compares with what was applied: what of that is still, or again,
/// to be done, and what nobody can tell.
///
/// # Errors
/// Why nobody looked: the work was interrupted, before or meanwhile.
pub fn confirm(
    desired: &Desired,
    machine: &Machine,
    applied: &Applied,
    config: &str,
    progress: &Progress,
    listener: Listener<'_>,
) -> Result<Confirmation, Why> {
    let interrupted = || Why("it was interrupted".to_owned());
    if progress.is_stopped() {
        return Err(interrupted());
    }
    // What is still broken is found by verifying again: no plan can see it.
    let again = super::verify::again(desired, machine, progress, listener)?;
    let desired = again.as_ref().unwrap_or(desired);
    let observed = observe(desired, machine, progress, listener);
    if progress.is_stopped() {
        // What a stop cut short looks like something that cannot be seen.
        return Err(interrupted());
    }
    let fresh = make::plan(desired, &observed, config);
    Ok(judge(&applied.steps, &applied.before, &observed, &fresh))
}
