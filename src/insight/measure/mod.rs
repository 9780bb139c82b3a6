//! Figures: how well caches serve, computed from records of runs. What each means stands in `docs/analytics.md`.
//!
//! Promises: the same records give the same figures, whatever order they come in; what is not known is counted as
//! such and never guessed; a share is of whole numbers that are told beside it.

mod causes;
mod colds;
mod cost;
mod forecast;
mod rate;
mod storage;
mod targets;
mod time;
mod trend;

pub use causes::Cause;
pub use colds::Colds;
pub use cost::Cost;
pub use forecast::Forecast;
pub use rate::{Group, Hits, Rate};
pub use storage::{Content, StorageFigures, StoredPath};
pub use targets::TargetFigure;
pub use time::{BuildTime, Network, PushTime};
pub use trend::Trend;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{Outcome, Run};
use crate::config::model::{CacheName, Config};
use crate::plan::time::Time;

/// Number of the format of a report. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// All figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// The project.
    pub project: String,
    /// When the figures were computed.
    pub now: Time,
    /// Only runs that began then or later count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Runs of Nix that count.
    pub runs: u64,
    /// Those of them that failed or were interrupted; what they fetched and built counts.
    pub failed: u64,
    /// Applies that count.
    pub applies: u64,
    /// When the first and the last of them began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(Time, Time)>,
    /// How much came from caches.
    pub hits: Hits,
    /// By tier: hits of the tier of all that was needed.
    pub tiers: Vec<Group>,
    /// By cache: hits of the cache of all that was needed.
    pub caches: Vec<Group>,
    /// By class: hits of what was needed of the class.
    pub classes: Vec<Group>,
    /// By system: hits of what was needed for it.
    pub systems: Vec<Group>,
    /// Time for building, against building all of it.
    pub time: BuildTime,
    /// Downloads and uploads.
    pub network: Network,
    /// Pushes.
    pub push: PushTime,
    /// How full caches are, and what of it is used.
    pub storage: Vec<StorageFigures>,
    /// What it costs; none: `cache.yaml` has no prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What `cache.yaml` asks for, and what is.
    pub targets: Vec<TargetFigure>,
    /// What got worse.
    pub trends: Vec<Trend>,
    /// The runs one by one, the oldest first: what charts show.
    pub series: Vec<Point>,
    /// What could not be known, in sentences.
    pub unknowns: Vec<String>,
}

/// One run in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// When it began.
    pub start: Time,
    /// What was run.
    pub what: String,
    /// Its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Paths that came from caches, of all that were needed; none: it needed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Rate>,
    /// How long its longest push took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_millis: Option<u64>,
    /// Bytes of each cache after it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<CacheName, u64>,
}

/// Which runs count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that began then or later.
    pub since: Option<Time>,
    /// Only those of this branch.
    pub branch: Option<String>,
    /// Only those for this event.
    pub event: Option<String>,
}

impl Filter {
    fn takes(&self, run: &Run) -> bool {
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        self.since.is_none_or(|since| run.start >= since)
            && fits(&self.branch, &run.origin.branch)
            && fits(&self.event, &run.origin.event)
    }
}

/// The last runs, at most so many, the latest first.
#[must_use]
pub fn latest(runs: &[Run], most: usize) -> Vec<Point> {
    let mut all: Vec<&Run> = runs.iter().collect();
    all.sort_by_cached_key(|run| std::cmp::Reverse((run.start, run.id())));
    all.into_iter().take(most).map(point).collect()
}

/// The figures of these runs. `contents` is what is in caches now, as far as somebody looked.
#[must_use]
pub fn report(
    runs: &[Run],
    config: &Config,
    contents: &BTreeMap<CacheName, Content>,
    filter: &Filter,
    now: Time,
) -> Report {
    let mut all: Vec<&Run> = runs.iter().collect();
    all.sort_by_cached_key(|run| (run.start, run.id()));
    all.dedup_by_key(|run| run.id());
    // How long something takes to build is known from any run, also from one that does not count here.
    let colds = Colds::of(&all);
    let counted: Vec<&Run> = all.into_iter().filter(|run| filter.takes(run)).collect();
    let is_nix = |run: &&&Run| run.pushed.is_empty() && run.storage.is_empty();
    let series: Vec<Point> = counted.iter().map(|run| point(run)).collect();
    let mut report = Report {
        format: FORMAT,
        project: config.project.clone(),
        now,
        since: filter.since,
        runs: counted.iter().filter(is_nix).count() as u64,
        failed: counted
            .iter()
            .filter(is_nix)
            .filter(|run| matches!(run.outcome, Outcome::Failed | Outcome::Interrupted))
            .count() as u64,
        applies: counted.iter().filter(|run| !is_nix(run)).count() as u64,
        span: counted
            .first()
            .zip(counted.last())
            .map(|(first, last)| (first.start, last.start)),
        hits: Hits::of(&counted, &colds),
        tiers: rate::by_tier(&counted, &colds),
        caches: rate::by_cache(&counted, &colds),
        classes: rate::by_class(&counted, &colds, config),
        systems: rate::by_system(&counted, &colds),
        time: BuildTime::of(&counted, &colds),
        network: Network::of(&counted),
        push: PushTime::of(&counted),
        storage: storage::figures(&counted, config, contents, now),
        cost: None,
        targets: Vec::new(),
        trends: trend::find(&series),
        series,
        unknowns: Vec::new(),
    };
    report.cost = cost::of(&counted, config, &report.storage);
    report.targets = targets::figures(&report, &counted, config, contents);
    report.unknowns = unknowns(&report);
    report
}

fn point(run: &Run) -> Point {
    let paths = rate::paths(run);
    Point {
        start: run.start,
        what: run.what.clone(),
        commit: run.origin.commit.clone(),
        millis: run.millis,
        paths: (paths.all > 0).then_some(paths),
        push_millis: run.pushed.iter().filter_map(|it| it.millis).max(),
        sizes: run
            .storage
            .iter()
            .map(|it| (it.cache.clone(), it.bytes))
            .collect(),
    }
}

fn unknowns(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |number: u64, what: &str| {
        if number > 0 {
            found.push(format!("{number} {what}"));
        }
    };
    say(
        report.hits.bytes.unknown,
        "paths have no recorded size: they count in no rate of bytes",
    );
    say(
        report.hits.millis.unknown,
        "paths have no recorded build: how long one would take is not known, and they count in no rate of time",
    );
    say(
        report.push.untimed,
        "pushes were not timed: they count in no time and no rate of uploads",
    );
    for storage in &report.storage {
        if storage.read.is_none() {
            found.push(format!(
                "{}: what is in it was not looked at, so nobody knows how much of it is ever read",
                storage.cache
            ));
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
mod tests;
