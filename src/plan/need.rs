//! Until when each path of a cache is needed, and what keeps it.
//!
//! Retention and priority act through roots: `need(p)` is the latest, over all roots that reach p, of
//! the root's time plus its class's retention; `priority(p)` the highest priority among them. A path
//! goes when now is later than its need; over `max-size`, roots end in ascending priority, the oldest
//! first, until what remains fits. Where that cannot be reached, because what nothing may end is too
//! big alone, no root ends for it. Whatever is kept is kept with its whole closure.
//!
//! Pure, and linear in paths and references. It only says what is live; deleting is decided in
//! `plan::prune`.

mod count;
mod firm;
mod room;
mod terms;

pub use count::MustStay;
pub(in crate::plan) use firm::covered;
pub use room::Room;

use std::collections::{BTreeMap, BTreeSet};

use super::class::{ClassId, Classifier};
use super::drops::DropReason;
use super::observed::CacheContent;
use super::paths::Row;
use super::record::PinRecord;
use super::roots::visit;
use super::time::Time;
use crate::config::model::Foreign;
use crate::config::units::Span;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use firm::Firm;
use terms::{Term, ended, terms};

/// What the need of paths depends on besides the content of the cache.
#[derive(Debug)]
pub struct Rules<'a> {
    /// Puts paths into classes.
    pub classifier: &'a Classifier<'a>,
    /// Younger narinfos are live.
    pub grace: Span,
    /// What happens with content that no record covers.
    pub foreign: Foreign,
    /// Bytes of NAR files that the cache may hold.
    pub max_size: Option<u64>,
    /// Bytes that come in before the prune.
    pub incoming: u64,
    /// Roots (class, hash part) that are written again before the prune: they count as of now, and
    /// `max-size` does not end them.
    pub renewed: BTreeSet<(&'a str, HashPart)>,
    /// Paths that a push before the prune relies on.
    pub relied_on: &'a [HashPart],
    /// The pins that stay.
    pub pins: Vec<PinRecord>,
}

/// No record says: earlier than all else. (An `Option` would take twice the room, a million times.)
const UNSAID: Time = Time(i64::MIN);

/// Which rows of a cache are live, and why the others are not.
#[derive(Debug)]
pub struct Need {
    /// Rows that stay.
    pub live: RowSet,
    /// By row: the latest time until which something needed it, or [`UNSAID`].
    until: Vec<Time>,
    /// Rows that only `max-size` ends.
    pub over: RowSet,
    /// Root records that ended and whose path goes or is gone: numbers in `CacheContent::roots`.
    pub ended: Vec<usize>,
    /// Root records of classes that `cache.yaml` does not have; they are kept.
    pub unknown_class: usize,
    /// How what must stay compares with `max-size`, if the cache has one.
    pub room: Option<Room>,
}

/// Finds out what is live.
#[must_use]
pub fn need(content: &CacheContent, rules: &Rules<'_>) -> Need {
    let graph = content.paths.refs();
    let size = content.paths.len();
    let (terms, unknown) = terms(content, rules);
    let mut until = vec![UNSAID; size];
    let firm = Firm::of(content, rules, &terms, &unknown, &mut until);
    let mut live = graph.reach(firm.rows());

    let mut by_need = terms.clone();
    by_need.sort_by_key(|term| (std::cmp::Reverse(term.until), term.row));
    let mut seen = RowSet::new(size);
    for term in &by_need {
        let each = |row: Row| {
            let known = &mut until[row as usize];
            *known = (*known).max(term.until);
        };
        visit(term.row, &mut seen, each, |row| {
            graph.references(row).iter().copied()
        });
    }
    let mut kept: Vec<Term> = terms
        .into_iter()
        .filter(|term| term.until >= content.now)
        .collect();
    let room = rules.max_size.map(|limit| Room {
        limit,
        must_stay: firm.bytes(content),
        incoming: rules.incoming,
    });
    let over = match &room {
        Some(room) if room.is_reachable() => room::end_over(content, room, &live, &mut kept),
        _ => RowSet::new(size),
    };
    graph.reach_into(kept.iter().map(|term| term.row), &mut live);
    Need {
        ended: ended(content, rules, &live),
        live,
        until,
        over,
        unknown_class: unknown.len(),
        room,
    }
}

impl Need {
    /// Why a row that is not live goes.
    #[must_use]
    pub fn reason(&self, row: Row) -> DropReason {
        if self.over.contains(row) {
            return DropReason::OverMaxSize;
        }
        self.until(row)
            .map_or(DropReason::Unreached, DropReason::NeedEnded)
    }

    /// The latest time until which something needed a row; `None`: no record says.
    #[must_use]
    pub fn until(&self, row: Row) -> Option<Time> {
        let time = self.until[row as usize];
        (time != UNSAID).then_some(time)
    }
}

/// The class of each path that has a root record; of several, the first in `cache.yaml`.
#[must_use]
pub fn recorded_classes(
    content: &CacheContent,
    classifier: &Classifier<'_>,
) -> BTreeMap<HashPart, ClassId> {
    let mut classes = BTreeMap::new();
    for root in &content.roots {
        if let Some(id) = classifier.id(&root.class) {
            let known = classes.entry(root.hash).or_insert(id);
            *known = id.min(*known);
        }
    }
    classes
}

#[cfg(test)]
mod tests;
