#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "plain to read, and speed does not matter"
)]

use super::*;

fn slice(document: &Document, span: ByteSpan) -> &str {
    &document.text[span.start..span.end()]
}

fn kind(text: &str) -> Result<Json, FaultKind> {
    Document::parse(text.as_bytes())
        .map(|document| document.root.to_json())
        .map_err(|fault| fault.kind)
}

/// The message and the underlined text of a fault.
fn complaint(text: &str) -> (String, String) {
    let fault = Document::parse(text.as_bytes()).unwrap_err();
    let span = fault.span.unwrap();
    (fault.message, fault.text[span.start..span.end()].to_owned())
}

#[test]
fn spans_are_bytes_of_keys_and_values() {
    let text = "a: &q 'x y'\nb:\n  - \"é1\"\n  - {c: 014, d: no}\n  - *q\n";
    let document = Document::parse(text.as_bytes()).unwrap();
    let spans: Vec<_> = document
        .texts()
        .into_iter()
        .map(|(text, span)| (text, slice(&document, span)))
        .collect();
    let expected = [
        ("a", "a"),
        ("x y", "'x y'"),
        ("b", "b"),
        ("é1", "\"é1\""),
        ("c", "c"),
        ("014", "014"),
        ("d", "d"),
        ("no", "no"),
        ("x y", "*q"),
    ];
    assert_eq!(spans, expected);
    let places = document.places("f");
    let place = |pointer: &str| {
        places
            .keys
            .get(pointer)
            .map(|(_, place)| (place.line, place.column))
    };
    assert_eq!(place("/a"), Some((1, 1)));
    assert_eq!(place("/b/0"), Some((3, 5)));
    assert_eq!(place("/b/1/d"), Some((4, 14)));
    assert_eq!(place("/b/2"), Some((5, 5)));
    let found = document.find("/b/1").unwrap();
    assert_eq!(
        (found.key_span, slice(&document, found.value_span())),
        (None, "{")
    );
    assert_eq!(
        slice(&document, document.find("/b").unwrap().value_span()),
        "b"
    );
    assert!(document.find("/b/7").is_none() && document.find("/a/x").is_none());
}

#[test]
fn words_stay_words() {
    let json =
        kind("a: no\nb: on\nc: 014\nd: 1_000\ne: true\nf: 1e3\ng: ~\nh: 12.5\n1: x\n").unwrap();
    let expected = serde_json::json!({
        "a": "no", "b": "on", "c": "014", "d": "1_000", "e": true, "f": 1000, "g": null, "h": 12.5, "1": "x"
    });
    assert_eq!(json, expected);
}

#[test]
fn every_place_of_a_duplicate_is_known() {
    let document = Document::parse(b"a: 1\nb: {x: 1, x: 2}\na: 2\na: 3\n").unwrap();
    let found: Vec<_> = document
        .duplicates
        .iter()
        .map(|d| (d.key.as_str(), d.spans.len()))
        .collect();
    assert_eq!(found, [("a", 3), ("x", 2)]);
    assert_eq!(
        document.root.to_json(),
        serde_json::json!({"a": 1, "b": {"x": 1}})
    );
}

#[test]
fn merge_keys_and_aliases_are_expanded() {
    let json = kind("a: &x {y: 1, z: 0}\nb:\n  <<: *x\n  z: 2\n").unwrap();
    assert_eq!(json["b"], serde_json::json!({"z": 2, "y": 1}));
}

#[test]
fn pointers_escape() {
    let document = Document::parse(b"a/b: {c~d: 1}").unwrap();
    assert!(document.find("/a~1b/c~0d").is_some());
}

#[test]
fn faults_have_their_kind() {
    use FaultKind::{Empty, ManyDocuments, NotText, Syntax, Tab, TooComplex};
    let cases = [
        ("", Empty),
        ("\n# only a comment\n", Empty),
        ("---\n", Empty),
        ("...\n", Empty),
        ("~\n", Empty),
        ("---\n---\n", Empty),
        ("a: b\n---\nc: d\n", ManyDocuments),
        ("a:\n\t- b\n", Tab),
        ("a:\n  b: 1\n\tc: 2\n", Tab),
        ("a: [", Syntax),
        ("a: b: c", Syntax),
        ("? [a]\n: b", Syntax),
        ("null: b", Syntax),
        ("a: !foo b", Syntax),
        ("a: .nan", Syntax),
        ("a: *x", Syntax),
        ("a: \0", NotText),
        ("\u{1b}[2J", NotText),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(text), Err(expected), "{text:?}");
    }
    let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(kind(&deep), Err(TooComplex | Syntax)));
    let deep: String = (0..2_000)
        .map(|at| format!("{}a:\n", " ".repeat(at)))
        .collect();
    assert!(matches!(kind(&deep), Err(TooComplex | Syntax)));
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for at in 1..12 {
        let items = vec![format!("*a{}", at - 1); 9].join(",");
        bomb += &format!("a{at}: &a{at} [{items}]\n");
    }
    assert_eq!(kind(&bomb), Err(TooComplex));
}

#[test]
fn faults_are_underlined_where_they_are() {
    let cases = [
        ("ü: 1\na: 'x", "'"),
        ("ü: 1\nc: [a", "["),
        ("ü: é: c", ":"),
        ("a: *nobody", "*"),
        ("a: 1\n\tb: 2\n", "\t"),
    ];
    let found: Vec<_> = cases.iter().map(|(text, _)| complaint(text)).collect();
    let marked: Vec<_> = found.iter().map(|(_, marked)| marked.as_str()).collect();
    let expected: Vec<_> = cases.iter().map(|(_, marked)| *marked).collect();
    assert_eq!(marked, expected, "{found:?}");
}

#[test]
fn bytes_that_are_no_text() {
    let kind = |bytes: &[u8]| Document::parse(bytes).unwrap_err().kind;
    assert_eq!(kind(b"a: \xff\xfe"), FaultKind::NotText);
    assert_eq!(kind(&vec![b'#'; MAX_BYTES + 1]), FaultKind::TooLarge);
    let document = Document::parse(b"\xef\xbb\xbfa: 1\r\nb: x\r\n").unwrap();
    assert_eq!(
        document.root.to_json(),
        serde_json::json!({"a": 1, "b": "x"})
    );
    assert!(document.text.starts_with('a'));
}
