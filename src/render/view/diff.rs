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
    // A last line that is only ended is not a change to be looked at.
    let ended = format!("{before}\n");
    let is_open = !before.is_empty() && !before.ends_with('\n');
    let before = if is_open && after.starts_with(&ended) && after.len() > ended.len() {
        &ended
    } else {
        before
    };
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

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn a_line_that_is_only_ended_is_no_change() {
        let signs = |before: &str, after: &str| -> String {
            let lines = diff(before, after, 3);
            lines.iter().map(|line| line.sign).collect()
        };
        assert_eq!(signs("a = 1\nb = 2", "a = 1\nb = 2\nc = 3\n"), "  +");
        assert_eq!(signs("a = 1\n", "a = 1\nc = 3\n"), " +");
        assert_eq!(signs("a = 1", "a = 1\n"), "-+", "all there is to see");
        assert_eq!(signs("a = 1", "a = 2\nc = 3\n"), "-++");
        assert_eq!(signs("", "c = 3\n"), "+");
    }
}
