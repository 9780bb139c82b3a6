//! `max-size`: whether it can be reached, and which roots end for it.

use super::count::{Counter, MustStay};
use super::terms::Term;
use crate::nix::closure::RowSet;
use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;
use crate::plan::roots::visit;

/// How what must stay compares with a `max-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that the cache may hold.
    pub limit: u64,
    /// Bytes that are there and that nothing may end.
    pub must_stay: MustStay,
    /// Bytes that come in, as NARs: what they take when compressed is known only then.
    pub incoming: u64,
}

impl Room {
    /// Whether ending roots can reach the limit, so far as that is known: what must stay fits. What
    /// comes in does not count for this, because compressed it may fit after all.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.must_stay.total() <= self.limit
    }

    /// Whether what must stay fits together with what comes in, uncompressed.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.must_stay.total().saturating_add(self.incoming) <= self.limit
    }
}

/// Ends roots until what remains fits: takes them out of `kept`, and says which rows go for it.
/// `live` is what stays whatever happens.
pub(super) fn end_over(
    content: &CacheContent,
    room: &Room,
    live: &RowSet,
    kept: &mut Vec<Term>,
) -> RowSet {
    let graph = content.paths.refs();
    let rows = |kept: &[Term]| kept.iter().map(|term| term.row).collect::<Vec<_>>();
    let mut would = live.clone();
    graph.reach_into(rows(kept), &mut would);
    let mut counter = Counter::new(content);
    let mut bytes: u64 = room.incoming + live.iter().map(|row| counter.count(row)).sum::<u64>();
    kept.retain(|term| !term.renewed);
    kept.sort_by_key(|term| {
        (
            std::cmp::Reverse(term.priority),
            std::cmp::Reverse(term.time),
            content.paths.hash(term.row),
        )
    });
    let mut seen = live.clone();
    let fitting = kept
        .iter()
        .take_while(|term| {
            let each = |row: Row| bytes += counter.count(row);
            visit(term.row, &mut seen, each, |row| {
                graph.references(row).iter().copied()
            });
            bytes <= room.limit
        })
        .count();
    kept.truncate(fitting);
    let mut stays = live.clone();
    graph.reach_into(rows(kept), &mut stays);
    let mut over = RowSet::new(content.paths.len());
    for row in would.iter().filter(|row| !stays.contains(*row)) {
        over.insert(row);
    }
    over
}
