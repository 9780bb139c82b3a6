//! What a job of GitHub Actions is told: annotations, outputs for later steps, the comment.
//!
//! Sources: the workflow commands and environment files of GitHub Actions. Promise: nothing foreign
//! becomes a command, a property, or a line of its own.

use std::fmt::Write as _;

use crate::plan::plan::Plan;
use crate::plan::report::{Report, SecretFound};
use crate::plan::step::Because;
use crate::plan::summary::Summary;
use crate::render::layout::safe;

/// So many annotations of each level a step may have; the rest stands in the summary.
const MOST: usize = 10;

/// Escapes the message of a workflow command.
pub(super) fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
pub(super) fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// An annotation: what, where, title, text.
fn annotation(level: &str, file: &str, because: &Because, title: &str, text: &str) -> String {
    let line = because
        .line
        .map_or_else(String::new, |line| format!(",line={line}"));
    format!(
        "::{level} file={}{line},title={}::{}\n",
        property(file),
        property(&safe(title)),
        message(&safe(text))
    )
}

/// What of a plan a reader of the changed files has to know, on the lines of `cache.yaml`: errors and refusals, then what
/// could not be seen and what a person has to do.
#[must_use]
pub fn annotations(plan: &Plan, file: &str) -> String {
    let nowhere = Because::default();
    let errors = plan.errors.iter().map(|error| {
        let what = error.what.join(", ");
        annotation("error", file, &error.because, &what, &error.why.0)
    });
    let refusals = plan.refusals.iter().map(|refusal| {
        let first = refusal.steps.first();
        let step = plan.steps.iter().find(|step| Some(&step.address) == first);
        let because = step.map_or(&nowhere, |step| &step.because);
        annotation("error", file, because, &refusal.code, &refusal.text)
    });
    let unknowns = plan.unknowns.iter().map(|unknown| {
        let text = format!("not seen: {}; {}", unknown.why.0, unknown.effect);
        annotation("warning", file, &nowhere, &unknown.what, &text)
    });
    let advice = plan.advice.iter().map(|advice| {
        annotation(
            "warning",
            file,
            &advice.because,
            &advice.about,
            &advice.text,
        )
    });
    let errors: Vec<String> = errors.chain(refusals).collect();
    let warnings: Vec<String> = unknowns.chain(advice).collect();
    let errors = errors.iter().take(MOST);
    errors
        .chain(warnings.iter().take(MOST))
        .map(String::as_str)
        .collect()
}

/// What was found in what was pushed, or was to be: as an error where it kept a path back.
#[must_use]
pub fn secrets(report: &Report) -> String {
    let found = report
        .steps
        .iter()
        .flat_map(|step| &step.secrets)
        .take(MOST);
    let line = |found: &SecretFound| {
        let level = if found.refused { "error" } else { "warning" };
        let text = format!("{}: {}", found.path, found.told());
        let title = format!("secret: {}", found.rule);
        format!(
            "::{level} title={}::{}\n",
            property(&safe(&title)),
            message(&safe(&text))
        )
    };
    found.map(line).collect()
}

/// Outputs for later steps, as lines of the file that `GITHUB_OUTPUT` names.
#[must_use]
pub fn outputs(plan: &Plan) -> String {
    let sum = Summary::of(plan);
    let mut text = String::new();
    for (name, number) in [
        ("changes", sum.changes),
        ("to-push", sum.push_paths),
        ("to-push-bytes", sum.push_bytes),
        ("to-delete", sum.delete_paths + sum.delete_files),
        ("to-delete-bytes", sum.delete_bytes),
        ("unknown", sum.unknown),
        ("refused", sum.refused),
    ] {
        let _ = writeln!(text, "{name}={number}");
    }
    text
}

/// The first line of our comment of a project; it is not shown.
#[must_use]
pub fn mark(project: &str, file: &str) -> String {
    let plain = |text: &str| -> String {
        let ok = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        // Two hyphens would end the remark.
        text.chars()
            .filter(|c| ok(*c))
            .collect::<String>()
            .replace("--", "-")
    };
    format!(
        "<!-- nanna-cache plan of {} in {} -->",
        plain(project),
        plain(file)
    )
}

/// The comment: the mark, the plan as Markdown, and where it comes from.
#[must_use]
pub fn comment(mark: &str, plan: &str, commit: Option<&str>, run: Option<&str>) -> String {
    let plan = plan.trim_end();
    let commit = commit.map_or_else(String::new, |commit| {
        let short: String = commit
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(10)
            .collect();
        format!(" for {short}")
    });
    let run = run.map_or_else(String::new, |run| format!(" by [this run]({run})"));
    format!("{mark}\n{plan}\n\n<sub>Planned{commit}{run}; nothing has been changed.</sub>\n")
}

#[cfg(test)]
mod tests;
