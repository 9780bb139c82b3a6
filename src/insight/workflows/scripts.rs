//! What scripts of `run:` steps do to Nix's settings, and commands in them that do not exist.

use super::read::{Workflow, get, text};
use super::{Code, Finding};

/// Commands that do not exist, and what does what they were meant for.
const UNKNOWN: &[(&str, &str)] = &[
    (
        "cachix info",
        "leave it out; `nanna-cache status` tells how things stand",
    ),
    (
        "nix store optimise --dry-run",
        "`nix store optimise` has no such flag; `nanna-cache status` only looks",
    ),
];

/// Judges the scripts of one file.
pub(super) fn file(workflow: &Workflow, found: &mut Vec<Finding>) {
    for step in workflow.steps() {
        let Some(node) = get(step.node, "run") else {
            continue;
        };
        let Some(script) = text(node) else { continue };
        let lines: Vec<&str> = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
            .collect();
        let mut say = |code, needle: &str, message: &str, help: &str| {
            let span = workflow.within(node.span, needle);
            found.push(workflow.finding(code, span, message, help));
        };
        for (command, help) in UNKNOWN {
            if lines.iter().any(|line| has_words(line, command)) {
                let message = format!("there is no `{command}`: the step ends in an error");
                say(Code::CommandUnknown, command, &message, help);
            }
        }
        let exported = lines.iter().any(|line| line.contains("export NIX_CONFIG"));
        if exported && !script.contains("GITHUB_ENV") {
            say(
                Code::ConfLost,
                "export NIX_CONFIG",
                "what is exported ends with this step's process: no later step sees these settings",
                "declare them under `optimize` and run `nanna-cache optimize --apply`, or write them to \
                 \"$GITHUB_ENV\"",
            );
        }
        if !script.contains("nix.conf") || !(script.contains('>') || script.contains("tee")) {
            continue;
        }
        for setting in ["substituters", "trusted-public-keys"] {
            if lines.iter().any(|line| assigns(line, setting)) {
                say(
                    Code::ConfOverrides,
                    setting,
                    &format!(
                        "`{setting} =` in nix.conf replaces what was set before, and each run appends it again"
                    ),
                    &format!(
                        "write `extra-{setting}`, or let `nanna-cache setup --apply` write it"
                    ),
                );
            }
        }
    }
}

/// Whether `line` has `command` as whole words.
fn has_words(line: &str, command: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    line.match_indices(command).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + command.len()..].starts_with(is_word)
    })
}

/// Whether `line` assigns the setting itself, not its `extra-` form.
fn assigns(line: &str, setting: &str) -> bool {
    line.match_indices(setting).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c == '-' || c.is_alphanumeric())
            && line[at + setting.len()..].trim_start().starts_with('=')
    })
}
