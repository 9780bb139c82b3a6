//! What happens to each wanted path in one cache: it is there, an upstream has it, it is pushed, or it
//! is held back, and why.
//!
//! Promise: whatever is pushed has every reference in the cache, in an upstream, or in the push.

use super::observed::{CacheContent, Observed};
use super::paths::Row;
use super::plan::HeldReason;
use super::wanted::{Origin, Wanted, is_upstream};
use crate::config::model::{CacheName, ExcludeNeeded};
use crate::nix::closure::RowSet;

use super::desired::Desired;

/// What happens to a wanted path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cache has it, whole.
    Present,
    /// It is pushed.
    Push {
        /// An upstream that may have it could not be asked.
        unasked: bool,
    },
    /// It is not pushed.
    Held {
        /// Why.
        reason: HeldReason,
        /// The path it needs that is held back, if that is why.
        needs: Option<Row>,
    },
}

/// The verdicts on all rows of a [`Wanted`].
#[derive(Debug)]
pub struct Verdicts {
    /// By row.
    pub of: Vec<Verdict>,
    /// The rows that are pushed.
    pub pushed: RowSet,
    /// The rows that are in the cache, or will be.
    pub kept: RowSet,
    /// The rows that an upstream has, in the cache or not.
    pub upstream: RowSet,
    /// Whether an upstream that may have some of the missing paths could not be asked.
    pub unasked: bool,
    /// With `exclude-needed: refuse`: (row that would be pushed, row it needs that must not be).
    pub refused: Vec<(Row, Row)>,
}

/// Whether the cache has a path with its NAR.
fn is_whole(content: &CacheContent, wanted: &Wanted<'_>, row: Row) -> bool {
    let there = content.paths.row(&wanted.paths.hash(row));
    there.is_some_and(|there| content.narinfos[there as usize].nar().is_some())
}

/// Why a path itself must not be pushed.
fn blocked(desired: &Desired, wanted: &Wanted<'_>, row: Row) -> Option<HeldReason> {
    if desired.excludes(&wanted.paths.base_name(row)) {
        return Some(HeldReason::Excluded);
    }
    let limit = wanted.classifier.get(wanted.class(row)).max_path_size;
    limit
        .is_some_and(|limit| wanted.paths.nar_size(row) > limit.0)
        .then_some(HeldReason::TooLarge)
}

/// What is known of a row before what it refers to is looked at.
enum First {
    There,
    Upstream(CacheName),
    Blocked(HeldReason),
    Free { chosen: bool },
}

/// Judges every wanted path.
#[must_use]
pub fn judge(
    desired: &Desired,
    observed: &Observed,
    cache: &CacheName,
    content: &CacheContent,
    wanted: &Wanted<'_>,
) -> Verdicts {
    let first: Vec<First> = wanted
        .paths
        .rows()
        .map(|row| {
            if wanted.origins[row as usize] == Origin::Cache || is_whole(content, wanted, row) {
                return First::There;
            }
            let hash = wanted.paths.hash(row);
            let upstream = observed
                .upstreams
                .iter()
                .find(|(_, up)| up.has.contains(&hash));
            if let Some((name, _)) = upstream {
                return First::Upstream(name.clone());
            }
            if let Some(reason) = blocked(desired, wanted, row) {
                return First::Blocked(reason);
            }
            let class = wanted.classifier.name_of(wanted.class(row));
            First::Free {
                chosen: desired.pushes(cache, class),
            }
        })
        .collect();
    let needs = blocked_needs(wanted, &first);
    let policy = desired.config.push.exclude_needed;
    let start = wanted.paths.rows().filter(|row| {
        matches!(first[*row as usize], First::Free { chosen: true })
            && (policy == ExcludeNeeded::Push || needs[*row as usize].is_none())
    });
    let pushed = reach_missing(wanted, &first, start.collect());
    let mut verdicts = Verdicts {
        of: Vec::with_capacity(first.len()),
        kept: RowSet::new(first.len()),
        refused: Vec::new(),
        upstream: RowSet::new(first.len()),
        unasked: wanted
            .paths
            .rows()
            .filter(|row| is_missing(&first[*row as usize]))
            .any(|row| {
                let hash = wanted.paths.hash(row);
                observed
                    .upstreams
                    .values()
                    .any(|upstream| upstream.unanswered.contains(&hash))
            }),
        pushed,
    };
    for row in wanted.paths.rows() {
        if is_upstream(observed, &wanted.paths.hash(row)) {
            verdicts.upstream.insert(row);
        }
        let needed = needs[row as usize];
        let verdict = match &first[row as usize] {
            First::There => Verdict::Present,
            _ if verdicts.pushed.contains(row) => {
                let hash = wanted.paths.hash(row);
                let mut upstreams = observed.upstreams.values();
                Verdict::Push {
                    unasked: upstreams.any(|up| up.unanswered.contains(&hash)),
                }
            }
            First::Upstream(name) => held(HeldReason::Upstream(name.clone()), None),
            First::Blocked(reason) => held(reason.clone(), None),
            First::Free { chosen } => match needed {
                Some(needed) => {
                    if *chosen && policy == ExcludeNeeded::Refuse {
                        verdicts.refused.push((row, needed));
                    }
                    held(HeldReason::NeedsHeld, Some(needed))
                }
                None => held(HeldReason::OtherClass, None),
            },
        };
        if matches!(verdict, Verdict::Present | Verdict::Push { .. }) {
            verdicts.kept.insert(row);
        }
        verdicts.of.push(verdict);
    }
    verdicts
}

fn held(reason: HeldReason, needs: Option<Row>) -> Verdict {
    Verdict::Held { reason, needs }
}

fn is_missing(first: &First) -> bool {
    matches!(first, First::Blocked(_) | First::Free { .. })
}

/// For each row, a blocked row that it needs through paths that are missing.
fn blocked_needs(wanted: &Wanted<'_>, first: &[First]) -> Vec<Option<Row>> {
    let mut missing = RowSet::new(first.len());
    for row in wanted
        .paths
        .rows()
        .filter(|row| is_missing(&first[*row as usize]))
    {
        missing.insert(row);
    }
    let mut needs: Vec<Option<Row>> = vec![None; first.len()];
    for row in wanted.paths.refs().order_references_first(&missing).rows {
        let references = wanted.paths.refs().references(row).iter();
        needs[row as usize] = references
            .copied()
            .find_map(|to| match &first[to as usize] {
                First::Blocked(_) => Some(to),
                // What is not missing needs nothing.
                _ => needs[to as usize],
            });
    }
    needs
}

/// The rows that these reach through missing paths, themselves included.
fn reach_missing(wanted: &Wanted<'_>, first: &[First], from: Vec<Row>) -> RowSet {
    let mut seen = RowSet::new(first.len());
    let mut open: Vec<Row> = from.into_iter().filter(|row| seen.insert(*row)).collect();
    while let Some(row) = open.pop() {
        for to in wanted.paths.refs().references(row) {
            if is_missing(&first[*to as usize]) && seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests;
