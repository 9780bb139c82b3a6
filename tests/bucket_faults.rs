//! What a storage can do wrong, each by name: the exit code, the words with the way out, a cache that
//! stays whole, a run after it that finishes, and no secret anywhere.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test"
)]

mod bucket_world;
mod e2e_world;
mod stores;
mod support;

use std::time::Duration;

use bucket_world::{Shop, forms};
use stores::proxy::{Answer, Fault, Request};
use support::bed::Output;

/// The words of an output in one line, however they were wrapped.
fn words(said: &Output) -> String {
    let all = format!("{} {}", said.stdout, said.stderr);
    let words: Vec<&str> = all.split_whitespace().filter(|word| *word != "┃").collect();
    words.join(" ")
}

/// The storage does something wrong during `line`, and then no more.
struct Case {
    name: &'static str,
    /// The command during which it happens.
    line: &'static str,
    /// Its exit code.
    code: i32,
    /// What it says; empty: nothing in particular.
    says: &'static str,
    fault: fn(&Request, usize) -> Fault,
}

fn xml(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so it is</Message></Error>")
}

fn say(status: u16, code: &str) -> Fault {
    Fault::Say(status, Vec::new(), xml(code))
}

/// A write, of a NAR or a narinfo.
fn writes(request: &Request) -> bool {
    request.method == "PUT"
        && (request.target.contains("/nar/") || request.target.contains(".narinfo"))
}

const APPLY: &str = "reconcile --apply";
const PLAN: &str = "reconcile --plan";

const CASES: &[Case] = &[
    Case {
        name: "a bucket that is not there",
        line: PLAN,
        code: 0,
        says: "there is no bucket `cache`; make it",
        fault: |_, _| say(404, "NoSuchBucket"),
    },
    Case {
        name: "a bucket that is not there, when applied",
        line: APPLY,
        code: 0,
        says: "there is no bucket `cache`",
        fault: |_, _| say(404, "NoSuchBucket"),
    },
    Case {
        name: "wrong region",
        line: PLAN,
        code: 0,
        says: "write `region: eu-west-1` in cache.yaml",
        fault: |_, _| {
            Fault::Say(
                301,
                vec![("x-amz-bucket-region", "eu-west-1".into())],
                xml("PermanentRedirect"),
            )
        },
    },
    Case {
        name: "a redirect to another host",
        line: PLAN,
        code: 0,
        says: "another region, or at another endpoint",
        fault: |_, _| {
            Fault::Say(
                307,
                vec![("Location", "http://127.0.0.1:1/elsewhere".into())],
                xml("TemporaryRedirect"),
            )
        },
    },
    Case {
        name: "an expired token",
        line: PLAN,
        code: 0,
        says: "the credentials have expired; log in again",
        fault: |_, _| say(400, "ExpiredToken"),
    },
    Case {
        name: "clock skew",
        line: PLAN,
        code: 0,
        says: "set this machine's clock",
        fault: |_, _| say(403, "RequestTimeTooSkewed"),
    },
    Case {
        name: "401 text",
        line: PLAN,
        code: 0,
        says: "does not accept the credentials",
        fault: |_, _| Fault::Say(401, Vec::new(), "Unauthorized".into()),
    },
    Case {
        name: "a key that is not known",
        line: PLAN,
        code: 0,
        says: "does not accept the credentials (InvalidAccessKeyId)",
        fault: |_, _| say(403, "InvalidAccessKeyId"),
    },
    Case {
        name: "read-only credentials",
        line: APPLY,
        code: 1,
        says: "these credentials may not write",
        fault: |request, _| {
            if request.method == "PUT" {
                say(403, "AccessDenied")
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "429 with Retry-After, once",
        line: APPLY,
        code: 0,
        says: "",
        fault: |_, number| {
            if number == 0 {
                Fault::Say(429, vec![("Retry-After", "1".into())], xml("SlowDown"))
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "503 on every third request",
        line: APPLY,
        code: 0,
        says: "",
        fault: |_, number| {
            if number % 3 == 0 {
                say(503, "SlowDown")
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "503 always",
        line: PLAN,
        code: 0,
        says: "the storage is too busy",
        fault: |_, _| say(503, "SlowDown"),
    },
    Case {
        name: "502 HTML, always",
        line: PLAN,
        code: 0,
        says: "the storage answered 502",
        fault: |_, _| Fault::Say(502, Vec::new(), "<html><b>Bad Gateway</b></html>".into()),
    },
    Case {
        name: "502 problem-details on the first writes",
        line: APPLY,
        code: 0,
        says: "",
        fault: |request, number| {
            if writes(request) && number % 4 == 1 {
                Fault::Say(502, Vec::new(), "{\"title\":\"bad gateway\"}".into())
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "a reset on every fourth request",
        line: APPLY,
        code: 0,
        says: "",
        fault: |_, number| {
            if number % 4 == 3 {
                Fault::Reset
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "an answer lost after the effect",
        line: APPLY,
        code: 0,
        says: "",
        fault: |request, number| {
            if writes(request) && number % 3 == 0 {
                Fault::Lost
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "answers that are cut in their bodies",
        line: APPLY,
        code: 0,
        says: "",
        fault: |request, number| {
            if request.method == "GET" && number % 5 == 2 {
                Fault::Cut(10)
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "a listing that repeats a page",
        line: PLAN,
        code: 0,
        says: "repeats a page",
        fault: |request, _| {
            if request.is("GET", "list-type=2") {
                Fault::Change(repeat)
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "a narinfo for another path",
        line: "prune",
        code: 0,
        says: "it is about",
        fault: |request, _| {
            if request.is("GET", ".narinfo") {
                Fault::Change(other)
            } else {
                Fault::Pass
            }
        },
    },
    Case {
        name: "an endpoint that hangs up at once",
        line: PLAN,
        code: 0,
        says: "the connection to the storage broke",
        fault: |_, _| Fault::Reset,
    },
];

/// Says that the listing goes on where it began.
fn repeat(answer: &mut Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let text = text.replace(
        "<IsTruncated>false</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>",
    );
    answer.body = text.into_bytes();
}

/// Makes a narinfo be about another path.
fn other(answer: &mut Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let text = text.replace(
        "StorePath: /nix/store/",
        "StorePath: /nix/store/00000000000000000000000000000000-x-",
    );
    answer.body = text.into_bytes();
}

/// Runs one share of the cases: they are spread over tests, which run beside one another.
fn cases(share: usize, of: usize) {
    let Some(shop) = Shop::new("") else { return };
    for case in CASES.iter().skip(share).step_by(of) {
        eprintln!("════ {}", case.name);
        // What is there is whole; something is left to be done.
        let _ = shop.run(APPLY).success();
        let narinfo = shop
            .objects()
            .into_iter()
            .rfind(|key| key.ends_with(".narinfo"))
            .unwrap();
        if case.line != "prune" {
            shop.delete(&narinfo);
        }
        // Nothing is remembered that would spare it a question.
        let _ = std::fs::remove_dir_all(shop.world.bed.home().join(".cache/nanna-cache"));
        shop.proxy.rule(case.fault);
        let said = shop.run(case.line);
        assert!(shop.proxy.asked() > 0, "{}: nothing was asked", case.name);
        shop.proxy.pass();
        assert_eq!(said.code, Some(case.code), "{}: {said}", case.name);
        assert!(words(&said).contains(case.says), "{}: {said}", case.name);
        for form in forms() {
            assert!(!words(&said).contains(&form), "{}: {said}", case.name);
        }
        if case.line != "prune" {
            // The narinfo that was taken out is the top of its own closure here; the rest is whole.
            let _ = shop.run(APPLY).success();
        }
        shop.assert_whole();
        let after = shop.run("reconcile --detailed-exitcode").success();
        assert!(
            after.stdout.contains("No changes"),
            "{}: {after}",
            case.name
        );
    }
    shop.assert_no_secret();
}

#[test]
fn faults_1() {
    cases(0, 4);
}

#[test]
fn faults_2() {
    cases(1, 4);
}

#[test]
fn faults_3() {
    cases(2, 4);
}

#[test]
fn faults_4() {
    cases(3, 4);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
}

#[test]
fn nobody_listens() {
    let Some(shop) = Shop::new("") else { return };
    let _ = shop.run(APPLY).success();
    let text = shop.world.bed.read("cache.yaml");
    let port = stores::port();
    let text = text.replace(&shop.proxy.port.to_string(), &port.to_string());
    shop.world.whole_config(&text);
    let begun = std::time::Instant::now();
    let plan = shop.run(PLAN).success();
    assert!(
        words(&plan).contains("the storage cannot be reached"),
        "{plan}"
    );
    let apply = shop.run(APPLY);
    // A plan has its unknown; an apply that could not look where push writes is no success.
    assert_eq!(apply.code, Some(1), "{apply}");
    assert!(
        words(&apply).contains("team could not be looked at, and push writes to it"),
        "{apply}"
    );
    let strict = shop.run("reconcile --plan --strict");
    assert_eq!(strict.code, Some(7), "{strict}");
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
}

/// A large NAR goes in parts; a part that breaks is sent again, and an answer without its tag is an error.
#[test]
fn parts_that_break() {
    let Some(shop) = Shop::new("compression: { method: none }") else {
        return;
    };
    let file = shop.world.bed.root().join("large");
    let bytes: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&file, bytes).unwrap();
    let path = shop.world.nix.add(&file);
    shop.configure(&path);
    shop.proxy.rule(|request, _| {
        if request.is("PUT", "partNumber=2") {
            Fault::Change(|answer| {
                let is_tag = |name: &str| name.eq_ignore_ascii_case("etag");
                answer.headers.retain(|(name, _)| !is_tag(name));
            })
        } else {
            Fault::Pass
        }
    });
    let apply = shop.run(APPLY);
    assert_eq!(apply.code, Some(6), "{apply}");
    assert!(words(&apply).contains("ETag"), "{apply}");
    shop.assert_whole();
    shop.proxy.rule(|request, number| {
        if request.is("PUT", "partNumber=") && number % 2 == 0 {
            Fault::Reset
        } else {
            Fault::Pass
        }
    });
    let _ = shop.run(APPLY).success();
    shop.proxy.pass();
    shop.assert_whole_with(&[path]);
}
