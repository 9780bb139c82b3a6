//! The sorted listing of a cache. A *slot* is a place in it.

use std::ops::Range;

use super::NONE;
use crate::nix::store_path::HashPart;
use crate::provider::binary_cache::index::Reference;

/// Where, in something sorted, those with the same first two bytes begin.
pub(in super::super) struct Starts(Vec<u32>);

impl Starts {
    /// From the sorted things.
    pub(in super::super) fn new<'a, const N: usize>(
        sorted: impl Iterator<Item = &'a [u8; N]>,
    ) -> Self {
        let mut starts = Vec::with_capacity(0x1_0001);
        let mut len = 0u32;
        for bytes in sorted {
            let prefix = prefix(bytes);
            while starts.len() <= prefix {
                starts.push(len);
            }
            len = len.saturating_add(1);
        }
        starts.resize(0x1_0001, len);
        Self(starts)
    }

    /// Where something with these first bytes can be.
    pub(in super::super) fn range(&self, bytes: &[u8]) -> Range<usize> {
        let prefix = prefix(bytes);
        self.0[prefix] as usize..self.0[prefix + 1] as usize
    }

    /// Where those of a segment of the index are.
    pub(super) fn segment(&self, number: usize) -> Range<usize> {
        self.0[number << 8] as usize..self.0[(number + 1) << 8] as usize
    }
}

fn prefix(bytes: &[u8]) -> usize {
    match bytes {
        [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
        _ => 0,
    }
}

/// The listed hashes, with a table that finds one fast.
pub(super) struct Slots {
    pub(super) hashes: Vec<HashPart>,
    pub(super) starts: Starts,
}

impl Slots {
    pub(super) fn new(hashes: Vec<HashPart>) -> Self {
        let starts = Starts::new(hashes.iter().map(HashPart::as_bytes));
        Self { hashes, starts }
    }

    /// The references to hashes, in their order. Where they are is found for several at once, so
    /// that the processor waits for memory once and not for each.
    pub(super) fn references(
        &self,
        mut hashes: impl Iterator<Item = HashPart>,
        mut each: impl FnMut(Reference),
    ) {
        const AT_ONCE: usize = 16;
        let mut some = [(HashPart::from_bytes([0; 20]), 0, false); AT_ONCE];
        loop {
            let mut count = 0;
            for (place, hash) in some.iter_mut().zip(&mut hashes) {
                *place = (hash, self.starts.range(hash.as_bytes()).start, false);
                count += 1;
            }
            for (hash, start, is_first) in &mut some[..count] {
                *is_first = self.hashes.get(*start) == Some(hash);
            }
            for (hash, start, is_first) in &some[..count] {
                match u32::try_from(*start) {
                    Ok(slot) if *is_first && slot != NONE => each(Reference::Listed(slot)),
                    _ => each(self.reference(*hash)),
                }
            }
            if count < AT_ONCE {
                return;
            }
        }
    }

    /// The reference to a hash.
    pub(super) fn reference(&self, hash: HashPart) -> Reference {
        let range = self.starts.range(hash.as_bytes());
        let start = range.start;
        let found = self.hashes[range].binary_search(&hash);
        match found.map(|at| u32::try_from(start + at).unwrap_or(NONE)) {
            Ok(NONE) | Err(_) => Reference::Elsewhere(hash),
            Ok(slot) => Reference::Listed(slot),
        }
    }
}
