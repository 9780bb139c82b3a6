//! How things stand: each cache with its budget, each output in each cache, and what a plan would do.
//!
//! Promise: what could not be seen is `unknown` and has its reason; a number that is an estimate says so.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measure::Point;
use crate::config::model::{CacheName, ClassName};
use crate::nix::closure::RowSet;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::desired::{Desired, Top, TopSource, name_of_directory};
use crate::plan::observed::{CacheContent, Observation, Observed};
use crate::plan::paths::Row;
use crate::plan::plan::{CacheBudget, Plan, Unknown};
use crate::plan::summary::Summary;
use crate::plan::time::Time;
use crate::plan::verdict::{Verdict, Verdicts, judge};
use crate::plan::wanted::Wanted;

/// Number of the format of a status. Raised when a reader of an older format could misunderstand.
pub const FORMAT: u32 = 1;

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Number of the format ([`FORMAT`]).
    pub format: u32,
    /// The project.
    pub project: String,
    /// Name of the file that declares it, as in a plan.
    pub file: String,
    /// When it was looked at.
    pub now: Time,
    /// The caches that are written, in the order of the file.
    pub caches: Vec<CacheStatus>,
    /// What is wanted, in the order of the file.
    pub coverage: Vec<Coverage>,
    /// What a plan made now would do.
    pub pending: Summary,
    /// What could not be seen.
    pub unknowns: Vec<Unknown>,
    /// The last runs that this machine knows of, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Point>,
}

/// How a cache stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheStatus {
    /// The cache.
    pub cache: CacheName,
    /// What kind it is, in the words of `cache.yaml`.
    pub kind: String,
    /// Its tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Whether there is such a cache; none: it could not be seen.
    pub exists: Option<bool>,
    /// How full it is; none: it is not there yet, or could not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<CacheBudget>,
    /// Why it could not be seen, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// Where something that is wanted is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The output, directory or path, as plans name it.
    pub what: String,
    /// Its class, where `cache.yaml` puts it into one by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassName>,
    /// The system that it is for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// By cache that takes it.
    pub caches: BTreeMap<CacheName, Presence>,
}

/// Whether something is in a cache.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// With its whole closure, as far as the cache is to have it.
    Whole,
    /// An upstream has it, so the cache needs not.
    Upstream,
    /// It is there, and parts of its closure are not.
    Partly,
    /// It is here, and not in the cache.
    ToPush,
    /// It is not built yet.
    ToBuild,
    /// It is kept back, or its class does not go there.
    KeptBack,
    /// It does not exist: no such output, directory or path.
    Nowhere,
    /// It could not be seen.
    Unknown,
}

/// How things stand, by what was observed and the plan that was made of it.
#[must_use]
pub fn status(desired: &Desired, observed: &Observed, plan: &Plan) -> Status {
    let mut coverage: Vec<Coverage> = Vec::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in &desired.caches {
        for (top, presence) in presences(desired, observed, name) {
            let what = named(desired, top);
            let at = *place.entry(what.clone()).or_insert_with(|| {
                coverage.push(Coverage {
                    what,
                    class: top.class.clone(),
                    system: system(observed, top),
                    caches: BTreeMap::new(),
                });
                coverage.len() - 1
            });
            let caches = &mut coverage[at].caches;
            let known = caches.entry(name.clone()).or_insert(presence);
            *known = presence.max(*known);
        }
    }
    Status {
        format: FORMAT,
        project: plan.project.clone(),
        file: plan.file.clone(),
        now: observed.now,
        caches: desired
            .caches
            .keys()
            .map(|name| cache(desired, observed, plan, name))
            .collect(),
        coverage,
        pending: Summary::of(plan),
        unknowns: plan.unknowns.clone(),
        runs: Vec::new(),
    }
}

fn cache(desired: &Desired, observed: &Observed, plan: &Plan, name: &CacheName) -> CacheStatus {
    let budget = plan.caches.iter().find(|budget| budget.cache == *name);
    let declared = desired.config.caches.get(name);
    CacheStatus {
        cache: name.clone(),
        kind: desired
            .caches
            .get(name)
            .map_or_else(String::new, |cache| cache.place.kind().to_owned()),
        tier: declared.and_then(|cache| cache.tier),
        exists: match observed.caches.get(name) {
            Some(Observation::Present(_)) => Some(true),
            Some(Observation::Absent) => Some(false),
            Some(Observation::Unknown(_) | Observation::Error(_)) | None => None,
        },
        budget: budget.cloned(),
        unseen: match observed.caches.get(name) {
            Some(Observation::Unknown(why) | Observation::Error(why)) => Some(why.0.clone()),
            Some(Observation::Present(content)) => {
                content.partial.as_ref().map(|why| why.0.clone())
            }
            Some(Observation::Absent) | None => None,
        },
    }
}

/// What plans call something that is wanted.
fn named(desired: &Desired, top: &Top) -> String {
    match &top.source {
        TopSource::Output(installable) => installable.clone(),
        TopSource::Directory(directory) => name_of_directory(directory, &desired.site),
        TopSource::Path(path) | TopSource::PathsFrom(path) => desired.site.shown(path),
    }
}

fn system(observed: &Observed, top: &Top) -> Option<String> {
    let TopSource::Output(installable) = &top.source else {
        return None;
    };
    let facts = observed.outputs.get(installable)?.present()?;
    facts.system.clone()
}

/// Each thing that is wanted, with how it stands in a cache; nothing, if the cache takes nothing.
fn presences<'d>(
    desired: &'d Desired,
    observed: &Observed,
    name: &CacheName,
) -> Vec<(&'d Top, Presence)> {
    let takes = desired.config.push.enabled && desired.config.push.to.contains_key(name);
    if !takes {
        return Vec::new();
    }
    let empty = CacheContent::default();
    let content = match observed.caches.get(name) {
        Some(Observation::Present(content)) => content,
        Some(Observation::Absent) => &empty,
        Some(Observation::Unknown(_) | Observation::Error(_)) | None => {
            let unknown = |top| (top, Presence::Unknown);
            return desired.tops.iter().map(unknown).collect();
        }
    };
    let wanted = Wanted::resolve(desired, observed, content);
    let verdicts = judge(desired, observed, name, content, &wanted);
    let one = One {
        observed,
        wanted: &wanted,
        verdicts: &verdicts,
    };
    desired
        .tops
        .iter()
        .map(|top| (top, one.presence(top)))
        .collect()
}

/// One cache with what is wanted there.
struct One<'a> {
    observed: &'a Observed,
    wanted: &'a Wanted<'a>,
    verdicts: &'a Verdicts,
}

impl One<'_> {
    fn presence(&self, top: &Top) -> Presence {
        match &top.source {
            TopSource::Output(installable) => self.output(installable),
            TopSource::Directory(pattern) => {
                let seen = self.observed.directories.get(pattern);
                let found = seen.and_then(Observation::present);
                if found.is_some_and(|found| !found.unseen.is_empty()) {
                    return Presence::Unknown;
                }
                self.paths(
                    seen,
                    found
                        .iter()
                        .flat_map(|found| &found.found)
                        .map(|one| one.path.hash()),
                )
            }
            TopSource::Path(given) | TopSource::PathsFrom(given) => {
                let seen = self.observed.given.get(given);
                let found = seen.and_then(Observation::present);
                self.paths(seen, found.into_iter().flatten().map(StorePath::hash))
            }
        }
    }

    fn output(&self, installable: &str) -> Presence {
        let seen = self.observed.outputs.get(installable);
        let Some(facts) = seen.and_then(Observation::present) else {
            return missing(seen);
        };
        if facts.outputs.is_empty() {
            return Presence::Unknown;
        }
        if self
            .wanted
            .elsewhere
            .iter()
            .any(|(output, _)| output == installable)
            || self
                .wanted
                .builds
                .iter()
                .any(|build| build.installable == installable)
        {
            return Presence::ToBuild;
        }
        if facts
            .outputs
            .values()
            .all(|path| self.wanted.upstream.contains(path))
        {
            return Presence::Upstream;
        }
        self.paths(seen, facts.outputs.values().map(StorePath::hash))
    }

    /// The worst of some paths; `seen` says what it means if there are none.
    fn paths<T>(
        &self,
        seen: Option<&Observation<T>>,
        paths: impl Iterator<Item = HashPart>,
    ) -> Presence {
        let of = |hash| {
            self.wanted
                .paths
                .row(&hash)
                .map_or(Presence::Unknown, |row| self.row(row))
        };
        paths.map(of).max().unwrap_or_else(|| missing(seen))
    }

    fn row(&self, row: Row) -> Presence {
        match &self.verdicts.of[row as usize] {
            Verdict::Present if self.is_whole(row) => Presence::Whole,
            Verdict::Present => Presence::Partly,
            Verdict::Push { .. } => Presence::ToPush,
            Verdict::Held { .. } if self.verdicts.upstream.contains(row) => Presence::Upstream,
            Verdict::Held { .. } => Presence::KeptBack,
        }
    }

    /// Whether nothing of its closure has to be pushed or is kept back.
    fn is_whole(&self, row: Row) -> bool {
        let reached: RowSet = self.wanted.paths.refs().reach([row]);
        reached
            .iter()
            .all(|row| match &self.verdicts.of[row as usize] {
                Verdict::Present => true,
                Verdict::Held { .. } => self.verdicts.upstream.contains(row),
                Verdict::Push { .. } => false,
            })
    }
}

fn missing<T>(seen: Option<&Observation<T>>) -> Presence {
    match seen {
        Some(Observation::Absent | Observation::Present(_)) => Presence::Nowhere,
        Some(Observation::Unknown(_) | Observation::Error(_)) | None => Presence::Unknown,
    }
}

/// How many things of one system a cache has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that it has, or need not have because an upstream does.
    pub has: u64,
    /// Those that it is to have.
    pub all: u64,
    /// Those of them that could not be seen.
    pub unknown: u64,
}

impl Status {
    /// How many of those that a cache is to have it has, for one system (`None`: of no known system).
    #[must_use]
    pub fn share(&self, cache: &CacheName, system: Option<&str>) -> Share {
        let mut share = Share::default();
        let of_system = |one: &&Coverage| one.system.as_deref() == system;
        let presences = self.coverage.iter().filter(of_system);
        for presence in presences.filter_map(|one| one.caches.get(cache)) {
            share.all += u64::from(*presence != Presence::KeptBack);
            share.has += u64::from(matches!(presence, Presence::Whole | Presence::Upstream));
            share.unknown += u64::from(*presence == Presence::Unknown);
        }
        share
    }

    /// The systems of what is wanted, last `None`, if some of it is of none.
    #[must_use]
    pub fn systems(&self) -> Vec<Option<&str>> {
        let systems: BTreeSet<Option<&str>> = self
            .coverage
            .iter()
            .map(|one| one.system.as_deref())
            .collect();
        let (none, some): (Vec<_>, Vec<_>) = systems.into_iter().partition(Option::is_none);
        some.into_iter().chain(none).collect()
    }
}

#[cfg(test)]
mod tests;
