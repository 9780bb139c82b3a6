//! The local index: what narinfos said when they were last read, so that only changed ones are
//! read again.
//!
//! It says what a narinfo holds, never that there is one. An entry counts only if its revision is
//! that of the object now; or, for a planner, if no name in the folder came, went or was replaced
//! since ([`Stamp`]): then not even the listing is made again. The file is a header, the listing, and
//! 256 segments by the first byte of the hash part, each with a checksum; a segment that is
//! damaged, or a file that is of another cache, version or length, is thrown away and read anew.
//! Losing it costs time only. [`nars`] remembers the sizes of NARs in a file of its own.
//!
//! Format (all numbers little-endian): `nanna-index 2\n`, identity (32 bytes: SHA-256 of the
//! cache's identity and store directory), stamp (4 × u64, zeros: none), count of listed hashes u64,
//! 258 × (offset u64, length u64, checksum u64) for the hashes, the other names and the segments,
//! checksum of all of these u64; then those parts. The hashes are 20 bytes each, ascending; the
//! other names end in a line break each. A segment has an entry for each of its hashes: one byte
//! 0 (nothing is known), or 1, then revision (3 × u64), time i64, NAR size u64, short key of the NAR (33
//! bytes), length of the name u8, count of references u32, name, references: numbers of hashes
//! (u32), or `u32::MAX` and a hash.

pub(super) mod nars;
mod write;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Revision, Stamp};
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::store_path::{HashPart, StoreDir, check_name};
use crate::plan::nars::NarKey;
use crate::plan::time::Time;

pub(super) use write::{Entries, Writer};

const MAGIC: &[u8] = b"nanna-index 2\n";
/// Number of segments.
pub(super) const SEGMENTS: usize = 256;
/// The hashes, the other names, and the segments.
const PARTS: usize = 2 + SEGMENTS;
const HASHES: usize = 0;
const OTHERS: usize = 1;
const FIRST_SEGMENT: usize = 2;
/// Identity, stamp, count and directory.
const FIXED: usize = 32 + 32 + 8 + PARTS * 24;
const HEADER: usize = MAGIC.len() + FIXED + 8;

/// A reference to a path that was not listed.
const ELSEWHERE: u32 = u32::MAX;

/// Where a part is.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    offset: u64,
    len: u64,
    checksum: u64,
}

fn identity_of(identity: &str, store_dir: &StoreDir) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update(identity.as_bytes());
    hasher.update(b"\n");
    hasher.update(store_dir.as_str().as_bytes());
    hasher.finish()
}

/// Finds accidents, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    let mut sums = Checksum::default();
    let (blocks, rest) = bytes.as_chunks::<32>();
    sums.add(blocks);
    sums.finish(bytes.len() as u64, rest)
}

/// [`checksum`] of what comes in pieces.
struct Checksum([u64; 4]);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Checksum {
    fn default() -> Self {
        // Four sums at once: one would wait for each multiplication.
        Self([FACTOR, FACTOR << 1, FACTOR << 2, FACTOR << 3])
    }
}

impl Checksum {
    const fn mix(sum: u64, word: u64) -> u64 {
        let sum = (sum ^ word).wrapping_mul(FACTOR);
        sum ^ (sum >> 29)
    }

    fn add(&mut self, blocks: &[[u8; 32]]) {
        for block in blocks {
            for (sum, word) in self.0.iter_mut().zip(block.as_chunks::<8>().0) {
                *sum = Self::mix(*sum, u64::from_le_bytes(*word));
            }
        }
    }

    /// Of all blocks and the rest, together `len` bytes.
    fn finish(self, len: u64, rest: &[u8]) -> u64 {
        let sum = self.0.iter().fold(len, |all, sum| Self::mix(all, *sum));
        rest.iter()
            .fold(sum, |sum, byte| Self::mix(sum, u64::from(*byte)))
    }
}

/// An index that is there.
pub(super) struct Index {
    file: File,
    extents: Vec<Extent>,
    end: u64,
    /// The state of the names when they were listed.
    pub(super) stamp: Option<Stamp>,
    /// The narinfos that were listed, ascending.
    pub(super) hashes: Vec<HashPart>,
    /// What else was listed beside them.
    pub(super) others: Vec<String>,
}

impl Index {
    /// Opens the index of a cache; `None`: there is none of use.
    pub(super) fn open(path: &Path, identity: &str, store_dir: &StoreDir) -> Option<Self> {
        // For writing, if that is possible: the stamp may have to be renewed.
        let both = File::options().read(true).write(true).open(path);
        let file = both.or_else(|_| File::open(path)).ok()?;
        let end = file.metadata().ok()?.len();
        let mut header = vec![0; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let (fixed, sum) = header.strip_prefix(MAGIC)?.split_at_checked(FIXED)?;
        if checksum(fixed) != u64::from_le_bytes(sum.try_into().ok()?) {
            return None;
        }
        let (found, numbers) = fixed.split_at_checked(32)?;
        if *found != identity_of(identity, store_dir).0 {
            return None;
        }
        let numbers: Vec<u64> = numbers
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .collect();
        let (stamp, numbers) = numbers.split_first_chunk::<4>()?;
        let (count, numbers) = numbers.split_first()?;
        let extents = numbers.as_chunks::<3>().0.iter();
        let mut index = Self {
            file,
            extents: extents
                .map(|&[offset, len, checksum]| Extent {
                    offset,
                    len,
                    checksum,
                })
                .collect(),
            end,
            stamp: (*stamp != [0; 4]).then_some(Stamp(*stamp)),
            hashes: Vec::new(),
            others: Vec::new(),
        };
        index.hashes = index.read_hashes(*count)?;
        let others = String::from_utf8(index.part(OTHERS)?).ok()?;
        index.others = others.split_terminator('\n').map(str::to_owned).collect();
        Some(index)
    }

    /// The listed hashes, read in pieces: all of them at once would take as much again as they do.
    fn read_hashes(&self, count: u64) -> Option<Vec<HashPart>> {
        /// Whole hashes and whole blocks of the checksum.
        const PIECE: usize = 160 * 512;
        let extent = self.extents.get(HASHES)?;
        let end = extent.offset.checked_add(extent.len)?;
        if end > self.end || count.checked_mul(20)? != extent.len {
            return None;
        }
        let mut hashes = Vec::with_capacity(usize::try_from(count).ok()?);
        let mut sums = Checksum::default();
        let mut piece = vec![0; PIECE];
        let mut at = extent.offset;
        loop {
            let len = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
            piece.truncate(len);
            self.file.read_exact_at(&mut piece, at).ok()?;
            at += len as u64;
            let (all, _) = piece.as_chunks::<20>();
            hashes.extend(all.iter().copied().map(HashPart::from_bytes));
            let (blocks, rest) = piece.as_chunks::<32>();
            sums.add(blocks);
            if at == end {
                let is_whole = sums.finish(extent.len, rest) == extent.checksum;
                return (is_whole && hashes.is_sorted_by(|a, b| a < b)).then_some(hashes);
            }
        }
    }

    /// The bytes of a part; `None`: it is damaged.
    fn part(&self, number: usize) -> Option<Vec<u8>> {
        let extent = self.extents.get(number)?;
        let end = extent.offset.checked_add(extent.len)?;
        if end > self.end {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(extent.len).ok()?];
        self.file.read_exact_at(&mut bytes, extent.offset).ok()?;
        (checksum(&bytes) == extent.checksum).then_some(bytes)
    }

    /// Says that the names are in this state now, and all else as it was.
    pub(super) fn renew(&self, stamp: Stamp) {
        let mut header = vec![0; HEADER];
        if self.file.read_exact_at(&mut header, 0).is_err() {
            return;
        }
        let at = MAGIC.len() + 32;
        let bytes = stamp.0.into_iter().flat_map(u64::to_le_bytes);
        for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
        let (start, sum) = header.split_at_mut(MAGIC.len() + FIXED);
        sum.copy_from_slice(&checksum(start.get(MAGIC.len()..).unwrap_or_default()).to_le_bytes());
        // If only half of it gets there, the checksum says so.
        let _ = self.file.write_all_at(&header, 0);
    }

    /// The bytes of a segment, for [`Cursor`]; empty if it is damaged.
    pub(super) fn segment(&self, number: usize) -> Vec<u8> {
        self.part(FIRST_SEGMENT + number).unwrap_or_default()
    }
}

/// What the index holds of one narinfo, borrowed from its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) revision: Revision,
    /// When the object was written, by the clock of the cache.
    pub(super) modified: Time,
    pub(super) nar_size: u64,
    pub(super) nar: NarKey,
    pub(super) name: &'a str,
    references: &'a [u8],
    count: u32,
}

/// A reference in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// To the listed hash with this number.
    Listed(u32),
    /// To a path that was not listed.
    Elsewhere(HashPart),
}

/// The references at the beginning of `bytes`, one by one; ends where there is none.
fn references(mut bytes: &[u8]) -> impl Iterator<Item = (Reference, &[u8])> {
    std::iter::from_fn(move || {
        let (number, rest) = bytes.split_first_chunk::<4>()?;
        let number = u32::from_le_bytes(*number);
        let reference = if number == ELSEWHERE {
            let (hash, rest) = rest.split_first_chunk::<20>()?;
            bytes = rest;
            Reference::Elsewhere(HashPart::from_bytes(*hash))
        } else {
            bytes = rest;
            Reference::Listed(number)
        };
        Some((reference, bytes))
    })
}

impl<'a> Entry<'a> {
    /// What was read of a narinfo, but for its references.
    pub(super) const fn of(
        revision: Revision,
        modified: Time,
        nar_size: u64,
        nar: NarKey,
        name: &'a str,
    ) -> Self {
        Self {
            revision,
            modified,
            nar_size,
            nar,
            name,
            references: &[],
            count: 0,
        }
    }

    pub(super) fn references(&self) -> impl Iterator<Item = Reference> + use<'a> {
        references(self.references)
            .take(self.count as usize)
            .map(|(reference, _)| reference)
    }

    /// The entry at the beginning of `bytes`, and what follows it. Outer `None`: it is damaged;
    /// inner `None`: nothing is known.
    fn read(bytes: &'a [u8]) -> Option<(Option<Self>, &'a [u8])> {
        let (&kind, rest) = bytes.split_first()?;
        if kind == 0 {
            return Some((None, rest));
        }
        let (numbers, rest) = rest.split_first_chunk::<40>()?;
        let [a, b, c, modified, nar_size] = numbers.as_chunks::<8>().0 else {
            return None;
        };
        let (nar, rest) = rest.split_first_chunk::<33>()?;
        let (&name_len, rest) = rest.split_first()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
        let count = u32::from_le_bytes(*count);
        let name = std::str::from_utf8(name).ok()?;
        check_name(name).ok()?;
        let mut after = rest;
        let mut found = 0;
        for (_, rest) in references(rest).take(count as usize) {
            after = rest;
            found += 1;
        }
        if found != count {
            return None;
        }
        let entry = Self {
            revision: Revision([a, b, c].map(|bytes| u64::from_le_bytes(*bytes))),
            modified: Time(i64::from_le_bytes(*modified)),
            nar_size: u64::from_le_bytes(*nar_size),
            nar: NarKey::from_bytes(*nar),
            name,
            references: rest,
            count,
        };
        Some((Some(entry), after))
    }
}

/// The entries of a segment in turn, with the numbers of their hashes.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    next: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// For the segment of the hashes with these numbers.
    pub(super) fn new(segment: &'a [u8], numbers: std::ops::Range<usize>) -> Self {
        Self {
            rest: segment,
            next: numbers.start,
            end: numbers.end,
        }
    }

    /// The entry of a number that is not below those asked for before.
    pub(super) fn find(&mut self, number: usize) -> Option<Entry<'a>> {
        while self.next <= number && self.next < self.end {
            let Some((entry, rest)) = Entry::read(self.rest) else {
                self.next = self.end;
                return None;
            };
            self.rest = rest;
            self.next += 1;
            if self.next > number {
                return entry;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
