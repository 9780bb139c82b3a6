//! Pins.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Thing;
use crate::http::send;
use crate::world;

fn pin(name: &str, thing: &Thing, keep: &Value) -> Value {
    json!({ "name": name, "storePath": thing.full(), "artifacts": [], "keep": keep })
}

#[test]
fn pins_are_made_listed_and_taken_away() {
    let (standin, client) = world(|cache| cache);
    let one = Thing::new('a', "one", &[]);
    let two = Thing::new('b', "two", &[]);
    let create = |body: &Value| client.at("POST", "/pin", Some(body));
    let early = create(&pin("x", &one, &Value::Null));
    assert_eq!(early.status, 400);
    assert!(
        early.json()["error"]
            .as_str()
            .unwrap()
            .contains("not in binary cache team")
    );
    client.push(&one);
    client.push(&two);
    let revisions = json!({ "tag": "Revisions", "contents": 1 });
    assert_eq!(create(&pin("x", &one, &revisions)).status, 200);
    standin.clock().advance(Duration::from_mins(1));
    assert_eq!(create(&pin("x", &two, &revisions)).status, 200);
    assert_eq!(
        create(&pin("y/ü", &one, &json!({ "tag": "Forever" }))).status,
        200
    );
    assert_eq!(create(&pin("y/ü", &one, &Value::Null)).status, 200);
    let url = format!("{}/cache/team/pin", standin.api());
    let list = send("GET", &url, &[], None).unwrap().json();
    let shown = &list[0];
    assert_eq!(shown["name"], "x");
    assert_eq!(shown["createdOn"], "2026-03-01T00:00:00Z");
    assert_eq!(shown["keep"], revisions);
    assert_eq!(shown["lastRevision"]["storePath"], two.full());
    assert_eq!(shown["lastRevision"]["revision"], 2);
    assert_eq!(list[1]["keep"], Value::Null);
    let pins = standin.cache("team").pins();
    assert_eq!(pins[0].revisions.len(), 1);
    assert_eq!(pins[1].revisions.len(), 2);
    assert_eq!(client.at("DELETE", "/pin/y%2F%C3%BC", None).status, 200);
    assert_eq!(client.at("DELETE", "/pin/y%2F%C3%BC", None).status, 404);
    assert_eq!(standin.cache("team").pins().len(), 1);
    assert_eq!(client.at("PUT", "/pin", None).status, 405);
}

#[test]
fn wrong_pins_are_refused() {
    let (standin, client) = world(|cache| cache);
    let one = Thing::new('a', "one", &[]);
    client.push(&one);
    let wrong = [
        pin("", &one, &Value::Null),
        pin("x", &one, &json!({ "tag": "days", "contents": 3 })),
        pin("x", &one, &json!({ "tag": "Days" })),
        pin("x", &one, &json!({ "tag": "Days", "contents": 0 })),
        pin("x", &one, &json!({ "tag": "Revisions", "contents": "3" })),
        json!({ "name": "x", "storePath": one.full(), "keep": null }),
        json!({ "name": "x", "storePath": one.base_name(), "artifacts": [], "keep": null }),
        json!({ "name": "x", "storePath": format!("{}x", one.full()), "artifacts": [], "keep": null }),
        json!({ "name": "x", "storepath": one.full(), "artifacts": [], "keep": null }),
    ];
    for body in wrong {
        assert_eq!(client.at("POST", "/pin", Some(&body)).status, 400, "{body}");
    }
    assert!(standin.cache("team").pins().is_empty());
    let mut body = pin("x", &one, &Value::Null);
    body["artifacts"] = json!(["share/doc.txt"]);
    assert_eq!(client.at("POST", "/pin", Some(&body)).status, 200);
    assert!(standin.complaints()[0].contains("share/doc.txt"));
}

#[test]
fn pins_run_out_and_must_fit() {
    let (standin, client) = world(|cache| cache);
    let one = Thing::new('a', "one", &[]);
    let two = Thing::new('b', "two", &[]);
    client.push(&one);
    client.push(&two);
    let days = json!({ "tag": "Days", "contents": 2 });
    assert_eq!(
        client
            .at("POST", "/pin", Some(&pin("d", &one, &days)))
            .status,
        200
    );
    standin.clock().advance(Duration::from_hours(47));
    assert_eq!(
        client
            .at("GET", "/pin", None)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    standin.clock().advance(Duration::from_hours(2));
    assert_eq!(client.at("GET", "/pin", None).json(), json!([]));

    // The old and the new revision must fit, also where only one is kept.
    let keep = json!({ "tag": "Revisions", "contents": 1 });
    standin.limit_size(Some(standin.cache("team").size() - 1));
    assert_eq!(
        client
            .at("POST", "/pin", Some(&pin("r", &one, &keep)))
            .status,
        200
    );
    assert_eq!(
        client
            .at("POST", "/pin", Some(&pin("r", &two, &keep)))
            .status,
        400
    );
    assert_eq!(
        standin.cache("team").pins()[0].revisions[0].store_path,
        one.full()
    );
}
