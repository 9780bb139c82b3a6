//! Changes of the text of `cache.yaml` that leave all else as it stands.
//!
//! Each gives the changed text, or none where the text is written in a way that is not edited here. Whether the
//! text says afterwards what was meant is for the caller to read.

use crate::text::place::escape;
use crate::text::yaml::{Document, Entry, Node, Value};

/// Sets a key of a class to a plain scalar.
pub(super) fn set(text: &str, class: &str, key: &str, value: &str) -> Option<String> {
    let document = Document::parse(text.as_bytes()).ok()?;
    let place = format!("/artifacts/{}", escape(class));
    if let Some(found) = document.find(&format!("{place}/{key}")) {
        let span = found.node.span;
        return splice(&document.text, span.start, span.end(), value);
    }
    let class = document.find(&place)?.node;
    let Value::Map(entries) = &class.value else {
        return None;
    };
    let first = entries.first()?.key_span.start;
    let after = if is_flow(&document.text, class) {
        ", ".to_owned()
    } else {
        let line = document
            .text
            .get(..first)?
            .rfind('\n')
            .map_or(0, |at| at + 1);
        format!("\n{}", " ".repeat(first - line))
    };
    splice(
        &document.text,
        first,
        first,
        &format!("{key}: {value}{after}"),
    )
}

/// Takes an item out of `push.exclude`.
pub(super) fn stop_excluding(text: &str, pattern: &str) -> Option<String> {
    let document = Document::parse(text.as_bytes()).ok()?;
    let Value::Map(entries) = &document.find("/push")?.node.value else {
        return None;
    };
    let entry: &Entry = entries.iter().find(|entry| entry.key == "exclude")?;
    let Value::List(items) = &entry.value.value else {
        return None;
    };
    let is_it = |item: &Node| matches!(&item.value, Value::Text(text) if text == pattern);
    let at = items.iter().position(is_it)?;
    let text = &document.text;
    let span = items[at].span;
    if is_flow(text, &entry.value) {
        let (from, to) = match (
            at.checked_sub(1).and_then(|at| items.get(at)),
            items.get(at + 1),
        ) {
            (_, Some(next)) => (span.start, next.span.start),
            (Some(previous), None) => (previous.span.end(), span.end()),
            (None, None) => (span.start, span.end()),
        };
        return splice(text, from, to, "");
    }
    // Of the only item of a block the key goes, too: a key without a value is no list.
    let from = if items.len() == 1 {
        entry.key_span.start
    } else {
        span.start
    };
    let from = text.get(..from)?.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(span.end()..)?;
    let to = rest.find('\n').map_or(text.len(), |at| span.end() + at + 1);
    splice(text, from, to, "")
}

fn is_flow(text: &str, node: &Node) -> bool {
    let first = text.as_bytes().get(node.span.start);
    matches!(first, Some(b'{' | b'['))
}

fn splice(text: &str, from: usize, to: usize, with: &str) -> Option<String> {
    Some(format!("{}{with}{}", text.get(..from)?, text.get(to..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_or_put_first() {
        let flow = "artifacts:\n  a: { priority: 1, retention: 5d } # why\n  b: { priority: 2 }\n";
        assert_eq!(
            set(flow, "a", "retention", "9d").unwrap(),
            flow.replace("5d", "9d")
        );
        assert_eq!(
            set(flow, "b", "retention", "9d").unwrap(),
            flow.replace("{ priority: 2", "{ retention: 9d, priority: 2")
        );
        let block = "artifacts:\n  a:\n    priority: 1\n";
        assert_eq!(
            set(block, "a", "retention", "9d").unwrap(),
            "artifacts:\n  a:\n    retention: 9d\n    priority: 1\n"
        );
        assert_eq!(set(block, "c", "retention", "9d"), None);
        assert_eq!(set("artifacts: 1", "c", "retention", "9d"), None);
    }

    #[test]
    fn an_item_goes_wherever_it_stands() {
        let flow = |items: &str| format!("push:\n  exclude: [{items}]  # c\n  to: 1\n");
        for (before, after) in [("'a', 'b', c", "'b', c"), ("'x', 'a'", "'x'"), ("'a'", "")] {
            assert_eq!(stop_excluding(&flow(before), "a").unwrap(), flow(after));
        }
        let block = "push:\n  exclude:\n    - a # c\n    - b\n  to: 1\n";
        let without = stop_excluding(block, "a").unwrap();
        assert_eq!(without, "push:\n  exclude:\n    - b\n  to: 1\n");
        assert_eq!(stop_excluding(&without, "b").unwrap(), "push:\n  to: 1\n");
        assert_eq!(stop_excluding(block, "z"), None);
    }
}
