//! The graph of references, over row numbers.
//!
//! Rows are `u32` numbers that the caller gives to store paths; an edge leads from a referrer to
//! a reference. The graph is two flat arrays (compressed sparse rows), so that a million rows
//! with ten references each are walked in a fraction of a second. Promises: every function takes
//! time linear in rows and edges, uses no recursion, ignores self references where they cannot
//! matter, and neither loops nor panics on cycles. Nix makes no cycles, damaged foreign data may
//! hold some; they are reported as the rows that could not be ordered.

mod rows;

pub use rows::RowSet;

/// Why a graph cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An edge names a row that does not exist.
    #[error("row {row} is named, but there are only {rows}")]
    NoSuchRow {
        /// The row that was named.
        row: u32,
        /// How many rows there are.
        rows: usize,
    },
    /// More rows than a `u32` can number.
    #[error("{0} rows are more than a graph can hold")]
    TooManyRows(usize),
    /// More references than a `u32` can number.
    #[error("{0} references are more than a graph can hold")]
    TooManyReferences(usize),
}

/// Builds a [`Graph`] row by row, in ascending order of rows.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    offsets: Vec<u32>,
    references: Vec<u32>,
}

impl GraphBuilder {
    /// A builder with room for `rows` rows.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            offsets,
            references: Vec::new(),
        }
    }

    /// Adds the next row with its references.
    pub fn push_row(&mut self, references: impl IntoIterator<Item = u32>) {
        self.references.extend(references);
        // Too many are found in the end.
        let end = u32::try_from(self.references.len());
        self.offsets.push(end.unwrap_or(u32::MAX));
    }

    /// The graph of all rows.
    ///
    /// # Errors
    ///
    /// A reference names a row that was not added, or there are too many rows.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let Self {
            offsets,
            references,
        } = self;
        let rows = offsets.len() - 1;
        if u32::try_from(rows).is_err() {
            return Err(GraphError::TooManyRows(rows));
        }
        few(references.len())?;
        if let Some(&row) = references.iter().find(|&&row| row as usize >= rows) {
            return Err(GraphError::NoSuchRow { row, rows });
        }
        Ok(Graph {
            offsets,
            references,
        })
    }
}

/// Rows in an order, and those that have none because of a cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// The rows that could be ordered.
    pub rows: Vec<u32>,
    /// The rest, ascending: members of a cycle, and rows that have to wait for one.
    pub cyclic: Vec<u32>,
}

/// Rows in levels, and those that have none because of a cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels {
    /// The levels in turn; within one the rows ascend.
    pub levels: Vec<Vec<u32>>,
    /// The rest, ascending: members of a cycle, and what only they refer to.
    pub cyclic: Vec<u32>,
}

/// References between rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Where the references of each row begin; one more than there are rows.
    offsets: Vec<u32>,
    references: Vec<u32>,
}

/// Whether so many references can be numbered.
fn few(references: usize) -> Result<(), GraphError> {
    u32::try_from(references)
        .map(|_| ())
        .map_err(|_| GraphError::TooManyReferences(references))
}

impl Default for Graph {
    /// The graph without rows.
    fn default() -> Self {
        Self {
            offsets: vec![0],
            references: Vec::new(),
        }
    }
}

impl Graph {
    /// A graph of `rows` rows from (referrer, reference) pairs in any order.
    ///
    /// References of a row keep the order in which they come.
    ///
    /// # Errors
    ///
    /// A pair names a row that does not exist, or there are too many rows.
    pub fn from_edges(rows: usize, edges: &[(u32, u32)]) -> Result<Self, GraphError> {
        if u32::try_from(rows).is_err() {
            return Err(GraphError::TooManyRows(rows));
        }
        few(edges.len())?;
        let mut offsets = vec![0u32; rows + 1];
        for &(referrer, reference) in edges {
            if let Some(&row) = [referrer, reference]
                .iter()
                .find(|&&row| row as usize >= rows)
            {
                return Err(GraphError::NoSuchRow { row, rows });
            }
            offsets[referrer as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut references = vec![0; edges.len()];
        for &(referrer, reference) in edges {
            let place = &mut next[referrer as usize];
            references[*place as usize] = reference;
            *place += 1;
        }
        Ok(Self {
            offsets,
            references,
        })
    }

    /// A graph from its two arrays: where the references of each row begin, with one more entry
    /// than there are rows, and the references.
    ///
    /// # Errors
    ///
    /// A reference names a row that does not exist, or there are too many rows.
    ///
    /// # Panics
    ///
    /// When the offsets do not ascend from 0 to the number of references.
    pub fn from_arrays(offsets: Vec<u32>, references: Vec<u32>) -> Result<Self, GraphError> {
        few(references.len())?;
        let last = offsets.last().map(|end| *end as usize);
        let ends = (offsets.first(), last);
        assert!(
            ends == (Some(&0), Some(references.len())) && offsets.is_sorted(),
            "offsets of a graph ascend from 0 to the number of its references"
        );
        GraphBuilder {
            offsets,
            references,
        }
        .finish()
    }

    /// A graph from one list of references per row.
    ///
    /// # Errors
    ///
    /// A list names a row that does not exist, or there are too many rows.
    pub fn from_lists<L: IntoIterator<Item = u32>>(
        lists: impl IntoIterator<Item = L>,
    ) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::with_capacity(0);
        for list in lists {
            builder.push_row(list);
        }
        builder.finish()
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many references there are, self references and repeated ones included.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.references.len()
    }

    /// The references of `row`; none when there is no such row.
    #[must_use]
    pub fn references(&self, row: u32) -> &[u32] {
        let row = row as usize;
        match (self.offsets.get(row), self.offsets.get(row + 1)) {
            (Some(&start), Some(&end)) => &self.references[start as usize..end as usize],
            _ => &[],
        }
    }

    /// The graph with every edge turned round: references become referrers.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let rows = self.rows();
        let mut offsets = vec![0u32; rows + 1];
        for &reference in &self.references {
            offsets[reference as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut references = vec![0; self.references.len()];
        for referrer in self.row_numbers() {
            for &reference in self.references(referrer) {
                let place = &mut next[reference as usize];
                references[*place as usize] = referrer;
                *place += 1;
            }
        }
        Self {
            offsets,
            references,
        }
    }

    /// The closure of `roots`: they themselves and all that they refer to, however far.
    ///
    /// Roots that are no rows are left out.
    #[must_use]
    pub fn reach(&self, roots: impl IntoIterator<Item = u32>) -> RowSet {
        let mut seen = RowSet::new(self.rows());
        self.reach_into(roots, &mut seen);
        seen
    }

    /// Adds the closure of `roots` to `seen`, and does not go beyond what is in it already.
    ///
    /// Called once per root with the same set, all calls together take linear time.
    pub fn reach_into(&self, roots: impl IntoIterator<Item = u32>, seen: &mut RowSet) {
        let known = |row: &u32| (*row as usize) < self.rows();
        let mut open: Vec<u32> = roots
            .into_iter()
            .filter(known)
            .filter(|&row| seen.insert(row))
            .collect();
        while let Some(row) = open.pop() {
            for &reference in self.references(row) {
                if seen.insert(reference) {
                    open.push(reference);
                }
            }
        }
    }

    /// The rows of `subset` so that each comes after all its references in `subset`.
    ///
    /// References outside `subset` do not matter. Deterministic. With a cycle, its members and
    /// the rows that refer to them, however far, are in `cyclic`.
    #[must_use]
    pub fn order_references_first(&self, subset: &RowSet) -> Order {
        let referrers = self.reversed();
        let levels = referrers.levels(subset);
        Order {
            rows: levels.levels.concat(),
            cyclic: levels.cyclic,
        }
    }

    /// The rows of `subset` so that each comes after all its references in `subset`, and the
    /// closure of each root is complete before that of the next root begins.
    ///
    /// Only rows that a root reaches through rows of `subset` are in the answer. All of them are
    /// in `rows`; those that close a cycle (and so come before one of their references) are in
    /// `cyclic` as well.
    #[must_use]
    pub fn order_by_root(&self, roots: &[u32], subset: &RowSet) -> Order {
        let mut order = Order::default();
        let mut begun = RowSet::new(self.rows());
        let mut done = RowSet::new(self.rows());
        let mut cyclic = RowSet::default();
        let mut open: Vec<(u32, usize)> = Vec::new();
        for &root in roots {
            if (root as usize) < self.rows() && subset.contains(root) && begun.insert(root) {
                open.push((root, 0));
            }
            while let Some((row, next)) = open.last_mut() {
                let Some(&reference) = self.references(*row).get(*next) else {
                    done.insert(*row);
                    order.rows.push(*row);
                    open.pop();
                    continue;
                };
                *next += 1;
                if reference == *row || !subset.contains(reference) {
                    continue;
                }
                if begun.insert(reference) {
                    open.push((reference, 0));
                } else if !done.contains(reference) {
                    cyclic.insert(*row);
                }
            }
        }
        order.cyclic = cyclic.iter().collect();
        order
    }

    /// The rows of `subset` in levels, referrers first: a level holds the rows to which no other
    /// row of `subset` refers once all earlier levels are gone.
    ///
    /// So a row is in a later level than every row of `subset` that refers to it, and rows of one
    /// level do not refer to each other: deleting level by level never leaves a referrer without
    /// its reference. Self references are ignored. With a cycle, its members and all that they
    /// refer to within `subset` are in `cyclic`.
    #[must_use]
    pub fn levels(&self, subset: &RowSet) -> Levels {
        let mut waiting = self.referrer_counts(subset);
        let mut level: Vec<u32> = self
            .members(subset)
            .filter(|&row| waiting[row as usize] == 0)
            .collect();
        let mut placed = RowSet::new(self.rows());
        let mut levels = Vec::new();
        while !level.is_empty() {
            let mut following = Vec::new();
            for &row in &level {
                placed.insert(row);
                for &reference in self.references(row) {
                    if reference == row || !subset.contains(reference) {
                        continue;
                    }
                    let count = &mut waiting[reference as usize];
                    *count -= 1;
                    if *count == 0 {
                        following.push(reference);
                    }
                }
            }
            following.sort_unstable();
            levels.push(std::mem::replace(&mut level, following));
        }
        let cyclic = self
            .members(subset)
            .filter(|&row| !placed.contains(row))
            .collect();
        Levels { levels, cyclic }
    }

    /// Rows of `subset` from which every row of `subset` can be reached within it, ascending:
    /// those to which no other row of `subset` refers, and for a cycle that nothing else refers
    /// to, at least one row of it.
    ///
    /// A reference that goes through rows outside `subset` is not followed, so a row may be
    /// topmost although a longer way leads to it.
    #[must_use]
    pub fn topmost(&self, subset: &RowSet) -> Vec<u32> {
        let waiting = self.referrer_counts(subset);
        let mut top: Vec<u32> = self
            .members(subset)
            .filter(|&row| waiting[row as usize] == 0)
            .collect();
        let mut seen = RowSet::new(self.rows());
        let mut open = Vec::new();
        let without_cycles = top.len();
        let mut uncovered = self.members(subset);
        let mut index = 0;
        loop {
            let root = if index < without_cycles {
                index += 1;
                top[index - 1]
            } else {
                // Whatever is left hangs below a cycle.
                let Some(row) = uncovered.find(|&row| !seen.contains(row)) else {
                    break;
                };
                top.push(row);
                row
            };
            if seen.insert(root) {
                open.push(root);
            }
            while let Some(row) = open.pop() {
                for &reference in self.references(row) {
                    if subset.contains(reference) && seen.insert(reference) {
                        open.push(reference);
                    }
                }
            }
        }
        top.sort_unstable();
        top
    }

    /// All rows.
    fn row_numbers(&self) -> std::ops::Range<u32> {
        // A graph is never built with more rows.
        0..u32::try_from(self.rows()).unwrap_or(u32::MAX)
    }

    /// The rows of `subset` that exist.
    fn members<'a>(&'a self, subset: &'a RowSet) -> impl Iterator<Item = u32> + 'a {
        subset
            .iter()
            .take_while(|&row| (row as usize) < self.rows())
    }

    /// For each row, how many edges come to it from other rows of `subset`.
    fn referrer_counts(&self, subset: &RowSet) -> Vec<u32> {
        let mut counts = vec![0u32; self.rows()];
        for row in self.members(subset) {
            for &reference in self.references(row) {
                if reference != row {
                    counts[reference as usize] += 1;
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests;
