//! The inputs of `cachix/cachix-action`.

use std::collections::BTreeSet;

use super::super::declared::{Cachix, Declared};
use super::super::read::{Workflow, entries, text};
use super::super::{Code, Finding};
use super::{CACHIX, NEWEST, Use};
use crate::text::yaml::{Node, Value};

/// Inputs, and the major version that had them first.
const INPUTS: &[(&str, u32)] = &[
    ("name", 0),
    ("extraPullNames", 0),
    ("authToken", 0),
    ("signingKey", 0),
    ("skipPush", 0),
    ("pathsToPush", 0),
    ("pushFilter", 0),
    ("cachixArgs", 0),
    ("installCommand", 0),
    ("skipAddingSubstituter", 13),
    ("useDaemon", 14),
    ("cachixBin", 14),
];

/// The oldest major version whose inputs are known.
const OLDEST: u32 = 12;

/// What in a condition keeps pull requests of forks away.
const GUARDS: &[&str] = &[
    "== 'push'",
    "!= 'pull_request",
    "github.ref ==",
    "github.ref_name ==",
    "head.repo.",
];

/// True for a pull request from a fork, false for everything else.
const FORK: &str = "skipPush: ${{ github.event.pull_request.head.repo.fork == true }}";

pub(super) fn judge(
    declared: &Declared,
    workflow: &Workflow,
    used: &Use<'_>,
    found: &mut Vec<Finding>,
) {
    unknown_inputs(workflow, used, found);
    let cache = name(declared, workflow, used, found);
    pull_names(declared, workflow, used, found);
    for input in ["authToken", "signingKey"] {
        if let Some(node) = used.input(input) {
            let variable = cache.and_then(|cache| match input {
                "authToken" => cache.token.as_deref(),
                _ => cache.signing_key.as_deref(),
            });
            secret(workflow, node, input, variable, found);
        }
    }
    if pushes(used) {
        filter(declared, workflow, used, found);
        forks(workflow, used, found);
    }
}

/// Whether the step pushes, at least sometimes.
fn pushes(used: &Use<'_>) -> bool {
    let has_right = used.input("authToken").is_some() || used.input("signingKey").is_some();
    has_right && !used.input("skipPush").is_some_and(is_true)
}

fn is_true(node: &Node) -> bool {
    match &node.value {
        Value::Bool(value) => *value,
        Value::Text(text) => text == "true",
        _ => false,
    }
}

fn is_expression(text: &str) -> bool {
    text.contains("${{")
}

fn unknown_inputs(workflow: &Workflow, used: &Use<'_>, found: &mut Vec<Finding>) {
    let Some(major) = used.major.filter(|major| (OLDEST..=NEWEST).contains(major)) else {
        return;
    };
    for entry in used.with().map_or(&[][..], entries) {
        let known = INPUTS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&entry.key));
        let help = match known {
            Some((_, since)) if *since <= major => continue,
            Some((_, since)) => format!("version {since} was the first to know it"),
            None => "leave it out, or correct its name".to_owned(),
        };
        let message = format!(
            "version {major} of `{CACHIX}` does not know `{}`: it is ignored in silence",
            entry.key
        );
        found.push(workflow.finding(Code::InputUnknown, entry.key_span, message, help));
    }
}

/// Judges the name of the cache; which of the declared it is.
fn name<'d>(
    declared: &'d Declared,
    workflow: &Workflow,
    used: &Use<'_>,
    found: &mut Vec<Finding>,
) -> Option<&'d Cachix> {
    let node = used.input("name")?;
    let name = text(node)?;
    if is_expression(name) {
        return None;
    }
    if let Some(cache) = declared.caches.iter().find(|cache| cache.name == name) {
        return Some(cache);
    }
    let message = format!("`{name}` is no cache of Cachix that cache.yaml declares");
    let mut finding = workflow.finding(
        Code::CacheName,
        node.span,
        message,
        "name a declared cache, or declare this one under `caches` with `type: cachix`",
    );
    if let [only] = declared.caches.as_slice() {
        finding.help = format!("cache.yaml declares `{}`", only.name);
        finding.edit = workflow.replace(node.span, name, only.name.clone());
    }
    found.push(finding);
    None
}

fn pull_names(declared: &Declared, workflow: &Workflow, used: &Use<'_>, found: &mut Vec<Finding>) {
    let Some(node) = used.input("extraPullNames") else {
        return;
    };
    let Some(names) = text(node).filter(|names| !is_expression(names)) else {
        return;
    };
    for name in names.split(',').map(str::trim) {
        if !name.is_empty() && declared.caches.iter().all(|cache| cache.name != name) {
            found.push(workflow.finding(
                Code::PullNames,
                workflow.within(node.span, name),
                format!("this step reads from `{name}`, which cache.yaml does not declare: only CI has it"),
                "declare it under `caches` with `type: cachix` and `read-only: true`, or leave it out",
            ));
        }
    }
}

/// Judges where a secret comes from. The text of what may be a secret is never repeated.
fn secret(
    workflow: &Workflow,
    node: &Node,
    input: &str,
    variable: Option<&str>,
    found: &mut Vec<Finding>,
) {
    let Some(value) = text(node) else { return };
    if !value.is_empty() && !is_expression(value) {
        found.push(workflow.finding(
            Code::SecretPlain,
            node.span,
            format!("`{input}` is plain text: everybody who reads the repository has it"),
            "revoke it, make a new one a secret of the repository, and write `${{ secrets.NAME }}`",
        ));
        return;
    }
    let (Some(variable), Some(name)) = (variable, secret_name(value)) else {
        return;
    };
    if name == variable {
        return;
    }
    let reference = format!("secrets.{name}");
    let span = workflow.within(node.span, &reference);
    let mut finding = workflow.finding(
        Code::SecretName,
        span,
        format!(
            "`{input}` is the secret `{name}`, cache.yaml has `{variable}`: one of them is not set"
        ),
        format!("use one name: give the repository the secret `{variable}`, and name it here"),
    );
    finding.edit = workflow.replace(span, &reference, format!("secrets.{variable}"));
    found.push(finding);
}

/// The secret of an expression such as `${{ secrets.NAME }}`.
fn secret_name(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("secrets.")?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// The alternatives of a filter such as `(-source$|\.tar$)`.
fn alternatives(filter: &str) -> BTreeSet<&str> {
    let mut inner = filter;
    if let Some(rest) = filter.strip_prefix('(').and_then(|f| f.strip_suffix(')'))
        && !rest.contains(['(', ')'])
    {
        inner = rest;
    }
    if inner.contains(['(', '[', ')', ']']) {
        return BTreeSet::from([inner]);
    }
    inner.split('|').collect()
}

fn filter(declared: &Declared, workflow: &Workflow, used: &Use<'_>, found: &mut Vec<Finding>) {
    if used.input("pathsToPush").is_some() {
        return;
    }
    let node = used.input("pushFilter");
    let Some(value) = node.map_or(Some(""), text) else {
        return;
    };
    if is_expression(value) {
        return;
    }
    let span = node.map_or(used.span, |node| node.span);
    let wanted: BTreeSet<&str> = declared
        .exclude
        .iter()
        .flat_map(|one| alternatives(one))
        .collect();
    let is = if value.is_empty() {
        BTreeSet::new()
    } else {
        alternatives(value)
    };
    if is != wanted {
        let wanted = match declared.exclude.as_slice() {
            [] => "is empty".to_owned(),
            some => format!("is `{}`", some.join("`, `")),
        };
        let is = match value {
            "" => "keeps nothing back".to_owned(),
            value => format!("keeps back `{value}`"),
        };
        let mut finding = workflow.finding(
            Code::FilterDiffers,
            span,
            format!("this step {is}, but `push.exclude` {wanted}"),
            "make both say the same, or push with `nanna-cache push --apply` and set `skipPush: true` here",
        );
        let anchored = declared.exclude.iter().any(|one| one.contains(['^', '\'']));
        if let Some(node) = node
            && !declared.exclude.is_empty()
            && !anchored
            && workflow.raw(node.span).lines().count() == 1
        {
            let old = workflow.raw(node.span).to_owned();
            let new = format!("'({})'", declared.exclude.join("|"));
            // The place of an alias holds its name, not the filter.
            finding.edit = (!old.starts_with('*'))
                .then(|| workflow.replace(node.span, &old, new))
                .flatten();
        }
        found.push(finding);
    }
    if let (Some(node), Some(major)) = (node.filter(|_| !value.is_empty()), used.major)
        && let Some(what) = defect(major)
    {
        found.push(workflow.finding(
            Code::FilterDefect,
            node.span,
            format!("`pushFilter` of version {major}: {what}; in every version it holds back only tops, not what they need"),
            "leave `pushFilter` out, set `skipPush: true`, and push with `nanna-cache push --apply`",
        ));
    }
}

/// What is wrong with the filter of a version.
const fn defect(major: u32) -> Option<&'static str> {
    match major {
        12 => Some("a list of which nothing remains makes the push fail"),
        14 => Some("while the daemon pushes it is ignored"),
        15 => Some("spaces, `$`, backticks and quotes in it are read by a shell"),
        16 | 17 => Some(
            "the first output that it holds back ends the loop, so later outputs of the same derivation are silently not pushed",
        ),
        _ => None,
    }
}

fn forks(workflow: &Workflow, used: &Use<'_>, found: &mut Vec<Finding>) {
    let target = workflow.is_started_by("pull_request_target");
    if !target && !workflow.is_started_by("pull_request") {
        return;
    }
    let guarded = |condition: &str| GUARDS.iter().any(|guard| condition.contains(guard));
    if used.step.conditions.iter().any(|text| guarded(text)) {
        return;
    }
    let skip = used.input("skipPush");
    if skip.and_then(text).is_some_and(is_expression) {
        return;
    }
    let why = if target {
        "with the secret: whoever opens a pull request can write into the cache"
    } else {
        "without the secret: whether it then fails or does nothing depends on the version"
    };
    let event = if target {
        "pull_request_target"
    } else {
        "pull_request"
    };
    let mut finding = workflow.finding(
        Code::ForkPush,
        used.span,
        format!("`{event}` starts this step for forks, too, {why}"),
        format!("add `{FORK}`"),
    );
    match (skip, used.with().map_or(&[][..], entries)) {
        (None, [first, ..]) => finding.edit = workflow.line_before(first, FORK),
        (Some(node), _) => {
            let old = workflow.raw(node.span);
            let value = FORK.trim_start_matches("skipPush: ").to_owned();
            if old.trim_matches(['"', '\'']) == "false" {
                finding.edit = workflow.replace(node.span, old, value);
            }
        }
        (None, []) => {}
    }
    found.push(finding);
}
