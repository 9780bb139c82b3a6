//! How full caches are, what of it anybody reads, and when it is too much.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forecast::{self, Forecast};
use crate::config::model::{CacheName, ClassName, Config};
use crate::insight::run::{Run, Storage};
use crate::plan::time::Time;

/// What is in a cache now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its paths.
    pub paths: Vec<StoredPath>,
}

/// A path of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPath {
    /// Base name.
    pub path: String,
    /// Its class.
    pub class: Option<ClassName>,
    /// Bytes of its NAR file.
    pub bytes: u64,
    /// What tells its NAR file from others: paths with the same share one.
    pub file: String,
}

/// How a cache is filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageFigures {
    /// The cache.
    pub cache: CacheName,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Whether that is an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate: bool,
    /// Its paths.
    pub paths: u64,
    /// How many bytes it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Bytes of its paths that any counted run read; none: nobody looked what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// Bytes of NAR files that are the same as another's, as they would lie there twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<u64>,
    /// Bytes by class; a NAR file that several share counts for the first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<ClassName, u64>,
    /// How it grows, and when it is full; none: too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

impl StorageFigures {
    /// Bytes that were read, of all, in hundredths of a percent.
    #[must_use]
    pub fn utility(&self) -> Option<u32> {
        let share = u128::from(self.read?) * 10_000;
        u32::try_from(share.checked_div(u128::from(self.bytes))?).ok()
    }
}

pub(super) fn figures(
    runs: &[&Run],
    config: &Config,
    contents: &BTreeMap<CacheName, Content>,
    now: Time,
) -> Vec<StorageFigures> {
    let mut samples: BTreeMap<&CacheName, Vec<(Time, &Storage)>> = BTreeMap::new();
    for run in runs {
        for storage in &run.storage {
            samples
                .entry(&storage.cache)
                .or_default()
                .push((run.start, storage));
        }
    }
    let read = read(runs);
    let known = |name: &&CacheName| samples.contains_key(*name) || contents.contains_key(*name);
    let names = config.caches.keys().filter(known);
    names
        .map(|name| {
            let samples = samples.get(name).map_or(&[][..], Vec::as_slice);
            let declared = config.caches.get(name).and_then(|it| it.kind.written());
            let limit = declared.and_then(|written| written.max_size);
            let limit = limit.map(|size| size.0);
            let (content, read) = (contents.get(name), read.get(name));
            cache(name, samples, limit, content, read, now)
        })
        .collect()
}

/// The paths that runs read, by cache.
fn read<'r>(runs: &[&'r Run]) -> BTreeMap<&'r CacheName, BTreeSet<&'r str>> {
    let mut read: BTreeMap<&CacheName, BTreeSet<&str>> = BTreeMap::new();
    for path in runs.iter().flat_map(|run| &run.substituted) {
        if let Some(cache) = &path.cache {
            read.entry(cache).or_default().insert(&path.path);
        }
    }
    read
}

fn cache(
    name: &CacheName,
    samples: &[(Time, &Storage)],
    declared: Option<u64>,
    content: Option<&Content>,
    read: Option<&BTreeSet<&str>>,
    now: Time,
) -> StorageFigures {
    let last = samples.last().map(|(_, storage)| *storage);
    // What is recorded is what was declared then.
    let limit = declared.or(last.and_then(|storage| storage.limit));
    let mut figures = StorageFigures {
        cache: name.clone(),
        bytes: last.map_or(0, |storage| storage.bytes),
        estimate: last.is_some_and(|storage| storage.estimate),
        paths: last.map_or(0, |storage| storage.paths),
        limit,
        read: None,
        shared: None,
        classes: last.map(|it| it.classes.clone()).unwrap_or_default(),
        forecast: None,
    };
    if let Some(content) = content {
        let mut files = BTreeSet::new();
        let (mut bytes, mut shared, mut used) = (0, 0, BTreeMap::new());
        figures.classes.clear();
        for path in &content.paths {
            if files.insert(path.file.as_str()) {
                bytes = path.bytes.saturating_add(bytes);
                if let Some(class) = &path.class {
                    let part = figures.classes.entry(class.clone()).or_default();
                    *part = part.saturating_add(path.bytes);
                }
            } else {
                shared = path.bytes.saturating_add(shared);
            }
            if read.is_some_and(|read| read.contains(path.path.as_str())) {
                used.insert(path.file.as_str(), path.bytes);
            }
        }
        figures.bytes = bytes;
        figures.estimate = false;
        figures.paths = content.paths.len() as u64;
        figures.shared = Some(shared);
        figures.read = Some(used.into_values().fold(0, u64::saturating_add));
    }
    let points: Vec<(Time, u64)> = samples.iter().map(|(time, it)| (*time, it.bytes)).collect();
    figures.forecast = forecast::of(&points, limit, now);
    figures
}
