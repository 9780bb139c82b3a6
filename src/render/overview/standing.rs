//! How things stand: the budget of each cache, what is where, what is pending and what was not seen.

use super::super::html::{Card, CardState, Section, Table};
use crate::config::model::CacheName;
use crate::insight::status::{CacheStatus, Presence, Status};
use crate::render::status::presence;
use crate::render::units::{count, percent, size, things};
use crate::render::view::sum_parts;

/// The figures at a glance.
pub(super) fn cards(status: &Status) -> Vec<Card> {
    let budgets = status.caches.iter().filter_map(|cache| {
        let budget = cache.budget.as_ref()?;
        let max = budget.max_size?;
        let about = if budget.estimated { "about " } else { "" };
        Some(Card {
            label: format!("Size of {}", cache.cache),
            value: size(budget.bytes),
            note: format!("{about}{} of {}", percent(budget.bytes, max), size(max)),
            state: if budget.bytes > max {
                CardState::Missed
            } else {
                CardState::Met
            },
        })
    });
    let parts = sum_parts(&status.pending);
    let pending = Card {
        label: "Pending".to_owned(),
        value: things(status.pending.changes, "change"),
        note: if parts.is_empty() {
            "nothing to do".to_owned()
        } else {
            parts.join(", ")
        },
        state: CardState::Plain,
    };
    let unknowns = status.unknowns.len() as u64;
    let unseen = (unknowns > 0).then(|| Card {
        label: "Not seen".to_owned(),
        value: things(unknowns, "thing"),
        note: "listed below with their reasons".to_owned(),
        state: CardState::Missed,
    });
    budgets.chain([pending]).chain(unseen).collect()
}

/// The parts of the page.
pub(super) fn sections(status: &Status) -> Vec<Section> {
    let section = |id, title, text, table| Section {
        table,
        ..super::section(id, title, text)
    };
    let all = [
        section(
            "caches",
            "Caches",
            "How full each cache is, as its place tells.",
            caches(status),
        ),
        section(
            "coverage",
            "Coverage",
            "What is wanted, and where it is with all that it needs.",
            coverage(status),
        ),
        section(
            "systems",
            "Systems",
            "How much of what each cache is to have is there, by system.",
            systems(status),
        ),
        section(
            "unknowns",
            "Not seen",
            "What could not be looked at, and what follows from it.",
            unknowns(status),
        ),
    ];
    all.into_iter()
        .filter(|section| !section.table.rows.is_empty())
        .collect()
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table {
        head: head.iter().map(|&word| word.to_owned()).collect(),
        rows,
    }
}

fn caches(status: &Status) -> Table {
    let row = |cache: &CacheStatus| {
        let tier = cache
            .tier
            .map_or_else(|| "–".to_owned(), |tier| tier.to_string());
        let (paths, used, limit) = match &cache.budget {
            Some(budget) => {
                let about = if budget.estimated { "about " } else { "" };
                let limit = budget.max_size.map_or_else(|| "none".to_owned(), size);
                (
                    count(budget.paths),
                    format!("{about}{}", size(budget.bytes)),
                    limit,
                )
            }
            None => ("–".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        let state = match (&cache.unseen, cache.exists) {
            (Some(why), _) => format!("not seen: {why}"),
            (None, Some(true)) => "there".to_owned(),
            (None, Some(false)) => "not there yet".to_owned(),
            (None, None) => "unknown".to_owned(),
        };
        vec![
            cache.cache.to_string(),
            cache.kind.clone(),
            tier,
            paths,
            used,
            limit,
            state,
        ]
    };
    let head = ["cache", "kind", "tier", "paths", "used", "limit", "state"];
    table(&head, status.caches.iter().map(row).collect())
}

fn coverage(status: &Status) -> Table {
    let names = takers(status);
    let tier = |name: &CacheName| {
        let cache = status.caches.iter().find(|cache| cache.cache == *name);
        match cache.and_then(|cache| cache.tier) {
            Some(tier) => format!("{name} (tier {tier})"),
            None => name.to_string(),
        }
    };
    let mut head = vec!["wanted".to_owned(), "system".to_owned(), "class".to_owned()];
    head.extend(names.iter().map(|name| tier(name)));
    let unknown = || "–".to_owned();
    let row = |one: &crate::insight::status::Coverage| {
        let mut row = vec![
            one.what.clone(),
            one.system.clone().unwrap_or_else(unknown),
            one.class.as_ref().map_or_else(unknown, ToString::to_string),
        ];
        row.extend(names.iter().map(|&name| {
            let there = one.caches.get(name);
            there.map_or_else(unknown, |&there| marked(there))
        }));
        row
    };
    Table {
        head,
        rows: status.coverage.iter().map(row).collect(),
    }
}

/// The caches that take something, in the order of the file.
fn takers(status: &Status) -> Vec<&CacheName> {
    let takes = |name: &&CacheName| {
        let mut all = status.coverage.iter();
        all.any(|one| one.caches.contains_key(*name))
    };
    let names = status.caches.iter().map(|cache| &cache.cache);
    names.filter(takes).collect()
}

/// By system, in each cache that takes something.
fn systems(status: &Status) -> Table {
    let caches = takers(status);
    let mut head = vec!["system".to_owned()];
    head.extend(caches.iter().map(ToString::to_string));
    let row = |system: Option<&str>| {
        let mut row = vec![system.unwrap_or("of none, or not known").to_owned()];
        row.extend(caches.iter().map(|cache| {
            let share = status.share(cache, system);
            let known = format!("{} of {}", count(share.has), count(share.all));
            match share.unknown {
                0 => known,
                unknown if unknown == share.all => "unknown".to_owned(),
                unknown => format!("{known}, {} unknown", count(unknown)),
            }
        }));
        row
    };
    Table {
        head,
        rows: status.systems().into_iter().map(row).collect(),
    }
}

/// How something stands, with a sign for those who look over many.
fn marked(there: Presence) -> String {
    let sign = match there {
        Presence::Whole | Presence::Upstream => "✓",
        Presence::Partly | Presence::ToPush | Presence::ToBuild => "…",
        Presence::KeptBack => "–",
        Presence::Nowhere => "✗",
        Presence::Unknown => "?",
    };
    format!("{sign} {}", presence(there))
}

fn unknowns(status: &Status) -> Table {
    let rows = status
        .unknowns
        .iter()
        .map(|one| vec![one.what.clone(), one.why.0.clone(), one.effect.clone()]);
    table(&["what", "why", "so"], rows.collect())
}
