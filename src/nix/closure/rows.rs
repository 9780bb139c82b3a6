//! Sets of rows.

/// A set of rows, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowSet {
    words: Vec<u64>,
    len: usize,
}

impl RowSet {
    /// The empty set, with room for the rows below `rows`; it grows when it must.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self {
            words: vec![0; rows.div_ceil(64)],
            len: 0,
        }
    }

    /// All rows below `rows`.
    #[must_use]
    pub fn all(rows: usize) -> Self {
        (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect()
    }

    /// Adds `row`; says whether it was new.
    pub fn insert(&mut self, row: u32) -> bool {
        let (word, bit) = (row as usize / 64, 1u64 << (row % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(new);
        new
    }

    /// Takes `row` out; says whether it was in.
    pub fn remove(&mut self, row: u32) -> bool {
        let there = self.contains(row);
        if there {
            self.words[row as usize / 64] &= !(1u64 << (row % 64));
            self.len -= 1;
        }
        there
    }

    /// Whether `row` is in the set.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        self.words
            .get(row as usize / 64)
            .is_some_and(|word| word & 1 << (row % 64) != 0)
    }

    /// How many rows are in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest = rest.checked_sub(1)? & rest;
                // Only rows that came in as a `u32` are in the set.
                u32::try_from(index * 64).ok().map(|base| base + bit)
            })
        })
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut set = Self::default();
        set.extend(rows);
        set
    }
}

impl Extend<u32> for RowSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, rows: I) {
        for row in rows {
            self.insert(row);
        }
    }
}
