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

/// The paths over which roots are looked for.
#[derive(Debug)]
pub struct Ground<'a> {
    /// References between all wanted paths.
    pub graph: &'a Graph,
    /// The rows that are, or will be, in the cache.
    pub kept: &'a RowSet,
    /// Rows that an upstream has as well.
    pub upstream: &'a RowSet,
    /// Puts paths into classes.
    pub classifier: &'a Classifier<'a>,
    /// Class of each row.
    pub classes: &'a [ClassId],
}

/// The roots for `tops` (with their classes). Sorted, without repeats.
#[must_use]
pub fn roots(ground: &Ground<'_>, tops: &[RootRow]) -> Vec<RootRow> {
    let class = |row: Row| ground.classes[row as usize];
    let mut roots: Vec<RootRow> = tops
        .iter()
        .copied()
        .filter(|(row, _)| ground.kept.contains(*row))
        .collect();
    let reached = ground.reach(&roots);
    let mut orphans = RowSet::new(ground.graph.rows());
    for row in ground.kept.iter() {
        if !reached.contains(row) && !ground.upstream.contains(row) {
            orphans.insert(row);
        }
    }
    roots.extend(
        ground
            .graph
            .topmost(&orphans)
            .into_iter()
            .map(|row| (row, class(row))),
    );
    let given = Given::from_tops(ground, &roots);
    let mut short: BTreeMap<ClassId, RowSet> = BTreeMap::new();
    for row in given.reached.iter() {
        let id = class(row);
        if ground.classifier.retention(id) > given.retention[row as usize]
            || ground.classifier.priority(id) > given.priority[row as usize]
        {
            short
                .entry(id)
                .or_insert_with(|| RowSet::new(ground.graph.rows()))
                .insert(row);
        }
    }
    for (id, rows) in short {
        roots.extend(ground.graph.topmost(&rows).into_iter().map(|row| (row, id)));
    }
    roots.sort_unstable();
    roots.dedup();
    roots
}

impl Ground<'_> {
    /// What roots reach by way of kept rows.
    #[must_use]
    pub fn reach(&self, roots: &[RootRow]) -> RowSet {
        let mut seen = RowSet::new(self.graph.rows());
        for (row, _) in roots.iter().filter(|(row, _)| self.kept.contains(*row)) {
            self.visit(*row, &mut seen, |_| {});
        }
        seen
    }

    fn visit(&self, from: Row, seen: &mut RowSet, each: impl FnMut(Row)) {
        visit(from, seen, each, |row| {
            self.graph
                .references(row)
                .iter()
                .copied()
                .filter(|to| self.kept.contains(*to))
        });
    }
}

/// What the tops above give to each row.
struct Given {
    reached: RowSet,
    retention: Vec<Span>,
    priority: Vec<u32>,
}

impl Given {
    fn from_tops(ground: &Ground<'_>, tops: &[RootRow]) -> Self {
        let Ground {
            graph, classifier, ..
        } = ground;
        let mut given = Self {
            reached: RowSet::new(graph.rows()),
            retention: vec![Span(0); graph.rows()],
            priority: vec![0; graph.rows()],
        };
        // The best comes first, so a row keeps what the first visit gives it.
        let mut by_retention = tops.to_vec();
        by_retention.sort_by_key(|(_, class)| std::cmp::Reverse(classifier.retention(*class)));
        for (row, class) in by_retention {
            ground.visit(row, &mut given.reached, |row| {
                given.retention[row as usize] = classifier.retention(class);
            });
        }
        let mut by_priority = tops.to_vec();
        by_priority.sort_by_key(|(_, class)| std::cmp::Reverse(classifier.priority(*class)));
        let mut seen = RowSet::new(graph.rows());
        for (row, class) in by_priority {
            ground.visit(row, &mut seen, |row| {
                given.priority[row as usize] = classifier.priority(class);
            });
        }
        given
    }
}

/// Visits every row that `from` reaches and that was not seen before; marks it seen.
pub(super) fn visit<I: Iterator<Item = Row>>(
    from: Row,
    seen: &mut RowSet,
    mut each: impl FnMut(Row),
    references: impl Fn(Row) -> I,
) {
    let mut open = Vec::new();
    if seen.insert(from) {
        open.push(from);
    }
    while let Some(row) = open.pop() {
        each(row);
        open.extend(references(row).filter(|to| seen.insert(*to)));
    }
}

#[cfg(test)]
mod tests;
