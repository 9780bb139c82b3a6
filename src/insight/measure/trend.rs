//! What got worse, and since when: a change of level between two stretches of runs.
//!
//! Every place where the runs could be cut is judged by the rank-sum test of Mann and Whitney ([`rank`]). Of the cuts the
//! clearest counts, and its probability is multiplied by the number of cuts that were tried; so a change is said only
//! where chance would say it in fewer than one of a hundred ledgers. What lies before and after a cut is cut again in
//! the same way. The last change alone is told: only if it is one for the worse, and the medians of the stretches beside
//! it differ by enough to matter. So what got worse once and was mended is no news.

mod rank;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::rank::Ranks;
use super::Point;
use crate::plan::time::Time;

/// So many runs on either side, at least.
const SIDE: usize = 5;
/// No more runs than these, the latest, are looked at.
const WINDOW: usize = 200;
/// How probable chance may be, for a change to either side.
const CHANCE: f64 = 0.01;
/// Points of percent by which a rate must differ.
const POINTS: f64 = 5.0;
/// By which share a time must differ.
const TIMES: f64 = 0.2;

/// Something that got worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// What: `hit rate`, `time of runs`, `time of pushes`.
    pub figure: String,
    /// Its median before.
    pub before: f64,
    /// Its median since.
    pub after: f64,
    /// In which unit these are: `%` or `ms`.
    pub unit: String,
    /// The first run since which it is worse.
    pub since: Time,
    /// The commit of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How many runs there were since.
    pub runs: u64,
}

/// What got worse in these runs, the oldest first.
pub(super) fn find(series: &[Point]) -> Vec<Trend> {
    let rate = |point: &Point| {
        let share = point.paths?.share()?;
        Some(f64::from(share) / 100.0)
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of years fit")]
    let of = |millis: Option<u64>| millis.map(|millis| millis as f64);
    let worse_rate = |before: f64, after: f64| before - after >= POINTS;
    let worse_time = |before: f64, after: f64| after > before * (1.0 + TIMES);
    let nix = |point: &Point| of(point.millis.filter(|_| point.paths.is_some()));
    let push = |point: &Point| of(point.push_millis);
    let mut found = Vec::new();
    found.extend(one(series, "hit rate", "%", -1.0, &rate, &worse_rate));
    found.extend(one(series, "time of runs", "ms", 1.0, &nix, &worse_time));
    found.extend(one(series, "time of pushes", "ms", 1.0, &push, &worse_time));
    found
}

/// `bad`: 1 if more is worse, -1 if less is.
fn one(
    series: &[Point],
    figure: &str,
    unit: &str,
    bad: f64,
    value: &dyn Fn(&Point) -> Option<f64>,
    matters: &dyn Fn(f64, f64) -> bool,
) -> Option<Trend> {
    let known: Vec<(&Point, f64)> = series
        .iter()
        .filter_map(|point| Some((point, value(point)?)))
        .collect();
    let known = &known[known.len().saturating_sub(WINDOW)..];
    let values: Vec<f64> = known.iter().map(|(_, value)| *value * bad).collect();
    let mut cuts = Vec::new();
    changes(&values, 0, &mut cuts);
    let cut = cuts.pop()?;
    let before = median(&known[cuts.pop().unwrap_or(0)..cut])?;
    let after = median(&known[cut..])?;
    matters(before, after).then(|| Trend {
        figure: figure.to_owned(),
        before,
        after,
        unit: unit.to_owned(),
        since: known[cut].0.start,
        commit: known[cut].0.commit.clone(),
        runs: (known.len() - cut) as u64,
    })
}

fn median(values: &[(&Point, f64)]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Where the level of these values changes, in their order; `from` is the place of the first of them.
fn changes(values: &[f64], from: usize, found: &mut Vec<usize>) {
    if let Some(cut) = clearest(values) {
        changes(&values[..cut], from, found);
        found.push(from + cut);
        changes(&values[cut..], from + cut, found);
    }
}

/// The cut at which the level changes most clearly; none: it could be chance at each of them.
fn clearest(values: &[f64]) -> Option<usize> {
    if values.len() < 2 * SIDE {
        return None;
    }
    let ranks = Ranks::of(values);
    let mut cuts: Vec<(usize, f64)> = (SIDE..=values.len() - SIDE)
        .map(|cut| (cut, ranks.score(cut)))
        .collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are at most some hundred cuts"
    )]
    let tried = cuts.len() as f64;
    cuts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    cuts.into_iter()
        .take_while(|(_, score)| rank::above(score.abs()) * tried < CHANCE)
        // Of a short stretch, or of many equal values, the curve says too much.
        .find(|(cut, score)| {
            let exact = ranks.exact(*cut, *score > 0.0);
            exact.is_none_or(|chance| chance * tried < CHANCE)
        })
        .map(|(cut, _)| cut)
}

#[cfg(test)]
mod tests;
