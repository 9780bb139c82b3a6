//! From the bytes of a `cache.yaml` to a [`Config`], or every problem of it at once.
//!
//! The order: text, shape (the schema), meaning (the rules). Each step goes on with what the step
//! before found nothing wrong with, so that one run shows everything.

use super::check::{Check, below};
use super::code::Code;
use super::model::Config;
use super::problem::{Problem, Problems, Severity};
use super::raw::{RawConfig, VERSION};
use super::rules::{caches, classes, leaks, ledger, optimize, pins, project, prune, push};
use super::shape;
use super::units::Span;
use crate::text::yaml::{Document, Fault, FaultKind, Value};

/// Reads a `cache.yaml`; `file_name` is how messages call it. With the configuration come its
/// warnings.
///
/// # Errors
///
/// All problems, with their places, if one of them makes the file unusable.
pub fn read(file_name: &str, bytes: &[u8]) -> Result<(Config, Problems), Problems> {
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(fault) => return Err(unreadable(file_name, fault)),
    };
    let mut check = Check::new(&document);
    let hide = leaks::check(&mut check);
    duplicates(&mut check);
    let config = if version(&mut check) {
        meaning(&mut check, file_name)
    } else {
        None
    };
    let problems = Problems::new(file_name, &document.text, &hide, check.problems);
    match config {
        Some(config) if !problems.has_errors() => Ok((config, problems)),
        _ => Err(problems),
    }
}

fn unreadable(file_name: &str, fault: Fault) -> Problems {
    let (code, help) = match fault.kind {
        FaultKind::TooLarge => (
            Code::TooLarge,
            "is this the right file? A cache.yaml has a few kilobytes",
        ),
        FaultKind::NotText => (
            Code::NotText,
            "is this the right file? A cache.yaml is UTF-8 text",
        ),
        FaultKind::Empty => (Code::Empty, "`nanna-cache init` writes a first one"),
        FaultKind::ManyDocuments => (
            Code::ManyDocuments,
            "keep one document: take the `---` and what follows out",
        ),
        FaultKind::Tab => (Code::Tab, "indent with spaces"),
        FaultKind::TooComplex => (
            Code::TooComplex,
            "is this the right file? If so, write it flatter and without aliases of aliases",
        ),
        FaultKind::Syntax => (
            Code::Syntax,
            "texts with `: `, ` #`, or that begin with one of `*&!|>%@[]{}'\"`, need quotes: '…'",
        ),
    };
    let mut problem = Problem::new(code, fault.message).help(help);
    if let Some(span) = fault.span {
        problem = problem.at(span, "");
    }
    let mut list = vec![problem];
    for leak in super::leak::find(&fault.text) {
        let problem = Problem::new(Code::Secret, format!("{} stands in the file", leak.what));
        list.push(
            problem
                .at(leak.span, "not shown")
                .help("take it out and replace it by a new one"),
        );
    }
    Problems::new(file_name, &fault.text, &[], list)
}

fn duplicates(check: &mut Check<'_>) {
    for duplicate in &check.document.duplicates {
        let mut problem = Problem::new(
            Code::DuplicateKey,
            format!("the key `{}` stands more than once", duplicate.key),
        );
        for (at, span) in duplicate.spans.iter().enumerate() {
            problem = problem.at(*span, if at == 0 { "first here" } else { "again here" });
        }
        check
            .problems
            .push(problem.help("keep one of them; Nix and people would each believe another"));
    }
}

/// Whether the file is of a version that we know. If not, its words mean nothing to us.
fn version(check: &mut Check<'_>) -> bool {
    let Some(found) = check.document.find("/version") else {
        return true;
    };
    let (Value::Number(number), span) = (&found.node.value, found.value_span()) else {
        return true;
    };
    if number.as_u64() == Some(u64::from(VERSION)) {
        return true;
    }
    let newer = number
        .as_u64()
        .is_some_and(|number| number > u64::from(VERSION));
    let message = format!("version {number} of the format is not known");
    let help = if newer {
        format!("this program knows version {VERSION}; a newer nanna-cache may know more")
    } else {
        format!("write `version: {VERSION}`")
    };
    check.report(
        Problem::new(Code::UnknownVersion, message)
            .at(span, "")
            .help(help),
    );
    false
}

fn meaning(check: &mut Check<'_>, file_name: &str) -> Option<Config> {
    let shaped = shape::check(check)?;
    let raw: RawConfig = match serde_path_to_error::deserialize(shaped.json) {
        Ok(raw) => raw,
        Err(error) => {
            // The schema let pass what the types refuse: our mistake, but the file is told.
            let message = format!("`{}` cannot be read: {}", error.path(), error.inner());
            let problem = Problem::new(Code::InvalidValue, message);
            check.report(problem.at(check.value(""), ""));
            return None;
        }
    };
    project::check(check, &raw);
    let caches = caches::check(check, &raw);
    let classes = classes::check(check, &raw);
    let config = Config {
        setup: push::setup(check, &raw, &caches),
        push: push::check(check, &raw, &caches),
        optimize: optimize::check(check, &raw),
        prune: prune::check(check, &raw),
        ledger: ledger::check(check, &raw, &caches),
        targets: ledger::targets(check, &raw),
        prices: ledger::prices(&raw),
        pins: pins::check(check, &raw),
        places: check.document.places(file_name),
        // What cannot be read has been reported with the classes, and no such file is valid.
        retention: raw.defaults.retention.parse().unwrap_or(Span(u64::MAX)),
        project: raw.project,
        flake: raw.flake,
        systems: raw.systems,
        caches,
        classes,
    };
    unexplained(check, &shaped.refused);
    Some(config)
}

/// What the schema refuses is wrong, even if no rule said so.
fn unexplained(check: &mut Check<'_>, refused: &[String]) {
    for pointer in refused {
        let (value, entry) = (check.value(pointer), check.entry(pointer));
        let inside = |start: usize| start == value.start || start == entry.start;
        // `propertyNames` refuses a key of the mapping that is meant here.
        let keys: Vec<usize> = check
            .names(pointer)
            .into_iter()
            .map(|key| check.entry(&below(pointer, key)).start)
            .collect();
        let said = check
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        let mut starts = said
            .flat_map(|problem| &problem.labels)
            .map(|label| label.span.start);
        if !starts.any(|start| inside(start) || keys.contains(&start)) {
            check.report(
                Problem::new(Code::InvalidValue, "this value is not possible here").at(value, ""),
            );
        }
    }
}
