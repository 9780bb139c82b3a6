//! Puts the phases together: `(desired, observed) → Plan`.

use super::address::{Phase, key_address};
use super::change::Changes;
use super::desired::Desired;
use super::observed::Observed;
use super::plan::{Advice, Counts, FORMAT, Plan, Refusal};
use super::step::{Because, Op};
use super::{adopt, optimize, prune, push, setup};

/// Makes the plan. The same inputs give the same plan, byte for byte.
///
/// `config` is the digest of `cache.yaml` that the plan will carry.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, config: &str) -> Plan {
    let mut all = match &desired.extra.adopt {
        Some(adopt) => adopt::plan(desired, observed, adopt),
        None => phases(desired, observed),
    };
    all.unknowns.sort();
    all.unknowns.dedup();
    narrow_to_signed(&mut all);
    all.refusals.sort();
    all.refusals.dedup();
    all.advice.sort();
    all.advice.dedup();
    Plan {
        format: FORMAT,
        writer: concat!("nanna-cache ", env!("CARGO_PKG_VERSION")).to_owned(),
        project: desired.config.project.clone(),
        config: config.to_owned(),
        now: observed.now,
        counts: Counts {
            caches: desired.config.caches.len() as u64,
            classes: desired.config.classes.len() as u64,
            compared: all.compared,
        },
        priorities: desired
            .config
            .classes
            .iter()
            .map(|(name, class)| (name.clone(), class.priority))
            .collect(),
        steps: in_order(all.steps),
        held_back: all.held_back,
        caches: all.caches,
        order: all.order,
        unknowns: all.unknowns,
        refusals: all.refusals,
        advice: all.advice,
    }
}

/// What all phases want, and what could not be seen.
fn phases(desired: &Desired, observed: &Observed) -> Changes {
    let setup = setup::plan(desired, observed);
    let mut pushing = push::plan(desired, observed);
    // Tuning and warming come before any build, wherever they stand in the reading.
    let optimize = optimize::plan(desired, observed);
    let early: Vec<_> = setup
        .steps
        .iter()
        .chain(&optimize.steps)
        .map(|step| step.address.clone())
        .collect();
    let builds: Vec<_> = pushing
        .steps
        .iter()
        .filter(|step| matches!(step.op, Op::Build { .. }))
        .map(|step| step.address.clone())
        .collect();
    for step in &mut pushing.steps {
        match step.op {
            Op::Build { .. } => step.waits_for.clone_from(&early),
            // What is built for one cache also tells what another lacks.
            _ => step.waits_for.extend(builds.iter().cloned()),
        }
        step.waits_for.sort();
        step.waits_for.dedup();
    }
    let prune = prune::plan(desired, observed, &pushing);
    let mut all = Changes::default();
    for changes in [setup, pushing, optimize, prune] {
        all.steps.extend(changes.steps);
        all.held_back.extend(changes.held_back);
        all.caches.extend(changes.caches);
        all.order = all.order.or(changes.order);
        all.unknowns.extend(changes.unknowns);
        all.refusals.extend(changes.refusals);
        all.advice.extend(changes.advice);
        all.compared += changes.compared;
    }
    if let Some(why) = observed.nix.unknown() {
        all.unknowns.push(super::plan::Unknown {
            what: "Nix settings".to_owned(),
            why: why.clone(),
            effect: "which settings are in effect is not compared".to_owned(),
        });
    }
    for (name, upstream) in &observed.upstreams {
        if let Some(why) = &upstream.why
            && !upstream.unanswered.is_empty()
        {
            all.unknowns.push(super::plan::Unknown {
                what: name.to_string(),
                why: why.clone(),
                effect: "what it may have counts as absent there, marked `?`".to_owned(),
            });
        }
    }
    all
}

/// Without a key, what it would sign must not be done. All else may: a job that is given no secrets
/// can still be set up and tuned.
fn narrow_to_signed(all: &mut Changes) {
    for refusal in &mut all.refusals {
        if refusal.code != setup::KEY_MISSING {
            continue;
        }
        let signed = all.steps.iter().filter(|step| match &step.op {
            Op::Push { cache, .. } => {
                step.is_change() && refusal.steps.contains(&key_address(cache))
            }
            _ => false,
        });
        refusal.steps = signed.map(|step| step.address.clone()).collect();
    }
    let idle = |refusal: &Refusal| refusal.code == setup::KEY_MISSING && refusal.steps.is_empty();
    let (idle, rest) = std::mem::take(&mut all.refusals)
        .into_iter()
        .partition(idle);
    all.refusals = rest;
    all.advice
        .extend(idle.into_iter().map(|refusal: Refusal| Advice {
            phase: Phase::Setup,
            about: "signing key".to_owned(),
            text: format!("{}: {}", refusal.text, refusal.help),
            lines: Vec::new(),
            because: Because::default(),
        }));
}

/// The order of reading: by phase; within a phase as planned.
fn in_order(mut steps: Vec<super::step::Step>) -> Vec<super::step::Step> {
    steps.sort_by_key(|step| Phase::ALL.iter().position(|phase| *phase == step.phase));
    steps
}
