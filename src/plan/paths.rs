//! Many store paths in flat columns: a path is its row.
//!
//! A million paths have to fit in memory beside everything else, so names share one text and
//! references are row numbers, not strings.

use crate::nix::closure::Graph;
use crate::nix::store_path::{HashPart, StorePath};

/// Number of a path in a [`Paths`].
pub type Row = u32;

/// Store paths of one place with what all places know of them.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    hashes: Vec<HashPart>,
    names: String,
    name_ends: Vec<u32>,
    nar_sizes: Vec<u64>,
    refs: Graph,
    /// Rows in the order of their hashes; empty if that is the order of the rows.
    by_hash: Vec<Row>,
}

impl Paths {
    /// Starts an empty table, with room for `capacity` rows.
    #[must_use]
    pub fn builder(capacity: usize) -> PathsBuilder {
        let mut paths = Self::default();
        paths.hashes.reserve_exact(capacity);
        paths.name_ends.reserve_exact(capacity);
        paths.nar_sizes.reserve_exact(capacity);
        PathsBuilder { paths }
    }

    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        0..Row::try_from(self.hashes.len()).unwrap_or(Row::MAX)
    }

    /// All rows in the order of their hash parts.
    pub fn by_hash(&self) -> impl Iterator<Item = Row> {
        let sorted = self.by_hash.is_empty().then(|| self.rows());
        let known = self.by_hash.iter().copied();
        sorted.into_iter().flatten().chain(known)
    }

    /// The row of the path with this hash part.
    #[must_use]
    pub fn row(&self, hash: &HashPart) -> Option<Row> {
        if self.by_hash.is_empty() {
            let at = self.hashes.binary_search(hash).ok()?;
            return Row::try_from(at).ok();
        }
        self.by_hash
            .binary_search_by(|row| self.hashes[*row as usize].cmp(hash))
            .ok()
            .map(|at| self.by_hash[at])
    }

    /// Hash part of a row.
    #[must_use]
    pub fn hash(&self, row: Row) -> HashPart {
        self.hashes[row as usize]
    }

    /// Name of a row, without the hash part.
    #[must_use]
    pub fn name(&self, row: Row) -> &str {
        let row = row as usize;
        let start = if row == 0 {
            0
        } else {
            self.name_ends[row - 1] as usize
        };
        &self.names[start..self.name_ends[row] as usize]
    }

    /// The path of a row.
    ///
    /// # Panics
    /// When the builder was given a name that is none (see [`PathsBuilder::push`]).
    #[must_use]
    pub fn path(&self, row: Row) -> StorePath {
        StorePath::new(self.hash(row), self.name(row))
            .expect("names are checked before they come here")
    }

    /// Base name of a row, `<hash>-<name>`.
    #[must_use]
    pub fn base_name(&self, row: Row) -> String {
        format!("{}-{}", self.hash(row), self.name(row))
    }

    /// Bytes of the NAR of a row; 0 where it is not known.
    #[must_use]
    pub fn nar_size(&self, row: Row) -> u64 {
        self.nar_sizes[row as usize]
    }

    /// References between rows.
    #[must_use]
    pub fn refs(&self) -> &Graph {
        &self.refs
    }
}

/// Takes paths one by one; rows are numbered in the order of [`PathsBuilder::push`].
#[derive(Debug)]
pub struct PathsBuilder {
    paths: Paths,
}

impl PathsBuilder {
    /// Adds a path and returns its row. The caller has checked the name (`store_path::check_name`,
    /// or `split_base_name`, which does).
    ///
    /// # Panics
    /// When there are 2^32 paths, or 4 GiB of names.
    pub fn push(&mut self, hash: HashPart, name: &str, nar_size: u64) -> Row {
        let row = Row::try_from(self.paths.hashes.len()).expect("fewer than 2^32 paths");
        self.paths.hashes.push(hash);
        self.paths.names.push_str(name);
        let end = u32::try_from(self.paths.names.len()).expect("less than 4 GiB of names");
        self.paths.name_ends.push(end);
        self.paths.nar_sizes.push(nar_size);
        row
    }

    /// Number of paths so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Sorts the rows by hash, so that [`Paths::row`] works; references can be resolved with it.
    #[must_use]
    pub fn index(mut self) -> Paths {
        if !self.paths.hashes.is_sorted() {
            let mut by_hash: Vec<Row> = self.paths.rows().collect();
            by_hash.sort_unstable_by_key(|row| self.paths.hashes[*row as usize]);
            self.paths.by_hash = by_hash;
        }
        self.unordered()
    }

    /// The rows as they came, where nobody looks for one.
    pub(super) fn unordered(mut self) -> Paths {
        self.paths.names.shrink_to_fit();
        self.paths
    }
}

impl Paths {
    /// Paths from their columns: hashes in ascending order, names one after another with the end
    /// of each, NAR sizes. The caller has checked the names. `None`: the columns do not fit.
    #[must_use]
    pub fn from_columns(
        hashes: Vec<HashPart>,
        names: String,
        name_ends: Vec<u32>,
        nar_sizes: Vec<u64>,
    ) -> Option<Self> {
        let rows = hashes.len();
        let end = |end: &u32| names.is_char_boundary(*end as usize);
        let fit = name_ends.len() == rows
            && nar_sizes.len() == rows
            && hashes.is_sorted()
            && name_ends.is_sorted()
            && name_ends.iter().all(end)
            && name_ends.last().map_or(0, |end| *end as usize) == names.len();
        fit.then(|| Self {
            hashes,
            names,
            name_ends,
            nar_sizes,
            refs: Graph::default(),
            by_hash: Vec::new(),
        })
    }

    /// The same paths with these references (row → rows).
    #[must_use]
    pub fn with_refs(mut self, refs: Graph) -> Self {
        self.refs = refs;
        self
    }
}

#[cfg(test)]
mod tests;
