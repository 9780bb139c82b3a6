//! The last line of a plan.

use super::{Notice, Options, Symbol};
use crate::plan::plan::Plan;
use crate::plan::step::Scope;
use crate::plan::summary::Summary;
use crate::render::units::{count, list, plural, size, things};

/// What the steps would do, one part for each kind.
pub(in crate::render) fn parts(sum: &Summary) -> Vec<String> {
    let mut parts = Vec::new();
    let mut add = |number: u64, text: String| {
        if number > 0 {
            parts.push(text);
        }
    };
    add(sum.create, format!("{} to create", count(sum.create)));
    add(sum.change, format!("{} to change", count(sum.change)));
    add(sum.fetch, format!("{} to fetch", count(sum.fetch)));
    add(sum.build, format!("{} to build", count(sum.build)));
    let later = match sum.push_later {
        0 => String::new(),
        outputs => format!(", more after {}", things(outputs, "build")),
    };
    if sum.push_paths > 0 || sum.push_later == 0 {
        add(
            sum.push_paths,
            format!(
                "{} to push ({}{later})",
                count(sum.push_paths),
                size(sum.push_bytes)
            ),
        );
    } else {
        add(
            sum.push_later,
            format!(
                "{} to push (paths known after the build)",
                things(sum.push_later, "output")
            ),
        );
    }
    add(sum.sign, format!("{} to sign", count(sum.sign)));
    add(
        sum.recompress,
        format!(
            "{} to compress anew ({})",
            count(sum.recompress),
            size(sum.recompress_bytes)
        ),
    );
    add(
        sum.roots_new,
        plural(sum.roots_new, "new root", "new roots"),
    );
    add(sum.pin, format!("{} to pin", count(sum.pin)));
    add(sum.unpin, format!("{} to unpin", count(sum.unpin)));
    let paths = sum.delete_paths;
    let files = sum.delete_files;
    let deleted = match (paths, files) {
        (paths, 0) => count(paths),
        (0, files) => plural(files, "unneeded file", "unneeded files"),
        (paths, files) => {
            format!(
                "{} and {}",
                things(paths, "path"),
                plural(files, "unneeded file", "unneeded files")
            )
        }
    };
    add(
        paths + files,
        format!("{deleted} to delete ({})", size(sum.delete_bytes)),
    );
    if paths + files == 0 {
        add(
            sum.roots_ended,
            plural(sum.roots_ended, "root", "roots") + " to end",
        );
    }
    parts
}

/// What is no step.
fn others(sum: &Summary) -> Vec<String> {
    let mut parts = Vec::new();
    if sum.error > 0 {
        parts.push(plural(sum.error, "error", "errors"));
    }
    if sum.refused > 0 {
        parts.push(plural(sum.refused, "refusal", "refusals"));
    }
    if sum.unknown > 0 {
        parts.push(format!("{} unknown", count(sum.unknown)));
    }
    if sum.advice > 0 {
        parts.push(format!("{} advice", count(sum.advice)));
    }
    parts
}

/// The last line: always the sum.
pub(super) fn sentence(plan: &Plan, sum: &Summary, notices: &[Notice], options: Options) -> String {
    let renews =
        (sum.roots_renewed > 0).then(|| format!("Renews {}.", things(sum.roots_renewed, "root")));
    let mut sentences = Vec::new();
    if sum.is_empty() {
        sentences.push(unchanged(plan, sum, options));
        sentences.push(compared(plan));
        sentences.extend(not_compared(notices));
        sentences.extend(renews);
        let rest = others(&Summary { unknown: 0, ..*sum });
        if !rest.is_empty() {
            sentences.push(format!("Also: {}.", rest.join(", ")));
        }
    } else {
        let mut all = parts(sum);
        all.extend(others(sum));
        sentences.push(format!("Plan: {}.", all.join(", ")));
        sentences.extend(renews);
        if sum.refused > 0 {
            sentences.push("Refused as it stands: nothing of it will be applied.".to_owned());
        } else if !options.applying {
            sentences.push("Nothing has been changed.".to_owned());
        }
    }
    sentences.join(" ")
}

/// That nothing changes, and how far that is known.
fn unchanged(plan: &Plan, sum: &Summary, options: Options) -> String {
    let seen = sum.unknown == 0 && sum.error == 0;
    let hidden = plan.steps.iter().filter(|step| step.is_change());
    let hidden = options.scope.map_or(0, |scope| {
        hidden.filter(|step| step.scope != scope).count() as u64
    });
    let (place, others) = match options.scope {
        Some(Scope::Shared) => (" to what is shared", "on this machine"),
        Some(Scope::Machine) => (" on this machine", "for what everybody shares"),
        None => ("", ""),
    };
    let place = if hidden > 0 { place } else { "" };
    let mut text = if seen {
        format!("No changes{place}")
    } else if sum.unknown == 0 {
        format!("No changes{place} besides what is in error")
    } else {
        format!("No changes{place} in what could be seen")
    };
    if hidden > 0 {
        let steps = plural(hidden, "step", "steps");
        let are = if hidden == 1 { "is" } else { "are" };
        text = format!(
            "{text}; {steps} {others} {are} not shown (a plan without `--for` or `--scope` shows them)"
        );
    }
    text + "."
}

/// What was compared.
fn compared(plan: &Plan) -> String {
    let caches = plan.caches.len() as u64;
    match (plan.counts.compared, caches) {
        (0, 0) => "What could be compared is as `cache.yaml` says.".to_owned(),
        (0, caches) => {
            format!("Compared {} with `cache.yaml`.", things(caches, "cache"))
        }
        // Only part of the plan was asked for, and how full caches are is another.
        (paths, 0) => format!(
            "Compared {} with `cache.yaml`.",
            things(paths, "wanted path")
        ),
        (paths, caches) => format!(
            "Compared {} in {} with `cache.yaml`.",
            things(paths, "wanted path"),
            things(caches, "cache")
        ),
    }
}

/// What was not compared.
fn not_compared(notices: &[Notice]) -> Option<String> {
    let unknown: Vec<String> = notices
        .iter()
        .filter(|notice| matches!(notice.symbol, Symbol::Unknown | Symbol::Error))
        .map(|notice| notice.about.clone())
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let shown = unknown.len().min(3);
    let mut names = unknown[..shown].to_vec();
    if unknown.len() > shown {
        names.push(format!("{} more", unknown.len() - shown));
    }
    Some(format!("Not compared: {}.", list(&names)))
}
