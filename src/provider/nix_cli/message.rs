//! What matters of what Nix prints when it fails.

/// Longest message that is passed on, in characters.
const MAX: usize = 400;

/// Words in messages about the machine or the network, in lower case: they say nothing about the project.
const ELSEWHERE: [&str; 33] = [
    "unable to download",
    "unable to access",
    "could not resolve",
    "couldn't resolve",
    "could not connect",
    "cannot connect",
    "couldn't connect",
    "connection refused",
    "connection reset",
    "timed out",
    "network is unreachable",
    "ssl ",
    "http error",
    "no space left",
    "disk quota",
    "permission denied",
    "read-only file system",
    "too many open files",
    "out of memory",
    "cannot allocate memory",
    "nix daemon",
    "sqlite database",
    "executing sqlite",
    "opening sqlite",
    "database is locked",
    "program failed with exit code",
    "failed to fetch",
    "cannot fetch",
    "failed to open archive",
    "experimental nix feature",
    "not supported by store",
    "know how to open nix store",
    "cannot open connection",
];

/// Whether a message of Nix's is about the machine or the network, and not about what was to be evaluated.
pub(super) fn is_elsewhere(message: &str) -> bool {
    let message = unquoted(message).to_lowercase();
    ELSEWHERE.iter().any(|words| message.contains(words))
}

/// The message without what it quotes: names that an author chose say nothing about the machine.
fn unquoted(message: &str) -> String {
    let mut words = Vec::new();
    let mut closing = None;
    for word in message.split_whitespace() {
        let bare = word.trim_start_matches(['(', '[']);
        let opening = bare.chars().next().and_then(|first| match first {
            '\'' => Some('\''),
            '"' => Some('"'),
            '‘' => Some('’'),
            '`' => Some('`'),
            _ => None,
        });
        if closing.is_none() {
            closing = opening;
            if closing.is_none() {
                words.push(word);
                continue;
            }
        }
        // A quotation ends with a word that ends with its mark, punctuation apart.
        let inner = bare.trim_end_matches([',', '.', ';', ':', ')', ']', '?', '!']);
        let long_enough = opening.is_none() || inner.chars().count() > 1;
        if closing.is_some_and(|mark| inner.ends_with(mark)) && long_enough {
            closing = None;
        }
    }
    words.join(" ")
}

/// What a program that Nix ran said of its failure, such as git of a host that it does not reach.
#[must_use]
pub(super) fn of_program(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(plain);
    let said = |line: &String| {
        ["fatal:", "ssh:"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    lines
        .rfind(said)
        .map(|line| line.trim().chars().take(MAX).collect())
}

/// Where the error is, as `FILE:LINE:COLUMN`: the place below the last `error:`, else the innermost of the
/// trace above it. Places inside of Nix itself are none.
#[must_use]
pub(super) fn place(stderr: &str) -> Option<String> {
    let lines: Vec<String> = stderr.lines().map(plain).collect();
    let error = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("error:"))?;
    let (above, below) = lines.split_at(error);
    let mut below = below.iter();
    let mut above = above.iter().rev();
    below
        .find_map(|line| place_in(line))
        .or_else(|| above.find_map(|line| place_in(line)))
}

/// `  at /x/flake.nix:3:91:` → `/x/flake.nix:3:91`.
fn place_in(line: &str) -> Option<String> {
    let place = line.trim().strip_prefix("at ")?.trim_end_matches(':');
    let mut parts = place.rsplitn(3, ':');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = is_number(parts.next()?) && is_number(parts.next()?);
    let file = parts.next()?;
    let is_file = file.starts_with('/') || (file.starts_with('«') && file.contains("»/"));
    (numbers && is_file && !file.starts_with("«nix-internal»")).then(|| place.to_owned())
}

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
    fn names_of_the_author_do_not_decide_whose_fault_it_is() {
        for theirs in [
            "flake 'path:/x' does not provide attribute 'packages.x86_64-linux.sqlite database' or 'sqlite'",
            "undefined variable 'timeoutt'",
            "getting status of '/home/me/connection refused/flake.nix': No such file or directory",
            "attribute ‘unable to download’ missing",
            "it timedout, didn't it",
        ] {
            assert!(!is_elsewhere(theirs), "{theirs}");
        }
        for machine in [
            "unable to download 'https://x': Couldn't resolve host name (6)",
            "program 'git' failed with exit code 128",
            "executing SQLite statement 'pragma synchronous': unable to open database file",
            "cannot connect to 'daemon': Connection refused",
            "opening '/nix/var': Permission denied",
        ] {
            assert!(is_elsewhere(machine), "{machine}");
        }
    }

    #[test]
    fn what_a_program_said_is_found() {
        let stderr = "fatal: unable to access 'https://x/': Could not resolve host: x\nerror: program 'git' failed with exit code 128\n";
        assert_eq!(
            of_program(stderr).unwrap(),
            "fatal: unable to access 'https://x/': Could not resolve host: x"
        );
        assert_eq!(of_program("error: nothing fatal: here\n"), None);
    }

    #[test]
    fn the_place_is_that_of_the_error() {
        let old = "error: attribute 'foo' missing\n\n       at /s/x-source/flake.nix:3:91:\n\n            2| a\n";
        assert_eq!(place(old).as_deref(), Some("/s/x-source/flake.nix:3:91"));
        let new = "error:\n  … while calling the 'derivationStrict' builtin\n    at «nix-internal»/d.nix:37:12:\n\n  \
                   … while evaluating\n    at /s/x-source/flake.nix:3:81:\n\n  error: attribute 'foo' missing\n  \
                   at /s/x-source/deep.nix:4:1:\n";
        assert_eq!(place(new).as_deref(), Some("/s/x-source/deep.nix:4:1"));
        let thrown = "error:\n  … while calling the 'throw' builtin\n    at «path:/x»/flake.nix:4:34:\n\n  error: broken\n";
        assert_eq!(place(thrown).as_deref(), Some("«path:/x»/flake.nix:4:34"));
        for nowhere in [
            "error: broken\n",
            "",
            "error: broken\n at «nix-internal»/d.nix:37:12:\n",
            "at /x:1:1\n",
            "error: x\n at noon\n at «string»:1:1\n",
        ] {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn the_network_is_not_the_project() {
        for message in [
            "unable to download 'https://x': Couldn't resolve host name (6)",
            "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
            "creating directory '/x': Permission denied",
            "operation 'addToStoreFromDump' is not supported by store 'ssh://x'",
        ] {
            assert!(is_elsewhere(message), "{message}");
        }
        for message in [
            "flake 'path:/x' does not provide attribute 'packages.x86_64-linux.x'",
            "syntax error, unexpected ';'",
            "infinite recursion encountered",
            "could not find a flake.nix file",
        ] {
            assert!(!is_elsewhere(message), "{message}");
        }
    }

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
