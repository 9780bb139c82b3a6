//! The setup phase: cache folders, signing keys, and the nix.conf fragment that makes Nix use them.
//!
//! `nanna-cache.conf` is ours as a whole, with a section for each project; in nix.conf one line is ours. `extra-` settings only ever add to
//! what the user has. The order of asking acts through priorities, never through the order of the list.

mod cache;
mod fragment;
mod include;
pub(super) mod key;
pub(super) mod section;
mod trust;

pub(super) use fragment::substituters;
pub(super) use include::{included_substituters, is_included};

use super::address::{Address, Phase};
use super::change::Changes;
use super::desired::Desired;
use super::observed::{FileFacts, Observation, Observed};
use super::plan::{Refusal, Unknown};
use super::step::{Because, Effect, Known, Op, Scope, Step};

/// First line of every file that is ours as a whole.
pub const MARKER: &str = "# Managed by nanna-cache";

/// Plans cache folders, keys and nix.conf.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Changes {
    let mut changes = Changes::default();
    for (name, cache) in &desired.caches {
        cache::folder(desired, observed, name, cache, &mut changes);
        if let Some(signing) = &cache.signing {
            key::plan(desired, observed, name, signing, &mut changes);
        }
    }
    if let Some(conf) = &desired.conf {
        fragment::file(desired, observed, conf, &mut changes);
        include::line(desired, observed, conf, &mut changes);
        trust::advise(desired, observed, conf, &mut changes);
    }
    changes
}

fn step(address: Address, scope: Scope, op: Op, because: Because) -> Step {
    Step {
        address,
        phase: Phase::Setup,
        scope,
        op,
        because,
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
    }
}

/// Whether a file that should be ours as a whole may be written.
pub(super) enum Own {
    /// Yes; this is its text now.
    Write(Option<String>),
    /// No; the reason has been said.
    Leave,
}

/// Looks whether a file is ours, absent, or somebody else's.
pub(super) fn own_file(
    path: &str,
    known: Option<&Observation<FileFacts>>,
    changes: &mut Changes,
) -> Own {
    match known {
        Some(Observation::Absent) => Own::Write(None),
        Some(Observation::Present(file)) if file.text.starts_with(MARKER) => {
            Own::Write(Some(file.text.clone()))
        }
        Some(Observation::Present(_)) => {
            changes.refusals.push(Refusal {
                steps: Vec::new(),
                code: "setup-foreign-file".to_owned(),
                text: format!("{path} exists and does not begin with `{MARKER}`: it is not ours"),
                help: "move it away, or choose another folder with setup.nix-conf".to_owned(),
            });
            Own::Leave
        }
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: path.to_owned(),
                why: why.clone(),
                effect: "it is not written".to_owned(),
            });
            Own::Leave
        }
        None => Own::Leave,
    }
}

#[cfg(test)]
mod tests;
