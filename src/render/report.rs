//! What became of a plan, as text and as JSON.

use super::json;
use super::layout::{left, right, safe, width, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{count, elapsed, list, size, things};
use crate::plan::report::{Outcome, Remaining, Report, Signal, StepOutcome};
use crate::plan::step::Effect;

/// The report as JSON.
#[must_use]
pub fn json(report: &Report) -> String {
    json::pretty(report)
}

/// The report as text: what went as promised in short, what did not in full, the sum last.
#[must_use]
pub fn text(report: &Report, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    let columns = report
        .steps
        .iter()
        .map(|step| width(&safe(step.address.as_str())))
        .max();
    let columns = columns.unwrap_or(0).min(48);
    let times = report
        .steps
        .iter()
        .map(|step| width(&elapsed(step.duration_ms)))
        .max();
    for step in &report.steps {
        page.step(step, columns, times.unwrap_or(0));
    }
    if !report.steps.is_empty() {
        page.text.push('\n');
    }
    for error in &report.errors {
        let what: Vec<String> = error.what.iter().map(|what| safe(what)).collect();
        let text = format!("E {}: {}", list(&what), safe(&error.why.0));
        page.paragraph(&text, 2, Role::Refusal);
        page.text.push('\n');
    }
    page.remaining(&report.remaining);
    let sum = sum(report);
    let role = if report.is_whole() {
        Role::Good
    } else {
        Role::Refusal
    };
    page.paragraph(&sum, 0, role);
    page.text
}

struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    fn put(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn paragraph(&mut self, text: &str, indent: usize, role: Role) {
        for line in wrap(text, self.layout.width().saturating_sub(indent)) {
            let painted = self.layout.palette().paint(role, &line).to_string();
            self.put(&format!("{}{painted}", " ".repeat(indent)));
        }
    }

    fn step(&mut self, step: &StepOutcome, columns: usize, times: usize) {
        let (sign, word, role) = look(&step.outcome);
        let sign = self.layout.palette().paint(role, sign).to_string();
        let address = left(&safe(step.address.as_str()), columns);
        let time = right(&elapsed(step.duration_ms), times);
        self.put(&format!(
            "  {sign} {address}  {time}  {word}{}",
            deed(&step.outcome)
        ));
        match &step.outcome {
            Outcome::Done { effect, detail } => {
                if !detail.is_empty() {
                    self.paragraph(&safe(detail), 6, Role::Faint);
                }
                if *effect != step.promised_effect {
                    let promised = amount(&step.promised_effect);
                    let text = format!("promised: {}{promised}", safe(&step.promised));
                    self.paragraph(&text, 6, Role::Faint);
                }
            }
            Outcome::Unchanged => {}
            Outcome::Failed { why } | Outcome::Stale { why } | Outcome::Skipped { why } => {
                self.paragraph(
                    &format!("promised: {}", safe(&step.promised)),
                    6,
                    Role::Faint,
                );
                self.paragraph(&safe(why), 6, role);
            }
        }
    }

    fn remaining(&mut self, remaining: &Remaining) {
        match remaining {
            Remaining::Converged => {}
            Remaining::Steps { steps } => {
                let head = format!(
                    "Looked again: {} would still be planned, so this has not converged:",
                    things(steps.len() as u64, "step")
                );
                self.paragraph(&head, 0, Role::Refusal);
                for address in steps {
                    self.put(&format!("  x {}", safe(address.as_str())));
                }
                self.text.push('\n');
            }
            Remaining::Unconfirmed { why } => {
                let text = format!(
                    "Could not look again, so nothing confirms it: {}",
                    safe(&why.0)
                );
                self.paragraph(&text, 0, Role::Unknown);
                self.text.push('\n');
            }
        }
    }
}

/// Symbol, word and look of an outcome.
const fn look(outcome: &Outcome) -> (&'static str, &'static str, Role) {
    match outcome {
        Outcome::Done { .. } => ("✓", "done", Role::Good),
        Outcome::Unchanged => ("=", "was done already", Role::Faint),
        Outcome::Failed { .. } => ("x", "failed", Role::Refusal),
        Outcome::Stale { .. } => ("≠", "stale: did not run", Role::Refusal),
        Outcome::Skipped { .. } => ("·", "did not run", Role::Advice),
    }
}

fn deed(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { effect, .. } => amount(effect),
        _ => String::new(),
    }
}

/// `, 18 paths, 812.4 MiB`, as far as there is anything.
fn amount(effect: &Effect) -> String {
    let mut text = String::new();
    if effect.paths > 0 {
        text.push_str(", ");
        text.push_str(&things(effect.paths, "path"));
    }
    if effect.bytes > 0 {
        text.push_str(", ");
        text.push_str(&size(effect.bytes));
    }
    text
}

/// The last line.
fn sum(report: &Report) -> String {
    let number = |holds: fn(&Outcome) -> bool| report.count(holds) as u64;
    let parts = [
        (
            number(|outcome| matches!(outcome, Outcome::Done { .. })),
            "done",
        ),
        (
            number(|outcome| matches!(outcome, Outcome::Unchanged)),
            "done already",
        ),
        (
            number(|outcome| matches!(outcome, Outcome::Failed { .. })),
            "failed",
        ),
        (
            number(|outcome| matches!(outcome, Outcome::Stale { .. })),
            "stale",
        ),
        (
            number(|outcome| matches!(outcome, Outcome::Skipped { .. })),
            "not run",
        ),
    ];
    let mut words: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(*number)))
        .collect();
    if words.is_empty() {
        words.push("nothing to do".to_owned());
    }
    let confirmed = match &report.remaining {
        Remaining::Converged if report.errors.is_empty() && report.unseen.is_empty() => {
            "; looked again: everything is as `cache.yaml` says".to_owned()
        }
        Remaining::Converged => {
            let mut what: Vec<String> = report
                .errors
                .iter()
                .flat_map(|error| &error.what)
                .chain(&report.unseen)
                .map(|what| safe(what))
                .collect();
            if what.len() > 3 {
                let more = what.len() - 3;
                what.truncate(3);
                what.push(format!("{} more", count(more as u64)));
            }
            format!(
                "; looked again: what could be seen is as `cache.yaml` says, which leaves out {}",
                list(&what)
            )
        }
        Remaining::Steps { .. } => "; not converged".to_owned(),
        Remaining::Unconfirmed { .. } => "; not confirmed".to_owned(),
    };
    let ended = match report.interrupted {
        Some(Signal::Interrupted) => "Interrupted",
        Some(Signal::Terminated) => "Terminated",
        None if report.is_whole() => "Applied",
        None => "Partly applied",
    };
    let ended = if report.did_something() || report.is_whole() || report.interrupted.is_some() {
        ended
    } else {
        "Not applied"
    };
    format!(
        "{ended}: {} in {}{confirmed}.",
        words.join(", "),
        elapsed(report.duration_ms)
    )
}
