//! What of `cache.yaml` should be otherwise, by what recorded runs needed.
//!
//! Promises: each recommendation is a changed `cache.yaml` that was read back and is valid, and its effect is what
//! [`replay`] counts with it beside what it counts now, not an estimate. Too few runs give no recommendation. The
//! order of the records does not matter. What would help, but needs something that no record says, is a hint.

mod edit;
mod hints;
mod search;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::replay::{Tally, Traffic, replay};
use super::run::Run;
use crate::config::model::{Config, Prices};
use crate::config::read;

/// Number of the format of advice. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// With fewer runs that needed something nothing is recommended.
pub const FEWEST_RUNS: usize = 20;

/// Over fewer days nothing is recommended.
pub const FEWEST_DAYS: u64 = 7;

/// What is worth less, in milliseconds a week, is not recommended.
pub const LEAST: i64 = 60_000;

/// What holding a gigabyte (10⁹ bytes) for a week is worth, in milliseconds of building, where `cache.yaml` has no prices.
const GIGABYTE_WEEK: i64 = 40_000;

const DAY: i64 = 24 * 3600;
const WEEK: i64 = 7 * DAY;

/// What should be otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// The project.
    pub project: String,
    /// Runs that needed something of our caches.
    pub runs: u64,
    /// Whole days from the first of them to the last.
    pub days: u64,
    /// Why nothing can be recommended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_little: Option<String>,
    /// What replaying the runs with `cache.yaml` as it is counts.
    pub now: Tally,
    /// The most useful first; each stands alone.
    pub recommendations: Vec<Recommendation>,
    /// What would help, but no record says enough for a change.
    pub hints: Vec<String>,
}

/// A change of `cache.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recommendation {
    /// What kind of change.
    pub kind: Kind,
    /// What to do, as a sentence.
    pub what: String,
    /// Why.
    pub why: String,
    /// What it would have done.
    pub effect: Effect,
    /// The whole `cache.yaml` with the change.
    pub after: String,
}

/// Kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A class is read more seldom than it is kept.
    LongerRetention,
    /// A class is kept longer than it is read.
    ShorterRetention,
    /// `push.exclude` keeps back what is built again and again.
    Exclude,
    /// `max-path-size` keeps back what is built again and again.
    MaxPathSize,
    /// Under `max-size` the wrong class goes first.
    Priorities,
}

/// What a change would have done to the recorded runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// What replaying the runs with the change counts.
    pub after: Tally,
    /// Milliseconds of building that it saves in a week.
    pub saved_millis: i64,
    /// Bytes that caches hold less, on average; negative: more.
    pub freed_bytes: i64,
    /// Both together, in milliseconds of building a week.
    pub worth: i64,
}

/// What of `cache.yaml`, whose text is `text` and which says `config`, should be otherwise.
#[must_use]
pub fn advise(runs: &[Run], config: &Config, text: &str) -> Advice {
    let runs: Vec<Run> = runs
        .iter()
        .filter(|run| run.project == config.project)
        .cloned()
        .collect();
    let traffic = Traffic::new(&runs, config);
    let now = replay(&traffic, config);
    let days = u64::try_from(length(&traffic) / DAY).unwrap_or(0);
    let too_little = if traffic.runs() < FEWEST_RUNS {
        Some(format!(
            "not enough runs: {} of {FEWEST_RUNS}",
            traffic.runs()
        ))
    } else if days < FEWEST_DAYS {
        Some(format!("not enough days: {days} of {FEWEST_DAYS}"))
    } else {
        None
    };
    let mut advice = Advice {
        format: FORMAT,
        project: config.project.clone(),
        runs: traffic.runs() as u64,
        days,
        too_little,
        now,
        recommendations: vec![],
        hints: vec![],
    };
    if advice.too_little.is_none() {
        let scale = Scale::new(&traffic, config.prices.as_ref());
        let found = search::candidates(&traffic, config, &advice.now, &scale);
        let made = found.into_iter().filter_map(|candidate| {
            let after = (candidate.edit)(text)?;
            let (changed, _) = read(&config.places.file, after.as_bytes()).ok()?;
            let tally = replay(&traffic, &changed);
            Some(Recommendation {
                kind: candidate.kind,
                what: candidate.what,
                why: candidate.why,
                effect: scale.effect(&advice.now, tally),
                after,
            })
        });
        let mut made: Vec<Recommendation> = made.filter(|one| one.effect.worth >= LEAST).collect();
        made.sort_by(|a, b| {
            b.effect
                .worth
                .cmp(&a.effect.worth)
                .then(a.what.cmp(&b.what))
        });
        advice.recommendations = made;
        advice.hints = hints::hints(&runs, config);
    }
    advice
}

fn length(traffic: &Traffic) -> i64 {
    traffic.end().saturating_sub(traffic.begin())
}

/// How savings of different kinds compare.
struct Scale {
    seconds: i64,
    gigabyte_week: i64,
}

impl Scale {
    fn new(traffic: &Traffic, prices: Option<&Prices>) -> Self {
        let by_price = prices
            .filter(|prices| prices.ci_minute > 0.0)
            .map(|prices| {
                // A month of 30 days for storage, a minute for CI. What does not fit saturates.
                #[expect(clippy::cast_possible_truncation, reason = "saturates")]
                let millis = (prices.storage / prices.ci_minute * 60_000.0 * 7.0 / 30.0) as i64;
                millis.max(0)
            });
        Self {
            seconds: length(traffic).max(1),
            gigabyte_week: by_price.unwrap_or(GIGABYTE_WEEK),
        }
    }

    fn effect(&self, before: &Tally, after: Tally) -> Effect {
        let saved = difference(before.rebuild_millis, after.rebuild_millis);
        let week = i128::from(saved) * i128::from(WEEK) / i128::from(self.seconds);
        let freed = difference(before.mean_bytes, after.mean_bytes);
        let room = i128::from(freed) * i128::from(self.gigabyte_week) / 1_000_000_000;
        let narrow = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        Effect {
            after,
            saved_millis: narrow(week),
            freed_bytes: freed,
            worth: narrow(week.saturating_add(room)),
        }
    }
}

fn difference(before: u64, after: u64) -> i64 {
    i64::try_from(i128::from(before) - i128::from(after)).unwrap_or(i64::MAX)
}
