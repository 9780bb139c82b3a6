//! Where things stand in a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl ByteSpan {
    /// The stretch from `start` up to, not including, `end`.
    #[must_use]
    pub fn between(start: usize, end: usize) -> Self {
        Self {
            start,
            len: end.saturating_sub(start),
        }
    }

    /// Offset just after the last byte.
    #[must_use]
    pub fn end(self) -> usize {
        self.start.saturating_add(self.len)
    }
}

/// Finds the line and column of a byte in a text; lines end in LF or CRLF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Notes where the lines of `text` start.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        Self {
            starts: starts.collect(),
        }
    }

    /// The place of the byte at `offset` of `text`, which is the text that the index was made of.
    /// An offset beyond the end is the end; one inside a character is that character.
    #[must_use]
    pub fn place(&self, text: &str, offset: usize) -> Place {
        let offset = offset.min(text.len());
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = text.get(start..).map_or(0, |rest| {
            let whole = |(at, c): &(usize, char)| start + at + c.len_utf8() <= offset;
            rest.char_indices().take_while(whole).count()
        });
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        }
    }
}

/// One step of a JSON pointer: `name` with `~` and `/` escaped (RFC 6901).
#[must_use]
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a: é\r\nüb: 1\n";
        let index = LineIndex::new(text);
        let at = |needle: &str| {
            let place = index.place(text, text.find(needle).unwrap());
            (place.line, place.column)
        };
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("\r"), (1, 5));
        assert_eq!(at("ü"), (2, 1));
        assert_eq!(at("b"), (2, 2));
        assert_eq!(
            index.place(text, 4),
            Place { line: 1, column: 4 },
            "inside é"
        );
        assert_eq!(index.place(text, 999), Place { line: 3, column: 1 });
    }

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
    }

    #[test]
    fn nearest_looks_upwards() {
        let mut places = Places::default();
        let place = Place { line: 4, column: 3 };
        places
            .keys
            .insert("/caches/dev".into(), (ByteSpan { start: 0, len: 1 }, place));
        assert_eq!(places.nearest("/caches/dev/path"), Some(place));
        assert_eq!(places.nearest("/push/to"), None);
    }
}
