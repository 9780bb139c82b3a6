//! Advice about `cache.yaml` as text, as JSON, and as a diff.

use std::fmt::Write as _;

use serde::Serialize;
use similar::TextDiff;

use super::json;
use super::layout::{safe, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{elapsed, percent, size, things};
use crate::insight::advise::{Advice, Recommendation};
use crate::insight::dependencies::{Cause, CriticalPath, Invalidated};
use crate::insight::warming::Warming;

/// How many of a list are shown in the text.
const SHOWN: usize = 5;

/// All that `advise` found.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// What of `cache.yaml` should be otherwise.
    pub advice: Advice,
    /// How well needs can be told ahead; none: too few runs.
    pub warming: Option<Warming>,
    /// What makes things be built anew, the worst first.
    pub causes: Vec<Cause>,
    /// The run that built longest, and its longest chain.
    pub slowest: Option<CriticalPath>,
    /// What changes of the inputs that were asked for would build anew.
    pub needs: Vec<Invalidated>,
}

/// The findings as JSON.
#[must_use]
pub fn json(findings: &Findings) -> String {
    json::pretty(findings)
}

/// The most useful change as a unified diff of the file called `name`; empty: there is none.
#[must_use]
pub fn diff(advice: &Advice, name: &str, before: &str) -> String {
    let best = advice.recommendations.first();
    best.map_or_else(String::new, |best| one_diff(best, name, before))
}

fn one_diff(one: &Recommendation, name: &str, before: &str) -> String {
    // An absolute name stands behind `a/` once, not twice.
    let name = name.trim_start_matches('/');
    let (old, new) = (format!("a/{name}"), format!("b/{name}"));
    let diff = TextDiff::from_lines(before, one.after.as_str());
    diff.unified_diff().header(&old, &new).to_string()
}

/// The findings as text.
#[must_use]
pub fn text(findings: &Findings, name: &str, before: &str, layout: Layout) -> String {
    let mut out = String::new();
    let advice = &findings.advice;
    let palette = layout.palette();
    let now = &advice.now;
    let _ = writeln!(
        out,
        "{} over {}: replayed, {} of what our caches could have had was there, and {} were built\n",
        things(advice.runs, "run"),
        things(advice.days, "day"),
        percent(now.hits, now.needed),
        elapsed(now.rebuild_millis),
    );
    for (at, one) in advice.recommendations.iter().enumerate() {
        let title = format!("{}. {}", at + 1, safe(&one.what));
        let _ = writeln!(out, "{}", palette.paint(Role::Title, title));
        let effect = &one.effect;
        let after = &effect.after;
        let said = format!(
            "{}. Effect: {} a week of building, {} on average, hits {} instead of {}.",
            safe(&one.why),
            signed(-effect.saved_millis, elapsed),
            signed(-effect.freed_bytes, size),
            percent(after.hits, after.needed),
            percent(now.hits, now.needed),
        );
        for line in wrap(&said, layout.width().saturating_sub(4)) {
            let _ = writeln!(out, "    {line}");
        }
        for line in one_diff(one, name, before).lines() {
            let role = match line.as_bytes().first() {
                Some(b'+') => Role::Create,
                Some(b'-') => Role::Delete,
                _ => Role::Faint,
            };
            let _ = writeln!(out, "    {}", palette.paint(role, safe(line)));
        }
        out.push('\n');
    }
    for hint in &advice.hints {
        let _ = writeln!(out, "! {}", safe(hint));
    }
    warming(&mut out, findings.warming.as_ref());
    builds(&mut out, findings);
    let sum = match (&advice.too_little, advice.recommendations.len()) {
        (Some(why), _) => format!("No advice: {why}."),
        (None, 0) => "No advice: nothing that was tried helps enough.".to_owned(),
        (None, many) => format!(
            "Advice: {}. Each stands alone; effects do not add up. Nothing has been changed.",
            things(many as u64, "change")
        ),
    };
    let _ = writeln!(out, "{sum}");
    out
}

fn warming(out: &mut String, warming: Option<&Warming>) {
    if let Some(warming) = warming {
        let _ = writeln!(
            out,
            "warming: of what {} needed, {} fetched ahead would have had {}; the most recently used {}; at best {}\n",
            things(warming.held_out, "held-out run"),
            size(warming.bytes),
            percent(warming.ours, warming.needed),
            percent(warming.recent, warming.needed),
            percent(warming.best, warming.needed),
        );
    }
}

fn builds(out: &mut String, findings: &Findings) {
    if !findings.causes.is_empty() {
        out.push_str("built anew because of\n");
        for cause in findings.causes.iter().take(SHOWN) {
            let (time, builds) = (elapsed(cause.millis), things(cause.builds, "build"));
            let _ = writeln!(out, "    {time:>12}  {}  {builds}", safe(&cause.name));
        }
        out.push('\n');
    }
    if let Some(path) = &findings.slowest {
        let _ = writeln!(
            out,
            "`{}` of {}: {} of building, {} at best\n    {}\n",
            safe(&path.what),
            path.start,
            elapsed(path.total_millis),
            elapsed(path.millis),
            chain(path),
        );
    }
    for needs in &findings.needs {
        let (many, time) = (
            things(needs.builds.len() as u64, "build"),
            elapsed(needs.millis),
        );
        let _ = writeln!(
            out,
            "a change of `{}` reaches {many}, {time}",
            safe(&needs.name)
        );
        for (name, millis) in needs.builds.iter().take(SHOWN) {
            let time = millis.map_or_else(|| "not timed".to_owned(), elapsed);
            let _ = writeln!(out, "    {time:>12}  {}", safe(name));
        }
        out.push('\n');
    }
}

fn chain(path: &CriticalPath) -> String {
    let steps = path
        .chain
        .iter()
        .map(|(name, millis)| format!("{} {}", safe(name), elapsed(*millis)));
    steps.collect::<Vec<_>>().join(" → ")
}

fn signed(number: i64, words: impl Fn(u64) -> String) -> String {
    let sign = match number {
        0 => "±",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", words(number.unsigned_abs()))
}
