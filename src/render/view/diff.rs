//! How a file changes, line by line.

use similar::{ChangeTag, TextDiff};

use crate::render::layout::safe;

/// A line of a unified diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// `+`, `-`, a space for context, or `…` where lines are left out.
    pub sign: char,
    /// The line, safe to show.
    pub text: String,
}

/// The difference of two texts with `context` unchanged lines around each change.
pub(super) fn diff(before: &str, after: &str, context: usize) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    let diff = TextDiff::from_lines(before, after);
    for group in diff.grouped_ops(context) {
        if !lines.is_empty() {
            lines.push(DiffLine {
                sign: '…',
                text: String::new(),
            });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let text = change.value();
            let line = text.strip_suffix('\n').unwrap_or(text);
            lines.push(DiffLine {
                sign,
                text: safe(line),
            });
        }
    }
    lines
}
