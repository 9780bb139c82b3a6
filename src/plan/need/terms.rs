//! Root records with what `cache.yaml` says of their classes.

use std::collections::BTreeSet;

use super::Rules;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;
use crate::plan::record::Root;
use crate::plan::time::Time;

/// A root with what `cache.yaml` says of its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) row: Row,
    pub(super) time: Time,
    pub(super) until: Time,
    pub(super) priority: u32,
    pub(super) renewed: bool,
}

/// The roots whose path is visible and whose class is declared; and the roots of other classes.
pub(super) fn terms<'c>(
    content: &'c CacheContent,
    rules: &Rules<'_>,
) -> (Vec<Term>, Vec<&'c Root>) {
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

/// The root records that ended and whose path goes or is gone, as numbers.
pub(super) fn ended(content: &CacheContent, rules: &Rules<'_>, live: &RowSet) -> Vec<usize> {
    content
        .roots
        .iter()
        .enumerate()
        .filter(|(_, root)| match content.paths.row(&root.hash) {
            Some(row) => rules.classifier.id(&root.class).is_some() && !live.contains(row),
            None => ended_without_path(root, rules, content.now),
        })
        .map(|(number, _)| number)
        .collect()
}

fn ended_without_path(root: &Root, rules: &Rules<'_>, now: Time) -> bool {
    let renewed = rules.renewed.contains(&(root.class.as_str(), root.hash));
    let until = rules
        .classifier
        .id(&root.class)
        .map(|id| root.modified.after(rules.classifier.retention(id)));
    !renewed && until.is_some_and(|until| until < now)
}
