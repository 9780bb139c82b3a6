//! The guard: what must not be applied, and the only way to an [`ApprovedPlan`].

use std::collections::BTreeMap;

use super::address::Phase;
use super::desired::Desired;
use super::plan::{Plan, Refusal};
use super::prune::UNREACHABLE;
use super::step::{Op, Step};
use crate::config::model::{CacheName, PruneLimits};
use crate::config::rough::Rough;
use crate::config::units::{Share, Size};

/// How to do all the rest.
const LEAVE_OUT: &str = "leave the prune out: reconcile --only setup,push,optimize";

/// A plan that may be applied. Only [`approve`] makes one.
#[derive(Debug)]
pub struct ApprovedPlan(Plan);

impl ApprovedPlan {
    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.0
    }
}

/// What the command line permits beyond `cache.yaml` (`--allow share=45%`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Share of a cache that a prune may delete.
    pub share: Option<Share>,
    /// Bytes that a prune may delete.
    pub bytes: Option<Size>,
    /// Paths that a prune may delete.
    pub count: Option<u64>,
    /// Bytes that may be pushed though an upstream could not be asked.
    pub unasked: Option<Size>,
    /// Bytes that may stay in a cache though its `max-size` is less.
    pub max_size: Option<Size>,
}

/// What a prune deletes from one cache.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    paths: u64,
    bytes: u64,
    pins: u64,
}

/// Everything in a plan that must not be done: what the phases refused, and the brakes of prune.
#[must_use]
pub fn check(desired: &Desired, plan: &Plan, allowed: &Allowances) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = plan
        .refusals
        .iter()
        .filter(|refusal| match refusal.code.as_str() {
            "push-unasked" => !unasked_is_allowed(plan, allowed),
            UNREACHABLE => !size_is_allowed(plan, allowed),
            _ => true,
        })
        .cloned()
        .collect();
    for (cache, toll) in tolls(&plan.steps) {
        refusals.extend(brake(desired, plan, cache, toll, allowed));
    }
    refusals.sort();
    refusals.dedup();
    refusals
}

/// Approves a plan, or says why not.
///
/// # Errors
/// Every refusal that stands, with the setting and the flag that permit it.
pub fn approve(
    desired: &Desired,
    plan: Plan,
    allowed: &Allowances,
) -> Result<ApprovedPlan, Vec<Refusal>> {
    let refusals = check(desired, &plan, allowed);
    if refusals.is_empty() {
        Ok(ApprovedPlan(plan))
    } else {
        Err(refusals)
    }
}

fn unasked_is_allowed(plan: &Plan, allowed: &Allowances) -> bool {
    let mut by_cache: BTreeMap<&CacheName, u64> = BTreeMap::new();
    for step in &plan.steps {
        if let Op::Push { cache, paths, .. } = &step.op {
            *by_cache.entry(cache).or_default() += paths
                .iter()
                .filter(|path| path.unasked)
                .map(|path| path.nar_size)
                .sum::<u64>();
        }
    }
    allowed
        .unasked
        .is_some_and(|limit| by_cache.values().all(|bytes| *bytes <= limit.0))
}

fn size_is_allowed(plan: &Plan, allowed: &Allowances) -> bool {
    let mut stays = plan.caches.iter().filter_map(|budget| budget.must_stay);
    allowed
        .max_size
        .is_some_and(|limit| stays.all(|bytes| bytes <= limit.0))
}

fn tolls(steps: &[Step]) -> BTreeMap<&CacheName, Toll> {
    let mut tolls: BTreeMap<&CacheName, Toll> = BTreeMap::new();
    for step in steps {
        if let Op::Unpin { cache, .. } = &step.op {
            tolls.entry(cache).or_default().pins += 1;
        }
        if let Op::Prune { cache, .. } | Op::Sweep { cache, .. } = &step.op {
            let toll = tolls.entry(cache).or_default();
            toll.paths += step.effect.paths;
            toll.bytes += step.effect.bytes;
        }
    }
    tolls
}

fn brake(
    desired: &Desired,
    plan: &Plan,
    cache: &CacheName,
    toll: Toll,
    allowed: &Allowances,
) -> Vec<Refusal> {
    let PruneLimits {
        share,
        bytes,
        count,
    } = desired.config.prune.limits;
    let steps = plan
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Prune)
        .filter(|step| matches!(&step.op, Op::Prune { cache: of, .. } | Op::Sweep { cache: of, .. } | Op::Unpin { cache: of, .. } if of == cache))
        .map(|step| step.address.clone())
        .collect::<Vec<_>>();
    let refuse = |code: &str, text: String, help: String| Refusal {
        steps: steps.clone(),
        code: code.to_owned(),
        text,
        help,
    };
    let mut refusals = Vec::new();
    let share = allowed.share.unwrap_or(share);
    // Without a budget nobody knows of how much: then whatever goes counts as all.
    let budget = plan.caches.iter().find(|budget| &budget.cache == cache);
    let parts = [
        (toll.paths, budget.map_or(0, |budget| budget.paths), "paths"),
        (toll.bytes, budget.map_or(0, |budget| budget.bytes), "bytes"),
        (
            // A single pin is no landslide, however few there are.
            if toll.pins > 1 { toll.pins } else { 0 },
            budget.and_then(|budget| budget.pins).unwrap_or(0),
            "pins",
        ),
    ];
    let shares = parts.map(|(part, whole, what)| (share_of(part, whole), what));
    let over: Vec<String> = shares
        .iter()
        .filter(|(deleted, _)| *deleted > share)
        .map(|(deleted, what)| format!("{deleted} of the {what}"))
        .collect();
    if let Some(most) = shares.iter().map(|(deleted, _)| *deleted).max()
        && !over.is_empty()
    {
        refusals.push(refuse(
            "prune-share",
            format!(
                "{} of {cache} would be deleted; the limit is {share}",
                over.join(" and ")
            ),
            format!("raise prune.limits.share, pass --allow share={most}, or {LEAVE_OUT}"),
        ));
    }
    if let Some(limit) = allowed.bytes.or(bytes)
        && toll.bytes > limit.0
    {
        refusals.push(refuse(
            "prune-bytes",
            format!(
                "{} would be deleted from {cache}; the limit is {limit}",
                Rough(toll.bytes)
            ),
            format!("raise prune.limits.bytes, pass --allow bytes=SIZE, or {LEAVE_OUT}"),
        ));
    }
    let (number, what) = match toll.pins {
        0 => (toll.paths, "paths"),
        pins => (pins, "pins"),
    };
    if let Some(limit) = allowed.count.or(count)
        && number > limit
    {
        refusals.push(refuse(
            "prune-count",
            format!("{number} {what} would be deleted from {cache}; the limit is {limit}"),
            format!("raise prune.limits.count, pass --allow count={number}, or {LEAVE_OUT}"),
        ));
    }
    refusals
}

/// Part of a whole, rounded up to a hundredth of a percent; more than nothing of nothing is all.
fn share_of(part: u64, whole: u64) -> Share {
    if part == 0 {
        return Share(0);
    }
    let hundredths = (u128::from(part) * 10_000).div_ceil(u128::from(whole.max(1)));
    Share(u32::try_from(hundredths.min(10_000)).unwrap_or(10_000))
}

#[cfg(test)]
mod tests;
