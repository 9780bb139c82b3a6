//! `status` as text and as JSON: one screen that says how things stand.

use std::fmt::Write as _;

use super::json;
use super::layout::{left, safe, shorten, width, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{count, duration, elapsed, list, percent, size, size_of, things};
use super::view::sum_parts;
use crate::insight::status::{CacheStatus, Coverage, Presence, Status};

/// Columns of a bar.
const BAR: usize = 20;

/// Widest name of something that is wanted.
const NAME: usize = 48;

/// Unknowns that are told; the others are counted.
const UNKNOWNS: usize = 4;

/// The status as JSON.
#[must_use]
pub fn json(status: &Status) -> String {
    json::pretty(status)
}

/// The status as text.
#[must_use]
pub fn text(status: &Status, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    let heading = format!("{} · {}", safe(&status.project), safe(&status.file));
    page.title(&heading);
    page.gap();
    page.caches(status);
    page.coverage(status);
    page.runs(status);
    page.unknowns(status);
    page.gap();
    let parts = sum_parts(&status.pending);
    let pending = if parts.is_empty() {
        "Nothing is pending.".to_owned()
    } else {
        format!(
            "Pending: {}. `nanna-cache reconcile` shows it.",
            parts.join(", ")
        )
    };
    page.paragraph("", &pending);
    page.text
}

/// How something stands, in a word.
#[must_use]
pub(super) fn presence(presence: Presence) -> &'static str {
    word(presence).0
}

/// How something stands, in a word, and how that looks.
fn word(presence: Presence) -> (&'static str, Role) {
    match presence {
        Presence::Whole => ("there", Role::Good),
        Presence::Upstream => ("upstream", Role::Good),
        Presence::Partly => ("partly", Role::Change),
        Presence::ToPush => ("to push", Role::Create),
        Presence::ToBuild => ("to build", Role::Work),
        Presence::KeptBack => ("kept back", Role::Faint),
        Presence::Nowhere => ("nowhere", Role::Unknown),
        Presence::Unknown => ("unknown", Role::Unknown),
    }
}

struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    fn gap(&mut self) {
        self.text.push('\n');
    }

    fn title(&mut self, text: &str) {
        let painted = self.layout.palette().paint(Role::Title, text);
        let _ = writeln!(self.text, "{painted}");
    }

    fn paragraph(&mut self, head: &str, text: &str) {
        let indent = width(head);
        let lines = wrap(text, self.layout.width().saturating_sub(indent));
        for (at, line) in lines.iter().enumerate() {
            let lead = if at == 0 { head } else { &" ".repeat(indent) };
            let _ = writeln!(self.text, "{lead}{line}");
        }
    }

    fn caches(&mut self, status: &Status) {
        let names = status.caches.iter().map(|one| width(one.cache.as_str()));
        let names = names.max().unwrap_or(0);
        let kinds = status.caches.iter().map(|one| width(&one.kind)).max();
        for one in &status.caches {
            let tier = one
                .tier
                .map_or_else(|| "no tier".to_owned(), |tier| format!("tier {tier} "));
            let head = format!(
                "  {}  {}  {tier}  ",
                left(&safe(one.cache.as_str()), names),
                left(&safe(&one.kind), kinds.unwrap_or(0)),
            );
            self.paragraph(&head, &filled(one));
        }
    }

    fn runs(&mut self, status: &Status) {
        if status.runs.is_empty() {
            return;
        }
        self.gap();
        self.title("last runs");
        for run in &status.runs {
            let ago = duration(status.now.since(run.start).0);
            let rate = run.paths.as_ref().map(|paths| {
                let percent = percent(paths.hit, paths.all);
                format!("{percent} of {} from caches", things(paths.all, "path"))
            });
            let pushed = run
                .push_millis
                .map(|millis| format!("pushed in {}", elapsed(millis)));
            let took = run.millis.map(|millis| format!("took {}", elapsed(millis)));
            let parts: Vec<String> = [rate, pushed, took].into_iter().flatten().collect();
            let head = format!("  {} ago  ", left(&ago, 10));
            let text = format!("{}: {}", safe(&run.what), parts.join(", "));
            self.paragraph(&head, text.trim_end_matches([':', ' ']));
        }
    }

    /// A table: what is wanted, by system, in each cache that takes it.
    fn coverage(&mut self, status: &Status) {
        let caches: Vec<_> = status
            .caches
            .iter()
            .map(|one| &one.cache)
            .filter(|cache| {
                status
                    .coverage
                    .iter()
                    .any(|one| one.caches.contains_key(*cache))
            })
            .collect();
        if caches.is_empty() {
            return;
        }
        let system = |one: &Coverage| one.system.as_deref().map_or_else(String::new, safe);
        let names = status.coverage.iter().map(|one| width(&safe(&one.what)));
        let names = names.max().unwrap_or(0).clamp(8, NAME);
        let systems = status.coverage.iter().map(|one| width(&system(one))).max();
        let systems = systems.unwrap_or(0);
        let columns: Vec<usize> = caches
            .iter()
            .map(|cache| width(cache.as_str()).max("kept back".len()))
            .collect();
        self.gap();
        let mut heading = format!("  {}  {}", left("wanted", names), left("", systems));
        for (cache, columns) in caches.iter().zip(&columns) {
            let _ = write!(heading, "  {}", left(&safe(cache.as_str()), *columns));
        }
        self.title(heading.trim_end());
        for one in &status.coverage {
            let name = shorten(&safe(&one.what), names);
            let _ = write!(
                self.text,
                "  {}  {}",
                left(&name, names),
                left(&system(one), systems)
            );
            for (cache, columns) in caches.iter().zip(&columns) {
                let (word, role) = one
                    .caches
                    .get(*cache)
                    .map_or(("", Role::Faint), |it| word(*it));
                let cell = left(word, *columns);
                let _ = write!(self.text, "  {}", self.layout.palette().paint(role, cell));
            }
            let end = self.text.trim_end().len();
            self.text.truncate(end);
            self.text.push('\n');
        }
        for cache in caches {
            let shares: Vec<String> = status
                .systems()
                .into_iter()
                .map(|system| (system, status.share(cache, system)))
                .filter(|(_, share)| share.all > 0)
                .map(|(system, share)| {
                    let of = system.map_or_else(String::new, |it| format!(" for {}", safe(it)));
                    let (has, all) = (count(share.has), count(share.all));
                    match share.unknown {
                        0 => format!("{has} of {all} ({}){of}", percent(share.has, share.all)),
                        unknown => format!("{has} of {all} ({} unknown){of}", count(unknown)),
                    }
                })
                .collect();
            if !shares.is_empty() {
                let head = format!("  {} has ", safe(cache.as_str()));
                self.paragraph(&head, &list(&shares));
            }
        }
    }

    fn unknowns(&mut self, status: &Status) {
        if status.unknowns.is_empty() {
            return;
        }
        self.gap();
        // One cause may have several effects; here the causes count.
        let mut lines: Vec<(&str, &str)> = Vec::new();
        for unknown in &status.unknowns {
            let line = (unknown.what.as_str(), unknown.why.0.as_str());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        for (what, why) in lines.iter().take(UNKNOWNS) {
            self.paragraph("  ? ", &format!("{}: {}", safe(what), safe(why)));
        }
        let more = lines.len().saturating_sub(UNKNOWNS);
        if more > 0 {
            self.paragraph(
                "  ? ",
                &format!("{more} more unknown; `nanna-cache reconcile` names them"),
            );
        }
    }
}

/// How full a cache is, in words and as a bar.
fn filled(one: &CacheStatus) -> String {
    let Some(budget) = &one.budget else {
        return match &one.unseen {
            Some(why) => format!("not seen: {}", safe(why)),
            None if one.exists == Some(false) => "not there yet".to_owned(),
            None => "nothing is known of how full it is".to_owned(),
        };
    };
    let about = if budget.estimated { "about " } else { "" };
    let mut text = match budget.max_size {
        Some(limit) => {
            let cells = u64::try_from(BAR).unwrap_or(0);
            let full =
                (u128::from(budget.bytes) * u128::from(cells)).div_ceil(u128::from(limit.max(1)));
            let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
            let bar = "█".repeat(full) + &"░".repeat(BAR - full);
            format!(
                "{bar} {about}{} ({})",
                size_of(budget.bytes, limit),
                percent(budget.bytes, limit)
            )
        }
        None => format!("{about}{}", size(budget.bytes)),
    };
    let _ = write!(text, ", {}", things(budget.paths, "path"));
    if budget.bytes_after != budget.bytes {
        let _ = write!(text, "; after the plan {}", size(budget.bytes_after));
    }
    if let Some(pins) = budget.pins {
        let _ = write!(text, ", {}", things(pins, "pin"));
    }
    if let Some(why) = &one.unseen {
        let _ = write!(text, "; not seen whole: {}", safe(why));
    }
    text
}

#[cfg(test)]
mod tests;
