//! Secrets that stand where none belongs: found so that they are reported, and never shown.
//!
//! Only shapes that are secrets beyond doubt count; a false alarm would make a valid file unusable.
//! A text that is shown to anybody goes through [`conceal`] or [`mask`] first.

use std::sync::LazyLock;

use regex::Regex;

use crate::nix::key::looks_like_secret_key;
use crate::text::place::ByteSpan;

/// A secret in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    /// What it is, such as `a GitHub token`.
    pub(crate) what: &'static str,
    /// Where it stands.
    pub(crate) span: ByteSpan,
}

/// What stands in the place of a secret in a message.
const CONCEALED: &str = "(secret)";

struct Shape {
    what: &'static str,
    regex: Regex,
}

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shape = |what, regex| Shape {
        what,
        regex: Regex::new(regex).expect("a constant pattern"),
    };
    vec![
        // The group `s` is the secret; what stands before it must not be part of a longer word.
        shape(
            "a Nix secret key",
            r#"(?:^|[^A-Za-z0-9+/=-])(?<s>(?:[^\s:'"\[\]{},]+:)?[A-Za-z0-9+/]{86}==)"#,
        ),
        shape(
            "a private key",
            r"(?<s>-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*)",
        ),
        shape(
            "a GitHub token",
            r"(?<s>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
        ),
        shape("a GitLab token", r"(?<s>glpat-[A-Za-z0-9_-]{20,})"),
        shape(
            "an access token (JWT), such as Cachix gives out",
            r"(?<s>eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})",
        ),
        shape(
            "an AWS access key",
            r"(?:^|[^A-Za-z0-9/+=])(?<s>(?:AKIA|ASIA)[A-Z0-9]{16})(?:[^A-Za-z0-9/+=]|$)",
        ),
        shape(
            "a password in a URL",
            r"[a-z][a-z0-9+.-]*://[^\s/@:]*:(?<s>[^\s/@]+)@",
        ),
    ]
});

/// All secrets in a text, in its order.
pub(crate) fn find(text: &str) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = Vec::new();
    for shape in SHAPES.iter() {
        for found in shape.regex.captures_iter(text) {
            let Some(secret) = found.name("s") else {
                continue;
            };
            let span = ByteSpan::between(secret.start(), secret.end());
            let known = |leak: &Leak| leak.span.start < span.end() && span.start < leak.span.end();
            if !leaks.iter().any(known) {
                leaks.push(Leak {
                    what: shape.what,
                    span,
                });
            }
        }
    }
    leaks.sort_by_key(|leak| leak.span);
    leaks
}

/// Whether a value that should be a public key, a URL or a name is a secret, or a mangled one.
pub(crate) fn is_secret(value: &str) -> bool {
    looks_like_secret_key(value) || !find(value).is_empty()
}

/// The text with every secret replaced by one word.
pub(crate) fn conceal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for leak in find(text) {
        shown.push_str(&text[from..leak.span.start]);
        shown.push_str(CONCEALED);
        from = leak.span.end();
    }
    shown.push_str(&text[from..]);
    shown
}

/// The text with every secret, and all of `hide`, overwritten; offsets and lines stay the same.
pub(crate) fn mask(text: &str, hide: &[ByteSpan]) -> String {
    let leaks = find(text).into_iter().map(|leak| leak.span);
    let spans: Vec<ByteSpan> = leaks.chain(hide.iter().copied()).collect();
    if spans.is_empty() {
        return text.to_owned();
    }
    let hidden = |at| spans.iter().any(|span| span.start <= at && at < span.end());
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if hidden(at) && !matches!(c, '\n' | '\r') {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made up, in the shape of the real ones.
    fn samples() -> Vec<(&'static str, String)> {
        let base64 = format!("{}==", "Ab0+/".repeat(18).get(..86).unwrap());
        vec![
            ("a Nix secret key", format!("cache-1:{base64}")),
            ("a Nix secret key", base64),
            ("a GitHub token", format!("ghp_{}", "a1B2".repeat(9))),
            (
                "a GitHub token",
                format!("github_pat_{}", "a1_B2".repeat(9)),
            ),
            ("a GitLab token", format!("glpat-{}", "a1B2".repeat(5))),
            (
                "an access token (JWT), such as Cachix gives out",
                format!("eyJ{0}.eyJ{0}.{0}", "a1B2".repeat(5)),
            ),
            ("an AWS access key", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ]
    }

    #[test]
    fn secrets_are_found_concealed_and_masked() {
        for (what, secret) in samples() {
            let text = format!("é: [x, \"{secret}\"] # {secret}\nb: 1\n");
            let leaks = find(&text);
            assert_eq!(
                leaks.iter().map(|leak| leak.what).collect::<Vec<_>>(),
                [what, what]
            );
            assert_eq!(&text[leaks[0].span.start..leaks[0].span.end()], secret);
            assert!(!conceal(&text).contains(&secret));
            let masked = mask(&text, &[]);
            assert!(!masked.contains(&secret) && masked.len() == text.len());
            assert!(masked.ends_with("\nb: 1\n") && masked.starts_with("é: [x, \"***"));
        }
        let text = "url: https://joe:hunter2@example.org/x";
        assert_eq!(conceal(text), "url: https://joe:(secret)@example.org/x");
        let text = "-----BEGIN OPENSSH PRIVATE KEY-----\nAbc0\n-----END OPENSSH PRIVATE KEY-----";
        assert!(!mask(text, &[]).contains("Abc0"));
    }

    #[test]
    fn what_is_public_is_left_alone() {
        for text in [
            "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
            &format!("sha512-{}==", "Ab0+/".repeat(18).get(..86).unwrap()),
            "https://user@example.org:8080/a:b",
            "/nix/store/0a0x9mqmr3ccrbpvrk2f4j5xzxnk0bq1-AKIA",
            "eyJhbGciOi",
        ] {
            assert_eq!(find(text), [], "{text}");
            assert_eq!(mask(text, &[]), text);
        }
    }

    #[test]
    fn further_stretches_are_hidden() {
        assert_eq!(
            mask("a: é\nb", &[ByteSpan { start: 3, len: 4 }]),
            "a: **\n*"
        );
    }
}
