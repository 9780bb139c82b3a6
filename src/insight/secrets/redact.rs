//! Texts without the secrets in them.

use super::scan::{Finding, Scanner};

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text.
    pub text: Vec<u8>,
    /// What was taken out; offsets are those of the text before.
    pub found: Vec<Finding>,
}

/// Replaces each secret in a text by `[redacted RULE]`.
#[must_use]
pub fn redact(text: &[u8]) -> Redacted {
    let mut scanner = Scanner::unlimited();
    scanner.begin(text.len() as u64);
    scanner.content(text);
    let found = scanner.end();
    let mut clean = Vec::with_capacity(text.len());
    let mut from = 0;
    for one in &found {
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(text.len())
        };
        let (start, mut end) = (at(one.offset), at(one.offset + one.len));
        if start < from {
            continue;
        }
        // A key that goes on beyond what was looked at: all of it.
        let is_key = text
            .get(start..)
            .is_some_and(|rest| rest.starts_with(b"-----BEGIN "));
        if is_key {
            let rest = text.get(end..).unwrap_or_default();
            let digits = |byte: &u8| {
                byte.is_ascii_alphanumeric()
                    || byte.is_ascii_whitespace()
                    || b"+/=\\".contains(byte)
            };
            end += rest
                .iter()
                .position(|byte| !digits(byte))
                .unwrap_or(rest.len());
        }
        clean.extend_from_slice(text.get(from..start).unwrap_or_default());
        clean.extend_from_slice(format!("[redacted {}]", one.rule).as_bytes());
        from = end;
    }
    clean.extend_from_slice(text.get(from..).unwrap_or_default());
    Redacted { text: clean, found }
}
