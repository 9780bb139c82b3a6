//! What can be said of a batch before the cache is asked, and its order.

use std::collections::HashMap;

use super::{Batch, Item, PushError};
use crate::nix::closure::{Graph, RowSet};
use crate::nix::store_path::{HashPart, StorePath};

/// Finds what is wrong with a batch whatever the cache holds.
pub(super) fn check(batch: &Batch) -> Result<(), PushError> {
    let wrong = |path: &StorePath, why: &str| {
        Err(PushError::Batch {
            path: path.clone(),
            why: why.to_owned(),
        })
    };
    let mut seen = HashMap::new();
    for item in &batch.items {
        if seen.insert(item.path.hash(), &item.path).is_some() {
            return wrong(&item.path, "it is in the batch twice");
        }
        if item.nar_size == 0 {
            return wrong(&item.path, "a NAR has more than 0 bytes");
        }
    }
    match Order::of(&batch.items)
        .cyclic
        .first()
        .and_then(|&at| batch.items.get(at))
    {
        Some(item) => wrong(&item.path, "its references lead back to it"),
        None => Ok(()),
    }
}

/// In which order a batch is worked off.
pub(super) struct Order {
    /// For each item: the items that it refers to, itself apart.
    pub(super) references: Vec<Vec<usize>>,
    /// For each item: the items that refer to it, itself apart.
    pub(super) referrers: Vec<Vec<usize>>,
    /// All items, those whose NARs are made first in front.
    pub(super) nars: Vec<usize>,
    /// Items that can have no order.
    pub(super) cyclic: Vec<usize>,
}

impl Order {
    /// Any order will do.
    pub(super) fn free(items: &[Item]) -> Self {
        Self {
            references: vec![Vec::new(); items.len()],
            referrers: vec![Vec::new(); items.len()],
            nars: (0..items.len()).collect(),
            cyclic: Vec::new(),
        }
    }

    pub(super) fn of(items: &[Item]) -> Self {
        let places: HashMap<HashPart, usize> = items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.path.hash(), at))
            .collect();
        let references: Vec<Vec<usize>> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let found = item
                    .references
                    .iter()
                    .filter_map(|r| places.get(&r.hash()).copied());
                found.filter(|&reference| reference != at).collect()
            })
            .collect();
        let mut referrers = vec![Vec::new(); items.len()];
        for (at, list) in references.iter().enumerate() {
            for &reference in list {
                if let Some(list) = referrers.get_mut(reference) {
                    list.push(at);
                }
            }
        }
        let row = |at: &usize| u32::try_from(*at).unwrap_or(u32::MAX);
        let graph = Graph::from_lists(references.iter().map(|list| list.iter().map(row)));
        let order = graph
            .map(|graph| graph.order_references_first(&RowSet::all(items.len())))
            .unwrap_or_default();
        // A path is wanted as early as the earliest that refers to it.
        let mut ranks: Vec<u32> = items.iter().map(|item| item.rank).collect();
        for &at in order.rows.iter().rev() {
            let at = at as usize;
            let rank = ranks[at];
            for &reference in &references[at] {
                ranks[reference] = ranks[reference].min(rank);
            }
        }
        let mut nars: Vec<usize> = (0..items.len()).collect();
        nars.sort_by_key(|&at| (ranks[at], std::cmp::Reverse(items[at].nar_size)));
        let cyclic = order.cyclic.iter().map(|&row| row as usize).collect();
        Self {
            references,
            referrers,
            nars,
            cyclic,
        }
    }
}
