//! Files in pieces to findings.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::search::{EVERYWHERE, IN_TEXTS, LONGEST, Search};
use super::shape::{AHEAD, BEHIND, Hit, View};
use crate::config::gate::SecretRule;

/// So many bytes are gathered before they are looked at, besides what a judge may look ahead.
const BLOCK: usize = 128 << 10;
/// A file without a NUL among so many first bytes is a text.
const FIRST: usize = 8 << 10;
/// So many findings are kept of one file: who has more has no use for them.
const MOST: usize = 1000;

/// A secret that was found; not the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it.
    pub rule: SecretRule,
    /// Where it begins in its file, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
    /// The first 16 hex digits of the SHA-256 of the rule's name, a NUL and the secret.
    pub fingerprint: String,
    /// What may be shown: a constant of the format or the name that it was given to, then `…`.
    pub shown: String,
}

impl Finding {
    fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// Looks through one file after another, each in pieces.
#[derive(Default)]
pub struct Scanner {
    /// What is kept of the file.
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    base: u64,
    /// Up to where of the buffer was looked.
    done: usize,
    /// Bytes that the file is said to have.
    size: u64,
    is_text: Option<bool>,
    found: Vec<Finding>,
    /// Whether all findings are kept, however many.
    is_unlimited: bool,
}

impl Scanner {
    /// A scanner that keeps all findings of a file, not only the first thousand.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            is_unlimited: true,
            ..Self::default()
        }
    }

    /// Begins a file of `size` bytes. The size spares copies; it need not be right.
    pub fn begin(&mut self, size: u64) {
        self.buffer.clear();
        self.found.clear();
        (self.base, self.done, self.size) = (0, 0, size);
        self.is_text = None;
    }

    /// Takes the next bytes of the file.
    pub fn content(&mut self, bytes: &[u8]) {
        let is_first = self.base == 0 && self.buffer.is_empty();
        if is_first && bytes.len() as u64 == self.size {
            // Of what comes whole only the end is copied; it is looked at in the end, for more may come.
            let to = bytes.len().saturating_sub(AHEAD + LONGEST);
            self.look(bytes, 0, to);
            let gone = to.saturating_sub(BEHIND);
            self.buffer
                .extend_from_slice(bytes.get(gone..).unwrap_or_default());
            (self.base, self.done) = (gone as u64, to - gone);
            return;
        }
        self.buffer.extend_from_slice(bytes);
        let left = self.buffer.len() - self.done;
        if left >= BLOCK + AHEAD + LONGEST {
            self.look_at_buffer(self.buffer.len() - AHEAD - LONGEST);
        }
    }

    /// Ends the file: what was found in it, in its order.
    pub fn end(&mut self) -> Vec<Finding> {
        self.look_at_buffer(self.buffer.len());
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|one| (one.offset, one.rule, one.len));
        // Two literals of one secret, and what is only known by its name where the value is known better.
        found.dedup_by(|later, earlier| later.rule == earlier.rule && later.offset < earlier.end());
        let known: Vec<Range<u64>> = found
            .iter()
            .filter(|one| !is_vague(one.rule))
            .map(|one| one.offset..one.end())
            .collect();
        found.retain(|one| {
            let hides = |range: &Range<u64>| range.start < one.end() && one.offset < range.end;
            !is_vague(one.rule) || !known.iter().any(hides)
        });
        found
    }

    fn look_at_buffer(&mut self, to: usize) {
        let buffer = std::mem::take(&mut self.buffer);
        self.look(&buffer, self.done, to);
        self.buffer = buffer;
        let gone = to.saturating_sub(BEHIND);
        self.buffer.drain(..gone);
        self.base += gone as u64;
        self.done = to - gone;
    }

    /// Looks at the hits that begin in `from..to`.
    fn look(&mut self, bytes: &[u8], from: usize, to: usize) {
        let is_text = *self.is_text.get_or_insert_with(|| {
            let first = bytes.get(..FIRST.min(bytes.len())).unwrap_or_default();
            !first.contains(&0)
        });
        self.search(&EVERYWHERE, bytes, from, to);
        if is_text {
            self.search(&IN_TEXTS, bytes, from, to);
        }
    }

    fn search(&mut self, search: &Search, bytes: &[u8], from: usize, to: usize) {
        let most = if self.is_unlimited { usize::MAX } else { MOST };
        let (base, found) = (self.base, &mut self.found);
        search.each(bytes, from, to, |at, judge| {
            if found.len() >= most {
                return;
            }
            let first = at.saturating_sub(BEHIND);
            let view = bytes
                .get(first..bytes.len().min(at + AHEAD))
                .unwrap_or_default();
            let view = View {
                bytes: view,
                at: at - first,
            };
            if let Some(hit) = judge(view) {
                found.push(finding(&hit, view, base + first as u64));
            }
        });
    }
}

/// Whether a rule goes by what stands around a value, not by the value.
const fn is_vague(rule: SecretRule) -> bool {
    matches!(rule, SecretRule::Assignment | SecretRule::UrlPassword)
}

fn finding(hit: &Hit, view: View<'_>, base: u64) -> Finding {
    let secret = view.bytes.get(hit.range.clone()).unwrap_or_default();
    let mut hasher = Sha256::new();
    hasher.update(hit.rule.name());
    hasher.update([0]);
    hasher.update(secret);
    let digest = data_encoding::HEXLOWER.encode(&hasher.finalize());
    Finding {
        rule: hit.rule,
        offset: base + hit.range.start as u64,
        len: hit.range.len() as u64,
        fingerprint: digest.get(..16).unwrap_or_default().to_owned(),
        shown: hit.shown.clone(),
    }
}
