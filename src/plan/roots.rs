//! Which root records a push writes.
//!
//! One for each top, in the top's class; and, for every class of its closure whose retention or
//! priority is higher than what its paths would get from the tops above them, one for the topmost
//! of those paths: so system packages that are kept 180 days outlive the container, kept 14, that brought
//! them.

use std::collections::BTreeMap;

use super::class::{ClassId, Classifier};
use super::paths::Row;
use crate::config::units::Span;
use crate::nix::closure::{Graph, RowSet};

/// A root to be written: a row and the class of the record.
pub type RootRow = (Row, ClassId);

/// The roots for `tops` (with their classes) over the rows in `kept`: those that are, or will be,
/// in the cache. `class` gives the class of a row. Sorted, without repeats.
#[must_use]
pub fn roots(
    graph: &Graph,
    tops: &[RootRow],
    kept: &RowSet,
    classifier: &Classifier<'_>,
    class: impl Fn(Row) -> ClassId,
) -> Vec<RootRow> {
    let mut roots: Vec<RootRow> =
        tops.iter().copied().filter(|(row, _)| kept.contains(*row)).collect();
    let reached = graph.reach(roots.iter().map(|(row, _)| *row));
    let mut orphans = RowSet::new(graph.rows());
    for row in kept.iter().filter(|row| !reached.contains(*row)) {
        orphans.insert(row);
    }
    roots.extend(graph.topmost(&orphans).into_iter().map(|row| (row, class(row))));
    let given = Given::from_tops(graph, &roots, classifier);
    let mut short: BTreeMap<ClassId, RowSet> = BTreeMap::new();
    for row in given.reached.iter().filter(|row| kept.contains(*row)) {
        let id = class(row);
        if classifier.retention(id) > given.retention[row as usize]
            || classifier.priority(id) > given.priority[row as usize]
        {
            short.entry(id).or_insert_with(|| RowSet::new(graph.rows())).insert(row);
        }
    }
    for (id, rows) in short {
        roots.extend(graph.topmost(&rows).into_iter().map(|row| (row, id)));
    }
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// What the tops above give to each row.
struct Given {
    reached: RowSet,
    retention: Vec<Span>,
    priority: Vec<u32>,
}

impl Given {
    fn from_tops(graph: &Graph, tops: &[RootRow], classifier: &Classifier<'_>) -> Self {
        let mut given = Self {
            reached: RowSet::new(graph.rows()),
            retention: vec![Span(0); graph.rows()],
            priority: vec![0; graph.rows()],
        };
        // The best comes first, so a row keeps what the first visit gives it.
        let mut by_retention = tops.to_vec();
        by_retention.sort_by_key(|(_, class)| std::cmp::Reverse(classifier.retention(*class)));
        for (row, class) in by_retention {
            visit(graph, row, &mut given.reached, |row| {
                given.retention[row as usize] = classifier.retention(class);
            });
        }
        let mut by_priority = tops.to_vec();
        by_priority.sort_by_key(|(_, class)| std::cmp::Reverse(classifier.priority(*class)));
        let mut seen = RowSet::new(graph.rows());
        for (row, class) in by_priority {
            visit(graph, row, &mut seen, |row| {
                given.priority[row as usize] = classifier.priority(class);
            });
        }
        given
    }
}

/// Visits every row that `from` reaches and that was not seen before; marks it seen.
pub(super) fn visit(graph: &Graph, from: Row, seen: &mut RowSet, mut each: impl FnMut(Row)) {
    let mut open = Vec::new();
    if seen.insert(from) {
        open.push(from);
    }
    while let Some(row) = open.pop() {
        each(row);
        for reference in graph.references(row) {
            if seen.insert(*reference) {
                open.push(*reference);
            }
        }
    }
}
