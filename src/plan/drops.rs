//! Paths that go, as rows of the table in which they were found: the names are there already.
//!
//! Half of a large cache may have to go at once. By itself each path would take a hundred bytes; so it
//! takes thirty, and its name is made when somebody wants to read it. Written down it is a plain list.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::paths::{Paths, Row};
use super::time::Time;
use crate::nix::store_path::{HashPart, StorePath};

/// A path that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathToDrop {
    /// The path.
    pub path: StorePath,
    /// Bytes of the NAR file that goes with it (0 if another path still needs that file).
    pub bytes: u64,
    /// Why.
    pub reason: DropReason,
}

/// Why a path goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Its need ended then.
    NeedEnded(Time),
    /// Nothing that is kept reaches it, and no record says since when.
    Unreached,
    /// The cache was over its max-size, and this was of the lowest priority.
    OverMaxSize,
    /// It is broken and nobody here can mend it, or it refers to such a path.
    Broken,
}

/// Paths that go, in the order in which they are listed.
#[derive(Clone, Default)]
pub struct PathsToDrop {
    paths: Arc<Paths>,
    rows: Vec<Row>,
    bytes: Vec<u64>,
    /// When each need ended, or [`UNREACHED`], [`OVER_MAX_SIZE`], [`BROKEN`].
    ends: Vec<Time>,
}

const UNREACHED: Time = Time(i64::MIN);
const OVER_MAX_SIZE: Time = Time(i64::MAX);
const BROKEN: Time = Time(i64::MAX - 1);

fn reason_of(end: Time) -> DropReason {
    match end {
        UNREACHED => DropReason::Unreached,
        OVER_MAX_SIZE => DropReason::OverMaxSize,
        BROKEN => DropReason::Broken,
        end => DropReason::NeedEnded(end),
    }
}

impl PathsToDrop {
    /// None yet, of this table.
    #[must_use]
    pub fn of(paths: &Arc<Paths>, capacity: usize) -> Self {
        Self {
            paths: Arc::clone(paths),
            rows: Vec::with_capacity(capacity),
            bytes: Vec::with_capacity(capacity),
            ends: Vec::with_capacity(capacity),
        }
    }

    /// Adds a row of the table, with the bytes that go with it.
    pub fn push(&mut self, row: Row, bytes: u64, reason: &DropReason) {
        self.rows.push(row);
        self.bytes.push(bytes);
        self.ends.push(match reason {
            DropReason::NeedEnded(end) => *end,
            DropReason::Unreached => UNREACHED,
            DropReason::OverMaxSize => OVER_MAX_SIZE,
            DropReason::Broken => BROKEN,
        });
    }

    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The paths in turn; each is made for it.
    pub fn iter(&self) -> impl Iterator<Item = PathToDrop> {
        let known = self.bytes.iter().zip(self.reasons());
        self.rows
            .iter()
            .zip(known)
            .map(|(row, (bytes, reason))| PathToDrop {
                path: self.paths.path(*row),
                bytes: *bytes,
                reason,
            })
    }

    /// Their hash parts.
    pub fn hashes(&self) -> impl Iterator<Item = HashPart> {
        self.rows.iter().map(|row| self.paths.hash(*row))
    }

    /// Why each goes.
    pub fn reasons(&self) -> impl Iterator<Item = DropReason> {
        self.ends.iter().copied().map(reason_of)
    }

    /// The bytes that go with each.
    #[must_use]
    pub fn bytes(&self) -> &[u64] {
        &self.bytes
    }
}

impl FromIterator<PathToDrop> for PathsToDrop {
    fn from_iter<I: IntoIterator<Item = PathToDrop>>(drops: I) -> Self {
        let mut paths = Paths::builder(0);
        let mut all = Self::default();
        for drop in drops {
            let row = paths.push(drop.path.hash(), drop.path.name(), 0);
            all.push(row, drop.bytes, &drop.reason);
        }
        // Nobody looks for a path in this table, so it needs no order.
        all.paths = Arc::new(paths.unordered());
        all
    }
}

impl PartialEq for PathsToDrop {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for PathsToDrop {}

impl std::fmt::Debug for PathsToDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for PathsToDrop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for PathsToDrop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let drops = Vec::<PathToDrop>::deserialize(deserializer)?;
        Ok(drops.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
