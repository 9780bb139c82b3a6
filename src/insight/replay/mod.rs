//! What recorded runs would have found in caches kept by another `cache.yaml`.
//!
//! Promises: integers only, and nothing but the records and the configuration counts, so the order of the
//! records does not matter and the same question has the same answer. Retention, grace, priorities and
//! `max-size` act as in `plan::need`. What a record cannot say is assumed as follows, the same for every
//! configuration that is compared:
//!
//! - a run that pushes writes a root for each path that it needed, in that path's own class, at its end;
//!   runs of forks and runs that failed push nothing; if any run recorded a push, only runs for the same
//!   events push, else all do;
//! - a path that was read before any recorded run built it had been pushed before the records begin;
//! - what an upstream served is served in every configuration and counts neither way;
//! - pruning happens as soon as something may go; pins and references are not known;
//! - a cache of tier 3 belongs to one machine, all others are everybody's.

mod place;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::place::Place;
use self::traffic::Sorted;
pub use self::traffic::Traffic;
use crate::config::model::{ClassName, Config};

/// What a replay counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Paths that were needed and that our own caches could have had.
    pub needed: u64,
    /// Those of them that a cache had.
    pub hits: u64,
    /// Bytes of NARs of the hits.
    pub hit_bytes: u64,
    /// Bytes of NARs of the others.
    pub miss_bytes: u64,
    /// Milliseconds of building what no cache had, each derivation once a run.
    pub rebuild_millis: u64,
    /// Derivations that had to be built and whose building nobody ever timed.
    pub untimed: u64,
    /// Bytes in all caches at the end.
    pub end_bytes: u64,
    /// The most bytes in all caches after any run began or pushed.
    pub peak_bytes: u64,
    /// Bytes in all caches, averaged over the time of the records.
    pub mean_bytes: u64,
    /// Paths that went because of `max-size`.
    pub over: u64,
    /// The same by class.
    pub classes: BTreeMap<ClassName, ClassTally>,
}

/// What a replay counted of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassTally {
    /// Paths that were needed.
    pub needed: u64,
    /// Those of them that a cache had.
    pub hits: u64,
    /// Milliseconds of building the others.
    pub rebuild_millis: u64,
    /// Bytes of this class that were put into caches.
    pub pushed_bytes: u64,
}

impl Tally {
    /// Hits of what was needed, in hundredths of a percent; none: nothing was needed.
    #[must_use]
    pub fn rate(&self) -> Option<u32> {
        let share = u128::from(self.hits) * 10_000 / u128::from(self.needed.max(1));
        (self.needed > 0).then(|| u32::try_from(share).unwrap_or(10_000))
    }
}

/// What the runs of `traffic` would have found under `config`.
#[must_use]
pub fn replay(traffic: &Traffic, config: &Config) -> Tally {
    let sorted = Sorted::new(traffic, config);
    let mut tally = Tally::default();
    let mut places: BTreeMap<(usize, Option<usize>), Place> = BTreeMap::new();
    // What comes in at the end of runs that have begun.
    let mut coming: BTreeSet<(i64, usize)> = BTreeSet::new();
    for (number, moment) in traffic.moments.iter().enumerate() {
        let due = coming.iter().take_while(|(end, _)| *end <= moment.start);
        for (end, run) in due.copied().collect::<Vec<_>>() {
            coming.remove(&(end, run));
            push(&sorted, &mut places, run, end, &mut tally);
        }
        for place in places.values_mut() {
            place.sweep(moment.start, &sorted);
        }
        read(&sorted, &mut places, number, &mut tally);
        note_peak(&places, &mut tally);
        if moment.pushes {
            coming.insert((moment.end, number));
        }
    }
    let end = traffic.end();
    for (at, run) in coming {
        push(&sorted, &mut places, run, at, &mut tally);
    }
    let mut held = 0_u128;
    for place in places.values_mut() {
        place.sweep(end, &sorted);
        tally.end_bytes = tally.end_bytes.saturating_add(place.bytes());
        tally.over += place.over;
        held = held.saturating_add(place.held(end));
    }
    let length = u128::try_from(end.saturating_sub(traffic.begin())).unwrap_or(0);
    tally.mean_bytes = u64::try_from(held / length.max(1)).unwrap_or(u64::MAX);
    tally
}

fn read(
    sorted: &Sorted<'_>,
    places: &mut BTreeMap<(usize, Option<usize>), Place>,
    run: usize,
    tally: &mut Tally,
) {
    let traffic = sorted.traffic;
    let moment = &traffic.moments[run];
    let reachable = sorted.reachable(moment.runner);
    let mut to_build: BTreeMap<usize, usize> = BTreeMap::new();
    for need in &moment.needs {
        let item = &traffic.items[need.item];
        let is_there = reachable
            .iter()
            .any(|key| places.get(key).is_some_and(|place| place.has(need.item)));
        let before = need.first && need.substituted;
        let class = tally
            .classes
            .entry(sorted.class_name(need.item).clone())
            .or_default();
        tally.needed += 1;
        class.needed += 1;
        if is_there || before {
            tally.hits += 1;
            class.hits += 1;
            tally.hit_bytes = tally.hit_bytes.saturating_add(item.nar);
        } else {
            tally.miss_bytes = tally.miss_bytes.saturating_add(item.nar);
            to_build.entry(item.maker).or_insert(need.item);
        }
        if before {
            // It was pushed before the records begin; from its first read on it is known to be there.
            for key in &reachable {
                if sorted.admits(key.0, need.item) {
                    let place = places.entry(*key).or_default();
                    place.put(need.item, moment.start, sorted);
                }
            }
        }
    }
    for (maker, item) in to_build {
        match traffic.makers[maker] {
            Some(millis) => {
                tally.rebuild_millis = tally.rebuild_millis.saturating_add(millis);
                let class = tally.classes.entry(sorted.class_name(item).clone());
                let class = class.or_default();
                class.rebuild_millis = class.rebuild_millis.saturating_add(millis);
            }
            None => tally.untimed += 1,
        }
    }
}

fn push(
    sorted: &Sorted<'_>,
    places: &mut BTreeMap<(usize, Option<usize>), Place>,
    run: usize,
    now: i64,
    tally: &mut Tally,
) {
    let moment = &sorted.traffic.moments[run];
    for key in sorted.reachable(moment.runner) {
        let place = places.entry(key).or_default();
        place.sweep(now, sorted);
        for need in &moment.needs {
            if sorted.admits(key.0, need.item) && place.put(need.item, now, sorted) {
                let class = tally
                    .classes
                    .entry(sorted.class_name(need.item).clone())
                    .or_default();
                let file = sorted.traffic.items[need.item].file;
                class.pushed_bytes = class.pushed_bytes.saturating_add(file);
            }
        }
        if let Some(limit) = sorted.limit(key.0) {
            place.fit(limit, now, sorted);
        }
    }
    note_peak(places, tally);
}

fn note_peak(places: &BTreeMap<(usize, Option<usize>), Place>, tally: &mut Tally) {
    let all = places.values().map(Place::bytes);
    tally.peak_bytes = tally.peak_bytes.max(all.fold(0, u64::saturating_add));
}
