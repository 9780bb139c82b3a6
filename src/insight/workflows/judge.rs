//! Steps that use an action for a cache, against `cache.yaml`, and against each other.
//!
//! What the versions of `cachix/cachix-action` know and do is that of its released versions 12 to 17.

mod inputs;

use std::collections::BTreeMap;

use super::declared::Declared;
use super::read::{Step, Workflow, entries, get, text};
use super::{Code, Finding};
use crate::text::place::ByteSpan;
use crate::text::yaml::Node;

/// The action that pushes to Cachix.
const CACHIX: &str = "cachix/cachix-action";

/// Actions that install Nix or touch a cache.
const ACTIONS: &[&str] = &[
    CACHIX,
    "cachix/install-nix-action",
    "DeterminateSystems/nix-installer-action",
    "DeterminateSystems/magic-nix-cache-action",
    "DeterminateSystems/determinate-nix-action",
    "DeterminateSystems/flakehub-cache-action",
    "nix-community/cache-nix-action",
];

/// Names that are branches, as good as always.
const BRANCHES: &[&str] = &["main", "master", "develop", "trunk"];

/// The newest major version of [`CACHIX`] whose ways are known here.
const NEWEST: u32 = 17;

/// Steps from which on repeating is told.
const MANY: usize = 3;

/// A step that uses an action of [`ACTIONS`].
struct Use<'w> {
    action: &'static str,
    /// What stands behind `@`.
    version: &'w str,
    /// Its major version, also that of a comment behind a hash.
    major: Option<u32>,
    span: ByteSpan,
    step: Step<'w>,
}

impl Use<'_> {
    fn with(&self) -> Option<&Node> {
        get(self.step.node, "with")
    }

    fn input(&self, name: &str) -> Option<&Node> {
        get(self.with()?, name)
    }
}

fn uses(workflow: &Workflow) -> Vec<Use<'_>> {
    let steps = workflow.steps().into_iter();
    let uses = steps.filter_map(|step| {
        let node = get(step.node, "uses")?;
        let (name, version) = text(node)?.split_once('@')?;
        let action = ACTIONS
            .iter()
            .find(|action| action.eq_ignore_ascii_case(name))?;
        let comment = workflow.rest_of_line(node.span).trim_start();
        let major = major(version).or_else(|| major(comment.strip_prefix('#')?.trim_start()));
        Some(Use {
            action,
            version,
            major,
            span: node.span,
            step,
        })
    });
    uses.collect()
}

/// The major version of `v15`, `15.1` or `v15.1.2 and words`.
fn major(version: &str) -> Option<u32> {
    let digits = version.strip_prefix('v').unwrap_or(version);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let ends_well = matches!(digits.as_bytes().get(end), None | Some(b'.' | b' '));
    if ends_well {
        digits[..end].parse().ok()
    } else {
        None
    }
}

/// Judges the steps of one file.
pub(super) fn file(declared: &Declared, workflow: &Workflow, found: &mut Vec<Finding>) {
    for used in uses(workflow) {
        version(workflow, &used, found);
        if used.action == CACHIX {
            inputs::judge(declared, workflow, &used, found);
        }
    }
}

fn version(workflow: &Workflow, used: &Use<'_>, found: &mut Vec<Finding>) {
    if BRANCHES.contains(&used.version) {
        found.push(workflow.finding(
            Code::ActionFloating,
            used.span,
            format!(
                "`{}@{}` is a branch: what it does can change with each run, and it runs beside the secrets",
                used.action, used.version
            ),
            "name a release, best by the hash of its commit with the version as a comment",
        ));
    }
    if let Some(major) = used
        .major
        .filter(|major| used.action == CACHIX && *major < NEWEST)
    {
        let mut finding = workflow.finding(
            Code::ActionOld,
            used.span,
            format!(
                "`{CACHIX}@{}` is version {major}; {NEWEST} is current, and inputs and filters differ between them",
                used.version
            ),
            format!("use `{CACHIX}@v{NEWEST}` everywhere"),
        );
        let old = workflow.raw(used.span);
        let tag = format!("@v{major}");
        let is_tag = old.trim_end_matches(['"', '\'']).ends_with(&tag);
        if is_tag {
            let new = old.replacen(&tag, &format!("@v{NEWEST}"), 1);
            finding.edit = workflow.replace(used.span, old, new);
        }
        found.push(finding);
    }
}

/// What a block is, without where it stands: the version, and its inputs in any order. `skipPush` rightly depends on
/// what starts the workflow; where it is missing, that is a finding of its own.
fn block(used: &Use<'_>) -> (String, BTreeMap<String, String>) {
    let inputs = used.with().map_or(&[][..], entries);
    let inputs = inputs
        .iter()
        .filter(|entry| entry.key != "skipPush")
        .map(|entry| (entry.key.clone(), entry.value.to_json().to_string()));
    (used.version.to_owned(), inputs.collect())
}

/// Judges all files together: steps that repeat, and such that differ though they do the same.
pub(super) fn together(workflows: &[Workflow], found: &mut Vec<Finding>) {
    let all: Vec<(&Workflow, Use<'_>)> = workflows
        .iter()
        .flat_map(|workflow| uses(workflow).into_iter().map(move |used| (workflow, used)))
        .collect();
    for action in ACTIONS {
        let same: Vec<_> = all
            .iter()
            .filter(|(_, used)| used.action == *action)
            .collect();
        let mut kinds: BTreeMap<_, usize> = BTreeMap::new();
        for (_, used) in &same {
            *kinds.entry(block(used)).or_default() += 1;
        }
        // Among equally frequent ones the last in order: which one does not matter, that it is the same one does.
        let Some((usual, times)) = kinds.iter().max_by_key(|(_, times)| **times) else {
            continue;
        };
        if *action == CACHIX
            && same.len() >= MANY
            && let Some((workflow, used)) = same.first()
        {
            found.push(workflow.finding(
                Code::BlocksRepeat,
                used.span,
                format!(
                    "`{action}` stands {} times in the workflows, kept equal by hand",
                    same.len()
                ),
                "let one step of `nanna-cache reconcile --apply` do it, or make it one composite action",
            ));
        }
        if *times < 2 || kinds.len() < 2 {
            continue;
        }
        for (workflow, used) in same.iter().filter(|(_, used)| block(used) != *usual) {
            let differs = differences(&block(used), usual);
            found.push(workflow.finding(
                Code::BlocksDiffer,
                used.span,
                format!(
                    "this step differs from {times} others of `{action}` in {}",
                    differs.join(", ")
                ),
                "make them equal, or one composite action of them",
            ));
        }
    }
}

fn differences(
    one: &(String, BTreeMap<String, String>),
    other: &(String, BTreeMap<String, String>),
) -> Vec<String> {
    let version = (one.0 != other.0).then(|| "its version".to_owned());
    let keys: std::collections::BTreeSet<&String> = one.1.keys().chain(other.1.keys()).collect();
    let inputs = keys
        .into_iter()
        .filter(|key| one.1.get(*key) != other.1.get(*key));
    version
        .into_iter()
        .chain(inputs.map(|key| format!("`{key}`")))
        .collect()
}
