//! Who may do what, and how it is refused.

use data_encoding::BASE64;
use serde_json::json;

use crate::cachix::{CacheSettings, Grant};
use crate::client::{Client, Thing};
use crate::http::send;
use crate::world;

fn status(url: &str, authorization: &str) -> u16 {
    let headers = [("Authorization", authorization)];
    let headers = if authorization.is_empty() {
        &[][..]
    } else {
        &headers[..]
    };
    send("GET", url, headers, None).unwrap().status
}

#[test]
fn a_private_cache_is_only_for_those_with_a_token() {
    let (standin, client) = world(CacheSettings::private);
    let reader = standin.new_token(Grant::Read("team".to_owned()));
    let other = standin.new_token(Grant::Write("other".to_owned()));
    for url in [
        format!("{}/cache/team", standin.api()),
        format!("{}/cache/team/pin", standin.api()),
        format!("{}/nix-cache-info", standin.cache("team").url()),
    ] {
        assert_eq!(status(&url, ""), 401);
        assert_eq!(status(&url, "Bearer "), 401);
        assert_eq!(status(&url, "Bearer wrong"), 401);
        assert_eq!(status(&url, &format!("Bearer {other}")), 401);
        assert_eq!(status(&url, &format!("Bearer {reader}")), 200);
        let basic = BASE64.encode(format!("anybody:{reader}").as_bytes());
        assert_eq!(status(&url, &format!("Basic {basic}")), 200);
    }
    let denied = send("GET", &format!("{}/cache/team", standin.api()), &[], None).unwrap();
    assert!(
        denied
            .text()
            .contains("doesn't exist or you're not authorized")
    );
    assert!(denied.header("content-type").starts_with("text/plain"));
    let reading = Client {
        token: reader,
        ..client.clone()
    };
    assert_eq!(reading.at("GET", "", None).json()["permission"], "Read");
    assert_eq!(
        reading
            .at("POST", "/multipart-nar?compression=zst", None)
            .status,
        401
    );
    assert_eq!(reading.at("POST", "/narinfo", Some(&json!([]))).status, 200);
    standin.expire(&reading.token);
    let over = reading.at("GET", "", None);
    assert!(over.status == 401 && over.text().contains("expired"));
    assert_eq!(client.at("GET", "", None).status, 200);
}

#[test]
fn a_public_cache_is_read_by_everybody_and_written_by_few() {
    let (standin, client) = world(|cache| cache);
    let nobody = Client {
        token: String::new(),
        ..client.clone()
    };
    assert_eq!(nobody.at("GET", "", None).json()["permission"], "Read");
    assert_eq!(nobody.at("GET", "/pin", None).status, 200);
    assert_eq!(nobody.at("POST", "/narinfo", Some(&json!([]))).status, 401);
    let pin = json!({ "name": "x", "storePath": "y", "artifacts": [], "keep": null });
    assert_eq!(nobody.at("POST", "/pin", Some(&pin)).status, 401);
    assert_eq!(nobody.at("DELETE", "/pin/x", None).status, 401);
    let writer = Client {
        token: standin.new_token(Grant::Write("team".to_owned())),
        ..client.clone()
    };
    writer.push(&Thing::new('a', "by a writer", &[]));
    assert_eq!(writer.at("GET", "", None).json()["permission"], "Write");
    assert_eq!(writer.ask("GET", "/user", None).unwrap().status, 401);
    assert_eq!(
        client.ask("GET", "/user", None).unwrap().json()["githubUsername"],
        "stand-in"
    );
    // Nobody learns whether a cache is there, apart from those with a token.
    assert_eq!(
        nobody.ask("GET", "/cache/nowhere", None).unwrap().status,
        401
    );
    assert_eq!(
        client.ask("GET", "/cache/nowhere", None).unwrap().status,
        404
    );
    standin.cache("team").set_public(false);
    assert_eq!(nobody.at("GET", "", None).status, 401);
}

#[test]
fn caches_are_made_and_deleted() {
    let (standin, client) = world(|cache| cache);
    let account = client.ask("GET", "/user", None).unwrap().json()["id"].clone();
    let body = json!({ "isPublic": false, "generateSigningKey": true, "accountID": account });
    let make = |client: &Client, name: &str, body: &serde_json::Value| {
        client
            .ask("POST", &format!("/cache/{name}"), Some(body))
            .unwrap()
    };
    let first = make(&client, "new-one", &body);
    assert_eq!((first.status, first.text().as_str()), (200, ""));
    let object = client.ask("GET", "/cache/new-one", None).unwrap().json();
    assert_eq!(
        (
            &object["isPublic"],
            object["publicSigningKeys"].as_array().unwrap().len()
        ),
        (&json!(false), 1)
    );
    assert_eq!(make(&client, "new-one", &body).status, 400);
    for name in ["New", "1st", "a_b", "api"] {
        assert_eq!(make(&client, name, &body).status, 400, "{name}");
    }
    let mut wrong = body.clone();
    wrong["accountID"] = json!(1);
    assert_eq!(make(&client, "another", &wrong).status, 400);
    let wrong = json!({ "isPublic": false, "generateSigningKey": true, "accountId": account });
    assert_eq!(make(&client, "another", &wrong).status, 400);
    let writer = Client {
        token: standin.new_token(Grant::Write("team".to_owned())),
        ..client.clone()
    };
    assert_eq!(make(&writer, "another", &body).status, 401);
    assert_eq!(
        client.ask("DELETE", "/cache/new-one", None).unwrap().status,
        200
    );
    assert_eq!(
        client.ask("DELETE", "/cache/new-one", None).unwrap().status,
        404
    );
    assert_eq!(standin.caches(), ["team"]);
}

#[test]
fn what_was_asked_is_kept_without_secrets() {
    let (standin, client) = world(|cache| cache);
    client.push(&Thing::new('a', "x", &[]));
    let basic = BASE64.encode(format!("x:{}", standin.token()).as_bytes());
    let url = format!("{}/nix-cache-info", standin.cache("team").url());
    assert_eq!(status(&url, &format!("Basic {basic}")), 200);
    let all = format!("{:?}", standin.requests().all());
    assert!(
        !all.contains(standin.token()) && !all.contains(&basic),
        "{all}"
    );
    assert!(!all.contains("X-Amz-Signature"));
    assert!(all.contains("Basic (not kept)"));
    assert_eq!(standin.requests().count("POST", "*/complete"), 1);
    assert!(standin.requests().most_at_once() >= 1);
    standin.requests().clear();
    assert!(standin.requests().all().is_empty());
}
