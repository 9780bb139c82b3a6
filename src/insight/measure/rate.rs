//! Hit rates: of all that runs needed, how much came from caches.
//!
//! A run needs what it fetched from caches and what it built. A build that failed counts nowhere: nothing of it could
//! have been fetched. A path counts once in a run; what came from a cache is a hit, though it was built, too.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::colds::Colds;
use crate::config::model::{ClassName, Config};
use crate::insight::run::Run;

/// A part of a whole, and what is in neither because it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// What came from caches.
    pub hit: u64,
    /// What was needed, as far as its amount is known.
    pub all: u64,
    /// Paths whose amount is not known.
    #[serde(default)]
    pub unknown: u64,
}

impl Rate {
    /// The part in hundredths of a percent, rounded down; none: there is no whole.
    #[must_use]
    pub fn share(&self) -> Option<u32> {
        let share = u128::from(self.hit) * 10_000;
        let share = share.checked_div(u128::from(self.all))?;
        u32::try_from(share).ok()
    }

    fn add(&mut self, amount: Option<u64>, is_hit: bool) {
        match amount {
            Some(amount) => {
                self.all += amount;
                self.hit += if is_hit { amount } else { 0 };
            }
            None => self.unknown += 1,
        }
    }
}

/// The three ways to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hits {
    /// Store paths.
    pub paths: Rate,
    /// Bytes of NARs.
    pub bytes: Rate,
    /// Milliseconds of building: what was built took its own time, what was fetched would have taken as long as its
    /// recorded build did.
    pub millis: Rate,
}

/// The hits of a part of what was needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The part.
    pub name: String,
    /// Its hits.
    pub hits: Hits,
}

/// A path that a run needed.
pub(super) struct Needed<'r> {
    pub(super) path: &'r str,
    pub(super) hit: Option<&'r crate::insight::run::Substituted>,
    pub(super) class: Option<&'r str>,
    pub(super) system: Option<&'r str>,
    nar: Option<u64>,
    pub(super) millis: Option<u64>,
}

/// What a run needed, each path once.
pub(super) fn needed<'r>(run: &'r Run, colds: &Colds) -> Vec<Needed<'r>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for fetched in &run.substituted {
        if seen.insert(fetched.path.as_str()) {
            all.push(Needed {
                path: &fetched.path,
                hit: Some(fetched),
                class: fetched.class.as_ref().map(ClassName::as_str),
                system: run.origin.system.as_deref(),
                nar: fetched.nar,
                millis: colds.of_path(fetched),
            });
        }
    }
    for built in run.built.iter().filter(|built| !built.failed) {
        for (at, output) in built.outputs.iter().enumerate() {
            if seen.insert(output.path.as_str()) {
                all.push(Needed {
                    path: &output.path,
                    hit: None,
                    class: built.class.as_ref().map(ClassName::as_str),
                    system: built.system.as_deref().or(run.origin.system.as_deref()),
                    nar: output.nar,
                    // One build makes all of its outputs.
                    millis: if at == 0 { built.millis } else { Some(0) },
                });
            }
        }
    }
    all
}

/// The paths that came from caches, of all that a run needed.
pub(super) fn paths(run: &Run) -> Rate {
    let mut rate = Rate::default();
    for needed in needed(run, &Colds::default()) {
        rate.add(Some(1), needed.hit.is_some());
    }
    rate
}

impl Hits {
    fn add(&mut self, needed: &Needed<'_>, is_hit: bool) {
        self.paths.add(Some(1), is_hit);
        self.bytes.add(needed.nar, is_hit);
        self.millis.add(needed.millis, is_hit);
    }

    /// The hits of these runs.
    pub(super) fn of(runs: &[&Run], colds: &Colds) -> Self {
        let mut hits = Self::default();
        for needed in runs.iter().flat_map(|run| needed(run, colds)) {
            hits.add(&needed, needed.hit.is_some());
        }
        hits
    }
}

fn groups(map: BTreeMap<String, Hits>) -> Vec<Group> {
    map.into_iter()
        .map(|(name, hits)| Group { name, hits })
        .collect()
}

/// Hits of each of these, of all that was needed.
fn of_all<'r>(
    runs: &[&'r Run],
    colds: &Colds,
    name: impl Fn(&'r crate::insight::run::Substituted) -> String,
) -> Vec<Group> {
    let all: Vec<Needed<'r>> = runs.iter().flat_map(|run| needed(run, colds)).collect();
    let names = all.iter().filter_map(|needed| needed.hit.map(&name));
    let mut map: BTreeMap<String, Hits> = names.map(|name| (name, Hits::default())).collect();
    for needed in &all {
        let own = needed.hit.map(&name);
        for (name, hits) in &mut map {
            hits.add(needed, own.as_ref() == Some(name));
        }
    }
    groups(map)
}

pub(super) fn by_tier(runs: &[&Run], colds: &Colds) -> Vec<Group> {
    of_all(runs, colds, |hit| match hit.tier {
        Some(tier) => format!("tier {tier}"),
        None if hit.cache.is_some() => "upstream".to_owned(),
        None => "undeclared".to_owned(),
    })
}

pub(super) fn by_cache(runs: &[&Run], colds: &Colds) -> Vec<Group> {
    of_all(runs, colds, |hit| {
        let cache = hit.cache.as_ref().map(ToString::to_string);
        cache.unwrap_or_else(|| hit.url.clone())
    })
}

pub(super) fn by_class(runs: &[&Run], colds: &Colds, config: &Config) -> Vec<Group> {
    let mut map: BTreeMap<String, Hits> = BTreeMap::new();
    for needed in runs.iter().flat_map(|run| needed(run, colds)) {
        let class = needed.class.unwrap_or("unknown").to_owned();
        map.entry(class)
            .or_default()
            .add(&needed, needed.hit.is_some());
    }
    // In the order of the file, which is that of importance to its reader; then what it does not know any more.
    let mut found = groups(map);
    let place = |group: &Group| {
        let mut classes = config.classes.keys();
        classes
            .position(|class| class.as_str() == group.name)
            .unwrap_or(usize::MAX)
    };
    found.sort_by_key(place);
    found
}

pub(super) fn by_system(runs: &[&Run], colds: &Colds) -> Vec<Group> {
    let mut map: BTreeMap<String, Hits> = BTreeMap::new();
    for needed in runs.iter().flat_map(|run| needed(run, colds)) {
        let system = needed.system.unwrap_or("unknown").to_owned();
        map.entry(system)
            .or_default()
            .add(&needed, needed.hit.is_some());
    }
    groups(map)
}
