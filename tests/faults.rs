//! Every fault of a service and of a storage, by name: one list, one test for each place in which it can happen.
//!
//! `cargo nextest run --test faults` runs them all. Each asserts how the program ends, what it says (a golden
//! message, with cause and way out), that it finishes once the fault is over, that the independent checker finds
//! the cache whole, and that the planted secret is nowhere, in no encoding.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "faults/bucket.rs"]
mod bucket;
mod bucket_world;
#[path = "fake/cachix/mod.rs"]
mod cachix;
mod e2e_world;
#[path = "faults/golden.rs"]
mod golden;
#[path = "faults/service.rs"]
mod service;
mod stores;
mod support;
#[path = "e2e_cachix/team.rs"]
mod team;
#[path = "faults/wrong.rs"]
mod wrong;

/// What has to have a test, by the names of the strategy.
const FAULTS: [&str; 18] = [
    "401 text",
    "404",
    "429 with Retry-After",
    "502 problem-details",
    "502 HTML",
    "a reset in the middle of a part",
    "a missing ETag",
    "an answer lost after the effect",
    "a pin applied without an answer",
    "slow loris",
    "a redirect to another host",
    "a narinfo for another path",
    "a listing that repeats or skips a page",
    "an expired token",
    "a bucket that is not there",
    "wrong region",
    "clock skew",
    "a read-only credential",
];

/// Makes the tests and the list of them. A test that is named here and not written does not compile.
macro_rules! list {
    ($($name:literal: $fault:ident = $($place:ident),+;)+) => {
        const LIST: &[(&str, &str, &[&str])] =
            &[$(($name, stringify!($fault), &[$(stringify!($place)),+])),+];
        $(mod $fault {
            $(#[test] fn $place() { super::$place::$fault(); })+
        })+
    };
}

list! {
    "401 text": text_401 = service, bucket;
    "404": not_found_404 = service, bucket;
    "429 with Retry-After": too_many_429 = service, bucket;
    "502 problem-details": problem_502 = service, bucket;
    "502 HTML": page_502 = service, bucket;
    "a reset in the middle of a part": reset_in_a_part = service, bucket;
    "a missing ETag": no_etag = service, bucket;
    "an answer lost after the effect": answer_lost = service, bucket;
    "a pin applied without an answer": pin_without_answer = service, bucket;
    "slow loris": slow_loris = service, bucket;
    "a redirect to another host": redirect = service, bucket;
    "a narinfo for another path": other_narinfo = service, bucket;
    "a listing that repeats or skips a page": listing = service, bucket;
    "an expired token": expired_token = service, bucket;
    "a bucket that is not there": no_bucket = bucket;
    "wrong region": wrong_region = bucket;
    "clock skew": clock_skew = service, bucket;
    "a read-only credential": read_only = service, bucket;
    // Not in the list, and seen all the same.
    "500, and an answer that is none": no_answer = service;
    "an outage that may pass": let_pass = service;
    "a token that is none": no_token = service;
    "a storage that is too busy": busy_503 = bucket;
    "answers that are cut": cut = bucket;
    "a key that is not known": unknown_key = bucket;
    "nobody listens": nobody = bucket;
}

#[test]
fn every_fault_has_its_tests_and_its_golden_messages() {
    let golden = support::fixture("tests/snapshots/faults");
    for fault in FAULTS {
        let rows: Vec<_> = LIST.iter().filter(|(name, ..)| *name == fault).collect();
        assert_eq!(rows.len(), 1, "{fault} is not in the list, or twice");
    }
    for (name, fault, places) in LIST {
        for place in *places {
            let file = golden.join(format!("{fault}__{place}.snap"));
            assert!(file.exists(), "{name}: there is no {}", file.display());
        }
    }
}
