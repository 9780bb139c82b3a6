//! In which order Nix asks a cache and its replicas: the nearest first.
//!
//! `setup.prefer` decides where it names one of them. Else the order that our fragment has stays, so that no
//! measurement makes a change of its own; only where it has none of just these, what was measured decides. The
//! order is that of one machine: it acts through the priorities in its nix.conf and is written into no cache.

use std::collections::BTreeMap;

use super::section;
use crate::config::model::CacheName;
use crate::plan::desired::Desired;
use crate::plan::observed::{Distance, Observed};

/// So many milliseconds nearer something has to be to count as nearer.
const LEAST: u32 = 5;

/// What put replicas into their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `setup.prefer`.
    Prefer,
    /// What was measured from here.
    Measured,
    /// It stood so in our fragment.
    Kept,
    /// They stand so in `cache.yaml`, and nothing else is known.
    Declared,
}

/// A cache and its replicas, in the order of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The caches, the first first.
    pub caches: Vec<CacheName>,
    /// What put them so.
    pub rule: Rule,
}

impl Order {
    /// Order and rule, without any number: the same each time as long as both are.
    #[must_use]
    pub fn words(&self) -> String {
        let names: Vec<&str> = self.caches.iter().map(CacheName::as_str).collect();
        let rule = match self.rule {
            Rule::Prefer => "by setup.prefer",
            Rule::Measured => "the nearest first, as measured",
            Rule::Kept => "as measured before",
            Rule::Declared => "as declared, for none could be measured",
        };
        format!("{} ({rule})", names.join(" before "))
    }

    /// The same, with what was measured.
    #[must_use]
    pub fn explained(&self, observed: &Observed) -> String {
        let one = |name: &CacheName| match observed.distances.get(name) {
            Some(Some(ms)) => format!("{name} {ms} ms"),
            Some(None) => format!("{name} did not answer"),
            None => name.to_string(),
        };
        if observed.distances.is_empty() || self.rule == Rule::Prefer {
            return self.words();
        }
        let measured: Vec<String> = self.caches.iter().map(one).collect();
        format!("{}: {}", self.words(), measured.join(", "))
    }
}

/// Each cache that has replicas, with these, in the order of the file.
fn groups(desired: &Desired) -> Vec<Vec<&CacheName>> {
    let mut groups: BTreeMap<&CacheName, Vec<&CacheName>> = BTreeMap::new();
    let mut firsts: Vec<&CacheName> = Vec::new();
    for name in desired.caches.keys() {
        let replica = desired
            .config
            .caches
            .get(name)
            .and_then(|it| it.replica.as_ref());
        let of = replica.map_or(name, |replica| &replica.of);
        if !firsts.contains(&of) {
            firsts.push(of);
        }
        groups.entry(of).or_default().push(name);
    }
    let mut all: Vec<_> = firsts.iter().filter_map(|of| groups.remove(of)).collect();
    all.retain(|group| group.len() > 1);
    all
}

/// The order by `setup.prefer`, if it names any of them.
fn preferred(desired: &Desired, group: &[&CacheName]) -> Option<Vec<CacheName>> {
    let prefer = &desired.config.setup.prefer;
    let rank = |name: &&CacheName| {
        let called = desired.config.caches.get(*name)?.called(name);
        prefer.iter().position(|one| called.contains(&one.as_str()))
    };
    group.iter().any(|name| rank(name).is_some()).then(|| {
        let mut sorted = group.to_vec();
        sorted.sort_by_key(|name| rank(name).unwrap_or(usize::MAX));
        sorted.into_iter().cloned().collect()
    })
}

/// The order that our fragment has, if it has all of them.
fn kept(desired: &Desired, observed: &Observed, group: &[&CacheName]) -> Option<Vec<CacheName>> {
    let path = desired.conf.as_ref()?.fragment.as_str();
    let file = observed.files.get(path)?.present()?;
    let lines = section::lines(&file.text, &desired.config.project)?;
    let words: Vec<&str> = lines
        .into_iter()
        .filter_map(|line| line.strip_prefix("extra-substituters = "))
        .flat_map(str::split_whitespace)
        .collect();
    let place = |name: &CacheName| {
        let url = desired.caches.get(name)?.place.substituter();
        words.iter().position(|word| without_priority(word) == url)
    };
    let mut found: Vec<(usize, &CacheName)> = Vec::new();
    for name in group {
        found.push((place(name)?, name));
    }
    found.sort_unstable_by_key(|(at, _)| *at);
    Some(found.into_iter().map(|(_, name)| name.clone()).collect())
}

/// A substituter without the priority that we may have put at its end.
fn without_priority(url: &str) -> &str {
    let Some((rest, last)) = url.rsplit_once(['?', '&']) else {
        return url;
    };
    if last.starts_with("priority=") {
        rest
    } else {
        url
    }
}

/// Puts what is clearly nearer before what stands before it; `share` of the distance, in percent, is
/// clearly nearer. What did not answer goes behind what did.
fn sorted(
    before: &[CacheName],
    distances: &BTreeMap<CacheName, Distance>,
    share: u32,
) -> Vec<CacheName> {
    let distance = |name: &CacheName| distances.get(name).copied().flatten();
    let is_nearer = |one: &CacheName, other: &CacheName| match (distance(one), distance(other)) {
        (Some(one), Some(other)) => {
            one.saturating_add(LEAST) <= other
                && one.saturating_mul(100) <= other.saturating_mul(share)
        }
        (Some(_), None) => true,
        (None, _) => false,
    };
    let mut sorted: Vec<CacheName> = Vec::with_capacity(before.len());
    for name in before {
        let behind = sorted.iter().rposition(|other| !is_nearer(name, other));
        sorted.insert(behind.map_or(0, |at| at + 1), name.clone());
    }
    sorted
}

fn order(desired: &Desired, observed: &Observed, group: &[&CacheName]) -> Order {
    if let Some(caches) = preferred(desired, group) {
        let rule = Rule::Prefer;
        return Order { caches, rule };
    }
    let answered = |name: &&CacheName| observed.distances.get(*name).is_some_and(Option::is_some);
    let is_measured = group.iter().any(answered);
    if let Some(kept) = kept(desired, observed, group) {
        // What was measured anew has to speak for itself: only what takes half the time goes before.
        let caches = sorted(&kept, &observed.distances, 50);
        let rule = if is_measured && caches != kept {
            Rule::Measured
        } else {
            Rule::Kept
        };
        let caches = if is_measured { caches } else { kept };
        return Order { caches, rule };
    }
    let declared: Vec<CacheName> = group.iter().copied().cloned().collect();
    if is_measured {
        let caches = sorted(&declared, &observed.distances, 67);
        let rule = Rule::Measured;
        return Order { caches, rule };
    }
    Order {
        caches: declared,
        rule: Rule::Declared,
    }
}

/// The order of each cache that has replicas.
#[must_use]
pub fn orders(desired: &Desired, observed: &Observed) -> Vec<Order> {
    let groups = groups(desired);
    let order = |group: &Vec<&CacheName>| order(desired, observed, group);
    groups.iter().map(order).collect()
}

/// The turn of each cache that has replicas, and of these: 0 is asked first.
pub(super) fn turns(desired: &Desired, observed: &Observed) -> BTreeMap<CacheName, u32> {
    let mut turns = BTreeMap::new();
    for order in orders(desired, observed) {
        for (turn, name) in (0..).zip(order.caches) {
            turns.insert(name, turn);
        }
    }
    turns
}

/// The caches of which it matters how far they are; with `anew`, also where an order stands already.
#[must_use]
pub fn questions(desired: &Desired, observed: &Observed, anew: bool) -> Vec<CacheName> {
    if desired.conf.is_none() {
        return Vec::new();
    }
    let is_open = |group: &Vec<&CacheName>| {
        preferred(desired, group).is_none() && (anew || kept(desired, observed, group).is_none())
    };
    let open = groups(desired).into_iter().filter(is_open);
    open.flatten().cloned().collect()
}

#[cfg(test)]
mod tests;
