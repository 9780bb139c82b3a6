use super::*;
use crate::nix::conf::{Effective, Entry, FileRead};
use crate::nix::key::SecretKey;
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::StoreDir;

const NOW: i64 = 1_800_000_000;
const URL: &str = "http://cache.example";
const PATH: &str = "00000000000000000000000000000000-tool";

fn key() -> SecretKey {
    SecretKey::generate("cache.example-1", [7; 32]).unwrap()
}

fn got(status: u16, body: &str) -> Answer {
    Answer::Got {
        status,
        body: body.to_owned(),
        size: Some(body.len() as u64),
    }
}

fn narinfo() -> String {
    let dir = StoreDir::default();
    let hash = "1111111111111111111111111111111111111111111111111111";
    let text = format!(
        "StorePath: /nix/store/{PATH}\nURL: nar/x.nar\nCompression: none\nFileHash: sha256:{hash}\nFileSize: 10\n\
         NarHash: sha256:{hash}\nNarSize: 10\nReferences: \n"
    );
    let mut info = NarInfo::parse(&text, &dir).unwrap();
    assert!(info.sign(&key(), &dir));
    info.display(&dir).to_string()
}

fn conf(text: &str) -> Effective {
    let entry = Entry::File("/etc/nix/nix.conf".to_owned());
    Effective::load(&[entry], |_| FileRead::Bytes(text.as_bytes().to_vec()))
}

/// A set-up with nothing wrong, where everything that can be looked at was.
fn healthy() -> Facts {
    let text = format!(
        "substituters = {URL}\ntrusted-public-keys = {}\n",
        key().public()
    );
    let mut cache = CacheFacts::new(URL);
    cache.in_settings = true;
    cache.info = got(200, "StoreDir: /nix/store\nPriority: 40\n");
    cache.narinfo = got(200, &narinfo());
    cache.nar = Answer::Got {
        status: 200,
        body: String::new(),
        size: Some(10),
    };
    Facts {
        now: NOW,
        conf: conf(&text),
        machine_conf: conf(&text),
        values: [
            ("substituters".to_owned(), URL.to_owned()),
            ("trusted-public-keys".to_owned(), key().public().to_string()),
        ]
        .into(),
        user: "ada".to_owned(),
        trusted: true,
        caches: vec![cache],
        path: Some(PATH.parse().unwrap()),
        ..Facts::default()
    }
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    let found = diagnose(facts).findings;
    found.iter().map(|it| it.code.word()).collect()
}

/// What one change of a healthy set-up makes doctor say.
fn after(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    let mut facts = healthy();
    change(&mut facts);
    codes(&facts)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let diagnosis = diagnose(&healthy());
    assert_eq!(diagnosis.findings, []);
    assert!(diagnosis.healthy);
    assert!(diagnosis.links.iter().all(|link| link.fine == Some(true)));
}

#[test]
fn words_are_distinct_and_every_finding_says_what_to_type() {
    let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|it| it.word()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    let mut facts = healthy();
    facts.caches[0].info = Answer::Silent("no".to_owned());
    facts
        .values
        .insert("substitute".to_owned(), "false".to_owned());
    facts
        .values
        .insert("trusted-users".to_owned(), "*".to_owned());
    facts.unreadable.push("/x".to_owned());
    let found = diagnose(&facts).findings;
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|it| !it.remedy.is_empty()), "{found:?}");
}

#[test]
fn a_daemon_drops_what_an_untrusted_user_sets() {
    let untrusted = |facts: &mut Facts| {
        facts.daemon = true;
        facts.trusted = false;
    };
    assert_eq!(
        after(untrusted),
        [""; 0],
        "the machine's own settings are enough"
    );
    let dropped = after(|facts| {
        untrusted(facts);
        facts.machine_conf = conf("");
    });
    assert_eq!(dropped, ["substituter-not-trusted", "key-not-trusted"]);
    let listed = after(|facts| {
        untrusted(facts);
        let text = format!(
            "trusted-substituters = {URL}/\ntrusted-public-keys = {}",
            key().public()
        );
        facts.machine_conf = conf(&text);
    });
    assert_eq!(listed, [""; 0]);
}

#[test]
fn a_daemon_is_older_only_than_what_changed_after_it_started() {
    let with = |daemon: bool, changed: i64| {
        after(|facts| {
            facts.daemon = daemon;
            facts.daemon_started = Some(100);
            facts.changed = vec![("/etc/nix/nix.conf".to_owned(), changed)];
        })
    };
    assert_eq!(with(true, 101), ["daemon-older"]);
    assert_eq!(with(true, 100), [""; 0]);
    assert_eq!(with(false, 101), [""; 0]);
}

#[test]
fn slowness_and_clocks_have_limits() {
    let slow = |took: u64| after(|facts| facts.caches[0].took_ms = took);
    assert_eq!(slow(1001), ["cache-slow"]);
    assert_eq!(slow(1000), [""; 0]);
    let apart = |ahead: i64| after(|facts| facts.caches[0].ahead = Some(ahead));
    assert_eq!(apart(-301), ["clock-differs"]);
    assert_eq!(apart(301), ["clock-differs"]);
    assert_eq!(apart(300), [""; 0]);
    assert!({
        let mut facts = healthy();
        facts.caches[0].took_ms = 5000;
        diagnose(&facts).healthy
    });
}

#[test]
fn memories_count_as_long_as_nix_believes_them() {
    let with = |present: bool, age: i64, status: u16| {
        after(|facts| {
            let body = narinfo();
            facts.caches[0].narinfo = got(status, if status == 200 { &body } else { "" });
            facts.caches[0].remembered = Some(Remembered {
                present,
                time: NOW - age,
            });
        })
    };
    assert_eq!(with(false, 3599, 200), ["remembered-miss"]);
    assert_eq!(with(false, 3600, 200), [""; 0]);
    assert_eq!(with(true, 10, 200), [""; 0]);
    assert_eq!(with(true, 10, 404), ["path-absent", "remembered-hit"]);
    assert_eq!(with(true, 31 * 24 * 3600, 404), ["path-absent"]);
    assert_eq!(with(false, 10, 404), ["path-absent"]);
}

#[test]
fn what_could_not_be_seen_is_unknown_and_not_absent() {
    let with = |status: u16| after(|facts| facts.caches[0].narinfo = got(status, ""));
    assert_eq!(with(503), ["path-unknown"]);
    assert_eq!(with(404), ["path-absent"]);
    assert_eq!(with(403), ["path-absent"]);
    let said = after(|facts| facts.caches[0].nar = got(502, ""));
    assert_eq!(said, ["path-unknown"]);
    let mut facts = healthy();
    facts.caches[0].narinfo = got(503, "");
    let what = &diagnose(&facts).findings[0].what;
    assert!(what.contains("HTTP 503"), "{what}");
    assert_eq!(
        after(|facts| facts.caches[0].cut = true),
        ["closure-unknown"]
    );
    assert_eq!(
        after(|facts| facts.caches[0].untold = 1),
        ["closure-unknown"]
    );
    let bucket = |facts: &mut Facts| facts.caches.push(CacheFacts::new("s3://bucket"));
    assert!(after(bucket).contains(&"not-looked-at"));
    let nowhere = after(|facts| {
        bucket(facts);
        facts.caches[0].narinfo = got(404, "");
    });
    assert!(nowhere.contains(&"path-unknown") && !nowhere.contains(&"path-absent"));
}

#[test]
fn a_cache_may_be_trusted_without_signatures() {
    let none = |facts: &mut Facts| {
        facts
            .values
            .insert("trusted-public-keys".to_owned(), String::new());
    };
    assert_eq!(after(none), ["signer-not-trusted"]);
    let by_url = after(|facts| {
        none(facts);
        facts.caches[0].url = format!("{URL}?trusted=1");
    });
    assert_eq!(by_url, [""; 0]);
    let by_setting = after(|facts| {
        none(facts);
        facts
            .values
            .insert("require-sigs".to_owned(), "false".to_owned());
    });
    assert_eq!(by_setting, [""; 0]);
}

#[test]
fn a_refusal_is_a_missing_a_hidden_or_a_bad_login() {
    let with = |exists: bool, readable: bool, host: &str| {
        after(|facts| {
            facts.caches[0].info = got(401, "");
            facts.caches[0].narinfo = Answer::NotAsked;
            facts.netrc = NetrcFacts {
                path: "/etc/nix/netrc".to_owned(),
                exists,
                readable,
                hosts: vec![host.to_owned()],
            };
        })
    };
    assert_eq!(with(false, false, ""), ["netrc-without-host"]);
    assert_eq!(with(true, true, "other.example"), ["netrc-without-host"]);
    assert_eq!(with(true, false, ""), ["netrc-unreadable"]);
    assert_eq!(with(true, true, "cache.example"), ["cache-refuses"]);
}

#[test]
fn urls_have_hosts_and_parameters() {
    let cache = CacheFacts::new("https://me:x@h.example:8080/c?priority=3&trusted=1");
    assert_eq!(cache.host(), Some("h.example"));
    assert_eq!(cache.parameter("priority"), Some("3"));
    assert_eq!(cache.parameter("prio"), None);
    assert_eq!(cache.base(), "https://me:x@h.example:8080/c");
    assert_eq!(CacheFacts::new("file:///x").host(), None);
}

#[test]
fn no_login_and_no_secret_key_is_said() {
    let secret = key().to_file_text().trim().to_owned();
    let mut facts = healthy();
    facts.caches[0].url = "http://me:hunter2@cache.example".to_owned();
    facts.caches[0].info = Answer::Silent("no".to_owned());
    facts.conf = conf(&format!(
        "extra-substituters = http://me:hunter2@a\nextra-trusted-public-keys = {secret}\nsubstituters = b\n\
         trusted-public-keys = {secret} x\n"
    ));
    facts
        .values
        .insert("trusted-public-keys".to_owned(), secret.clone());
    let said = serde_json::to_string(&diagnose(&facts)).unwrap();
    let digits = secret.split_once(':').unwrap().1;
    assert!(
        said.contains("key-malformed") && said.contains("setting-overridden"),
        "{said}"
    );
    assert!(
        !said.contains("hunter2") && !said.contains(digits),
        "{said}"
    );
}
