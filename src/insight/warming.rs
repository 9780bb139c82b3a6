//! What the next run will need: how well that can be told from the runs before it.
//!
//! The first half of the runs teaches, the other half is held out: for each of those, what earlier runs for the same
//! system needed is ranked, and as much as fits into the given bytes would have been fetched ahead. Three rankings
//! stand side by side: ours (how often, how recently, how costly to build), the most recently used first, and the
//! best that could have been done by somebody who knew the run. Promises: integers only; no run is told by itself or
//! by a later one; the order of the records does not matter.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{Run, RunId};
use crate::config::model::Config;
use crate::config::units::Size;
use crate::plan::time::Time;

/// With fewer runs nothing is said.
pub const FEWEST_RUNS: usize = 10;

/// How well needs can be told ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warming {
    /// Runs that were held out.
    pub held_out: u64,
    /// Bytes that could be fetched ahead of each.
    pub bytes: u64,
    /// Paths that the held-out runs needed.
    pub needed: u64,
    /// Those of them that our ranking would have fetched.
    pub ours: u64,
    /// Those that the most recently used first would have fetched.
    pub recent: u64,
    /// Those that could have been fetched at best.
    pub best: u64,
    /// What our ranking would fetch ahead of the next run, the most useful first: base names, at most 20.
    pub next: Vec<String>,
}

/// What a run needed: of each path the bytes of its NAR, and milliseconds to build it.
type Needs<'a> = BTreeMap<&'a str, (u64, u64)>;

/// What is known of a path.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    bytes: u64,
    /// Milliseconds to build it; what was never built counts as a second.
    cost: u64,
    /// Number of the last run that needed it.
    last: u64,
    /// Sum over the runs that needed it of 2^20, halved with each [`HALF`] runs since.
    weight: u64,
}

/// After so many runs of its system a need counts half.
const HALF: u64 = 8;

/// What a need counts at once.
const ONE: u64 = 1 << 20;

/// What runs of one system needed.
#[derive(Debug, Default)]
struct History {
    runs: u64,
    paths: BTreeMap<String, Known>,
}

impl Known {
    /// What its needs count after `now` runs.
    fn faded(&self, now: u64) -> u64 {
        let passed = now.saturating_sub(self.last);
        let halves = u32::try_from(passed / HALF).unwrap_or(u32::MAX);
        let whole = self.weight.checked_shr(halves).unwrap_or(0);
        // Between two halvings in a straight line.
        whole - whole / 2 * (passed % HALF) / HALF
    }
}

impl History {
    fn learn(&mut self, needs: &BTreeMap<&str, (u64, u64)>) {
        self.runs += 1;
        for (path, (bytes, cost)) in needs {
            let known = self.paths.entry((*path).to_owned()).or_default();
            known.weight = known.faded(self.runs).saturating_add(ONE);
            known.last = self.runs;
            known.bytes = known.bytes.max(*bytes);
            known.cost = known.cost.max(*cost);
        }
    }

    /// What fits of all that is known, the highest rank first.
    fn chosen<K: Ord>(&self, bytes: u64, rank: impl Fn(&str, &Known) -> K) -> Vec<&str> {
        let mut all: Vec<(&str, &Known)> = self
            .paths
            .iter()
            .map(|(path, known)| (path.as_str(), known))
            .collect();
        all.sort_by_cached_key(|(path, known)| (std::cmp::Reverse(rank(path, known)), *path));
        let mut left = bytes;
        let fits = |(path, known): (&'_ str, &Known)| -> Option<usize> {
            left = left.checked_sub(known.bytes)?;
            Some(path.len())
        };
        let kept: Vec<bool> = all
            .iter()
            .copied()
            .map(fits)
            .map(|fit| fit.is_some())
            .collect();
        all.into_iter()
            .zip(kept)
            .filter_map(|((path, _), is_kept)| is_kept.then_some(path))
            .collect()
    }

    /// How likely it is, and what it saves: the cost counts by its order of magnitude, for a need that does not come
    /// saves nothing whatever it would have cost.
    fn ours(&self, bytes: u64) -> Vec<&str> {
        self.chosen(bytes, |_, known| {
            let cost = u64::from(known.cost.max(1000).ilog2());
            let likely = u128::from(known.faded(self.runs + 1));
            (likely * u128::from(cost), known.last)
        })
    }
}

/// How well the needs of runs can be told ahead; none: there are too few.
#[must_use]
pub fn warming(runs: &[Run], config: &Config, bytes: Option<Size>) -> Option<Warming> {
    let sorted: BTreeMap<(Time, RunId), &Run> = runs
        .iter()
        .filter(|run| run.project == config.project)
        .map(|run| ((run.start, run.id()), run))
        .collect();
    let all: Vec<(&Run, Needs<'_>)> = sorted
        .into_values()
        .map(|run| (run, needs(run)))
        .filter(|(_, needs)| !needs.is_empty())
        .collect();
    if all.len() < FEWEST_RUNS {
        return None;
    }
    let bytes = bytes.map_or_else(|| usual(&all), |size| size.0);
    let learned = all.len() / 2;
    let mut histories: BTreeMap<Option<&str>, History> = BTreeMap::new();
    let mut found = Warming {
        held_out: (all.len() - learned) as u64,
        bytes,
        needed: 0,
        ours: 0,
        recent: 0,
        best: 0,
        next: vec![],
    };
    for (number, (run, needs)) in all.iter().enumerate() {
        let history = histories.entry(run.origin.system.as_deref()).or_default();
        if number >= learned {
            let hits = |chosen: Vec<&str>| {
                chosen
                    .into_iter()
                    .filter(|path| needs.contains_key(path))
                    .count() as u64
            };
            found.needed += needs.len() as u64;
            found.ours += hits(history.ours(bytes));
            found.recent += hits(history.chosen(bytes, |_, known| known.last));
            // The most paths of those that come: the smallest first.
            found.best += hits(history.chosen(bytes, |path, known| {
                (needs.contains_key(path), std::cmp::Reverse(known.bytes))
            }));
        }
        history.learn(needs);
    }
    let last = all.last().map(|(run, _)| run.origin.system.as_deref());
    if let Some(history) = last.and_then(|system| histories.get(&system)) {
        let next = history.ours(bytes).into_iter().take(20).map(str::to_owned);
        found.next = next.collect();
    }
    Some(found)
}

/// What a run needed: bytes of its NAR, and milliseconds to build it.
fn needs(run: &Run) -> BTreeMap<&str, (u64, u64)> {
    let read = run
        .substituted
        .iter()
        .map(|path| (path.path.as_str(), (path.nar.unwrap_or(0), 0)));
    let built = run
        .built
        .iter()
        .filter(|built| !built.failed)
        .flat_map(|built| {
            let cost = built.millis.unwrap_or(0);
            built
                .outputs
                .iter()
                .map(move |output| (output.path.as_str(), (output.nar.unwrap_or(0), cost)))
        });
    read.chain(built).collect()
}

/// The middle of what runs needed, in bytes.
fn usual(all: &[(&Run, Needs<'_>)]) -> u64 {
    let mut sums: Vec<u64> = all
        .iter()
        .map(|(_, needs)| {
            needs
                .values()
                .fold(0, |sum: u64, (bytes, _)| sum.saturating_add(*bytes))
        })
        .collect();
    sums.sort_unstable();
    sums.get(sums.len() / 2).copied().unwrap_or(0)
}
