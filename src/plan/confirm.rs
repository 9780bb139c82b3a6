//! The second look, judged: what of the steps that ran is as it should be, what would be planned again,
//! and of what nobody can tell.
//!
//! Promise: a step counts as settled only if everything that it concerns could be seen. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::address::Address;
use super::observed::{Observation, Observed, Why};
use super::plan::{CacheBudget, Plan};
use super::report::{Remaining, SecondLook, Seen};
use super::select::cache_of;
use super::step::{Op, Step};

/// What the second look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Of each step, in the order in which they were given.
    pub seen: Vec<Seen>,
    /// Of all of them.
    pub remaining: Remaining,
    /// What else there is.
    pub look: SecondLook,
    /// How full the caches are.
    pub caches: Vec<CacheBudget>,
}

/// Sources of what is wanted that could not be seen, with the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blind(BTreeMap<String, Why>);

impl Blind {
    /// Those of a look.
    #[must_use]
    pub fn of(observed: &Observed) -> Self {
        let mut found = BTreeMap::new();
        if let Some(why) = observed.store.unknown() {
            found.insert("the Nix store".to_owned(), why.clone());
        }
        gather(&mut found, &observed.outputs);
        gather(&mut found, &observed.directories);
        for directories in observed.directories.values() {
            let unseen = directories.present().map(|seen| &seen.unseen);
            let unseen = unseen.into_iter().flatten();
            found.extend(unseen.map(|(name, why)| (name.clone(), why.clone())));
        }
        gather(&mut found, &observed.given);
        Self(found)
    }

    /// What could be seen on an earlier look: then it told what to do, so now it would be missed.
    fn since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = (&'a String, &'a Why)> {
        let is_new = |(name, _): &(&String, &Why)| !earlier.0.contains_key(*name);
        self.0.iter().filter(is_new)
    }
}

fn gather<T>(found: &mut BTreeMap<String, Why>, seen: &BTreeMap<String, Observation<T>>) {
    for (name, seen) in seen {
        if let Some(why) = seen.unknown() {
            found.insert(name.clone(), why.clone());
        }
    }
}

/// Changes beyond what was applied that are named.
const OTHERS: usize = 3;

/// Judges steps that ran by what was `observed` afterwards and the plan that was made of it.
///
/// `before` is what could not be seen when the steps were planned. Steps of `fresh` that are no
/// changes are not counted, nor is what came up meanwhile by itself: that is the next plan's.
#[must_use]
pub fn judge(ran: &[Step], before: &Blind, observed: &Observed, fresh: &Plan) -> Confirmation {
    let now = Blind::of(observed);
    let planned: Vec<&Step> = fresh.steps.iter().filter(|step| step.is_change()).collect();
    let judged = |step: &Step| {
        if planned.iter().any(|again| is_same(step, again)) {
            return Seen::Pending;
        }
        unseen(step, before, &now, observed).map_or(Seen::Settled, |why| Seen::Unknown { why })
    };
    let seen: Vec<Seen> = ran.iter().map(judged).collect();
    let mut again: Vec<Address> = ran
        .iter()
        .zip(&seen)
        .filter(|(_, seen)| **seen == Seen::Pending)
        .map(|(step, _)| step.address.clone())
        .collect();
    again.sort();
    again.dedup();
    let others = (planned.len() - again.len()) as u64;
    let is_other = |step: &&&Step| again.binary_search(&step.address).is_err();
    let first_others = planned.iter().filter(is_other).take(OTHERS);
    let first_others = first_others.map(|step| step.address.clone()).collect();
    let unknown = ran.iter().zip(&seen).find_map(|(step, seen)| match seen {
        Seen::Unknown { why } => Some(Why(format!("{}: {}", step.address, why.0))),
        Seen::Settled | Seen::Pending => None,
    });
    let remaining = match unknown {
        _ if !again.is_empty() => Remaining::Steps { steps: again },
        Some(why) => Remaining::Unconfirmed { why },
        None => Remaining::Converged,
    };
    Confirmation {
        seen,
        remaining,
        look: SecondLook {
            unknowns: fresh.unknowns.clone(),
            others,
            first_others,
        },
        caches: fresh.caches.clone(),
    }
}

/// Whether a step that is planned again is, at least in part, what the step that ran was to do. Time passes
/// during an apply, so more may have to go by now than went, and more may have come that is wanted: those are
/// other changes.
fn is_same(ran: &Step, again: &Step) -> bool {
    if ran.address != again.address {
        return false;
    }
    match (&ran.op, &again.op) {
        (
            Op::Prune { paths, roots, .. },
            Op::Prune {
                paths: paths_again,
                roots: roots_again,
                ..
            },
        ) => {
            let named: BTreeSet<_> = paths.hashes().collect();
            paths_again.hashes().any(|hash| named.contains(&hash))
                || roots_again.iter().any(|root| roots.contains(root))
        }
        (
            Op::Push {
                paths,
                selectors,
                roots,
                ..
            },
            Op::Push {
                paths: paths_again,
                selectors: selectors_again,
                roots: roots_again,
                ..
            },
        ) => {
            // What a build was to bring was not known when it did not run.
            if !selectors.is_empty() {
                return true;
            }
            let uploaded: BTreeSet<_> = paths.iter().map(|path| &path.path).collect();
            let written: BTreeSet<_> = roots.iter().map(|root| (&root.class, &root.path)).collect();
            let mut outputs = selectors_again.iter().flat_map(|one| &one.outputs);
            paths_again.iter().any(|path| uploaded.contains(&path.path))
                || roots_again
                    .iter()
                    .any(|root| root.new && written.contains(&(&root.class, &root.path)))
                || outputs.any(|path| uploaded.contains(path))
        }
        (Op::Sweep { objects, .. }, Op::Sweep { objects: left, .. }) => {
            let named: BTreeSet<_> = objects.iter().map(|object| &object.key).collect();
            left.iter().any(|object| named.contains(&object.key))
        }
        _ => true,
    }
}

/// Why it cannot be told whether a step is settled, if so.
pub(crate) fn unseen(step: &Step, before: &Blind, now: &Blind, observed: &Observed) -> Option<Why> {
    if let Some(cache) = cache_of(step)
        && let Some(why) = match observed.caches.get(cache) {
            Some(Observation::Unknown(why) | Observation::Error(why)) => Some(why.clone()),
            Some(Observation::Present(content)) => content.partial.clone(),
            Some(Observation::Absent) | None => None,
        }
    {
        return Some(why);
    }
    let named = |why: &Why, name: &str| Why(format!("{name} could not be seen: {}", why.0));
    match &step.op {
        Op::WriteFile { path, .. } | Op::EditFile { path, .. } => observed
            .files
            .get(path)
            .and_then(Observation::unknown)
            .cloned(),
        Op::GenerateKey { cache, .. } => observed
            .keys
            .get(cache)
            .and_then(Observation::unknown)
            .cloned(),
        Op::Build { installable, .. } | Op::Warm { installable, .. } => now
            .0
            .get(installable)
            .or_else(|| {
                now.since(before)
                    .find(|(name, _)| is_store(name))
                    .map(|(_, why)| why)
            })
            .map(|why| named(why, installable)),
        Op::Push { selectors, .. } => selectors
            .iter()
            .find_map(|selector| Some((&selector.installable, now.0.get(&selector.installable)?)))
            .or_else(|| now.since(before).next())
            .map(|(name, why)| named(why, name)),
        Op::Pin { .. }
        | Op::Record { .. }
        | Op::Unpin { .. }
        | Op::Prune { .. }
        | Op::Sweep { .. } => now.since(before).next().map(|(name, why)| named(why, name)),
        Op::WriteLogin { cache, .. } => observed
            .logins
            .get(cache)
            .and_then(Observation::unknown)
            .cloned(),
        Op::CreateCache { .. } | Op::ExportVariable { .. } => None,
    }
}

fn is_store(name: &str) -> bool {
    name == "the Nix store"
}

#[cfg(test)]
mod tests;
