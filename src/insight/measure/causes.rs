//! What a figure that misses its target comes from: the largest parts of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::colds::Colds;
use super::rate::needed;
use super::storage::{Content, StorageFigures};
use crate::config::model::CacheName;
use crate::insight::run::Run;

/// A part of what a figure that misses its target comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// What it is.
    pub name: String,
    /// It in words, with its numbers.
    pub text: String,
    /// Its share of the whole, in hundredths of a percent.
    pub share: u32,
}

/// So many are told.
const MOST: usize = 3;

/// The name of a store path without its hash.
fn name(base: &str) -> &str {
    let name = base.split_once('-').map_or(base, |(_, name)| name);
    name.strip_suffix(".drv").unwrap_or(name)
}

/// The largest parts, each in words.
fn largest(
    parts: BTreeMap<String, (u64, u64)>,
    say: impl Fn(&str, u64, u64, u64) -> String,
) -> Vec<Cause> {
    let all: u64 = parts.values().map(|(amount, _)| amount).sum();
    let mut parts: Vec<(String, (u64, u64))> =
        parts.into_iter().filter(|(_, it)| it.0 > 0).collect();
    parts.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    parts.truncate(MOST);
    let cause = |(name, (amount, times)): (String, (u64, u64))| {
        let share = u128::from(amount) * 10_000 / u128::from(all.max(1));
        Cause {
            text: say(&name, amount, times, all),
            share: u32::try_from(share).unwrap_or(10_000),
            name,
        }
    };
    parts.into_iter().map(cause).collect()
}

fn times(number: u64) -> String {
    match number {
        1 => "in 1 run".to_owned(),
        many => format!("in {many} runs"),
    }
}

/// What was built though a cache could have had it, by name.
pub(super) fn misses(runs: &[&Run]) -> Vec<Cause> {
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for run in runs {
        let missed = needed(run, &Colds::default());
        let mut counted = std::collections::BTreeSet::new();
        for path in missed.iter().filter(|path| path.hit.is_none()) {
            let part = parts.entry(name(path.path).to_owned()).or_default();
            part.0 += 1;
            part.1 += u64::from(counted.insert(name(path.path).to_owned()));
        }
    }
    largest(parts, |name, amount, runs, all| {
        format!(
            "{name} was built {} ({amount} of {all} paths that were not in a cache)",
            times(runs)
        )
    })
}

/// What took the time of building, by name.
pub(super) fn building(runs: &[&Run]) -> Vec<Cause> {
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for built in runs.iter().flat_map(|run| &run.built) {
        if let (false, Some(millis)) = (built.failed, built.millis) {
            let part = parts.entry(name(&built.drv).to_owned()).or_default();
            part.0 += millis;
            part.1 += 1;
        }
    }
    largest(parts, |name, millis, runs, _| {
        format!(
            "{name} took {} of building {}",
            seconds(millis),
            times(runs)
        )
    })
}

/// What takes the room: classes where they are known, else caches.
pub(super) fn room(
    storage: &[StorageFigures],
    contents: &BTreeMap<CacheName, Content>,
) -> Vec<Cause> {
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for figures in storage {
        let looked = contents.contains_key(&figures.cache) && !figures.classes.is_empty();
        if looked || !figures.classes.is_empty() {
            for (class, bytes) in &figures.classes {
                let what = format!("{class} in {}", figures.cache);
                parts.entry(what).or_default().0 += bytes;
            }
        } else {
            parts.entry(figures.cache.to_string()).or_default().0 += figures.bytes;
        }
    }
    largest(parts, |name, bytes, _, all| {
        let share = u128::from(bytes) * 100 / u128::from(all.max(1));
        format!("{name} takes {} MB, {share} % of all", bytes / 1_000_000)
    })
}

/// What the longest push spent its time on.
pub(super) fn pushing(runs: &[&Run]) -> Vec<Cause> {
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let longest = runs
        .iter()
        .max_by_key(|run| run.pushed.iter().filter_map(|it| it.millis).max());
    for pushed in longest.iter().flat_map(|run| &run.pushed) {
        let class = pushed.class.as_ref().map_or("?", |class| class.as_str());
        let part = parts
            .entry(format!("{class} to {}", pushed.cache))
            .or_default();
        part.0 += pushed.nar;
        part.1 += pushed.paths;
    }
    largest(parts, |name, bytes, paths, all| {
        let share = u128::from(bytes) * 100 / u128::from(all.max(1));
        format!(
            "{name}: {paths} paths, {} MB, {share} % of the bytes of the longest push",
            bytes / 1_000_000
        )
    })
}

/// Milliseconds as seconds with a decimal.
fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}
