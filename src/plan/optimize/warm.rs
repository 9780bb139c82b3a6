//! Warming: declared outputs are fetched before anything is built.

use crate::nix::store_path::StorePath;
use crate::plan::address::{Address, Phase, fragment_address, nix_conf_address, tuning_address};
use crate::plan::change::Changes;
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Observed, OutputFacts, Why};
use crate::plan::plan::{Advice, PlanError, Unknown};
use crate::plan::step::{Effect, Known, Op, Scope, Step};
use crate::plan::wanted::is_upstream;

/// The step that fetches an output, or the advice that no cache has it.
pub(super) fn step(
    desired: &Desired,
    observed: &Observed,
    installable: &str,
    changes: &mut Changes,
) {
    let facts = match observed.outputs.get(installable) {
        Some(Observation::Present(facts)) => facts,
        Some(Observation::Unknown(why)) => {
            changes.unknowns.push(Unknown {
                what: installable.to_owned(),
                why: why.clone(),
                effect: "it is not warmed".to_owned(),
            });
            return;
        }
        Some(Observation::Error(why)) => {
            changes.errors.push(PlanError {
                what: vec![installable.to_owned()],
                why: why.clone(),
                effect: "not warmed".to_owned(),
                because: desired.because_of_output(installable),
            });
            return;
        }
        Some(Observation::Absent) | None => return,
    };
    let elsewhere = facts
        .system
        .as_ref()
        .is_some_and(|system| *system != desired.site.system);
    if elsewhere || facts.outputs.is_empty() || is_local(observed, facts) {
        return;
    }
    let cached = facts.outputs.values().all(|path| is_cached(observed, path));
    if !cached {
        match unanswered(observed, facts) {
            Some(why) => changes.unknowns.push(Unknown {
                what: installable.to_owned(),
                why,
                effect: "whether a cache has it is not known; it is not warmed".to_owned(),
            }),
            None => advise_cold(desired, installable, changes),
        }
        return;
    }
    let mut waits_for = vec![nix_conf_address(), fragment_address(), tuning_address()];
    waits_for.sort();
    changes.steps.push(Step {
        address: Address::new(Phase::Optimize, "warm", installable),
        phase: Phase::Optimize,
        scope: Scope::Machine,
        because: desired.because(
            "it is to be warm before anything is built",
            "/optimize/warm",
        ),
        effect: Effect {
            paths: facts.outputs.len() as u64,
            bytes: 0,
        },
        known: Known::Now,
        revision: None,
        waits_for,
        op: Op::Warm {
            installable: installable.to_owned(),
            paths: facts.outputs.values().cloned().collect(),
        },
    });
}

fn is_local(observed: &Observed, facts: &OutputFacts) -> bool {
    observed.store.present().is_some_and(|store| {
        facts
            .outputs
            .values()
            .all(|path| store.paths.row(&path.hash()).is_some())
    })
}

fn is_cached(observed: &Observed, path: &StorePath) -> bool {
    let mut caches = observed.caches.values().filter_map(Observation::present);
    caches.any(|content| {
        let row = content.paths.row(&path.hash());
        row.is_some_and(|row| content.narinfos[row as usize].nar().is_some())
    }) || is_upstream(observed, &path.hash())
}

/// Why an upstream that may have the output could not say so.
fn unanswered(observed: &Observed, facts: &OutputFacts) -> Option<Why> {
    let asked = |path: &StorePath| path.hash();
    observed.upstreams.iter().find_map(|(name, upstream)| {
        let mut hashes = facts.outputs.values().map(asked);
        let missed = hashes.any(|hash| upstream.unanswered.contains(&hash));
        let why = upstream.why.as_ref().filter(|_| missed)?;
        Some(Why(format!("{name}: {}", why.0)))
    })
}

fn advise_cold(desired: &Desired, installable: &str, changes: &mut Changes) {
    changes.advice.push(Advice {
        phase: Phase::Optimize,
        about: installable.to_owned(),
        text:
            "it is to be warmed, but no declared cache has it: push it from a machine that built it"
                .to_owned(),
        lines: Vec::new(),
        because: desired.because("it is listed in optimize.warm", "/optimize/warm"),
    });
}
