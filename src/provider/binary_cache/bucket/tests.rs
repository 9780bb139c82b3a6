//! What a storage may answer, and what must never be made of it.
#![expect(
    clippy::cast_precision_loss,
    clippy::format_push_string,
    reason = "a storage of a test may be plain"
)]

mod opened;
mod storage;

use std::time::Duration;

use self::storage::{Pages, Storage, say};
use super::super::IfThere;
use super::*;
use crate::config::model::{Bucket, Storage as Kind};
use crate::sys::host::Host;

const SOON: Patience = Patience {
    tries: 3,
    first_wait: Duration::from_millis(5),
    answer: Duration::from_secs(30),
};

fn bucket(storage: &Storage) -> Bucket {
    Bucket {
        storage: Kind::S3,
        name: "cache".into(),
        account: None,
        prefix: String::new(),
        region: Some("us-east-1".into()),
        endpoint: Some(format!("http://127.0.0.1:{}", storage.port)),
        url: None,
    }
}

fn host() -> Host {
    Host::made_up([
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ])
}

fn open(storage: &Storage) -> BucketStore {
    BucketStore::open_with(&bucket(storage), "x".into(), &host(), SOON).unwrap()
}

/// An error with its causes.
fn told(error: &StoreError) -> String {
    use std::error::Error as _;
    let cause = error.source().map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

fn create(store: &BucketStore, key: &str) -> Result<Outcome, StoreError> {
    store.put(Put {
        key: key.into(),
        bytes: b"x".to_vec(),
        if_there: IfThere::Keep,
    })
}

/// Sends a NAR file of these bytes; its key.
fn send(store: &BucketStore, bytes: &[u8]) -> Result<String, crate::transfer::sink::SinkError> {
    let mut sink = store.upload().unwrap();
    sink.write(bytes).unwrap();
    sink.finish(&crate::transfer::sink::FileFacts {
        hash: crate::nix::hash::Sha256::of(bytes),
        size: bytes.len() as u64,
        suffix: "",
    })
}

#[test]
fn a_write_that_must_happen_did_not_if_the_storage_says_that_something_is_there() {
    for (status, code) in [(409, "ObjectExists"), (412, "LeaseIdMissing")] {
        let storage = Storage::new();
        let store = open(&storage);
        storage.put("roots/r", b"old", 1000);
        storage.rule(move |request| {
            let asks = request.method == "PUT" && !request.headers.contains_key("if-none-match");
            if asks { say(status, code) } else { None }
        });
        let error = store.write("roots/r", b"new".to_vec()).unwrap_err();
        assert!(told(&error).contains(code), "{}", told(&error));
        assert!(store.put_record("intents/i", b"{}".to_vec()).is_err());
        assert!(send(&store, b"a small NAR").is_err());
        let level = vec![Put {
            key: "roots/r".into(),
            bytes: b"new".to_vec(),
            if_there: IfThere::Replace,
        }];
        assert!(store.put_levels(vec![level])[0].is_err());
        assert_eq!(storage.text("roots/r").as_deref(), Some("old"));
    }
}

#[test]
fn two_that_write_one_key_at_once_are_told_so_and_write_again() {
    let storage = Storage::new();
    let store = open(&storage);
    let count = std::sync::atomic::AtomicUsize::new(0);
    storage.rule(move |request| {
        let is_first =
            request.is("PUT", "/r") && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if is_first { say(409, "Busy") } else { None }
    });
    store.write("r", b"new".to_vec()).unwrap();
    assert_eq!(storage.text("r").as_deref(), Some("new"));
}

#[test]
fn a_conflict_is_that_the_object_is_there_only_if_it_is() {
    let storage = Storage::new();
    let store = open(&storage);
    assert_eq!(create(&store, "a").unwrap(), Outcome::Written);
    assert_eq!(create(&store, "a").unwrap(), Outcome::Kept);
    storage.rule(|request| {
        let asks = request.headers.contains_key("if-none-match");
        if asks {
            say(409, "ContainerBeingDeleted")
        } else {
            None
        }
    });
    assert_eq!(create(&store, "a").unwrap(), Outcome::Kept);
    assert!(create(&store, "b").is_err());
    assert_eq!(storage.text("b"), None);
}

const WEEK: i64 = 7 * 86_400;

/// The bytes of a NAR file that goes in parts.
fn large() -> Vec<u8> {
    (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn a_copy_onto_itself_makes_an_object_young_where_aws_would_refuse_a_plain_one() {
    let storage = Storage::new();
    let store = open(&storage);
    storage.put("nar/n.nar", b"some bytes", WEEK);
    assert!(store.touch("nar/n.nar").unwrap());
    assert!(storage.age("nar/n.nar").unwrap() < 60);
    assert_eq!(storage.seen("PUT").len(), 1);
    assert!(storage.seen("GET").is_empty(), "its bytes are not fetched");
    assert!(!store.touch("nar/none.nar").unwrap());
    // What is there goes not over the wire again.
    let bytes = large();
    let key = nar_key(&bytes);
    storage.put(&key, &bytes, WEEK);
    assert_eq!(send(&store, &bytes).unwrap(), key);
    assert!(storage.age(&key).unwrap() < 60);
    assert!(storage.seen("uploads").is_empty());
}

fn nar_key(bytes: &[u8]) -> String {
    super::super::nar_key(&crate::nix::hash::Sha256::of(bytes), "")
}

#[test]
fn what_could_not_be_made_young_is_no_success() {
    let storage = Storage::new();
    let store = open(&storage);
    let bytes = large();
    let key = nar_key(&bytes);
    storage.put(&key, &bytes, WEEK);
    // No copies, and no upload comes to its end.
    storage.rule(|request| match () {
        () if request.headers.contains_key("x-amz-copy-source") => say(400, "InvalidRequest"),
        () if request.is("POST", "uploadId") => say(403, "AccessDenied"),
        () => None,
    });
    assert!(store.touch(&key).is_err());
    assert!(send(&store, &bytes).is_err());
    assert!(storage.age(&key).unwrap() > WEEK - 60);
    // No copies: the bytes are sent anew.
    storage.rule(|request| {
        let copies = request.headers.contains_key("x-amz-copy-source");
        if copies {
            say(400, "InvalidRequest")
        } else {
            None
        }
    });
    assert_eq!(send(&store, &bytes).unwrap(), key);
    assert!(storage.age(&key).unwrap() < 60);
    storage.put(&key, &bytes, WEEK);
    assert!(store.touch(&key).unwrap());
    assert!(storage.age(&key).unwrap() < 60);
}

#[test]
fn a_storage_that_refuses_conditions_is_one_without_them() {
    for (status, code) in [(501, "NotImplemented"), (400, "InvalidArgument")] {
        let storage = Storage::new();
        let store = open(&storage);
        storage.rule(move |request| {
            let asks = request.headers.contains_key("if-none-match");
            if asks { say(status, code) } else { None }
        });
        store.create("StoreDir: /nix/store\n").unwrap();
        let said = storage.text(conditions::KEY).unwrap();
        assert!(said.contains("\"create-only\":\"ignored\""), "{said}");
        assert!(open(&storage).capabilities().unconditional);
        assert_eq!(create(&store, "a.narinfo").unwrap(), Outcome::Written);
        assert_eq!(create(&store, "a.narinfo").unwrap(), Outcome::Kept);
        // It learnt them: the next process says so.
        storage.rule(|_| None);
        let store = open(&storage);
        assert_eq!(create(&store, "b.narinfo").unwrap(), Outcome::Written);
        assert!(!open(&storage).capabilities().unconditional);
    }
}

#[test]
fn another_refusal_of_a_condition_is_an_error() {
    let storage = Storage::new();
    storage.rule(|request| {
        let asks = request.headers.contains_key("if-none-match");
        if asks { say(403, "AccessDenied") } else { None }
    });
    assert!(open(&storage).create("StoreDir: /nix/store\n").is_err());
    assert_eq!(storage.text(conditions::KEY), None);
}

#[test]
fn objects_are_deleted_one_by_one_where_many_at_once_are_refused() {
    for status in [400, 405, 501] {
        let storage = Storage::new();
        let store = open(&storage);
        storage.rule(move |request| {
            let asks = request.is("POST", "delete");
            if asks {
                say(status, "NotImplemented")
            } else {
                None
            }
        });
        let keys: Vec<String> = (0..30).map(|n| format!("nar/{n}.nar")).collect();
        for key in &keys {
            storage.put(key, b"x", 0);
        }
        for _twice in 0..2 {
            let answers = store.delete(&keys);
            assert_eq!(answers.len(), keys.len());
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        assert!(keys.iter().all(|key| storage.age(key).is_none()));
        assert_eq!(storage.seen("POST").len(), 1, "it is asked once");
    }
}

#[test]
fn one_object_is_deleted_plainly_and_a_refusal_of_rights_is_none_of_the_request() {
    let storage = Storage::new();
    let store = open(&storage);
    storage.put("intents/i.json", b"x", 0);
    assert!(store.delete(&["intents/i.json".into()])[0].is_ok());
    assert_eq!(storage.age("intents/i.json"), None);
    assert!(storage.seen("POST").is_empty());
    storage.rule(|request| {
        let asks = request.is("POST", "delete");
        if asks { say(403, "AccessDenied") } else { None }
    });
    let answers = store.delete(&["a".into(), "b".into()]);
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(storage.seen("DELETE").len(), 1);
}

fn listed(storage: &Storage) -> Result<Vec<String>, StoreError> {
    let mut keys = Vec::new();
    let each = &mut |one: Listed<'_>| keys.push(one.key.to_owned());
    open(storage).list(Area::Nars, each).map(|()| keys)
}

#[test]
fn a_listing_that_is_cut_is_never_whole() {
    let storage = Storage::new();
    for n in 0..1500 {
        storage.put(&format!("nar/{n:04}.nar"), b"x", 0);
    }
    let pages = |size, says, token, start_after| Pages {
        size,
        says,
        token,
        start_after,
    };
    for right in [pages(1000, true, true, true), pages(7, true, true, true)] {
        storage.pages(right);
        assert_eq!(listed(&storage).unwrap().len(), 1500, "{right:?}");
    }
    // It says that there is more, and not how to go on: as those that know the first version only.
    for cut in [pages(1000, true, false, true), pages(2, true, false, false)] {
        storage.pages(cut);
        let error = listed(&storage).unwrap_err();
        assert!(told(&error).contains("cut"), "{}", told(&error));
    }
    // It does not even say so: what comes after the last key is asked for.
    storage.pages(pages(1000, false, false, true));
    assert_eq!(listed(&storage).unwrap().len(), 1500);
    storage.pages(pages(1000, false, false, false));
    let error = listed(&storage).unwrap_err();
    assert!(told(&error).contains("repeats"), "{}", told(&error));
}

#[test]
fn a_full_page_may_be_the_last() {
    let storage = Storage::new();
    for n in 0..1000 {
        storage.put(&format!("nar/{n:04}.nar"), b"x", 0);
    }
    assert_eq!(listed(&storage).unwrap().len(), 1000);
    assert_eq!(storage.seen("start-after=nar").len(), 1);
}

#[test]
fn a_slow_line_carries_a_large_file() {
    let storage = Storage::new();
    let bytes = large();
    storage.speed(5 << 20);
    // Three parts beside one another take 3.8 s, which none of them has; one alone takes 1.6 s.
    let line = line::Line::new(line::Pace {
        answer: Duration::from_secs(1),
        speed: 8 << 20,
    });
    assert_eq!(line.limit(8 << 20), Duration::from_secs(3));
    let patience = Patience { tries: 5, ..SOON };
    let store = BucketStore::open_on(&bucket(&storage), "x".into(), &host(), patience, line);
    let store = store.unwrap();
    let key = send(&store, &bytes).unwrap();
    assert_eq!(storage.age(&key).map(|age| age < 60), Some(true));
    assert!(storage.seen("partNumber").len() > 3, "some were late");
    assert!(!store.has_unanswered(), "no object shows a part");
}

#[test]
fn what_large_bodies_may_take_grows_with_them() {
    let line = line::Line::new(line::Pace::default());
    assert_eq!(line.limit(1).as_secs(), 60 + 129);
    assert_eq!(line.limit(8 << 20).as_secs(), 60 + 256);
    // A storage refuses what was signed 15 minutes ago.
    assert!(line.limit(16 << 20) < Duration::from_mins(10));
}

#[test]
fn of_a_refusal_only_the_beginning_is_read() {
    let storage = Storage::new();
    storage.rule(|_| {
        let mut answer = say(403, "AccessDenied").unwrap();
        answer.body.resize(1 << 20, b' ');
        // The rest never comes.
        let length = (1_u64 << 31).to_string();
        answer.headers.push(("Content-Length", length));
        Some(answer)
    });
    let error = open(&storage).get("x", 10).unwrap_err();
    assert!(told(&error).contains("AccessDenied"), "{}", told(&error));
}
