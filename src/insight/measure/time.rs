//! Times: what building took, against building everything; how fast downloads and uploads were.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::colds::Colds;
use super::rate::needed;
use crate::config::model::CacheName;
use crate::insight::run::Run;

/// What building and fetching took, against building all of it. Only paths whose build was once recorded count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildTime {
    /// What it took, in milliseconds: of building what was built, and of fetching what was fetched.
    pub spent: u64,
    /// What building all of it would have taken, in milliseconds.
    pub cold: u64,
    /// Paths that count.
    pub known: u64,
    /// Those of them that came from caches.
    #[serde(default)]
    pub fetched: u64,
    /// Paths that do not, for nobody knows how long they take to build, or took to fetch.
    pub unknown: u64,
}

impl BuildTime {
    pub(super) fn of(runs: &[&Run], colds: &Colds) -> Self {
        let mut time = Self::default();
        for needed in runs.iter().flat_map(|run| needed(run, colds)) {
            let spent = match needed.hit {
                Some(fetched) => fetched.millis,
                None => needed.millis,
            };
            match (spent, needed.millis) {
                (Some(spent), Some(cold)) => {
                    time.spent = time.spent.saturating_add(spent);
                    time.cold = time.cold.saturating_add(cold);
                    time.known += 1;
                    time.fetched += u64::from(needed.hit.is_some());
                }
                _ => time.unknown += 1,
            }
        }
        time
    }

    /// How much less it took, in hundredths of a percent; negative: fetching took longer. None: nothing is known.
    #[must_use]
    pub fn reduction(&self) -> Option<i64> {
        let saved = i128::from(self.cold) - i128::from(self.spent);
        let share = (saved * 10_000).checked_div(i128::from(self.cold))?;
        i64::try_from(share).ok()
    }

    /// Milliseconds that were saved; negative: fetching took longer.
    #[must_use]
    pub fn saved(&self) -> i64 {
        let (cold, spent) = (i64::try_from(self.cold), i64::try_from(self.spent));
        cold.unwrap_or(i64::MAX)
            .saturating_sub(spent.unwrap_or(i64::MAX))
    }
}

/// Bytes that went over the network, and how fast. Rates are those of single transfers: several at once add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Bytes that were downloaded from caches.
    pub downloaded: u64,
    /// Milliseconds of those downloads whose time is known.
    pub download_millis: u64,
    /// Bytes of those.
    pub download_timed: u64,
    /// Bytes that were downloaded from elsewhere, such as sources.
    pub fetched: u64,
    /// Bytes that pushes sent.
    pub uploaded: u64,
    /// Milliseconds of pushes whose time is known: for each run and cache those of the longest class, since classes
    /// go together.
    pub upload_millis: u64,
    /// Bytes that those sent.
    #[serde(default)]
    pub upload_timed: u64,
}

impl Network {
    pub(super) fn of(runs: &[&Run]) -> Self {
        let mut all = Self::default();
        let add = |sum: &mut u64, amount: u64| *sum = sum.saturating_add(amount);
        for run in runs {
            for path in &run.substituted {
                let bytes = path.download.unwrap_or(0);
                add(&mut all.downloaded, bytes);
                if let (true, Some(millis)) = (bytes > 0, path.millis) {
                    add(&mut all.download_millis, millis);
                    add(&mut all.download_timed, bytes);
                }
            }
            for bytes in run.fetched.iter().filter_map(|it| it.bytes) {
                add(&mut all.fetched, bytes);
            }
            let times = by_cache(run);
            for millis in times.values() {
                add(&mut all.upload_millis, *millis);
            }
            for pushed in &run.pushed {
                add(&mut all.uploaded, pushed.sent);
                if times.contains_key(&pushed.cache) {
                    add(&mut all.upload_timed, pushed.sent);
                }
            }
        }
        all
    }

    /// Bytes a second of a download; none: none was timed.
    #[must_use]
    pub fn download_rate(&self) -> Option<u64> {
        a_second(self.download_timed, self.download_millis)
    }

    /// Bytes a second of pushes; none: none was timed.
    #[must_use]
    pub fn upload_rate(&self) -> Option<u64> {
        a_second(self.upload_timed, self.upload_millis)
    }
}

fn a_second(bytes: u64, millis: u64) -> Option<u64> {
    let rate = (u128::from(bytes) * 1000).checked_div(u128::from(millis))?;
    u64::try_from(rate).ok()
}

/// Milliseconds of the pushes of a run, by cache, of those whose time is known.
pub(super) fn by_cache(run: &Run) -> BTreeMap<&CacheName, u64> {
    let mut times: BTreeMap<&CacheName, u64> = BTreeMap::new();
    for pushed in &run.pushed {
        if let Some(millis) = pushed.millis {
            let longest = times.entry(&pushed.cache).or_default();
            *longest = (*longest).max(millis);
        }
    }
    times
}

/// How long pushes took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTime {
    /// How many there were, a cache each.
    pub pushes: u64,
    /// Those of them whose time is not known.
    #[serde(default)]
    pub untimed: u64,
    /// Paths that they pushed.
    pub paths: u64,
    /// The longest, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<u64>,
    /// The median, in milliseconds: the lower one of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<u64>,
}

impl PushTime {
    pub(super) fn of(runs: &[&Run]) -> Self {
        let mut times: Vec<u64> = runs
            .iter()
            .flat_map(|run| by_cache(run).into_values())
            .collect();
        times.sort_unstable();
        let caches = |run: &&Run| {
            let caches = run.pushed.iter().map(|it| &it.cache);
            caches.collect::<BTreeSet<_>>().len() as u64
        };
        let pushes: u64 = runs.iter().map(caches).sum();
        let paths = runs.iter().flat_map(|run| &run.pushed).map(|it| it.paths);
        Self {
            pushes,
            untimed: pushes - times.len() as u64,
            paths: paths.fold(0, u64::saturating_add),
            longest: times.last().copied(),
            median: times.get(times.len().saturating_sub(1) / 2).copied(),
        }
    }
}
