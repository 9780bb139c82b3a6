//! What setup has to do first: where it is not taken, what waits for it is refused.

use std::collections::BTreeMap;

use crate::plan::address::Address;
use crate::plan::plan::Refusal;
use crate::plan::step::{Op, Step};

/// Code of the refusal.
pub const SETUP_FIRST: &str = "setup-first";

/// A refusal for each set of steps that had to come before `taken` ones, and is among those that are `left` out.
pub(super) fn refusals(taken: &[Step], left: &[Step]) -> Vec<Refusal> {
    let mut by_need: BTreeMap<Vec<Address>, Vec<Address>> = BTreeMap::new();
    for step in taken {
        let needed: Vec<Address> = left
            .iter()
            .filter(|first| step.waits_for.contains(&first.address) && must_precede(first, step))
            .map(|first| first.address.clone())
            .collect();
        if !needed.is_empty() {
            by_need
                .entry(needed)
                .or_default()
                .push(step.address.clone());
        }
    }
    by_need
        .into_iter()
        .map(|(needed, steps)| {
            let names: Vec<String> = needed.iter().map(|it| format!("`{it}`")).collect();
            let it = if names.len() == 1 {
                "is a step"
            } else {
                "are steps"
            };
            Refusal {
                steps,
                code: SETUP_FIRST.to_owned(),
                text: format!(
                    "it needs what is not there yet: {} {it} of setup and not taken",
                    names.join(" and ")
                ),
                help: "run `nanna-cache setup --apply` first, or take everything together: `nanna-cache reconcile` \
                       without --only, --cache and --scope"
                    .to_owned(),
            }
        })
        .collect()
}

/// Whether a step cannot be done without another one: a folder that is there can be pushed to while its
/// `nix-cache-info` waits for another priority, and only what is uploaded is signed.
fn must_precede(first: &Step, step: &Step) -> bool {
    match &first.op {
        // A service takes nothing into a cache without a key.
        Op::CreateCache { before, folder, .. } => before.is_none() || folder.contains("://"),
        Op::GenerateKey { .. } => match &step.op {
            Op::Push {
                paths, selectors, ..
            } => !(paths.is_empty() && selectors.is_empty()),
            _ => false,
        },
        _ => false,
    }
}
