//! `artifacts`: the priority matrix.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::model::{Class, ClassName, ClosureKind, Output};
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::artifacts::RawClass;
use crate::config::raw::forms::{RawClosure, RawOutput};
use crate::config::units::{Size, Span};
use crate::text::yaml::Value;

/// What holds where a class says nothing.
struct Defaults {
    retention: Span,
    max_path_size: Option<Size>,
}

/// Checks `defaults` and `artifacts`.
pub(in crate::config) fn check(
    check: &mut Check<'_>,
    raw: &RawConfig,
) -> IndexMap<ClassName, Class> {
    let defaults = Defaults {
        retention: check
            .span("/defaults/retention", &raw.defaults.retention)
            .unwrap_or(Span(u64::MAX)),
        max_path_size: check.size_or_none("/defaults/max-path-size", &raw.defaults.max_path_size),
    };
    let mut classes = IndexMap::new();
    for (name, class) in &raw.artifacts {
        let pointer = below("/artifacts", name);
        check.name(&pointer, "an artifact class", name);
        let class = self::class(check, &pointer, class, &defaults, !raw.systems.is_empty());
        classes.insert(ClassName::new(name), class);
    }
    one_default(check, &classes);
    reachable(check, raw, &classes);
    retention(check, raw, &classes);
    classes
}

fn class(
    check: &mut Check<'_>,
    pointer: &str,
    raw: &RawClass,
    defaults: &Defaults,
    systems: bool,
) -> Class {
    let each = |key: &str, at: usize| below(&below(pointer, key), at.to_string());
    let patterns = raw.patterns.iter().enumerate();
    let patterns = patterns
        .filter_map(|(at, pattern)| check.regex(&each("match", at), pattern))
        .collect();
    for (at, output) in raw.outputs.iter().enumerate() {
        let item = each("outputs", at);
        let inner = below(&item, "installable");
        let place = if check.document.find(&inner).is_some() {
            inner
        } else {
            item
        };
        check.installable(&place, &output.installable, systems);
    }
    for (at, glob) in raw.directories.iter().enumerate() {
        check.glob(&each("directories", at), glob);
    }
    let empty = raw.patterns.is_empty() && raw.outputs.is_empty() && raw.directories.is_empty();
    if empty && !raw.default && check.intact(pointer) {
        let problem = Problem::new(Code::EmptyClass, "nothing can belong to this class");
        let help = "give it `match`, `outputs` or `directories`, or make it the `default`";
        check.report(problem.at(check.entry(pointer), "").help(help));
    }
    let retention = raw.retention.as_ref();
    let max_path_size = raw.max_path_size.as_ref();
    Class {
        priority: raw.priority,
        retention: match retention {
            // A duration that is none must not bring a second complaint about grace.
            Some(text) => check
                .span(&below(pointer, "retention"), text)
                .unwrap_or(Span(u64::MAX)),
            None => defaults.retention,
        },
        patterns,
        outputs: raw.outputs.iter().map(output).collect(),
        directories: raw.directories.clone(),
        max_path_size: match max_path_size {
            Some(text) => check.size_or_none(&below(pointer, "max-path-size"), text),
            None => defaults.max_path_size,
        },
        default: raw.default,
    }
}

fn output(raw: &RawOutput) -> Output {
    Output {
        installable: raw.installable.clone(),
        closure: match raw.closure {
            None | Some(RawClosure::Runtime) => ClosureKind::Runtime,
            Some(RawClosure::Build) => ClosureKind::Build,
            Some(RawClosure::Dev) => ClosureKind::Dev,
        },
    }
}

fn one_default(check: &mut Check<'_>, classes: &IndexMap<ClassName, Class>) {
    let defaults: Vec<&ClassName> = classes
        .iter()
        .filter(|(_, class)| class.default)
        .map(|(name, _)| name)
        .collect();
    let place = |check: &Check<'_>, name: &ClassName| {
        check.entry(&below(&below("/artifacts", name.as_str()), "default"))
    };
    match defaults.as_slice() {
        [_] => {}
        // A class of wrong shape may have been the default one.
        [] if !check.intact("/artifacts") => {}
        [] => {
            let problem = Problem::new(Code::MissingDefault, "no artifact class is the default");
            let help = "add `default: true` to the class of everything that no other class matches, or add one: \
                        `others: { priority: 10, default: true }`";
            check.report(problem.at(check.entry("/artifacts"), "").help(help));
        }
        [first, others @ ..] => {
            let mut problem = Problem::new(
                Code::DuplicateDefault,
                format!("{} artifact classes are the default", defaults.len()),
            );
            problem = problem.at(place(check, first), "the default");
            for other in others {
                problem = problem.at(place(check, other), "the default, too");
            }
            check.report(problem.help("leave `default: true` at one of them"));
        }
    }
}

/// Whether a pattern is found in every base name. Only spellings that people use; others are not
/// decided.
fn matches_all(pattern: &str) -> bool {
    const ALL: [&str; 9] = ["", ".", ".*", "^", "$", "^.*$", "^.*", ".*$", ".+"];
    ALL.contains(&pattern) || ["^.+$", ".+$", "^.+", "-", "(.*)"].contains(&pattern)
}

/// A class whose every rule is taken by an earlier class is a mistake: nothing reaches it.
fn reachable(check: &mut Check<'_>, raw: &RawConfig, classes: &IndexMap<ClassName, Class>) {
    let mut all: Option<(&str, String)> = None;
    let mut patterns: HashMap<&str, String> = HashMap::new();
    let mut outputs: HashMap<&str, String> = HashMap::new();
    let mut directories: HashMap<&str, String> = HashMap::new();
    for (name, class) in &raw.artifacts {
        let pointer = below("/artifacts", name);
        let each = |key: &str, at: usize| below(&below(&pointer, key), at.to_string());
        let mut taken: Vec<Option<String>> = Vec::new();
        for pattern in &class.patterns {
            let by = all.as_ref().map(|(_, place)| place.clone());
            taken.push(by.or_else(|| patterns.get(pattern.as_str()).cloned()));
        }
        for output in &class.outputs {
            taken.push(outputs.get(output.installable.as_str()).cloned());
        }
        for directory in &class.directories {
            taken.push(directories.get(directory.as_str()).cloned());
        }
        let by: Option<Vec<String>> = taken.into_iter().collect();
        let default = classes
            .get(&ClassName::new(name))
            .is_some_and(|class| class.default);
        match by.as_deref() {
            Some([first, ..]) if !default && check.intact(&pointer) => {
                let problem = Problem::new(
                    Code::UnreachableClass,
                    format!("nothing can reach the class `{name}`"),
                );
                let problem = problem.at(check.entry(&pointer), "never reached");
                let problem = problem.at(check.value(first), "an earlier class takes it all");
                check.report(problem.help("a path belongs to the first class that matches: move this class up, or narrow the earlier one"));
            }
            _ => {}
        }
        for (at, pattern) in class.patterns.iter().enumerate() {
            patterns.entry(pattern).or_insert_with(|| each("match", at));
            if all.is_none() && matches_all(pattern) {
                all = Some((pattern, each("match", at)));
            }
        }
        for (at, output) in class.outputs.iter().enumerate() {
            outputs
                .entry(&output.installable)
                .or_insert_with(|| each("outputs", at));
        }
        for (at, directory) in class.directories.iter().enumerate() {
            directories
                .entry(directory)
                .or_insert_with(|| each("directories", at));
        }
    }
}

/// What grace protects must not be shorter than grace, or retention means nothing.
fn retention(check: &mut Check<'_>, raw: &RawConfig, classes: &IndexMap<ClassName, Class>) {
    let Ok(grace) = raw.prune.grace.parse::<Span>() else {
        return;
    };
    if !check.intact("/prune/grace") {
        return;
    }
    let mut default_reported = false;
    for (name, class) in classes {
        if class.retention >= grace {
            continue;
        }
        let mut pointer = below(&below("/artifacts", name.as_str()), "retention");
        if check.document.find(&pointer).is_none() {
            if default_reported {
                continue;
            }
            default_reported = true;
            "/defaults/retention".clone_into(&mut pointer);
        }
        let message = format!(
            "a retention of {} is shorter than the grace of {grace}",
            class.retention
        );
        let mut problem =
            Problem::new(Code::RetentionBelowGrace, message).at(check.value(&pointer), "");
        if matches!(
            check
                .document
                .find("/prune/grace")
                .map(|found| &found.node.value),
            Some(Value::Text(_))
        ) {
            problem = problem.at(check.value("/prune/grace"), "the grace");
        }
        check.report(problem.help("nothing is deleted before its grace is over; make the retention longer or `prune.grace` shorter"));
    }
}
