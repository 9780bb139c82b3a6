//! YAML with places: one parse gives the values and where each of them stands.
//!
//! Promises: no input makes it panic, overflow the stack or expand without bound; every key of the
//! text is in the tree or in [`Document::duplicates`]; spans are bytes of [`Document::text`].
//! It knows nothing of what the text means. This is the only file that names `serde_yaml`.
//!
//! YAML 1.2 rules are applied strictly: `no`, `on` and `y` are words, `014` and `1_000` are words
//! too, not numbers. A byte order mark at the start is taken off; CRLF is a line end.

mod fault;
mod read;
#[cfg(test)]
mod tests;

use serde_json::{Map, Number, Value as Json};

pub use self::fault::{Fault, FaultKind};
use super::place::{ByteSpan, LineIndex, Places, escape};

/// Larger texts are refused unread.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 48;

/// More values, counting what aliases stand for, are refused.
pub const MAX_VALUES: usize = 20_000;

/// A YAML document as a tree.
#[derive(Clone, Debug)]
pub struct Document {
    /// The text that was read, without a byte order mark.
    pub text: String,
    /// The whole value.
    pub root: Node,
    /// Keys that stand more than once in one mapping; the tree has the first of each.
    pub duplicates: Vec<Duplicate>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The text of a scalar (with its quotes); for a list or mapping only its first bytes.
    /// What an alias stands for has the place of the alias.
    pub span: ByteSpan,
    /// The value.
    pub value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text, quoted or not.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the text.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key stands.
    pub key_span: ByteSpan,
    /// The value.
    pub value: Node,
}

/// A key that stands more than once in one mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The key.
    pub key: String,
    /// All places of the key, in the order of the text; at least two.
    pub spans: Vec<ByteSpan>,
}

/// Something found in a document.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The key, if it is an entry of a mapping.
    pub key_span: Option<ByteSpan>,
    /// The value.
    pub node: &'a Node,
}

impl Found<'_> {
    /// What to underline when the value is meant: a scalar itself, else the key before it.
    #[must_use]
    pub fn value_span(&self) -> ByteSpan {
        match (&self.node.value, self.key_span) {
            (Value::List(_) | Value::Map(_) | Value::Null, Some(key)) => key,
            _ => self.node.span,
        }
    }

    /// What to underline when the entry is meant: its key, else the value.
    #[must_use]
    pub fn entry_span(&self) -> ByteSpan {
        self.key_span.unwrap_or(self.node.span)
    }
}

impl Document {
    /// Reads one YAML document.
    ///
    /// # Errors
    ///
    /// When the bytes are not one well-formed YAML document within the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        read::document(bytes)
    }

    /// The value at a JSON pointer, if it stands in the text.
    #[must_use]
    pub fn find(&self, pointer: &str) -> Option<Found<'_>> {
        let mut found = Found {
            key_span: None,
            node: &self.root,
        };
        if pointer.is_empty() {
            return Some(found);
        }
        for step in pointer.strip_prefix('/')?.split('/') {
            found = match &found.node.value {
                Value::Map(entries) => {
                    let entry = entries.iter().find(|entry| is_step(&entry.key, step))?;
                    Found {
                        key_span: Some(entry.key_span),
                        node: &entry.value,
                    }
                }
                Value::List(items) => Found {
                    key_span: None,
                    node: items.get(step.parse::<usize>().ok()?)?,
                },
                _ => return None,
            };
        }
        Some(found)
    }

    /// Where every setting stands, for `file`.
    #[must_use]
    pub fn places(&self, file: &str) -> Places {
        let lines = LineIndex::new(&self.text);
        let mut places = Places {
            file: file.to_owned(),
            ..Places::default()
        };
        let mut waiting = vec![(String::new(), &self.root)];
        while let Some((pointer, node)) = waiting.pop() {
            let mut note = |pointer: String, span: ByteSpan, node| {
                let place = lines.place(&self.text, span.start);
                places.keys.insert(pointer.clone(), (span, place));
                waiting.push((pointer, node));
            };
            match &node.value {
                Value::Map(entries) => {
                    for entry in entries {
                        let pointer = format!("{pointer}/{}", escape(&entry.key));
                        note(pointer, entry.key_span, &entry.value);
                    }
                }
                Value::List(items) => {
                    for (at, item) in items.iter().enumerate() {
                        note(format!("{pointer}/{at}"), item.span, item);
                    }
                }
                _ => {}
            }
        }
        places
    }

    /// Every scalar text of the document with its span, keys too.
    #[must_use]
    pub fn texts(&self) -> Vec<(&str, ByteSpan)> {
        let mut texts = Vec::new();
        let mut waiting = vec![&self.root];
        while let Some(node) = waiting.pop() {
            match &node.value {
                Value::Text(text) => texts.push((text.as_str(), node.span)),
                Value::List(items) => waiting.extend(items),
                Value::Map(entries) => {
                    for entry in entries {
                        texts.push((&entry.key, entry.key_span));
                        waiting.push(&entry.value);
                    }
                }
                _ => {}
            }
        }
        texts.sort_by_key(|(_, span)| *span);
        texts
    }
}

/// Whether `step` of a JSON pointer is `key`, escaped only where that makes a difference.
fn is_step(key: &str, step: &str) -> bool {
    if key.contains(['~', '/']) {
        escape(key) == step
    } else {
        key == step
    }
}

impl Node {
    /// The value as JSON; the first of equal keys counts.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.entry(entry.key.clone())
                        .or_insert_with(|| entry.value.to_json());
                }
                Json::Object(map)
            }
        }
    }
}
