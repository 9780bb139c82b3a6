//! The rows of one segment of the index, in columns, as a thread found them.

use super::NONE;
use crate::nix::store_path::{HASH_LEN, HashPart};
use crate::plan::nars::NarKey;
use crate::plan::observed::Why;
use crate::plan::time::Time;
use crate::provider::binary_cache::index::{Entry, Reference};

#[derive(Default)]
pub(super) struct Segment {
    pub(super) slots: Vec<u32>,
    pub(super) names: String,
    pub(super) name_ends: Vec<u32>,
    pub(super) nar_sizes: Vec<u64>,
    pub(super) modified: Vec<Time>,
    pub(super) nars: Vec<NarKey>,
    /// References as slots; [`NONE`]: the next of `elsewhere`.
    pub(super) references: Vec<u32>,
    pub(super) reference_ends: Vec<u32>,
    pub(super) elsewhere: Vec<HashPart>,
    pub(super) damages: Vec<String>,
    /// NARs that damaged narinfos seem to name.
    pub(super) named: Vec<String>,
    /// Paths that damaged narinfos seem to refer to.
    pub(super) bound: Vec<HashPart>,
    pub(super) unsure: Option<Why>,
    /// Whether the index has this segment as it is now.
    pub(super) unchanged: bool,
}

/// What looks like keys of NARs in a narinfo that cannot be read.
fn seeming_urls(text: &str) -> impl Iterator<Item = String> {
    let urls = text.lines().filter_map(|line| line.strip_prefix("URL:"));
    urls.map(|url| url.trim().to_owned())
}

/// Whatever in a text may be the hash part of a store path: all that some reader could take for a
/// reference is here.
fn seeming_paths(bytes: &[u8]) -> impl Iterator<Item = HashPart> {
    let words = bytes
        .windows(HASH_LEN + 1)
        .filter(|w| w.last() == Some(&b'-'));
    words.filter_map(|word| {
        std::str::from_utf8(word.get(..HASH_LEN)?)
            .ok()?
            .parse()
            .ok()
    })
}

impl Segment {
    /// Writes down what a narinfo that is of no use to us may hold on to for others.
    pub(super) fn spare(&mut self, bytes: &[u8]) {
        self.named
            .extend(seeming_urls(&String::from_utf8_lossy(bytes)));
        self.bound.extend(seeming_paths(bytes));
    }

    pub(super) fn begin(&mut self, slot: u32, entry: &Entry<'_>, modified: Time) {
        self.slots.push(slot);
        self.names.push_str(entry.name);
        self.name_ends
            .push(u32::try_from(self.names.len()).unwrap_or(NONE));
        self.nar_sizes.push(entry.nar_size);
        self.modified.push(modified);
        self.nars.push(entry.nar);
    }

    pub(super) fn refer(&mut self, reference: Reference) {
        match reference {
            Reference::Listed(slot) => self.references.push(slot),
            Reference::Elsewhere(hash) => {
                self.references.push(NONE);
                self.elsewhere.push(hash);
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.reference_ends
            .push(u32::try_from(self.references.len()).unwrap_or(NONE));
    }

    /// The references of the last row.
    pub(super) fn last(&self) -> impl Iterator<Item = Reference> {
        let before = self.reference_ends.iter().nth_back(1).copied();
        let last = &self.references[before.unwrap_or(0) as usize..];
        let missing = last.iter().filter(|slot| **slot == NONE).count();
        let mut elsewhere = self.elsewhere[self.elsewhere.len() - missing..].iter();
        last.iter().filter_map(move |slot| match *slot {
            NONE => elsewhere.next().copied().map(Reference::Elsewhere),
            slot => Some(Reference::Listed(slot)),
        })
    }
}
