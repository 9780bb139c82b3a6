//! What the judges share: the bytes around a hit, and how random a text looks.

use std::ops::Range;

use crate::config::gate::SecretRule;

/// Bytes before a hit that a judge may look at.
pub(super) const BEHIND: usize = 512;
/// Bytes from a hit on that a judge may look at.
pub(super) const AHEAD: usize = 16 << 10;

/// The bytes around a hit: [`BEHIND`] before it and [`AHEAD`] from it on, as far as the file goes.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the literal begins.
    pub(super) at: usize,
}

/// A secret in a [`View`].
pub(super) struct Hit {
    pub(super) rule: SecretRule,
    /// Where the secret stands in the view.
    pub(super) range: Range<usize>,
    /// What may be shown of it: a constant of its format, or the name it was given to.
    pub(super) shown: String,
}

/// Decides whether there is a secret at a hit.
pub(super) type Judge = fn(View<'_>) -> Option<Hit>;

impl<'a> View<'a> {
    /// What stands from `from` (counted from the hit) on.
    pub(super) fn after(self, from: usize) -> &'a [u8] {
        self.bytes.get(self.at + from..).unwrap_or_default()
    }

    /// What stands before the hit.
    pub(super) fn before(self) -> &'a [u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }

    /// Whether the hit does not go on a word.
    pub(super) fn begins_word(self) -> bool {
        self.before()
            .last()
            .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
    }

    /// A secret from the hit on, of `len` bytes.
    pub(super) fn hit(self, rule: SecretRule, len: usize, shown: &str) -> Hit {
        Hit {
            rule,
            range: self.at..self.at + len,
            shown: format!("{shown}…"),
        }
    }
}

/// How many bytes at the beginning are of a kind.
pub(super) fn run(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !is(*byte))
        .unwrap_or(bytes.len())
}

/// How many bytes at the end are of a kind.
pub(super) fn run_back(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .rev()
        .position(|byte| !is(*byte))
        .unwrap_or(bytes.len())
}

pub(super) const fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// A digit of base 64.
pub(super) const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// A digit of base 64 for URLs.
pub(super) const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Bits of entropy of one byte of a text, by how often its bytes occur in it.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let len = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / len;
            -share * share.log2()
        })
        .sum()
}

/// What stands in texts where somebody else is to put a secret.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "your",
    "xxxx",
    "dummy",
    "sample",
    "12345678",
    "abcdefgh",
    "password",
    "passwd",
    "secret",
    "token",
    "redacted",
    "insert",
    "replace",
    "foobar",
    "todo",
    "aaaaaa",
    "000000",
    "......",
    "test",
    "fake",
    "mock",
    "hunter2",
    "deadbeef",
    "cafebabe",
    "0123456",
    "98765432",
    "default",
    "invalid",
    "notreal",
    "asdf",
    "qwert",
];

/// Whether a text looks like one that stands for a secret.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    PLACEHOLDERS
        .iter()
        .any(|word| text.windows(word.len()).any(|part| part == word.as_bytes()))
}

/// Whether a text of letters and digits looks as if drawn at random: many different ones, of several kinds.
pub(super) fn is_random(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let kinds = usize::from(has(u8::is_ascii_lowercase))
        + usize::from(has(u8::is_ascii_uppercase))
        + usize::from(has(u8::is_ascii_digit));
    // Of n digits drawn from 62, about n(1 - n/124) differ; half of that is rare by chance.
    let least = match text.len() {
        0..20 => 2.8,
        20..32 => 3.4,
        _ => 3.9,
    };
    kinds >= 2 && entropy(text) >= least && !has_run(text)
}

/// Whether four or more equal bytes follow one another, or six of a sequence.
fn has_run(text: &[u8]) -> bool {
    let equal = text
        .windows(4)
        .any(|part| part.iter().all(|byte| *byte == part[0]));
    let rising = |part: &[u8]| part.windows(2).all(|two| two[1] == two[0].wrapping_add(1));
    equal || text.windows(6).any(rising)
}
