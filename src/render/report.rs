//! What became of a plan, as text and as JSON.

use std::collections::BTreeSet;

use super::json;
use super::layout::{left, right, safe, width, wrap};
use super::style::Role;
use super::text::Layout;
use super::units::{count, elapsed, list, rate, size, things};
use crate::plan::address::Phase;
use crate::plan::report::{
    Outcome, PhaseOutcome, Remaining, Report, SecondLook, SecretFound, Seen, Signal, StepOutcome,
};
use crate::plan::step::Effect;

/// The report as JSON.
#[must_use]
pub fn json(report: &Report) -> String {
    json::pretty(report)
}

/// The report as text: for each phase what was planned and what happened, what went wrong in full,
/// the sum last.
#[must_use]
pub fn text(report: &Report, layout: Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let steps = || report.steps.iter();
    let columns = Columns {
        address: widest(&mut steps().map(|step| width(&safe(step.address.as_str())))).min(48),
        time: widest(&mut steps().map(|step| width(&elapsed(step.duration_ms)))),
    };
    for phase in &report.phases {
        page.phase(phase);
        let mut stage = None;
        for step in steps().filter(|step| step.address.is_in(phase.phase.word())) {
            // Steps that ran together share the time: it is said once.
            let time = (stage != Some(step.stage)).then_some(step.duration_ms);
            stage = Some(step.stage);
            page.step(step, time, &columns);
        }
        page.text.push('\n');
    }
    page.look(report);
    let role = if report.is_whole() {
        Role::Good
    } else {
        Role::Refusal
    };
    page.paragraph(&sum(report), 0, role);
    page.text
}

/// So many secrets of a step are shown.
const SECRETS: usize = 10;

/// Widths of columns.
struct Columns {
    address: usize,
    time: usize,
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

    fn phase(&mut self, phase: &PhaseOutcome) {
        let title = self
            .layout
            .palette()
            .paint(Role::Title, phase.phase.word())
            .to_string();
        for (at, line) in wrap(
            &in_numbers(phase),
            self.layout.width().saturating_sub(phase.phase.word().len()),
        )
        .into_iter()
        .enumerate()
        {
            let head = if at == 0 { title.as_str() } else { " " };
            self.put(&format!("{head}{line}"));
        }
    }

    fn step(&mut self, step: &StepOutcome, time: Option<u64>, columns: &Columns) {
        let (sign, word, role) = look(step);
        let sign = self.layout.palette().paint(role, sign).to_string();
        let address = left(&safe(step.address.as_str()), columns.address);
        let time = right(&time.map_or_else(String::new, elapsed), columns.time);
        self.put(&format!(
            "  {sign} {address}  {time}  {word}{}",
            deed(&step.outcome)
        ));
        match &step.outcome {
            Outcome::Done { effect, detail } => {
                if !detail.is_empty() {
                    self.paragraph(&safe(detail), 6, Role::Faint);
                }
                if *effect != step.promised_effect && !step.promised_effect.is_nothing() {
                    let text = format!("planned were {}", bare(&step.promised_effect));
                    self.paragraph(&text, 6, Role::Faint);
                }
            }
            Outcome::Unchanged => {}
            Outcome::Failed { why }
            | Outcome::Tolerated { why }
            | Outcome::Stale { why }
            | Outcome::Skipped { why } => {
                self.paragraph(&safe(why), 6, role);
                let planned = amount(&step.promised_effect);
                let planned = format!("planned: {}{planned}", safe(&step.promised));
                self.paragraph(&planned, 6, Role::Faint);
                if !step.did.is_nothing() {
                    let text = format!("done of it: {}", bare(&step.did));
                    self.paragraph(&text, 6, Role::Faint);
                }
            }
        }
        for secret in step.secrets.iter().take(SECRETS) {
            self.secret(secret);
        }
        if let Some(more) = step.secrets.len().checked_sub(SECRETS + 1) {
            let more = things(more as u64 + 1, "more secret");
            let text = format!("! {more}: `--format json` lists them");
            self.paragraph(&text, 6, Role::Advice);
        }
        self.seen(step);
    }

    /// A secret that was found: where, and how it is let pass.
    fn secret(&mut self, secret: &SecretFound) {
        let role = if secret.refused {
            Role::Refusal
        } else {
            Role::Advice
        };
        let what = if secret.refused {
            "not pushed"
        } else {
            "pushed all the same"
        };
        let text = format!("! {} ({what}) holds {}", secret.path, secret.told());
        self.paragraph(&safe(&text), 6, role);
        let text = format!(
            "take it out, and make it void; or let it pass: push.secrets.allow: [{{ fingerprint: \"{}\", reason: … }}]",
            secret.fingerprint
        );
        self.paragraph(&safe(&text), 8, Role::Faint);
    }

    /// What the second look says of a step, where that is not what its line says already.
    fn seen(&mut self, step: &StepOutcome) {
        let (text, role) = match (&step.seen, step.outcome.is_good()) {
            (Some(Seen::Pending), true) => (
                "looked again: it has not taken effect, or not all of it; it would be planned again"
                    .to_owned(),
                Role::Refusal,
            ),
            (Some(Seen::Unknown { why }), true) => (
                format!("looked again: nothing confirms it: {}", safe(&why.0)),
                Role::Unknown,
            ),
            (Some(Seen::Settled), false) => (
                "looked again: nothing of it is left to do by now".to_owned(),
                Role::Faint,
            ),
            _ => return,
        };
        self.paragraph(&text, 6, role);
    }

    /// What the second look says besides, and why there was none.
    fn look(&mut self, report: &Report) {
        let before = self.text.len();
        for error in &report.errors {
            let what: Vec<String> = error.what.iter().map(|what| safe(what)).collect();
            let text = format!("E {}: {}", list(&what), safe(&error.why.0));
            self.paragraph(&text, 0, Role::Refusal);
        }
        for one in &report.unreached {
            let text = format!(
                "x {} could not be looked at, and push writes to it: {}",
                safe(&one.what),
                safe(&one.effect)
            );
            self.paragraph(&text, 0, Role::Refusal);
        }
        // What was said above is not said again.
        let is_said = |what: &str| report.unreached.iter().any(|one| safe(&one.what) == what);
        for (what, why) in unseen(report) {
            if is_said(&what) {
                continue;
            }
            let text = format!("? looked again: {what} could not be seen: {why}");
            self.paragraph(&text, 0, Role::Unknown);
        }
        if let (Remaining::Unconfirmed { why }, None) = (&report.remaining, &report.second_look) {
            let text = format!(
                "Could not look again, so nothing confirms it: {}",
                safe(&why.0)
            );
            self.paragraph(&text, 0, Role::Unknown);
        }
        if let Some(why) = &report.journal {
            let text = format!(
                "The journal could not be written, so nothing more was begun: {}",
                safe(why)
            );
            self.paragraph(&text, 0, Role::Refusal);
        }
        if self.text.len() > before {
            self.text.push('\n');
        }
    }
}

/// `: 2 of 3 steps, 18 of 36 paths, 812.0 MiB of 1.6 GiB, in 12.3 s, 66.0 MiB/s`; once where all is as planned.
fn in_numbers(phase: &PhaseOutcome) -> String {
    let (planned, done) = (&phase.planned, &phase.done);
    let of = |done: u64, planned: u64, one: &str| {
        if done == planned {
            things(done, one)
        } else {
            format!("{} of {}", count(done), things(planned, one))
        }
    };
    let mut parts = vec![of(done.steps, planned.steps, "step")];
    if planned.paths > 0 || done.paths > 0 {
        parts.push(of(done.paths, planned.paths, "path"));
    }
    if done.bytes == planned.bytes && done.bytes > 0 {
        parts.push(size(done.bytes));
    } else if planned.bytes > 0 || done.bytes > 0 {
        parts.push(format!("{} of {}", size(done.bytes), size(planned.bytes)));
    }
    parts.push(format!("in {}", elapsed(phase.duration_ms)));
    // A speed of less than a second is that of caches and of starting.
    if phase.phase == Phase::Push && phase.moving_ms >= 1_000 {
        parts.extend(rate(done.bytes, phase.moving_ms));
    }
    format!(": {}", parts.join(", "))
}

/// Symbol, word and look of what became of a step.
fn look(step: &StepOutcome) -> (&'static str, &'static str, Role) {
    match (&step.outcome, &step.seen) {
        (Outcome::Done { .. }, Some(Seen::Pending)) => ("x", "ran", Role::Refusal),
        (Outcome::Done { .. }, Some(Seen::Unknown { .. })) => ("?", "ran", Role::Unknown),
        (Outcome::Unchanged, Some(Seen::Pending)) => ("x", "had nothing to do", Role::Refusal),
        (Outcome::Done { .. }, _) => ("✓", "done", Role::Good),
        (Outcome::Unchanged, _) => ("=", "nothing was left to do", Role::Faint),
        (Outcome::Failed { .. }, _) => ("x", "failed", Role::Refusal),
        (Outcome::Tolerated { .. }, _) if step.address.is_in("prune") => {
            ("!", "failed, and is let pass", Role::Advice)
        }
        (Outcome::Tolerated { .. }, _) => (
            "!",
            "failed, which `on-error: warn` lets pass",
            Role::Advice,
        ),
        (Outcome::Stale { .. }, _) => ("≠", "stale: did not run", Role::Refusal),
        (Outcome::Skipped { .. }, _) if !step.did.is_nothing() => {
            ("·", "did not end", Role::Advice)
        }
        (Outcome::Skipped { .. }, _) => ("·", "did not run", Role::Advice),
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
    let text = bare(effect);
    if text.is_empty() {
        text
    } else {
        format!(", {text}")
    }
}

/// `18 paths, 812.4 MiB`, as far as there is anything.
fn bare(effect: &Effect) -> String {
    let mut parts = Vec::new();
    if effect.paths > 0 {
        parts.push(things(effect.paths, "path"));
    }
    if effect.bytes > 0 {
        parts.push(size(effect.bytes));
    }
    parts.join(", ")
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
        (number(Outcome::is_tolerated), "failed and let pass"),
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
    let confirmed = confirmed(report);
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

/// `4 other changes are left: a, b, c and 1 more`.
fn others(look: &SecondLook) -> String {
    let mut names: Vec<String> = look
        .first_others
        .iter()
        .map(|one| safe(one.as_str()))
        .collect();
    let unnamed = look.others.saturating_sub(names.len() as u64);
    if unnamed > 0 && !names.is_empty() {
        names.push(format!("{} more", count(unnamed)));
    }
    let are = if look.others == 1 {
        "change is"
    } else {
        "changes are"
    };
    let names = match list(&names) {
        names if names.is_empty() => names,
        names => format!(": {names}"),
    };
    format!("{} other {are} left{names}", count(look.others))
}

/// `3 outputs are in error`.
fn in_error(report: &Report) -> String {
    let number = report.errors.iter().map(|error| error.what.len() as u64);
    let number = number.sum();
    let are = if number == 1 { "is" } else { "are" };
    format!("{} {are} in error", things(number, "output"))
}

/// What the second look could not see, and why, each once.
fn unseen(report: &Report) -> BTreeSet<(String, String)> {
    let unknowns = report.second_look.iter().flat_map(|look| &look.unknowns);
    unknowns
        .map(|unknown| (safe(&unknown.what), safe(&unknown.why.0)))
        .collect()
}

/// What the second look says, in the words of the last line.
fn confirmed(report: &Report) -> String {
    let Some(look) = &report.second_look else {
        return match &report.remaining {
            Remaining::Converged if !report.unreached.is_empty() => {
                let number = things(report.unreached.len() as u64, "cache");
                format!("; {number} could not be looked at")
            }
            Remaining::Converged if report.errors.is_empty() => {
                "; nothing was to change".to_owned()
            }
            Remaining::Converged => format!("; {}", in_error(report)),
            Remaining::Steps { .. } | Remaining::Unconfirmed { .. } => "; not confirmed".to_owned(),
        };
    };
    match &report.remaining {
        Remaining::Steps { steps } => format!(
            "; looked again: {} would still be planned",
            things(steps.len() as u64, "step")
        ),
        Remaining::Unconfirmed { .. } => {
            "; looked again: not all of it could be seen, so it is not confirmed".to_owned()
        }
        Remaining::Converged
            if look.unknowns.is_empty() && look.others == 0 && report.errors.is_empty() =>
        {
            "; looked again: everything is as `cache.yaml` says".to_owned()
        }
        Remaining::Converged => {
            let mut but = Vec::new();
            if !report.errors.is_empty() {
                but.push(in_error(report));
            }
            if look.others > 0 {
                but.push(others(look));
            }
            let unseen = unseen(report).len() as u64;
            if unseen > 0 {
                let number = things(unseen, "thing");
                but.push(format!("{number} could not be seen"));
            }
            format!(
                "; looked again: what was applied is as `cache.yaml` says; {}",
                but.join(", ")
            )
        }
    }
}
