//! What matters of what Nix prints when it fails.

/// Longest message that is passed on, in characters.
const MAX: usize = 400;

/// The essential line of Nix's error output: what follows the last `error:`, or the last line.
#[must_use]
pub fn essential(stderr: &str) -> String {
    let lines: Vec<String> = stderr.lines().map(plain).collect();
    let error = lines.iter().enumerate().rev().find_map(|(at, line)| {
        let (before, after) = line.split_once("error:")?;
        // `error:` also stands inside sentences; a message of Nix's own has it at the front.
        if !before.trim().is_empty() {
            return None;
        }
        let rest = after.trim();
        if !rest.is_empty() {
            // Newer versions say in a line of its own why something cannot be built.
            let reason = lines[at + 1..].iter().map(|line| line.trim());
            let reason = reason.filter(|line| line.starts_with("Reason:")).take(1);
            return Some(
                std::iter::once(rest)
                    .chain(reason)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        // Newer versions put the trace there, and the message after another `error:`.
        lines[at + 1..]
            .iter()
            .map(|line| line.trim())
            .find(|line| !line.is_empty())
            .map(str::to_owned)
    });
    let last = || {
        let last = lines
            .iter()
            .map(|line| line.trim())
            .rfind(|line| !line.is_empty());
        last.unwrap_or("it said nothing").to_owned()
    };
    let text = error.unwrap_or_else(last);
    if text.chars().count() <= MAX {
        return text;
    }
    let mut short: String = text.chars().take(MAX).collect();
    short.push('…');
    short
}

/// A line without colours and other control characters.
pub(super) fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // A colour is `ESC [ … letter`.
            if chars.next() == Some('[') {
                for c in chars.by_ref() {
                    if c.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
        } else if c == '\t' || !c.is_control() {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_matters() {
        assert_eq!(
            essential("warning: dirty\nerror: broken on purpose\n"),
            "broken on purpose"
        );
        let new = "error:\n       … while calling x\n         at y\n\n       \u{1b}[31;1merror:\u{1b}[0m broken\n";
        assert_eq!(essential(new), "broken");
        assert_eq!(essential("error:\n  only here\n"), "only here");
        assert_eq!(essential("an error: inside\nlast words\n\n"), "last words");
        let why =
            "error: Cannot build 'x.drv'.\n       Reason: builder failed.\n       Output: y\n";
        assert_eq!(
            essential(why),
            "Cannot build 'x.drv'. Reason: builder failed."
        );
        assert_eq!(essential(""), "it said nothing");
        assert_eq!(
            essential(&format!("error: {}", "é".repeat(500)))
                .chars()
                .count(),
            MAX + 1
        );
    }
}
