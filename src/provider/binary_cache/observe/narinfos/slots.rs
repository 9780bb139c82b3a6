//! The sorted listing of a cache. A *slot* is a place in it.

use std::ops::Range;

use super::NONE;
use crate::nix::store_path::HashPart;

/// The listed hashes, with a table that finds one fast.
pub(super) struct Slots {
    pub(super) hashes: Vec<HashPart>,
    /// Where the hashes with these first two bytes begin.
    starts: Vec<u32>,
}

impl Slots {
    pub(super) fn new(hashes: Vec<HashPart>) -> Self {
        let mut starts = Vec::with_capacity(0x1_0001);
        let mut at = 0;
        for prefix in 0..=u16::MAX {
            let begins = |hash: &HashPart| hash.as_bytes()[..2] < prefix.to_be_bytes()[..];
            while hashes.get(at).is_some_and(begins) {
                at += 1;
            }
            starts.push(u32::try_from(at).unwrap_or(NONE));
        }
        starts.push(u32::try_from(hashes.len()).unwrap_or(NONE));
        Self { hashes, starts }
    }

    pub(super) fn find(&self, hash: HashPart) -> Option<u32> {
        let [first, second, ..] = *hash.as_bytes();
        let prefix = usize::from(u16::from_be_bytes([first, second]));
        let (start, end) = (
            self.starts[prefix] as usize,
            self.starts[prefix + 1] as usize,
        );
        let at = self.hashes[start..end].binary_search(&hash).ok()?;
        u32::try_from(start + at).ok()
    }

    /// The slots of a segment of the index.
    pub(super) fn segment(&self, number: usize) -> Range<usize> {
        self.starts[number << 8] as usize..self.starts[(number + 1) << 8] as usize
    }
}
