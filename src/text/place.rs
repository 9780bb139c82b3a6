//! Where things stand in a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSpan {
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
}

/// A line and column for people, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Where each setting of a file stands, by JSON pointer (`/caches/dev/path`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Name of the file, for people.
    pub file: String,
    /// Pointer → place of the key (of a mapping's entry) or of the item (of a sequence).
    pub keys: BTreeMap<String, (ByteSpan, Place)>,
}

impl Places {
    /// The place of `pointer`, or of the nearest setting above it that stands in the file.
    #[must_use]
    pub fn nearest(&self, pointer: &str) -> Option<Place> {
        let mut pointer = pointer;
        loop {
            if let Some((_, place)) = self.keys.get(pointer) {
                return Some(*place);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}
