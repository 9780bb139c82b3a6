//! What this version may act on, and where records stand.

use super::*;
use crate::plan::testing::{class, hash};

#[test]
fn newer_records_are_refused() {
    let head = |schema, requires: &[&str]| Head {
        schema,
        requires: requires.iter().map(ToString::to_string).collect(),
        writer: "x".to_owned(),
    };
    assert_eq!(Head::ours().check(), Ok(()));
    assert_eq!(head(0, &[]).check(), Ok(()));
    assert_eq!(head(2, &["a"]).check(), Err(Requirement::Schema(2)));
    let meaning = Requirement::Meaning("a".to_owned());
    assert_eq!(head(1, &["a", "b"]).check(), Err(meaning));
}

#[test]
fn keys_of_records() {
    let hash = hash("a");
    assert_eq!(
        Root::key(&class("gold"), hash),
        format!("nanna-cache/v1/roots/gold/{hash}.json")
    );
    assert_eq!(
        PinRecord::key(&PinName::new("v1"), hash),
        format!("nanna-cache/v1/pins/v1/{hash}.json")
    );
}

/// Every field that a record can have, and one of a later version, comes back as it was.
#[test]
fn every_field_survives_to_be_read_and_written() {
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    fn same<T: Serialize + DeserializeOwned>(fields: &Value) {
        let mut whole = json!({"schema": 1, "requires": [], "writer": "nanna-cache 9.9"});
        for more in [fields, &json!({"unheard-of": {"a": [1, null]}})] {
            let more = more.as_object().unwrap();
            whole.as_object_mut().unwrap().extend(more.clone());
        }
        let read: T = serde_json::from_value(whole.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), whole);
    }

    let path = crate::plan::testing::path("a").to_string();
    let hashes = format!("{} {}", hash("a"), hash("b"));
    let time = "2026-01-02T03:04:05Z";
    same::<IntentBody>(&json!({
        "class": "gold", "tops": [path], "paths": hashes, "absent": hashes, "began": time,
        "commit": "c", "run": "r",
    }));
    same::<RootBody>(&json!({
        "path": path, "class": "gold", "attr": ".#a", "system": "x86_64-linux", "commit": "c",
        "run": "r", "pushed": time,
    }));
    same::<PinBody>(&json!({
        "path": path, "name": "v1", "project": "p", "pinned": time, "because": "b",
    }));
    same::<PruneBody>(&json!({
        "phase": "nars", "paths": hashes, "later": hashes, "roots": "nanna-cache/v1/roots/gold/x.json",
        "nars": "nar/x", "plan": "d", "began": time, "run": "r",
    }));
    // Those that may be missing.
    same::<IntentBody>(&json!({"class": "gold", "tops": [], "paths": "", "began": time}));
    same::<RootBody>(&json!({"path": path, "class": "gold", "pushed": time}));
    same::<PinBody>(&json!({"path": path, "name": "v1", "pinned": time}));
    same::<PruneBody>(&json!({"phase": "ended", "plan": "d", "began": time}));
}
