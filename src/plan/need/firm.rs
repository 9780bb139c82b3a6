//! What nothing may end, neither its age nor `max-size`: by what keeps it.

use super::Rules;
use super::UNSAID;
use super::count::{Counter, MustStay};
use super::terms::Term;
use crate::config::model::Foreign;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;
use crate::plan::record::{PrunePhase, Root};
use crate::plan::roots::visit;
use crate::plan::time::Time;

/// Rows that nothing may end, each with its closure.
#[derive(Debug, Default)]
pub(super) struct Firm {
    pins: Vec<Row>,
    unknown_classes: Vec<Row>,
    pushes: Vec<Row>,
    foreign: Vec<Row>,
    young: Vec<Row>,
}

impl Firm {
    /// Finds them; writes down until when foreign content is kept.
    pub(super) fn of(
        content: &CacheContent,
        rules: &Rules<'_>,
        terms: &[Term],
        unknown: &[&Root],
        until: &mut [Time],
    ) -> Self {
        let row = |hash: &HashPart| content.paths.row(hash);
        let open = content.intents.iter().filter(|intent| !intent.gone);
        let renewed = terms.iter().filter(|term| term.renewed);
        let pushed = open
            .flat_map(|intent| &intent.paths)
            .chain(rules.relied_on)
            .chain(&content.bound)
            .filter_map(row);
        Self {
            pins: rules.pins.iter().filter_map(|pin| row(&pin.hash)).collect(),
            unknown_classes: unknown.iter().filter_map(|root| row(&root.hash)).collect(),
            pushes: pushed.chain(renewed.map(|term| term.row)).collect(),
            foreign: foreign_rows(content, rules, until),
            young: young_rows(content, rules),
        }
    }

    /// All of them, in the order in which their bytes are counted.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let parts = [
            &self.pins,
            &self.unknown_classes,
            &self.pushes,
            &self.foreign,
            &self.young,
        ];
        parts.into_iter().flatten().copied()
    }

    /// Bytes of the NAR files that they keep, each counted where it is first reached.
    pub(super) fn bytes(&self, content: &CacheContent) -> MustStay {
        let graph = content.paths.refs();
        let mut counter = Counter::new(content);
        let mut seen = RowSet::new(content.paths.len());
        let mut sum = |rows: &[Row]| {
            let mut bytes = 0;
            for row in rows {
                let each = |row: Row| bytes += counter.count(row);
                visit(*row, &mut seen, each, |row| {
                    graph.references(row).iter().copied()
                });
            }
            bytes
        };
        MustStay {
            pins: sum(&self.pins),
            unknown_classes: sum(&self.unknown_classes),
            pushes: sum(&self.pushes),
            foreign: sum(&self.foreign),
            young: sum(&self.young),
        }
    }
}

fn young_rows(content: &CacheContent, rules: &Rules<'_>) -> Vec<Row> {
    let is_young = |row: &Row| {
        content
            .now
            .since(content.narinfos[*row as usize].modified())
            < rules.grace
    };
    content.paths.rows().filter(is_young).collect()
}

/// Rows that no record covers and that are kept as foreign content; writes down until when.
fn foreign_rows(content: &CacheContent, rules: &Rules<'_>, until: &mut [Time]) -> Vec<Row> {
    let covered = covered(content);
    let mut kept = Vec::new();
    for row in content.paths.rows().filter(|row| !covered.contains(*row)) {
        let end = match rules.foreign {
            Foreign::Keep => UNSAID,
            Foreign::Retention => {
                let name = content.paths.base_name(row);
                let class = rules.classifier.class(content.paths.hash(row), &name);
                let modified = content.narinfos[row as usize].modified();
                modified.after(rules.classifier.retention(class))
            }
        };
        until[row as usize] = end;
        if end == UNSAID || end >= content.now {
            kept.push(row);
        }
    }
    kept
}

/// Rows that records of ours cover, kept or ended: all others are foreign content.
pub(in crate::plan) fn covered(content: &CacheContent) -> RowSet {
    let roots = content.roots.iter().map(|root| &root.hash);
    let rows = roots.filter_map(|hash| content.paths.row(hash));
    let mut covered = content.paths.refs().reach(rows);
    let dead = content.intents.iter().filter(|intent| intent.gone);
    for row in dead
        .flat_map(|intent| &intent.absent)
        .filter_map(|hash| content.paths.row(hash))
    {
        covered.insert(row);
    }
    // A prune that died or was stopped took the tops first, so what it left of their closures no
    // record reaches any more; it was ours nevertheless. What somebody wrote since then is not.
    for prune in &content.prunes {
        if !prune.gone && prune.phase != PrunePhase::Ended {
            continue;
        }
        for row in prune
            .paths
            .iter()
            .filter_map(|hash| content.paths.row(hash))
        {
            if content.narinfos[row as usize].modified() < prune.modified {
                covered.insert(row);
            }
        }
    }
    covered
}
