use super::*;
use crate::plan::observed::Observation;

fn client(token: Option<&str>) -> Client {
    let token = token.and_then(Token::new);
    let address = (
        "http://127.0.0.1:1/api/v1/",
        "http://127.0.0.1:1/team/",
        "team",
    );
    Client::new(address, token, &http::Options::default(), Use::Look).unwrap()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
        tries: 3,
    }
}

fn said(status: u16, body: &str) -> String {
    let judged = client(Some("s3cret")).judge("look", answer(status, body));
    judged.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

#[test]
fn what_an_answer_says_is_one_line_without_the_token() {
    assert_eq!(said(200, ""), "fine");
    assert_eq!(
        said(400, r#"{"error": "the path is not in binary cache team"}"#),
        "look: 127.0.0.1:1 answered 400: the path is not in binary cache team (3 tries)"
    );
    assert_eq!(
        said(
            502,
            r#"{"type":"about:blank","title":"Bad gateway","detail":"the origin\nis down"}"#
        ),
        "look: 127.0.0.1:1 answered 502: the origin is down (3 tries); the fault is its own: run again later"
    );
    assert_eq!(
        said(502, "<html><h1>502</h1>"),
        "look: 127.0.0.1:1 answered 502 (3 tries); the fault is its own: run again later"
    );
    assert_eq!(
        said(404, "no s3cret here\n\u{1b}[1m"),
        "look: 127.0.0.1:1 has no such thing (404): no … here [1m; check the cache's `name` and `api`"
    );
    let refused = said(401, "not authorised");
    assert!(
        refused.starts_with("look: 127.0.0.1:1 refused (401): not authorised; the token is wrong")
    );
    assert!(said(307, "").contains("leads to another address (307)"));
    assert!(said(500, &"x".repeat(1000)).chars().count() < 360);
}

#[test]
fn only_a_failure_of_the_service_is_an_outage() {
    let outage = |status| {
        let judged = client(None).judge("look", answer(status, ""));
        judged.is_err_and(|error| error.is_outage())
    };
    for (status, is) in [
        (500, true),
        (502, true),
        (429, true),
        (408, true),
        (400, false),
        (401, false),
        (404, false),
        (301, false),
    ] {
        assert_eq!(outage(status), is, "{status}");
    }
}

#[test]
fn nobody_answers_in_a_short_time_and_words() {
    let began = std::time::Instant::now();
    let Observation::Unknown(why) = client(None).observe(None) else {
        panic!("somebody answered")
    };
    assert!(
        why.0.contains("failed to look at the cache: 127.0.0.1:1"),
        "{}",
        why.0
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}
