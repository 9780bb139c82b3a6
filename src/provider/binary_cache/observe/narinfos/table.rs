//! All rows, as they are put together from segments, until their NARs are known.

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
    /// Slots by row; empty: all slots became rows.
    slots: Vec<u32>,
    rows: u32,
    names: String,
    name_ends: Vec<u32>,
    nar_sizes: Vec<u64>,
    narinfos: Vec<Narinfo>,
    nars: Vec<NarKey>,
    /// References as slots.
    references: Vec<u32>,
    offsets: Vec<usize>,
    elsewhere: Vec<(Row, HashPart)>,
}

impl Table {
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
        self.nars.extend(segment.nars);
        let modified = segment.modified.into_iter();
        self.narinfos.extend(modified.map(|modified| Narinfo {
            nar: None,
            modified,
        }));
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
            self.offsets.push(self.references.len());
            self.rows += 1;
        }
        self.slots.extend(segment.slots);
    }

    /// Says what was listed, once all segments are here.
    pub(super) fn listed(&mut self, hashes: Vec<HashPart>) {
        if self.slots.len() == hashes.len() {
            self.slots = Vec::new();
        }
        self.listed = hashes;
    }

    /// Whether any row names this NAR. Slow: for the few that are in doubt.
    pub(in super::super) fn names(&self, key: &str) -> bool {
        self.nars.contains(&NarKey::of(key))
    }

    /// Puts the rows into `content`. `nars` are sorted.
    pub(in super::super) fn fill(mut self, nars: Nars, content: &mut CacheContent) {
        let starts = Starts::new(nars.shorts().iter().map(NarKey::as_bytes));
        for (narinfo, key) in self.narinfos.iter_mut().zip(&self.nars) {
            let range = starts.range(key.as_bytes());
            let start = range.start;
            let found = nars.shorts()[range].binary_search(key).ok();
            narinfo.nar = found.and_then(|at| u32::try_from(start + at).ok());
        }
        drop(std::mem::take(&mut self.nars));
        self.renumber();
        self.elsewhere.sort_unstable();
        content.nars = nars;
        content.narinfos = self.narinfos;
        content.elsewhere = self.elsewhere;
        self.names.shrink_to_fit();
        if self.offsets.is_empty() {
            return;
        }
        let graph = Graph::from_arrays(self.offsets, self.references);
        content.paths =
            Paths::from_columns(self.listed, self.names, self.name_ends, self.nar_sizes)
                .expect("segments are appended in the order of their hashes")
                .with_refs(graph.unwrap_or_default());
    }

    /// Makes rows of slots, where these are not the same.
    fn renumber(&mut self) {
        if self.slots.is_empty() && self.rows as usize == self.listed.len() {
            return;
        }
        let mut rows = vec![NONE; self.listed.len()];
        for (row, &slot) in (0..).zip(&self.slots) {
            rows[slot as usize] = row;
        }
        let (mut read, mut written) = (0, 0);
        for row in 0..self.rows {
            let end = self.offsets[row as usize + 1];
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
            self.offsets[row as usize + 1] = written;
        }
        self.references.truncate(written);
        let mut became = rows.iter().map(|row| *row != NONE);
        self.listed.retain(|_| became.next().unwrap_or_default());
    }
}
