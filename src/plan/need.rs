//! Until when each path of a cache is needed, and what keeps it.
//!
//! Retention and priority act through roots: `need(p)` is the latest, over all roots that reach p, of
//! the root's time plus its class's retention; `priority(p)` the highest priority among them. A path
//! goes when now is later than its need; over `max-size`, roots end in ascending priority, the oldest
//! first, until what remains fits. Whatever is kept is kept with its whole closure.
//!
//! Pure, and linear in paths and references. It only says what is live; deleting is decided in
//! `plan::prune`.

use std::collections::{BTreeMap, BTreeSet};

use super::class::{ClassId, Classifier};
use super::observed::CacheContent;
use super::paths::Row;
use super::record::{PinRecord, PrunePhase, Root};
use super::roots::visit;
use super::step::DropReason;
use super::time::Time;
use crate::config::model::Foreign;
use crate::config::units::Span;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;

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

/// Which rows of a cache are live, and why the others are not.
#[derive(Debug)]
pub struct Need {
    /// Rows that stay.
    pub live: RowSet,
    /// By row: the latest time until which something needed it; `None`: no record says.
    pub until: Vec<Option<Time>>,
    /// Rows that only `max-size` ends.
    pub over: RowSet,
    /// Root records that ended and whose path goes or is gone: numbers in `CacheContent::roots`.
    pub ended: Vec<usize>,
    /// Root records of classes that `cache.yaml` does not have; they are kept.
    pub unknown_class: usize,
    /// Bytes that stay although `max-size` is less, because nothing may end them.
    pub too_big: Option<u64>,
}

/// A root with what `cache.yaml` says of its class.
#[derive(Clone, Copy, Debug)]
struct Term {
    row: Row,
    time: Time,
    until: Time,
    priority: u32,
    renewed: bool,
}

/// Finds out what is live.
#[must_use]
pub fn need(content: &CacheContent, rules: &Rules<'_>) -> Need {
    let now = content.now;
    let graph = content.paths.refs();
    let size = content.paths.len();
    let (terms, unknown) = terms(content, rules);
    let mut firm = firm_rows(content, rules);
    firm.extend(
        unknown
            .iter()
            .filter_map(|root| content.paths.row(&root.hash)),
    );
    let mut until: Vec<Option<Time>> = vec![None; size];

    firm.extend(foreign_rows(content, rules, &mut until));
    firm.extend(
        terms
            .iter()
            .filter(|term| term.renewed)
            .map(|term| term.row),
    );

    let mut live = graph.reach(firm);
    let mut by_need = terms.clone();
    by_need.sort_by_key(|term| (std::cmp::Reverse(term.until), term.row));
    let mut seen = RowSet::new(size);
    for term in &by_need {
        let each = |row: Row| {
            let known = &mut until[row as usize];
            *known = (*known).max(Some(term.until));
        };
        visit(term.row, &mut seen, each, |row| {
            graph.references(row).iter().copied()
        });
    }
    let mut kept: Vec<Term> = terms
        .iter()
        .copied()
        .filter(|term| term.until >= now)
        .collect();
    let (over, too_big) = match rules.max_size {
        Some(limit) => end_over(content, rules, limit, &mut live, &mut kept),
        None => (RowSet::new(size), None),
    };
    graph.reach_into(kept.iter().map(|term| term.row), &mut live);
    let ended = content
        .roots
        .iter()
        .enumerate()
        .filter(|(_, root)| match content.paths.row(&root.hash) {
            Some(row) => rules.classifier.id(&root.class).is_some() && !live.contains(row),
            None => ended_without_path(root, rules, now),
        })
        .map(|(number, _)| number)
        .collect();
    Need {
        live,
        until,
        over,
        ended,
        unknown_class: unknown.len(),
        too_big,
    }
}

impl Need {
    /// Why a row that is not live goes.
    #[must_use]
    pub fn reason(&self, row: Row) -> DropReason {
        if self.over.contains(row) {
            return DropReason::OverMaxSize;
        }
        self.until[row as usize].map_or(DropReason::Unreached, DropReason::NeedEnded)
    }
}

/// The roots whose path is visible and whose class is declared; and the roots of other classes.
fn terms<'c>(content: &'c CacheContent, rules: &Rules<'_>) -> (Vec<Term>, Vec<&'c Root>) {
    let mut terms = Vec::new();
    let mut unknown = Vec::new();
    for root in &content.roots {
        let Some(class) = rules.classifier.id(&root.class) else {
            unknown.push(root);
            continue;
        };
        let Some(row) = content.paths.row(&root.hash) else {
            continue;
        };
        let renewed = rules.renewed.contains(&(root.class.as_str(), root.hash));
        let time = if renewed { content.now } else { root.modified };
        terms.push(Term {
            row,
            time,
            until: time.after(rules.classifier.retention(class)),
            priority: rules.classifier.priority(class),
            renewed,
        });
    }
    // Roots that are written for the first time have no record yet, but their paths may be here.
    let known: BTreeSet<(&str, HashPart)> = content
        .roots
        .iter()
        .map(|root| (root.class.as_str(), root.hash))
        .collect();
    for (class, hash) in rules.renewed.difference(&known) {
        let id = rules.classifier.id_of(class);
        if let (Some(row), Some(id)) = (content.paths.row(hash), id) {
            terms.push(Term {
                row,
                time: content.now,
                until: content.now.after(rules.classifier.retention(id)),
                priority: rules.classifier.priority(id),
                renewed: true,
            });
        }
    }
    (terms, unknown)
}

fn ended_without_path(root: &Root, rules: &Rules<'_>, now: Time) -> bool {
    let renewed = rules.renewed.contains(&(root.class.as_str(), root.hash));
    let until = rules
        .classifier
        .id(&root.class)
        .map(|id| root.modified.after(rules.classifier.retention(id)));
    !renewed && until.is_some_and(|until| until < now)
}

/// Rows that nothing may end: pinned, relied on by an open push, or young.
fn firm_rows(content: &CacheContent, rules: &Rules<'_>) -> Vec<Row> {
    let pins = rules.pins.iter().map(|pin| &pin.hash);
    let intents = content.intents.iter().filter(|intent| !intent.gone);
    let named = pins
        .chain(intents.flat_map(|intent| &intent.paths))
        .chain(rules.relied_on)
        .chain(&content.bound);
    let mut rows: Vec<Row> = named.filter_map(|hash| content.paths.row(hash)).collect();
    rows.extend(
        content.paths.rows().filter(|row| {
            content.now.since(content.narinfos[*row as usize].modified) < rules.grace
        }),
    );
    rows
}

/// Rows that no record covers and that are kept as foreign content; writes down until when.
fn foreign_rows(content: &CacheContent, rules: &Rules<'_>, until: &mut [Option<Time>]) -> Vec<Row> {
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
            if content.narinfos[row as usize].modified < prune.modified {
                covered.insert(row);
            }
        }
    }
    let mut kept = Vec::new();
    for row in content.paths.rows().filter(|row| !covered.contains(*row)) {
        let end = match rules.foreign {
            Foreign::Keep => None,
            Foreign::Retention => {
                let name = content.paths.base_name(row);
                let class = rules.classifier.class(content.paths.hash(row), &name);
                let modified = content.narinfos[row as usize].modified;
                Some(modified.after(rules.classifier.retention(class)))
            }
        };
        until[row as usize] = end;
        if end.is_none_or(|end| end >= content.now) {
            kept.push(row);
        }
    }
    kept
}

/// Ends roots until what remains fits: takes them out of `kept`, and says which rows go for it.
fn end_over(
    content: &CacheContent,
    rules: &Rules<'_>,
    limit: u64,
    live: &mut RowSet,
    kept: &mut Vec<Term>,
) -> (RowSet, Option<u64>) {
    let graph = content.paths.refs();
    let mut would = live.clone();
    graph.reach_into(kept.iter().map(|term| term.row), &mut would);
    let mut counted = vec![false; content.nars.len()];
    let mut count = |row: Row| {
        content.narinfos[row as usize].nar.map_or(0, |nar| {
            let again = std::mem::replace(&mut counted[nar as usize], true);
            if again {
                0
            } else {
                content.nars[nar as usize].size
            }
        })
    };
    let mut bytes: u64 = rules.incoming + live.iter().map(&mut count).sum::<u64>();
    let too_big = (bytes > limit).then_some(bytes);
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
            let each = |row: Row| bytes += count(row);
            visit(term.row, &mut seen, each, |row| {
                graph.references(row).iter().copied()
            });
            bytes <= limit
        })
        .count();
    kept.truncate(fitting);
    let mut stays = live.clone();
    graph.reach_into(kept.iter().map(|term| term.row), &mut stays);
    let mut over = RowSet::new(content.paths.len());
    for row in would.iter().filter(|row| !stays.contains(*row)) {
        over.insert(row);
    }
    (over, too_big)
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
