//! Puts the phases together: `(desired, observed) → Plan`.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::address::{Address, Phase, key_address};
use super::change::Changes;
use super::desired::Desired;
use super::observed::{Observed, Why};
use super::plan::{Advice, CacheRequests, Counts, FORMAT, Plan, PlanError, StoragePrice, Unknown};
use super::setup::key::{DIFFERS, LOST, MISSING, UNUSABLE};
use super::step::{Because, Op, Step};
use super::{adopt, optimize, prune, push, repair, setup};
use crate::config::model::{CacheName, Config};
use crate::config::secret::SecretRef;

/// Makes the plan. The same inputs give the same plan, byte for byte.
///
/// `config` is the digest of `cache.yaml` that the plan will carry.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, config: &str) -> Plan {
    let mut all = match (&desired.extra.adopt, &desired.extra.repair) {
        (Some(adopt), _) => adopt::plan(desired, observed, adopt),
        (None, Some(repair)) => repair::plan(desired, observed, repair),
        (None, None) => phases(desired, observed),
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
        file: file(desired),
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
        requests: requests(desired, observed),
        errors: together(all.errors),
        unknowns: all.unknowns,
        refusals: all.refusals,
        advice: all.advice,
        price: price(&desired.config),
    }
}

/// What keeping bytes costs; none: nothing, or nobody said.
fn price(config: &Config) -> Option<StoragePrice> {
    let prices = config
        .prices
        .as_ref()
        .filter(|prices| prices.storage > 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema keeps prices between nothing and a million"
    )]
    let gigabyte_month = (prices.storage * 1e6).round() as u64;
    Some(StoragePrice {
        currency: prices.currency.clone(),
        gigabyte_month,
    })
}

/// The name of `cache.yaml`; no plan depends on where a checkout lies.
fn file(desired: &Desired) -> String {
    let name = Utf8Path::new(&desired.config.places.file);
    let bare = name.file_name().filter(|_| name.is_absolute());
    bare.unwrap_or(name.as_str()).to_owned()
}

/// What the looks took, in the order of the file.
fn requests(desired: &Desired, observed: &Observed) -> Vec<CacheRequests> {
    let of = |cache: &CacheName| {
        Some(CacheRequests {
            requests: *observed.requests.get(cache)?,
            cache: cache.clone(),
        })
    };
    desired.caches.keys().filter_map(of).collect()
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
        match &step.op {
            Op::Build { .. } => step.waits_for.clone_from(&early),
            // What is built for one cache also tells what another lacks.
            op => {
                if let Op::Push { cache, .. } = op {
                    step.waits_for
                        .extend(shared_key(desired, &setup.steps, cache));
                }
                step.waits_for.extend(builds.iter().cloned());
            }
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
        all.errors.extend(changes.errors);
        all.unknowns.extend(changes.unknowns);
        all.refusals.extend(changes.refusals);
        all.advice.extend(changes.advice);
        all.compared += changes.compared;
    }
    if let Some(why) = observed.nix.unknown() {
        all.unknowns.push(Unknown {
            what: "Nix settings".to_owned(),
            why: why.clone(),
            effect: "which settings are in effect is not compared".to_owned(),
        });
    }
    let mut wanted = push::questions(desired, observed);
    wanted.extend(optimize::questions(desired, observed));
    for (name, upstream) in &observed.upstreams {
        if let Some(why) = &upstream.why
            && !upstream.unanswered.is_empty()
        {
            all.unknowns.push(Unknown {
                what: name.to_string(),
                why: why.clone(),
                effect: if wanted.is_disjoint(&upstream.unanswered) {
                    "whether references are broken is not known"
                } else {
                    "what it may have counts as absent there, marked `?`"
                }
                .to_owned(),
            });
        }
    }
    all
}

/// The step that makes the key of a cache, where that is the step of another one with the same file.
fn shared_key<'s>(
    desired: &Desired,
    setup: &'s [Step],
    cache: &CacheName,
) -> impl Iterator<Item = Address> + use<'s> {
    let signing = desired.caches.get(cache).and_then(|it| it.signing.as_ref());
    let file = signing.and_then(|signing| match &signing.secret {
        SecretRef::File(file) => Some(file.clone()),
        _ => None,
    });
    setup
        .iter()
        .filter(move |step| {
            matches!(&step.op, Op::GenerateKey { path, .. } if Some(path) == file.as_ref())
        })
        .map(|step| step.address.clone())
}

/// Without a key, what it would sign must not be done. All else may: a job that is given no secrets
/// can still be set up and tuned.
fn narrow_to_signed(all: &mut Changes) {
    let (of_keys, mut refusals): (Vec<_>, Vec<_>) = std::mem::take(&mut all.refusals)
        .into_iter()
        .partition(|refusal| [MISSING, UNUSABLE, DIFFERS, LOST].contains(&refusal.code.as_str()));
    for mut refusal in of_keys {
        let keys = std::mem::take(&mut refusal.steps);
        let signed = all.steps.iter().filter(|step| match &step.op {
            Op::Push { cache, .. } => step.is_change() && keys.contains(&key_address(cache)),
            _ => false,
        });
        refusal.steps = signed.map(|step| step.address.clone()).collect();
        match refusal.code.as_str() {
            // What is refused is the making of a key, whether or not it would sign something today.
            LOST => refusal.steps.extend(keys),
            // With nothing to sign, that it is not known is all there is to say; else that is said here.
            UNUSABLE => {
                let of = |unknown: &Unknown| {
                    let what =
                        |key: &Address| unknown.what == format!("signing key of {}", key.place());
                    keys.iter().any(what)
                };
                if refusal.steps.is_empty() {
                    continue;
                }
                all.unknowns.retain(|unknown| !of(unknown));
            }
            _ if refusal.steps.is_empty() => {
                all.advice.push(Advice {
                    phase: Phase::Setup,
                    about: "signing key".to_owned(),
                    text: format!("{}: {}", refusal.text, refusal.help),
                    lines: Vec::new(),
                    because: Because::default(),
                });
                continue;
            }
            _ => {}
        }
        refusals.push(refusal);
    }
    all.refusals = refusals;
}

/// One error for all that have the same: a slip in a flake is said once, not for each of its outputs.
fn together(errors: Vec<PlanError>) -> Vec<PlanError> {
    let mut by_why: BTreeMap<Why, (BTreeMap<String, Because>, Vec<String>)> = BTreeMap::new();
    for error in errors {
        let (what, effects) = by_why.entry(error.why).or_default();
        for name in error.what {
            what.entry(name).or_insert_with(|| error.because.clone());
        }
        if !effects.contains(&error.effect) {
            effects.push(error.effect);
        }
    }
    by_why
        .into_iter()
        .map(|(why, (what, effects))| PlanError {
            because: what.values().next().cloned().unwrap_or_default(),
            what: what.into_keys().collect(),
            why,
            effect: effects.join("; "),
        })
        .collect()
}

/// The order of reading: by phase; within a phase as planned.
fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| Phase::ALL.iter().position(|phase| *phase == step.phase));
    steps
}

#[cfg(test)]
mod tests;
