//! Reading: what is served, what is hidden, what is asked for, what the collector takes.

use std::time::Duration;

use serde_json::json;

use crate::cachix::{Settings, StandIn};
use crate::client::{Client, Thing};
use crate::http::send;
use crate::world;

fn get(standin: &StandIn, rest: &str) -> crate::http::Reply {
    let url = format!("{}/{rest}", standin.cache("team").url());
    send("GET", &url, &[], None).unwrap()
}

#[test]
fn a_cache_says_what_it_is() {
    let (standin, client) = world(|cache| cache);
    let info = get(&standin, "nix-cache-info");
    assert_eq!(
        info.text(),
        "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 41\n"
    );
    let object = client.at("GET", "", None).json();
    assert_eq!(object["uri"], standin.cache("team").url());
    assert_eq!(object["permission"], "Admin");
    assert_eq!(object["preferredCompressionMethod"], "ZSTD");
    assert_eq!(
        object["publicSigningKeys"],
        json!(standin.cache("team").public_keys())
    );
    assert_eq!(object.as_object().unwrap().len(), 7);
    assert_eq!(get(&standin, "log/x.drv").status, 404);
    assert_eq!(
        get(&standin, &format!("{}.narinfo", "a".repeat(32))).status,
        404
    );
}

#[test]
fn a_nar_is_elsewhere_and_a_file_of_it_is_here() {
    let (standin, client) = world(|cache| cache);
    let thing = Thing::new('a', "the content", &[]);
    client.push(&thing);
    let narinfo = standin.cache("team").narinfo(&thing.hash).unwrap();
    let file = narinfo
        .lines()
        .find_map(|line| line.strip_prefix("URL: nar/"))
        .unwrap();
    let reply = get(&standin, &format!("nar/{file}"));
    assert_eq!(reply.status, 302);
    let there = reply.header("location");
    assert_eq!(
        send("GET", there, &[], None).unwrap().body,
        thing.file("zst")
    );
    let url = client.at("GET", &format!("/narurl/{file}"), None).json();
    assert!(url.as_str().unwrap().starts_with(&standin.storage_url()));
    assert_eq!(get(&standin, "nar/x.nar.zst").status, 404);
    assert_eq!(get(&standin, "nar/x.nar").status, 404);
    let served = get(&standin, &format!("serve/{}/", thing.hash));
    assert_eq!(served.text(), "the content");
    assert_eq!(
        get(&standin, &format!("serve/{}/bin/x", thing.hash)).status,
        404
    );

    let narinfo = get(&standin, &format!("{}.narinfo", thing.hash));
    let url = format!("{}/{}.narinfo", standin.cache("team").url(), thing.hash);
    let again = send(
        "GET",
        &url,
        &[("If-None-Match", narinfo.header("etag"))],
        None,
    )
    .unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(send("HEAD", &url, &[], None).unwrap().status, 200);
}

#[test]
fn narinfos_of_incomplete_closures_are_hidden_but_their_paths_are_not_missing() {
    let (standin, client) = world(|cache| cache);
    let below = Thing::new('a', "below", &[]);
    let upstream = Thing::new('b', "upstream", &[]);
    let top = Thing::new('c', "top", &[&below, &upstream]);
    standin.cache("team").add_upstream(&upstream.hash, None);
    client.push(&top);
    let narinfo = format!("{}.narinfo", top.hash);
    assert_eq!(get(&standin, &narinfo).status, 404);
    let ask = |hashes: &[&str]| client.at("POST", "/narinfo", Some(&json!(hashes)));
    let all = [&*below.hash, &upstream.hash, &top.hash];
    assert_eq!(ask(&all).json(), json!([below.hash]));
    client.push(&below);
    assert_eq!(get(&standin, &narinfo).status, 200);
    assert_eq!(ask(&all).json(), json!([]));
    assert!(standin.cache("team").remove_path(&below.hash));
    assert_eq!(get(&standin, &narinfo).status, 404);

    assert_eq!(ask(&["/nix/store/x"]).status, 400);
    assert_eq!(client.at("POST", "/narinfo", Some(&json!({}))).status, 400);
    let many: Vec<String> = vec![top.hash.clone(); 32_769];
    assert_eq!(
        client.at("POST", "/narinfo", Some(&json!(many))).status,
        413
    );
    let most = &many[1..];
    assert_eq!(
        client.at("POST", "/narinfo", Some(&json!(most))).status,
        200
    );
    let long = json!(["x".repeat(3 << 20)]);
    // The answer may come before everything was sent.
    let reply = client.ask("POST", "/cache/team/narinfo", Some(&long));
    assert!(reply.is_err() || reply.unwrap().status == 413);
}

#[test]
fn what_an_upstream_says_is_passed_through() {
    let (standin, _) = world(|cache| cache);
    let text = "StorePath: /nix/store/x\nSig: cache.example.org-1:AAAA\n";
    standin
        .cache("team")
        .add_upstream(&"d".repeat(32), Some(text));
    assert_eq!(
        get(&standin, &format!("{}.narinfo", "d".repeat(32))).text(),
        text
    );
}

#[test]
fn calls_in_a_wrong_way_are_refused() {
    let (standin, client) = world(|cache| cache);
    let url = format!("{}/cache/team/narinfo", standin.api());
    let bearer = format!("Bearer {}", standin.token());
    let token = ("Authorization", bearer.as_str());
    let status = |method: &str, url: &str, headers: &[(&str, &str)], body: &str| {
        send(method, url, headers, Some(body.as_bytes()))
            .unwrap()
            .status
    };
    let json = ("Content-Type", "application/json");
    assert_eq!(status("POST", &url, &[token, json], "[]"), 200);
    assert_eq!(status("POST", &url, &[token], "[]"), 415);
    assert_eq!(
        status("POST", &url, &[token, ("Content-Type", "text/plain")], "[]"),
        415
    );
    assert_eq!(
        status("POST", &url, &[token, json, ("Accept", "text/html")], "[]"),
        406
    );
    assert_eq!(status("POST", &url, &[token, json], "["), 400);
    assert_eq!(status("GET", &url, &[token], ""), 405);
    assert_eq!(client.at("PUT", "/multipart-nar", None).status, 405);
    assert_eq!(client.at("GET", "/settings", None).status, 404);
    assert_eq!(
        client
            .at("POST", &format!("/{}.narinfo", "a".repeat(32)), None)
            .status,
        405
    );
}

#[test]
fn the_least_used_go_first_and_pinned_ones_stay() {
    let settings = Settings {
        now: Some("2026-03-01T00:00:00Z".parse().unwrap()),
        ..Settings::public("team")
    };
    let standin = StandIn::start(settings);
    let client = Client {
        api: standin.api(),
        cache: "team".to_owned(),
        token: standin.token().to_owned(),
    };
    let below = Thing::new('a', "below", &[]);
    let pinned = Thing::new('b', "pinned", &[&below]);
    let [read, not_read, last] =
        ['c', 'd', 'f'].map(|digit| Thing::new(digit, &digit.to_string(), &[]));
    for thing in [&below, &pinned, &read, &not_read] {
        client.push(thing);
        standin.clock().advance(Duration::from_mins(1));
    }
    let pin = json!({ "name": "p", "storePath": pinned.full(), "artifacts": [], "keep": null });
    assert_eq!(client.at("POST", "/pin", Some(&pin)).status, 200);
    assert_eq!(get(&standin, &format!("{}.narinfo", read.hash)).status, 200);
    let room = standin.cache("team").size();
    standin.limit_size(Some(room));
    client.push(&last);
    let left = [&below, &pinned, &read, &last].map(Thing::base_name);
    assert_eq!(standin.cache("team").paths(), left);
    assert!(standin.cache("team").file(&below.hash).is_some());
    assert!(standin.cache("team").size() <= room);
}
