//! The setup phase: cache folders, signing keys, and the nix.conf fragment that makes Nix use them.
//!
//! `nanna-cache.conf` is ours as a whole, with a section for each project; in nix.conf one line is ours. `extra-` settings only ever add to
//! what the user has. The order of asking acts through priorities, never through the order of the list.

mod cache;
mod fragment;
mod include;
pub(super) mod key;
mod login;
pub mod nearest;
mod overruled;
pub(super) mod section;
mod service;
mod trust;

pub(super) use fragment::{substituters, with_priority};
pub(super) use include::{added_by_project, is_included, is_tuning_included};
pub use login::{is_private, netrc_file};
pub(super) use overruled::words as overruled;

use super::address::{Address, Phase};
use super::change::Changes;
use super::desired::Desired;
use super::observed::{FileFacts, Observation, Observed};
use super::plan::{Advice, Refusal, Unknown};
use super::step::{Because, Effect, Known, Op, Scope, Step};

/// First line of every file that is ours as a whole.
pub const MARKER: &str = "# Managed by nanna-cache";

/// Plans cache folders, keys and nix.conf.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Changes {
    let mut changes = Changes::default();
    for (name, cache) in &desired.caches {
        match cache.place.service() {
            Some(service) => {
                service::plan(desired, observed, (name, cache, service), &mut changes);
                if is_private(service) {
                    login::plan(desired, observed, (name, cache, service), &mut changes);
                }
            }
            None => cache::folder(desired, observed, name, cache, &mut changes),
        }
        if let Some(signing) = &cache.signing {
            key::plan(desired, observed, name, signing, &mut changes);
        }
    }
    if let Some(conf) = &desired.conf {
        fragment::file(desired, observed, conf, &mut changes);
        include::line(desired, observed, conf, &mut changes);
        trust::advise(desired, observed, conf, &mut changes);
        overruled::advise(desired, observed, conf, &mut changes);
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
    /// Not by us: its text now, and why. Whoever may write it is told what to put into it.
    Ask(Option<String>, String),
    /// No; the reason has been said.
    Leave,
}

/// Why this process does not edit a file that is there.
fn why_not_edit(file: &FileFacts) -> Option<String> {
    if let Some(managed) = &file.managed {
        return Some(managed.clone());
    }
    (!file.writable).then(|| NO_RIGHT.to_owned())
}

/// Why this process cannot make a file that is not there.
fn why_not_make(observed: &Observed, path: &str) -> Option<String> {
    observed.closed.contains(path).then(|| NO_RIGHT.to_owned())
}

const NO_RIGHT: &str = "this user may not write it: whoever may adds the lines";

/// What whoever may write a file puts into it.
pub(super) fn ask(
    phase: Phase,
    path: &str,
    (why, after): (String, &str),
    because: Because,
    changes: &mut Changes,
) {
    changes.advice.push(Advice {
        phase,
        about: path.to_owned(),
        text: why,
        lines: after.lines().map(str::to_owned).collect(),
        because,
    });
}

/// Looks whether a file is ours, absent, or somebody else's.
///
/// `address` is the step that would write it.
pub(super) fn own_file(
    path: &str,
    address: Address,
    observed: &Observed,
    changes: &mut Changes,
) -> Own {
    let own = |before, why: Option<String>| match why {
        Some(why) => Own::Ask(before, why),
        None => Own::Write(before),
    };
    match observed.files.get(path) {
        Some(Observation::Absent) => own(None, why_not_make(observed, path)),
        Some(Observation::Present(file)) if file.text.starts_with(MARKER) => {
            own(Some(file.text.clone()), why_not_edit(file))
        }
        Some(Observation::Present(_)) => {
            changes.refusals.push(Refusal {
                steps: vec![address],
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
