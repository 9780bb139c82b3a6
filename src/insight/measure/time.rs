//! Times: what building took, against building everything; how fast downloads and uploads were.

use std::collections::BTreeMap;

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
                    time.spent += spent;
                    time.cold += cold;
                    time.known += 1;
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
    /// Milliseconds of pushes: for each run and cache those of the longest class, since classes go together.
    pub upload_millis: u64,
}

impl Network {
    pub(super) fn of(runs: &[&Run]) -> Self {
        let mut all = Self::default();
        for run in runs {
            for path in &run.substituted {
                let bytes = path.download.unwrap_or(0);
                all.downloaded += bytes;
                if let (true, Some(millis)) = (bytes > 0, path.millis) {
                    all.download_millis += millis;
                    all.download_timed += bytes;
                }
            }
            all.fetched += run.fetched.iter().filter_map(|it| it.bytes).sum::<u64>();
            all.uploaded += run.pushed.iter().map(|it| it.sent).sum::<u64>();
            all.upload_millis += by_cache(run).values().sum::<u64>();
        }
        all
    }

    /// Bytes a second of a download; none: none was timed.
    #[must_use]
    pub fn download_rate(&self) -> Option<u64> {
        (self.download_timed * 1000).checked_div(self.download_millis)
    }

    /// Bytes a second of pushes; none: there was none.
    #[must_use]
    pub fn upload_rate(&self) -> Option<u64> {
        (self.uploaded * 1000).checked_div(self.upload_millis)
    }
}

/// Milliseconds of the pushes of a run, by cache.
pub(super) fn by_cache(run: &Run) -> BTreeMap<&CacheName, u64> {
    let mut times: BTreeMap<&CacheName, u64> = BTreeMap::new();
    for pushed in &run.pushed {
        let longest = times.entry(&pushed.cache).or_default();
        *longest = (*longest).max(pushed.millis.unwrap_or(0));
    }
    times
}

/// How long pushes took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTime {
    /// How many there were, a cache each.
    pub pushes: u64,
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
        Self {
            pushes: times.len() as u64,
            paths: runs
                .iter()
                .flat_map(|run| &run.pushed)
                .map(|it| it.paths)
                .sum(),
            longest: times.last().copied(),
            median: times.get(times.len().saturating_sub(1) / 2).copied(),
        }
    }
}
