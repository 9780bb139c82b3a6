//! All rows, as they are put together from segments, until their NARs are known.

use std::sync::Arc;

use super::segment::Segment;
use super::slots::Starts;
use super::{HashPart, NONE};
use crate::nix::closure::Graph;
use crate::plan::nars::{NarKey, Nars};
use crate::plan::observed::{CacheContent, Narinfo};
use crate::plan::paths::{Paths, Row};

/// Rows in the columns that they will have in the end. Not every slot becomes a row.
#[derive(Default)]
pub(in super::super) struct Table {
    /// Hashes by slot.
    listed: Vec<HashPart>,
    /// Slots by row; empty: so far each slot became a row.
    slots: Vec<u32>,
    rows: u32,
    names: String,
    name_ends: Vec<u32>,
    nar_sizes: Vec<u64>,
    narinfos: Vec<Narinfo>,
    /// By row, [`NarKey::brief`] of the NAR.
    nars: Vec<[u8; 16]>,
    /// References as slots.
    references: Vec<u32>,
    offsets: Vec<u32>,
    elsewhere: Vec<(Row, HashPart)>,
}

impl Table {
    /// A table with room for so many rows: a column that grows leaves holes behind it.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            name_ends: Vec::with_capacity(rows),
            nar_sizes: Vec::with_capacity(rows),
            narinfos: Vec::with_capacity(rows),
            nars: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows + 1),
            ..Self::default()
        }
    }

    /// Adds the rows of the next segment.
    pub(super) fn append(&mut self, segment: Segment) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let names = u32::try_from(self.names.len()).expect("less than 4 GiB of names");
        let ends = segment.name_ends.iter();
        self.name_ends.extend(ends.map(|end| names + end));
        self.names.push_str(&segment.names);
        self.nar_sizes.extend(segment.nar_sizes);
        self.nars.extend(segment.nars.iter().map(NarKey::brief));
        let modified = segment.modified.into_iter();
        self.narinfos
            .extend(modified.map(|modified| Narinfo::new(None, modified)));
        let slots = segment.slots;
        if !self.slots.is_empty() {
            self.slots.extend(slots);
        } else if !slots.iter().copied().eq((self.rows..).take(slots.len())) {
            self.slots.extend((0..self.rows).chain(slots));
        }
        let mut elsewhere = segment.elsewhere.into_iter();
        let mut start = 0;
        for end in segment.reference_ends {
            for &slot in &segment.references[start..end as usize] {
                if slot == NONE {
                    self.elsewhere
                        .extend(elsewhere.next().map(|hash| (self.rows, hash)));
                } else {
                    self.references.push(slot);
                }
            }
            start = end as usize;
            let end = u32::try_from(self.references.len());
            self.offsets.push(end.expect("fewer than 2^32 references"));
            self.rows += 1;
        }
    }

    /// Says what was listed, once all segments are here.
    pub(super) fn listed(&mut self, hashes: Vec<HashPart>) {
        self.listed = hashes;
    }

    /// Number of rows.
    pub(in super::super) fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether any row names this NAR. Slow: for the few that are in doubt.
    pub(in super::super) fn names(&self, key: &str) -> bool {
        self.nars.contains(&NarKey::of(key).brief())
    }

    /// Puts the rows into `content`. `nars` are sorted. `false`: two of them have nearly the same key,
    /// which no hash has, so it is not sure which of them a narinfo names.
    #[must_use]
    pub(in super::super) fn fill(mut self, nars: Nars, content: &mut CacheContent) -> bool {
        let starts = Starts::new(nars.shorts().iter().map(NarKey::as_bytes));
        let mut is_sure = true;
        for (narinfo, brief) in self.narinfos.iter_mut().zip(&self.nars) {
            let (nar, sure) = find(&nars, &starts, brief);
            is_sure &= sure;
            narinfo.set_nar(nar);
        }
        drop(std::mem::take(&mut self.nars));
        self.renumber();
        self.elsewhere.sort_unstable();
        content.nars = nars;
        content.narinfos = self.narinfos;
        content.elsewhere = self.elsewhere;
        self.names.shrink_to_fit();
        if self.offsets.is_empty() {
            return is_sure;
        }
        let graph = Graph::from_arrays(self.offsets, self.references);
        let paths = Paths::from_columns(self.listed, self.names, self.name_ends, self.nar_sizes)
            .expect("segments are appended in the order of their hashes");
        content.paths = Arc::new(paths.with_refs(graph.unwrap_or_default()));
        is_sure
    }

    /// Makes rows of slots, where these are not the same.
    fn renumber(&mut self) {
        if self.slots.is_empty() && self.rows as usize == self.listed.len() {
            return;
        }
        let mut rows = vec![NONE; self.listed.len()];
        if self.slots.is_empty() {
            self.slots = (0..self.rows).collect();
        }
        for (row, &slot) in (0..).zip(&self.slots) {
            rows[slot as usize] = row;
        }
        let (mut read, mut written) = (0, 0);
        for row in 0..self.rows {
            let end = self.offsets[row as usize + 1] as usize;
            while read < end {
                let slot = self.references[read] as usize;
                read += 1;
                match rows[slot] {
                    NONE => self.elsewhere.push((row, self.listed[slot])),
                    to => {
                        self.references[written] = to;
                        written += 1;
                    }
                }
            }
            // Not more than were read.
            self.offsets[row as usize + 1] = u32::try_from(written).unwrap_or(NONE);
        }
        self.references.truncate(written);
        let mut became = rows.iter().map(|row| *row != NONE);
        self.listed.retain(|_| became.next().unwrap_or_default());
    }
}

/// The number of the NAR with this brief key, and whether no other has it.
fn find(nars: &Nars, starts: &Starts, brief: &[u8; 16]) -> (Option<u32>, bool) {
    let range = starts.range(brief);
    let beside = &nars.shorts()[range.clone()];
    let hash = |key: &NarKey| -> [u8; 15] { std::array::from_fn(|at| key.as_bytes()[at]) };
    let wanted: [u8; 15] = std::array::from_fn(|at| brief[at]);
    let first = beside.partition_point(|key| hash(key) < wanted);
    let same = beside[first..].iter().take_while(|key| hash(key) == wanted);
    let mut found = same
        .zip(range.start + first..)
        .filter(|(key, _)| key.brief() == *brief);
    let first = found.next();
    // A server may list one object twice.
    let is_sure = found.all(|(key, _)| first.is_some_and(|(it, _)| it == key));
    (first.and_then(|(_, at)| u32::try_from(at).ok()), is_sure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::hash::Sha256;
    use crate::plan::time::Time;

    #[test]
    fn a_nar_is_found_by_half_its_key_unless_two_have_that_half() {
        let key = |hash: Sha256, suffix: &str| format!("nar/{}.nar{suffix}", hash.to_nix32());
        let alike = |word: &str, at: usize| {
            let mut hash = Sha256::of(word.as_bytes());
            hash.0[at] ^= 1;
            key(hash, ".xz")
        };
        let of = |word: &str| key(Sha256::of(word.as_bytes()), ".xz");
        let both = key(Sha256::of(b"both"), ".zst");
        let mut nars = Nars::default();
        for key in [
            of("one"),
            alike("one", 14),
            of("two"),
            alike("two", 15),
            of("listed-twice"),
            of("listed-twice"),
            of("both"),
            both.clone(),
            "nar/odd".to_owned(),
        ] {
            nars.add(&key, 1, Time(1));
        }
        let nars = nars.sorted();
        let starts = Starts::new(nars.shorts().iter().map(NarKey::as_bytes));
        let found = |key: &str| {
            let (number, is_sure) = find(&nars, &starts, &NarKey::of(key).brief());
            (number.map(|number| nars.key(number)), is_sure)
        };
        for key in [
            of("one"),
            alike("one", 14),
            of("listed-twice"),
            of("both"),
            both,
            "nar/odd".to_owned(),
        ] {
            assert_eq!(found(&key), (Some(key.clone()), true));
        }
        assert!(!found(&of("two")).1);
        assert_eq!(found(&of("absent")), (None, true));
    }
}
