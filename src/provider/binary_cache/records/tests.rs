use super::*;
use serde_json::json;

#[test]
fn lists_are_sorted_and_read_back() {
    let a: HashPart = "00000000000000000000000000000001".parse().unwrap();
    let b: HashPart = "0z000000000000000000000000000001".parse().unwrap();
    let text = list([b, a, b]);
    assert_eq!(text, format!("{a} {b}"));
    assert_eq!(unlist(&text), Some(vec![a, b]));
    assert_eq!(unlist(""), Some(vec![]));
    assert_eq!(unlist("nonsense"), None);
}

#[test]
fn keys_say_what_they_are_of() {
    let hash: HashPart = "ivdsi7k2110sa5dkz830w8y523sr23ry".parse().unwrap();
    let key = crate::plan::record::Root::key(&ClassName::new("models"), hash);
    assert_eq!(root_of(&key), Some((ClassName::new("models"), hash)));
    assert_eq!(root_of("nanna-cache/v1/roots/models/x.json"), None);
    assert_eq!(
        root_of("nanna-cache/v1/roots/models/.nanna-cache.tmp.1.2"),
        None
    );
    let id = new_id().unwrap();
    assert_eq!(id.len(), 26);
    assert_eq!(id_of(&intent_key(&id)), Some(id.as_str()));
    assert_eq!(id_of("nanna-cache/v1/prunes/.nanna-cache.tmp.1.2"), None);
    assert_ne!(new_id().unwrap(), id);
}

#[test]
fn unknown_fields_survive_and_unknown_meanings_refuse() {
    let body = json!({
        "schema": 1, "requires": [], "writer": "nanna-cache 9", "phase": "paths",
        "paths": "", "plan": "x", "began": "2026-01-01T00:00:00Z", "unheard-of": {"a": [1]}
    });
    let read_back: PruneBody = read("k", body.to_string().as_bytes()).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&bytes(&read_back)).unwrap();
    assert_eq!(again["unheard-of"], body["unheard-of"]);
    for (field, value) in [("schema", json!(2)), ("requires", json!(["wings"]))] {
        let mut other = body.clone();
        other[field] = value;
        let error = read::<PruneBody>("k", other.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, RecordError::Newer { .. }), "{error}");
    }
    // A newer format need not have our fields.
    let error = read::<PruneBody>("k", br#"{"schema": 7, "writer": "x"}"#).unwrap_err();
    assert!(error.to_string().contains("schema 7"), "{error}");
    assert!(matches!(
        read::<PruneBody>("k", b"{"),
        Err(RecordError::Malformed { .. })
    ));
}

#[test]
fn age_counts_only_where_the_store_does_not_know() {
    let meta = |gone| Meta {
        size: 0,
        modified: Time(1000),
        revision: Revision::default(),
        gone,
    };
    assert!(!PRUNE.is_gone(&meta(None), Time(1000 + 1805)));
    assert!(PRUNE.is_gone(&meta(None), Time(1000 + 1806)));
    assert!(!PRUNE.is_gone(&meta(None), Time(0)));
    assert!(PRUNE.is_gone(&meta(Some(true)), Time(1000)));
    assert!(!PRUNE.is_gone(&meta(Some(false)), Time(1_000_000)));
}

#[test]
fn an_identity_is_letters_and_digits_and_not_nothing() {
    assert_eq!(id_of("nanna-cache/v1/prunes/0A9.json"), Some("0A9"));
    for strange in [".json", "x/.json", "x/a-b.json", "x/a.b.json", "x/a", ""] {
        assert_eq!(id_of(strange), None, "{strange}");
    }
}
