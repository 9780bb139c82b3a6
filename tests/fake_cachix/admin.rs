//! What a person at a terminal switches.

use serde_json::json;

use crate::client::Thing;
use crate::http::send;
use crate::world;

#[test]
fn a_person_at_a_terminal_switches_them_too() {
    let (standin, client) = world(|cache| cache);
    client.push(&Thing::new('a', "one", &[]));
    let ask = |method: &str, rest: &str, body: &str| {
        let url = format!("{}/_stand-in/{rest}", standin.url());
        send(method, &url, &[], Some(body.as_bytes())).unwrap()
    };
    let fault = r#"{ "path": "*", "times": 1, "kind": "too-many", "retry_after": "2" }"#;
    assert_eq!(ask("POST", "fault", fault).status, 200);
    assert_eq!(client.at("GET", "", None).status, 429);
    assert_eq!(
        ask("POST", "fault", r#"{ "path": "*", "kind": "no-such" }"#).status,
        400
    );
    assert_eq!(
        ask("POST", "fault", r#"{ "path": "*", "kind": "silence" }"#).status,
        200
    );
    assert_eq!(ask("DELETE", "fault", "").status, 200);
    assert_eq!(
        ask(
            "POST",
            "cache/team",
            r#"{ "isPublic": false, "publicSigningKeys": ["a:b"] }"#
        )
        .status,
        200
    );
    let shown = client.at("GET", "", None).json();
    assert_eq!(
        (&shown["isPublic"], &shown["publicSigningKeys"]),
        (&json!(false), &json!(["a:b"]))
    );
    assert_eq!(ask("POST", "cache/nowhere", "{}").status, 404);
    let made = ask("POST", "token", r#"{ "cache": "team" }"#).json();
    let reader = crate::client::Client {
        token: made["token"].as_str().unwrap().to_owned(),
        ..client.clone()
    };
    assert_eq!(reader.at("GET", "", None).json()["permission"], "Read");
    let state = ask("GET", "state", "").json();
    assert_eq!(
        state["caches"]["team"]["paths"].as_array().unwrap().len(),
        1
    );
    assert_eq!(ask("POST", "clock", r#"{ "seconds": 60 }"#).status, 200);
    assert_eq!(standin.clock().now().to_string(), "2026-03-01T00:01:00Z");
    assert_eq!(
        ask("DELETE", &format!("cache/team/path/{}", "a".repeat(32)), "").status,
        200
    );
    assert!(standin.cache("team").paths().is_empty());
    assert_eq!(
        ask(
            "POST",
            "expire",
            &json!({ "token": standin.token() }).to_string()
        )
        .status,
        200
    );
    assert_eq!(client.at("GET", "", None).status, 401);
}

#[test]
fn the_document_names_every_fault() {
    let (standin, _) = world(|cache| cache);
    let document = crate::support::fixture("docs/cachix-stand-in.md");
    let document = std::fs::read_to_string(document).unwrap();
    let table = document.split("| Kind |").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|line| line.split('|').nth(1).unwrap());
    let mut known = 0;
    for kind in cells.flat_map(|cell| cell.split(',')) {
        let kind = kind.trim().trim_matches('`');
        let fault = json!({
            "path": "*", "kind": kind,
            "status": 302, "retry_after": null, "after_bytes": 1, "millis": 1,
        });
        // What a kind does not take is refused, so it gets what it takes.
        let wanted = |name: &str| match name {
            "status" => kind == "redirect",
            "retry_after" => kind == "too-many" || kind.starts_with("bad-gateway"),
            "after_bytes" => kind == "reset" || kind == "answer-cut",
            "millis" => kind == "drip" || kind == "delay",
            _ => true,
        };
        let mut fault = fault.as_object().unwrap().clone();
        fault.retain(|name, _| wanted(name));
        let body = serde_json::to_string(&fault).unwrap();
        let url = format!("{}/_stand-in/fault", standin.url());
        let reply = send("POST", &url, &[], Some(body.as_bytes())).unwrap();
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        known += 1;
    }
    let source = crate::support::fixture("tests/fake/cachix/fault.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let kinds = source.split("pub enum Kind {").nth(1).unwrap();
    let kinds = kinds.split("\n}\n").next().unwrap();
    let is_kind = |line: &&str| {
        let own = line.strip_prefix("    ").unwrap_or_default();
        own.starts_with(char::is_uppercase)
    };
    assert_eq!(kinds.lines().filter(is_kind).count(), known);
}
