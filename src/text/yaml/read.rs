//! From bytes to the tree, through `serde_yaml` with strict options.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Options, Spanned};

use super::{
    ByteSpan, Document, Duplicate, Entry, Fault, FaultKind, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Node,
    Value,
};

pub(super) fn document(bytes: &[u8]) -> Result<Document, Fault> {
    let text = text(bytes)?;
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text
        .lines()
        .all(|line| blank(line) || line.trim_end() == "---")
    {
        return Err(fault(FaultKind::Empty, "the file is empty", None, text));
    }
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) if matches!(raw.value, Raw::Scalar(Value::Null)) => {
            Err(fault(FaultKind::Empty, "the file is empty", None, text))
        }
        Ok(raw) => {
            let mut duplicates = Vec::new();
            let root = tree(raw, &mut duplicates);
            duplicates.sort_by_key(|duplicate: &Duplicate| duplicate.spans[0]);
            Ok(Document {
                text: text.to_owned(),
                root,
                duplicates,
            })
        }
        Err(error) => Err(explain(&error, text)),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; at most {MAX_BYTES} are read",
            bytes.len()
        );
        return Err(fault(FaultKind::TooLarge, message, None, ""));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("byte {} is not UTF-8", error.valid_up_to() + 1);
            return Err(fault(FaultKind::NotText, message, None, ""));
        }
    };
    // What YAML 1.2 calls printable (§5.1), without looking at what is above the control characters.
    let control =
        |c: &char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| control(c)) {
        let message = format!("byte {} is the control character {:#04x}", at + 1, c as u32);
        return Err(fault(FaultKind::NotText, message, None, ""));
    }
    Ok(text)
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_VALUES,
            max_events: 4 * MAX_VALUES,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_documents: 2,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_VALUES,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

fn fault(kind: FaultKind, message: impl Into<String>, span: Option<ByteSpan>, text: &str) -> Fault {
    Fault {
        kind,
        message: message.into(),
        span,
        text: text.to_owned(),
    }
}

fn explain(error: &serde_yaml::Error, text: &str) -> Fault {
    let mut error = error.without_snippet();
    let span = error.location().map(|location| error_span(text, &location));
    while let serde_yaml::Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    if let Some(tab) = tab_near(text, span) {
        let message = "a tab where YAML wants spaces";
        return fault(FaultKind::Tab, message, Some(tab), text);
    }
    let (kind, message) = match error {
        serde_yaml::Error::MultipleDocuments { .. } => (
            FaultKind::ManyDocuments,
            "a second document begins here".to_owned(),
        ),
        serde_yaml::Error::Budget { .. }
        | serde_yaml::Error::AliasReplayLimitExceeded { .. }
        | serde_yaml::Error::AliasExpansionLimitExceeded { .. }
        | serde_yaml::Error::AliasReplayStackDepthExceeded { .. }
        | serde_yaml::Error::AliasReplayCounterOverflow { .. } => (
            FaultKind::TooComplex,
            "too many values, nested too deep, or aliases that stand for too much".to_owned(),
        ),
        serde_yaml::Error::Eof { .. } => (FaultKind::Empty, "the file is empty".to_owned()),
        serde_yaml::Error::NullIntoString { .. } => (
            FaultKind::Syntax,
            "a key must not be empty or null".to_owned(),
        ),
        serde_yaml::Error::Unexpected { .. } => {
            (FaultKind::Syntax, "a key must be a plain word".to_owned())
        }
        other => (FaultKind::Syntax, first_line(&other.to_string())),
    };
    fault(kind, message, span, text)
}

/// The error's own words, without the place at their end, which we show better.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    line.trim_end_matches(['.', ':']).to_owned()
}

/// A tab in the white space at the start of the line of `span`, or of one of its neighbours.
fn tab_near(text: &str, span: Option<ByteSpan>) -> Option<ByteSpan> {
    let at = span?.start.min(text.len());
    let here = text.get(..at)?.rfind('\n').map_or(0, |found| found + 1);
    let above = text
        .get(..here.saturating_sub(1))?
        .rfind('\n')
        .map_or(0, |found| found + 1);
    let below = text
        .get(here..)?
        .find('\n')
        .map_or(text.len(), |found| here + found + 1);
    [here, above, below].into_iter().find_map(|start| {
        let line = text.get(start..)?.lines().next()?;
        let white = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line[..white].find('\t')?;
        Some(ByteSpan {
            start: start + tab,
            len: 1,
        })
    })
}

/// Where an error is; scanner errors know only the line and the column in characters.
fn error_span(text: &str, location: &serde_yaml::Location) -> ByteSpan {
    let span = byte_span(location);
    if span != ByteSpan::default() {
        return inside(text, span);
    }
    let number = |value: u64| usize::try_from(value.saturating_sub(1)).unwrap_or(0);
    let lines = text.split_inclusive('\n').take(number(location.line()));
    let start: usize = lines.map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let before = rest
        .chars()
        .take(number(location.column()))
        .map(char::len_utf8);
    let start = start + before.sum::<usize>();
    let len = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .map_or(0, char::len_utf8);
    ByteSpan { start, len }
}

/// Cuts a span to whole characters of `text`.
fn inside(text: &str, span: ByteSpan) -> ByteSpan {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end().clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ByteSpan::between(start, end)
}

fn byte_span(location: &serde_yaml::Location) -> ByteSpan {
    let span = location.span();
    let number = |value: Option<u64>| usize::try_from(value.unwrap_or(0)).unwrap_or(0);
    ByteSpan {
        start: number(span.byte_offset()),
        len: number(span.byte_len()),
    }
}

/// The tree as serde gives it, places still inside `Spanned`.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

macro_rules! visit_numbers {
    ($($visit:ident: $number:ty),+) => {
        $(fn $visit<E>(self, value: $number) -> Result<Raw, E> {
            Ok(Raw::Scalar(Value::Number(Number::from(value))))
        })+
    };
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(value)))
    }

    visit_numbers! { visit_i64: i64, visit_u64: u64 }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        // `1e3` is as whole as 1000.
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            return Ok(Raw::Scalar(Value::Number(Number::from(value as i64))));
        }
        let text = || Value::Text(value.to_string());
        Ok(Raw::Scalar(
            Number::from_f64(value).map_or_else(text, Value::Number),
        ))
    }

    // Beyond 64 bits: no setting takes such a number, and as text the message can show it.
    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn tree(raw: Spanned<Raw>, duplicates: &mut Vec<Duplicate>) -> Node {
    let span = byte_span(&raw.referenced);
    let value = match raw.value {
        Raw::Scalar(value) => value,
        Raw::List(items) => {
            let items = items.into_iter().map(|item| tree(item, duplicates));
            Value::List(items.collect())
        }
        Raw::Map(raw_entries) => {
            let mut entries: Vec<Entry> = Vec::with_capacity(raw_entries.len());
            let mut seen = std::collections::HashMap::new();
            let mut repeated: Vec<Duplicate> = Vec::new();
            for (key, value) in raw_entries {
                let key_span = byte_span(&key.referenced);
                let key = key.value;
                let value = tree(value, duplicates);
                match seen.get(&key) {
                    None => {
                        seen.insert(key.clone(), entries.len());
                        entries.push(Entry {
                            key,
                            key_span,
                            value,
                        });
                    }
                    Some(first) => {
                        let first = entries[*first].key_span;
                        match repeated.iter_mut().find(|duplicate| duplicate.key == key) {
                            Some(duplicate) => duplicate.spans.push(key_span),
                            None => repeated.push(Duplicate {
                                key,
                                spans: vec![first, key_span],
                            }),
                        }
                    }
                }
            }
            duplicates.append(&mut repeated);
            Value::Map(entries)
        }
    };
    Node { span, value }
}
