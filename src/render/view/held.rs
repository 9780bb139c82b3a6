//! What is kept back from a cache, and why.

use super::{Detail, Item, Symbol};
use crate::config::model::CacheName;
use crate::plan::plan::{HeldPath, HeldReason, Plan};
use crate::render::layout::safe;
use crate::render::units;

/// Paths of a reason that the default detail names.
const NAMED: usize = 5;

/// What is kept back from one cache.
pub(super) struct KeptBack {
    /// One sentence.
    pub(super) sentence: Option<String>,
    /// Paths that are worth a line.
    pub(super) items: Vec<Item>,
    /// How many more of those there are.
    pub(super) more: u64,
    /// Whether somebody may wonder about it: more than "an upstream has it".
    pub(super) is_news: bool,
}

/// A reason in a few words, after a number of paths.
pub(in crate::render) fn words(reason: &HeldReason) -> String {
    match reason {
        HeldReason::Upstream(cache) => format!("in {}", safe(cache.as_str())),
        HeldReason::Excluded => "matched by push.exclude".to_owned(),
        HeldReason::TooLarge => "over max-path-size".to_owned(),
        HeldReason::NeedsHeld => "needing a path that is kept back".to_owned(),
        HeldReason::OtherClass => "of a class that does not go here by itself".to_owned(),
    }
}

/// Whether every path of the reason is worth a line.
const fn is_named(reason: &HeldReason, detail: Detail) -> bool {
    match detail {
        Detail::Concise => false,
        Detail::Default => matches!(reason, HeldReason::NeedsHeld | HeldReason::TooLarge),
        Detail::Full => true,
    }
}

pub(super) fn kept_back(plan: &Plan, cache: &CacheName, detail: Detail) -> KeptBack {
    let mut held: Vec<_> = plan
        .held_back
        .iter()
        .filter(|held| held.cache == *cache && !held.paths.is_empty())
        .collect();
    held.sort_by(|a, b| a.reason.cmp(&b.reason));
    let total: usize = held.iter().map(|held| held.paths.len()).sum();
    let reasons: Vec<String> = held
        .iter()
        .map(|held| {
            format!(
                "{} {}",
                units::count(held.paths.len() as u64),
                words(&held.reason)
            )
        })
        .collect();
    let sentence = (total > 0).then(|| {
        format!(
            "{} kept back: {}",
            units::count(total as u64),
            reasons.join(", ")
        )
    });
    let mut items = Vec::new();
    let mut more = 0;
    for held in &held {
        if !is_named(&held.reason, detail) {
            continue;
        }
        let shown = if detail == Detail::Full {
            held.paths.len()
        } else {
            NAMED
        };
        items.extend(
            held.paths
                .iter()
                .take(shown)
                .map(|path| item(path, &held.reason)),
        );
        more += held.paths.len().saturating_sub(shown);
    }
    let is_news = held.iter().any(|held| {
        !matches!(
            held.reason,
            HeldReason::Upstream(_) | HeldReason::OtherClass
        )
    });
    KeptBack {
        sentence,
        items,
        more: more as u64,
        is_news,
    }
}

fn item(path: &HeldPath, reason: &HeldReason) -> Item {
    let note = match (&path.needs, reason) {
        (Some(needs), _) => format!("needs {}, which is kept back", safe(&needs.to_string())),
        (None, HeldReason::NeedsHeld) => "needs a path that is kept back".to_owned(),
        (None, HeldReason::Excluded) => "matched by push.exclude".to_owned(),
        (None, reason) => words(reason),
    };
    Item {
        symbol: Symbol::Kept,
        text: safe(&path.path.to_string()),
        bytes: units::size(path.nar_size),
        note,
    }
}
