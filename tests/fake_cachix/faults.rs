//! Every fault: what the caller sees, whether the effect happened, and that it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cachix::{Fault, Kind, Place, StandIn};
use crate::client::{Client, Thing};
use crate::http::{Reply, send};
use crate::world;

fn object(client: &Client) -> std::io::Result<Reply> {
    client.ask("GET", "/cache/team", None)
}

#[test]
fn refusals_without_effect() {
    let (standin, client) = world(|cache| cache);
    let struck = |kind: Kind| {
        standin.faults().clear();
        standin
            .faults()
            .add(Fault::new("GET", "/api/v1/cache/team", kind).times(1));
        let reply = object(&client).unwrap();
        assert_eq!(object(&client).unwrap().status, 200, "only once");
        assert_eq!(standin.faults().struck(), 1);
        reply
    };
    let reply = struck(Kind::Unauthorized);
    assert!(reply.status == 401 && reply.text().contains("not authorized"));
    let reply = struck(Kind::ExpiredToken);
    assert!(reply.status == 401 && reply.text().contains("expired"));
    assert_eq!(struck(Kind::NotFound).status, 404);
    assert_eq!(struck(Kind::ServerError).status, 500);
    let reply = struck(Kind::TooMany {
        retry_after: Some("7".to_owned()),
    });
    assert_eq!((reply.status, reply.header("retry-after")), (429, "7"));
    let reply = struck(Kind::TooMany { retry_after: None });
    assert_eq!((reply.status, reply.header("retry-after")), (429, ""));
    let reply = struck(Kind::BadGatewayProblem {
        retry_after: Some(9),
    });
    assert_eq!(
        (reply.status, &reply.json()["retry_after"]),
        (502, &json!(9))
    );
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let reply = struck(Kind::BadGatewayPage {
        retry_after: Some("60".to_owned()),
    });
    assert!(reply.status == 502 && reply.text().contains("<html>"));
    assert_eq!(reply.header("retry-after"), "60");
    let reply = struck(Kind::Portal);
    assert!(reply.status == 200 && reply.text().contains("<html>"));
    let reply = struck(Kind::Redirect { status: 307 });
    assert_eq!(reply.status, 307);
    assert!(
        reply
            .header("location")
            .starts_with(&standin.stranger_url())
    );
    assert!(standin.requests().at(Place::Stranger).is_empty());
    let token = [("Authorization", "Bearer x")];
    assert_eq!(
        send("GET", reply.header("location"), &token, None)
            .unwrap()
            .status,
        200
    );
    assert!(standin.requests().at(Place::Stranger)[0].has_token);
    let reply = struck(Kind::BrokenJson);
    assert!(reply.status == 200 && serde_json::from_slice::<Value>(&reply.body).is_err());
}

#[test]
fn a_fault_strikes_what_it_is_for() {
    let (standin, client) = world(|cache| cache);
    let fault = Fault::new("*", "/api/*/team*", Kind::NotFound)
        .after(1)
        .times(2);
    standin.faults().add(fault);
    let statuses = [(); 5].map(|()| object(&client).unwrap().status);
    assert_eq!(statuses, [200, 404, 404, 200, 200]);
    assert_eq!(client.ask("GET", "/user", None).unwrap().status, 200);
}

#[test]
fn an_answer_is_lost_after_its_effect() {
    let (standin, client) = world(|cache| cache);
    let thing = Thing::new('a', "one", &[]);
    let lose = |path: &str, kind: Kind| {
        standin.faults().clear();
        standin
            .faults()
            .add(Fault::new("POST", path, kind).times(1));
    };
    lose("*/complete", Kind::AnswerLost);
    let file = thing.file("zst");
    let begun = client.begin("zst");
    let etag = client.part(&begun, 1, &file).unwrap();
    let said = thing.said(&file);
    let error = client
        .complete(&begun, std::slice::from_ref(&etag), &said)
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(standin.cache("team").paths(), [thing.base_name()]);
    assert_eq!(
        client.complete(&begun, &[etag], &said).unwrap().status,
        404,
        "it is over"
    );

    lose("*/pin", Kind::AnswerLost);
    let pin = json!({ "name": "x", "storePath": thing.full(), "artifacts": [], "keep": null });
    assert!(client.ask("POST", "/cache/team/pin", Some(&pin)).is_err());
    lose("*/pin", Kind::AnswerCut { after_bytes: 9 });
    assert!(client.ask("POST", "/cache/team/pin", Some(&pin)).is_err());
    assert_eq!(standin.cache("team").pins()[0].revisions.len(), 2);

    lose("*/pin", Kind::Silence);
    let mut stream = TcpStream::connect(standin.url().trim_start_matches("http://")).unwrap();
    let body = pin.to_string();
    let head = format!(
        "POST /api/v1/cache/team/pin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        standin.token(),
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(
        stream.read(&mut [0; 9]).is_err(),
        "no byte comes, and the connection stays"
    );
    assert_eq!(standin.cache("team").pins()[0].revisions.len(), 3);
}

#[test]
fn parts_are_reset_and_lose_their_etags() {
    let (standin, client) = world(|cache| cache);
    let bytes = vec![7; 3 << 20];
    let begun = client.begin("zst");
    let reset = Kind::Reset {
        after_bytes: 100_000,
    };
    standin
        .faults()
        .add(Fault::new("PUT", "/storage/parts/*", reset).times(1));
    let error = client.part(&begun, 1, &bytes).unwrap_err().kind();
    let expected = [
        std::io::ErrorKind::ConnectionReset,
        std::io::ErrorKind::BrokenPipe,
    ];
    assert!(expected.contains(&error), "{error:?}");
    assert!(client.part(&begun, 1, &bytes).is_ok());
    standin
        .faults()
        .add(Fault::new("PUT", "/storage/parts/*", Kind::NoETag).times(1));
    assert_eq!(client.part(&begun, 2, &bytes).unwrap(), "");
}

#[test]
fn answers_drip_and_come_late() {
    let (standin, client) = world(|cache| cache);
    let slow = |kind: Kind| {
        standin.faults().clear();
        standin.faults().add(Fault::new("GET", "*", kind).times(1));
        let start = Instant::now();
        assert_eq!(object(&client).unwrap().status, 200);
        start.elapsed()
    };
    assert!(slow(Kind::Delay { millis: 200 }) >= Duration::from_millis(200));
    assert!(slow(Kind::Drip { millis: 1 }) >= Duration::from_millis(300));
}

fn narinfo(standin: &StandIn, thing: &Thing) -> String {
    let url = format!("{}/{}.narinfo", standin.cache("team").url(), thing.hash);
    send("GET", &url, &[], None).unwrap().text()
}

#[test]
fn narinfos_listings_and_bytes_are_wrong() {
    let (standin, client) = world(|cache| cache);
    let [one, two] = ['a', 'b'].map(|digit| Thing::new(digit, "some content", &[]));
    client.push(&one);
    standin
        .faults()
        .add(Fault::new("GET", "*.narinfo", Kind::OtherNarInfo).times(2));
    assert!(narinfo(&standin, &one).contains("/nix/store/00000000"));
    client.push(&two);
    assert_eq!(
        Some(narinfo(&standin, &one)),
        standin.cache("team").narinfo(&two.hash)
    );
    assert_eq!(
        Some(narinfo(&standin, &one)),
        standin.cache("team").narinfo(&one.hash)
    );

    for (name, thing) in [("x", &one), ("y", &two)] {
        let pin = json!({ "name": name, "storePath": thing.full(), "artifacts": [], "keep": null });
        assert_eq!(client.at("POST", "/pin", Some(&pin)).status, 200);
    }
    let names = |kind: Kind| {
        standin.faults().clear();
        standin
            .faults()
            .add(Fault::new("GET", "*/pin", kind).times(1));
        let list = client.at("GET", "/pin", None).json();
        let names = list
            .as_array()
            .unwrap()
            .iter()
            .map(|pin| pin["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(Kind::PinsRepeat), ["x", "y", "x"]);
    assert_eq!(names(Kind::PinsSkip), ["x"]);

    standin
        .faults()
        .add(Fault::new("GET", "/storage/nar/*", Kind::WrongBytes).times(1));
    let text = narinfo(&standin, &one);
    let file = text
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .unwrap();
    let url = format!("{}/{file}", standin.cache("team").url());
    let there = send("GET", &url, &[], None)
        .unwrap()
        .header("location")
        .to_owned();
    let wrong = send("GET", &there, &[], None).unwrap().body;
    let right = send("GET", &there, &[], None).unwrap().body;
    assert!(wrong != right && wrong.len() == right.len());
}

#[test]
fn what_happens_at_once_is_counted() {
    let (standin, client) = world(|cache| cache);
    let delay = Kind::Delay { millis: 300 };
    standin
        .faults()
        .add(Fault::new("PUT", "/storage/parts/*", delay));
    let begun = client.begin("zst");
    std::thread::scope(|scope| {
        for number in 1..=3 {
            let (client, begun) = (&client, &begun);
            scope.spawn(move || client.part(begun, number, b"bytes").unwrap());
        }
    });
    assert_eq!(standin.requests().most_parts_at_once(), 3);
    assert_eq!(standin.requests().count("PUT", "/storage/*"), 3);
    let _ = object(&client);
    standin.requests().clear();
    let _ = object(&client);
    assert_eq!(standin.requests().most_at_once(), 1);
}
