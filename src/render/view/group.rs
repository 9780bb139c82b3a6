//! Steps by phase and place.

use super::held::{self, KeptBack};
use super::line;
use super::{Detail, Group, Line, Options, PhaseView, Symbol};
use crate::config::model::CacheName;
use crate::plan::address::Phase;
use crate::plan::plan::{AskingOrder, CacheBudget, Plan};
use crate::plan::service::record::KEPT_DAYS;
use crate::plan::step::{Op, Scope, Step};
use crate::plan::summary::{Kind, Summary};
use crate::render::layout::safe;
use crate::render::units::{count, size, size_of, things};

/// The cache that a step's line stands under, if it stands under one.
const fn cache_of(op: &Op) -> Option<&CacheName> {
    match op {
        Op::Push { cache, .. }
        | Op::Pin { cache, .. }
        | Op::Record { cache, .. }
        | Op::Unpin { cache, .. }
        | Op::Prune { cache, .. }
        | Op::Sweep { cache, .. } => Some(cache),
        Op::WriteFile { .. }
        | Op::EditFile { .. }
        | Op::GenerateKey { .. }
        | Op::WriteLogin { .. }
        | Op::CreateCache { .. }
        | Op::ExportVariable { .. }
        | Op::Warm { .. }
        | Op::Build { .. } => None,
    }
}

/// One phase, if anything is to be said about it.
pub(super) fn phase(
    plan: &Plan,
    phase: Phase,
    all: &[&Step],
    options: Options,
) -> Option<PhaseView> {
    let steps: Vec<&Step> = all
        .iter()
        .copied()
        .filter(|step| step.phase == phase)
        .collect();
    let mut caches: Vec<Option<&CacheName>> = Vec::new();
    // What belongs to no cache (files, builds) comes first.
    for cache in std::iter::once(None).chain(steps.iter().map(|step| cache_of(&step.op))) {
        if !caches.contains(&cache) {
            caches.push(cache);
        }
    }
    if phase == Phase::Push && options.scope.is_none() {
        for held in &plan.held_back {
            if !caches.contains(&Some(&held.cache)) {
                caches.push(Some(&held.cache));
            }
        }
    }
    let groups: Vec<Group> = caches
        .into_iter()
        .filter_map(|cache| {
            let of_cache: Vec<&Step> = steps
                .iter()
                .copied()
                .filter(|step| cache_of(&step.op) == cache)
                .collect();
            group(plan, phase, cache, &of_cache, options)
        })
        .collect();
    let order = (phase == Phase::Optimize && options.scope != Some(Scope::Shared))
        .then(|| plan.order.as_ref().map(asking_order))
        .flatten();
    (!groups.is_empty() || order.is_some()).then_some(PhaseView {
        phase,
        groups,
        order_because: if order.is_some() {
            let because = plan.order.iter().flat_map(|order| &order.because);
            because.map(|text| safe(text)).collect()
        } else {
            Vec::new()
        },
        order,
    })
}

fn group(
    plan: &Plan,
    phase: Phase,
    cache: Option<&CacheName>,
    steps: &[&Step],
    options: Options,
) -> Option<Group> {
    let kept = match cache {
        Some(cache) if phase == Phase::Push => held::kept_back(plan, cache, options.detail),
        _ => KeptBack {
            sentence: None,
            items: Vec::new(),
            more: 0,
            is_news: false,
        },
    };
    if steps.is_empty() && !(kept.is_news && cache.is_some()) {
        return None;
    }
    let mut lines: Vec<Line> = steps
        .iter()
        // A record is said, for what is in it may become public.
        .filter(|step| step.op.kind() != Kind::Renew || matches!(step.op, Op::Record { .. }))
        .map(|step| line::line(plan, step, options.detail))
        .collect();
    lines.extend(renewals(steps));
    let budget = plan
        .caches
        .iter()
        .find(|budget| Some(&budget.cache) == cache);
    Some(Group {
        title: cache.map(|cache| title(phase, cache, budget, steps)),
        facts: cache.map_or_else(Vec::new, |_| facts(phase, steps, budget)),
        lines,
        kept_back: kept.sentence,
        kept: kept.items,
        kept_more: if options.detail == Detail::Concise {
            0
        } else {
            kept.more
        },
    })
}

/// `push → dev (file, tier 3)`.
fn title(phase: Phase, cache: &CacheName, budget: Option<&CacheBudget>, steps: &[&Step]) -> String {
    let mut remarks = Vec::new();
    if let Some(budget) = budget {
        if !budget.kind.is_empty() {
            remarks.push(safe(&budget.kind));
        }
        remarks.extend(budget.tier.map(|tier| format!("tier {tier}")));
    }
    match steps.first().map(|step| step.scope) {
        Some(Scope::Shared) => remarks.push("shared".to_owned()),
        Some(Scope::Machine) => remarks.push("this machine".to_owned()),
        None => {}
    }
    let name = safe(cache.as_str());
    if remarks.is_empty() {
        format!("{phase} → {name}")
    } else {
        format!("{phase} → {name} ({})", remarks.join(", "))
    }
}

/// The totals of a group.
fn facts(phase: Phase, steps: &[&Step], budget: Option<&CacheBudget>) -> Vec<String> {
    let sum = Summary::of_steps(steps.iter().copied());
    let mut facts = Vec::new();
    if let Some(budget) = budget.filter(|budget| budget.estimated && phase == Phase::Prune) {
        let pins = budget.pins.unwrap_or(sum.unpin);
        facts.push(format!("{} of {}", count(sum.unpin), things(pins, "pin")));
        facts.push(format!(
            "estimate: {} pushed in the last {KEPT_DAYS} days",
            budget
                .max_size
                .map_or_else(|| size(budget.bytes), |max| size_of(budget.bytes, max))
        ));
        return facts;
    }
    if phase == Phase::Prune {
        let paths = sum.delete_paths;
        facts.push(match budget {
            Some(budget) => format!("{} of {}", count(paths), things(budget.paths, "path")),
            None => things(paths, "path"),
        });
        facts.push(match budget {
            Some(budget) => format!(
                "−{}; after: {}",
                size_of(sum.delete_bytes, budget.bytes),
                after(budget)
            ),
            None => format!("−{}", size(sum.delete_bytes)),
        });
        return facts;
    }
    if sum.push_paths > 0 {
        facts.push(things(sum.push_paths, "path"));
        facts.push(format!("{} NAR", size(sum.push_bytes)));
    }
    if sum.push_later > 0 {
        facts.push(format!("more after {}", things(sum.push_later, "build")));
    }
    facts
}

/// `6.4 of 20.0 GiB`, or `6.4 GiB` where the cache has no limit.
fn after(budget: &CacheBudget) -> String {
    budget.max_size.map_or_else(
        || size(budget.bytes_after),
        |max| size_of(budget.bytes_after, max),
    )
}

/// All renewals of a group in one line.
fn renewals(steps: &[&Step]) -> Option<Line> {
    let renewed = Summary::of_steps(steps.iter().copied()).roots_renewed;
    (renewed > 0).then(|| Line {
        symbol: Symbol::Renew,
        label: things(renewed, "root"),
        remark: String::new(),
        count: String::new(),
        bytes: String::new(),
        place: String::new(),
        note: "to be written again, so that retention counts from now".to_owned(),
        fine_print: Vec::new(),
        diff: Vec::new(),
        items: Vec::new(),
        more: 0,
    })
}

/// The order in which Nix asks, before and after.
fn asking_order(order: &AskingOrder) -> (String, String) {
    let words = |asked: &[crate::plan::plan::Asked]| {
        let words: Vec<String> = asked
            .iter()
            .map(|asked| {
                let priority = asked
                    .priority
                    .map_or_else(|| "?".to_owned(), |number| number.to_string());
                format!("{} ({priority})", safe(&asked.url))
            })
            .collect();
        if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(" → ")
        }
    };
    (words(&order.before), words(&order.after))
}
