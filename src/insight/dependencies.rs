//! What recorded builds needed: what makes things be built anew, the longest chain of a run, what a change reaches.
//!
//! Promises: only what was recorded counts; the order of the records does not matter; chains that go in a circle,
//! which no Nix makes, end. A name is what stands behind the hash of a base name, without `.drv`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{Built, Run, RunId};
use crate::plan::time::Time;

/// An input whose change made things be built anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Name of the input.
    pub name: String,
    /// Builds that followed from its changes.
    pub builds: u64,
    /// Milliseconds of these builds. What followed from two inputs counts for each.
    pub millis: u64,
}

/// The longest chain of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriticalPath {
    /// What was run.
    pub what: String,
    /// When it began.
    pub start: Time,
    /// Names of the derivations, the first built first, each with its milliseconds.
    pub chain: Vec<(String, u64)>,
    /// Milliseconds of the chain: with free places for all builds they take no less.
    pub millis: u64,
    /// Milliseconds of all builds one after another.
    pub total_millis: u64,
}

/// What a change of an input would build anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invalidated {
    /// The input that was asked for.
    pub name: String,
    /// Names of the derivations that need it, the slowest first, each with its milliseconds where they are known.
    pub builds: Vec<(String, Option<u64>)>,
    /// Milliseconds of them all.
    pub millis: u64,
}

/// The name in a base name.
fn name(base: &str) -> &str {
    let rest = base.split_once('-').map_or(base, |(_, rest)| rest);
    rest.strip_suffix(".drv").unwrap_or(rest)
}

/// Whether `asked` means the thing called `name`: the whole name, or all before its version.
fn is_called(name: &str, asked: &str) -> bool {
    name.strip_prefix(asked).is_some_and(|rest| {
        let mut after = rest.chars();
        rest.is_empty()
            || (after.next() == Some('-') && after.next().is_some_and(|c| c.is_ascii_digit()))
    })
}

/// Builds that did not fail, the oldest first, in the order in which their runs began.
fn builds(runs: &[Run]) -> Vec<&Built> {
    let sorted: BTreeMap<(Time, RunId), &Run> = runs
        .iter()
        .map(|run| ((run.start, run.id()), run))
        .collect();
    let all = sorted.into_values().flat_map(|run| {
        let mut built: Vec<&Built> = run.built.iter().filter(|built| !built.failed).collect();
        built.sort_by_key(|built| (built.began, &built.drv));
        built
    });
    all.collect()
}

/// Which inputs made the most seconds be built anew, the worst first: for each derivation that was built again under
/// its name with another hash, the inputs that differ and were not themselves built anew for a cause further down.
#[must_use]
pub fn root_causes(runs: &[Run]) -> Vec<Cause> {
    let builds = builds(runs);
    let known: BTreeMap<&str, &Built> = builds
        .iter()
        .map(|built| (built.drv.as_str(), *built))
        .collect();
    let mut last: BTreeMap<(&str, Option<&str>), &Built> = BTreeMap::new();
    let mut causes: BTreeMap<&str, Cause> = BTreeMap::new();
    for built in builds {
        let key = (name(&built.drv), built.system.as_deref());
        let Some(before) = last.insert(key, built) else {
            continue;
        };
        if before.drv == built.drv {
            continue;
        }
        for root in roots(before, built, &known) {
            let cause = causes.entry(root).or_insert_with(|| Cause {
                name: root.to_owned(),
                builds: 0,
                millis: 0,
            });
            cause.builds += 1;
            cause.millis = cause.millis.saturating_add(built.millis.unwrap_or(0));
        }
    }
    let mut causes: Vec<Cause> = causes.into_values().collect();
    causes.sort_by(|a, b| b.millis.cmp(&a.millis).then(a.name.cmp(&b.name)));
    causes
}

/// The names of the inputs at the bottom of what differs between two builds.
fn roots<'a>(
    before: &'a Built,
    after: &'a Built,
    known: &BTreeMap<&'a str, &'a Built>,
) -> BTreeSet<&'a str> {
    let mut roots = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(before, after)];
    while let Some((before, after)) = waiting.pop() {
        if !seen.insert((before.drv.as_str(), after.drv.as_str())) {
            continue;
        }
        let old: BTreeSet<&str> = before.inputs.iter().map(String::as_str).collect();
        let changed: Vec<&str> = after
            .inputs
            .iter()
            .map(String::as_str)
            .filter(|input| !old.contains(input))
            .collect();
        if changed.is_empty() {
            // Its own text changed: a flag, a script, a variable.
            roots.insert(name(&after.drv));
        }
        for input in changed {
            let same = old.iter().find(|old| {
                name(old) == name(input) && !after.inputs.iter().any(|now| now == *old)
            });
            let pair = same.and_then(|old| Some((*known.get(old)?, *known.get(input)?)));
            match pair {
                Some(pair) => waiting.push(pair),
                None => {
                    roots.insert(name(input));
                }
            }
        }
    }
    roots
}

/// The longest chain of what a run built, by the time it took; none: it built nothing that was timed.
#[must_use]
pub fn critical_path(run: &Run) -> Option<CriticalPath> {
    let built: BTreeMap<&str, &Built> = run
        .built
        .iter()
        .filter(|built| built.millis.is_some())
        .map(|built| (built.drv.as_str(), built))
        .collect();
    // Each derivation's chain: its length, and what comes before it. What waits is looked at once its inputs were.
    let mut chains: BTreeMap<&str, (u64, Option<&str>)> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for drv in built.keys() {
        let mut waiting = vec![*drv];
        while let Some(drv) = waiting.last().copied() {
            let Some(here) = built.get(drv).filter(|_| !chains.contains_key(drv)) else {
                waiting.pop();
                continue;
            };
            let inputs = here.inputs.iter().map(String::as_str);
            let inputs = inputs.filter(|input| built.contains_key(input));
            if open.insert(drv) {
                // What is open is below this one already: a circle.
                waiting.extend(inputs.filter(|input| !open.contains(input)));
                continue;
            }
            let longest = inputs
                .filter_map(|input| Some((chains.get(input)?.0, input)))
                .max_by_key(|(millis, input)| (*millis, std::cmp::Reverse(*input)));
            let before = longest.map_or(0, |(millis, _)| millis);
            let length = before.saturating_add(here.millis.unwrap_or(0));
            chains.insert(drv, (length, longest.map(|(_, input)| input)));
            waiting.pop();
        }
    }
    let (last, (millis, _)) = chains
        .iter()
        .max_by_key(|(drv, (millis, _))| (*millis, std::cmp::Reverse(**drv)))?;
    let mut chain = Vec::new();
    let mut at = Some(*last);
    while let Some(drv) = at {
        let own = built.get(drv).and_then(|built| built.millis).unwrap_or(0);
        chain.push((name(drv).to_owned(), own));
        at = chains.get(drv).and_then(|(_, before)| *before);
    }
    chain.reverse();
    let all = built.values().filter_map(|built| built.millis);
    Some(CriticalPath {
        what: run.what.clone(),
        start: run.start,
        chain,
        millis: *millis,
        total_millis: all.fold(0, u64::saturating_add),
    })
}

/// What a change of the input called `asked` would build anew: all that needs it, through whatever it takes, by the
/// newest build of each name.
#[must_use]
pub fn invalidated(runs: &[Run], asked: &str) -> Invalidated {
    let newest: BTreeMap<(&str, Option<&str>), &Built> = builds(runs)
        .into_iter()
        .map(|built| ((name(&built.drv), built.system.as_deref()), built))
        .collect();
    // By name: the newest builds of two things may not have been of the same commit.
    let mut users: BTreeMap<&str, BTreeSet<(&str, Option<&str>)>> = BTreeMap::new();
    for (key, built) in &newest {
        for input in &built.inputs {
            users.entry(name(input)).or_default().insert(*key);
        }
    }
    let is_meant = |one: &&str| is_called(one, asked);
    let mut waiting: Vec<&str> = users.keys().copied().filter(is_meant).collect();
    let mut found = BTreeSet::new();
    while let Some(input) = waiting.pop() {
        for user in users.get(input).into_iter().flatten() {
            if found.insert(*user) {
                waiting.push(user.0);
            }
        }
    }
    let mut builds: Vec<(String, Option<u64>)> = found
        .into_iter()
        .map(|key| {
            (
                key.0.to_owned(),
                newest.get(&key).and_then(|built| built.millis),
            )
        })
        .collect();
    builds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let millis = builds.iter().filter_map(|(_, millis)| *millis);
    Invalidated {
        name: asked.to_owned(),
        millis: millis.fold(0, u64::saturating_add),
        builds,
    }
}
