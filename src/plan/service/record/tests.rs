//! Whose a pin is, and what records add up to.

use super::*;
use crate::plan::service::ServicePin;
use crate::plan::testing::{DAY, NOW, ago, class, path};

fn claim(word: &str, days: i64) -> Claim {
    Claim {
        path: path(word),
        pinned: ago(days),
        run: Some(format!("run-{days}")),
    }
}

/// A record of a project, so many days old, with these pins.
fn record(project: &str, days: i64, pins: &[(&str, Claim)]) -> Record {
    let pins = pins
        .iter()
        .map(|(name, it)| ((*name).to_owned(), it.clone()));
    Record {
        name: format!("{PIN}{days}"),
        body: RecordBody {
            head: Head::ours(),
            project: project.to_owned(),
            pins: pins.collect(),
            classes: BTreeMap::new(),
            written: ago(days),
            commit: None,
            run: None,
            other: Map::new(),
        },
    }
}

fn facts(records: Vec<Record>, held: &[(&str, &str)]) -> ServiceFacts {
    let pin = |(name, word): &(&str, &str)| ServicePin {
        name: (*name).to_owned(),
        path: Some(path(word)),
        artifacts: Vec::new(),
        keep: None,
    };
    ServiceFacts {
        is_public: true,
        keys: Vec::new(),
        has_token: true,
        may_write: true,
        pins: Ok(held.iter().map(pin).collect()),
        records: Records {
            read: records,
            ..Records::default()
        },
        unseen: Vec::new(),
    }
}

/// Names of the pins that are ours, each with the record that says so.
fn ours(facts: &ServiceFacts) -> Vec<(String, String)> {
    let owned = owned(facts, "demo");
    let pairs = owned.iter();
    pairs
        .map(|(name, it)| ((*name).to_owned(), it.record.name.clone()))
        .collect()
}

#[test]
fn a_pin_is_ours_while_it_is_what_our_newest_record_of_it_says() {
    let records = || {
        vec![
            record("demo", 9, &[("a", claim("old", 9)), ("b", claim("b", 9))]),
            // Carried over, and set again.
            record("demo", 3, &[("a", claim("new", 3)), ("b", claim("b", 9))]),
            record("other", 1, &[("c", claim("c", 1))]),
        ]
    };
    let newest = format!("{PIN}3");
    let of = |names: &[&str]| -> Vec<(String, String)> {
        let pair = |name: &&str| ((*name).to_owned(), newest.clone());
        names.iter().map(pair).collect()
    };
    let all = facts(
        records(),
        &[("a", "new"), ("b", "b"), ("c", "c"), ("d", "d")],
    );
    assert_eq!(ours(&all), of(&["a", "b"]));
    // What it was before somebody else has set again.
    let again = facts(records(), &[("a", "old"), ("b", "b")]);
    assert_eq!(ours(&again), of(&["b"]));
    let changed = facts(records(), &[("a", "new"), ("b", "else")]);
    assert_eq!(ours(&changed), of(&["a"]));
    assert!(ours(&facts(records(), &[])).is_empty());
    let hidden = ServiceFacts {
        pins: Err("dark".to_owned()),
        ..all
    };
    assert!(ours(&hidden).is_empty());
    // However records come, the newest counts.
    let mut turned = records();
    turned.reverse();
    assert_eq!(
        ours(&facts(turned, &[("a", "new"), ("b", "b")])),
        of(&["a", "b"])
    );
}

/// Two runs of one second: which of them came last is what the service shows.
#[test]
fn of_records_of_one_second_the_one_counts_that_says_what_is_shown() {
    let mut records = vec![
        record("demo", 1, &[("a", claim("one", 1))]),
        record("demo", 1, &[("a", claim("two", 1))]),
    ];
    for _ in 0..2 {
        for path in ["one", "two"] {
            assert_eq!(ours(&facts(records.clone(), &[("a", path)])).len(), 1);
        }
        assert!(ours(&facts(records.clone(), &[("a", "three")])).is_empty());
        records.reverse();
    }
    let mut same = vec![
        record("demo", 1, &[("a", claim("one", 1))]),
        record("demo", 1, &[("a", claim("one", 1))]),
    ];
    same[1].name.push('9');
    let last = same[1].name.clone();
    for _ in 0..2 {
        let all = facts(same.clone(), &[("a", "one")]);
        assert_eq!(ours(&all), [("a".to_owned(), last.clone())]);
        same.reverse();
    }
}

#[test]
fn a_pin_of_a_record_is_nobodys() {
    let name = format!("{PIN}7");
    let records = vec![record("demo", 1, &[(&name, claim("r", 1))])];
    assert!(ours(&facts(records, &[(&name, "r")])).is_empty());
    assert!(is_record(&name) && !is_record("nanna-cache"));
}

#[test]
fn what_only_an_old_record_knows_is_written_again() {
    let due = |records, held: &[(&str, &str)]| {
        let facts = facts(records, held);
        is_renewal_due(&owned(&facts, "demo"), NOW)
    };
    let old = || record("demo", 15, &[("a", claim("a", 15))]);
    let young = || record("demo", 14, &[("a", claim("a", 15))]);
    assert!(due(vec![old()], &[("a", "a")]));
    assert!(!due(vec![young()], &[("a", "a")]));
    assert!(!due(vec![old(), young()], &[("a", "a")]));
    // It knows of nothing that is ours still.
    assert!(!due(vec![old()], &[("a", "else")]));
    assert!(!due(Vec::new(), &[("a", "a")]));
    assert!(RENEWED_AFTER.0 * 2 <= u64::from(KEPT_DAYS) * DAY.unsigned_abs());
}

#[test]
fn each_path_counts_once_and_what_is_not_listed_counts_too() {
    let pushed = |paths: &[(&str, u64)], more: (u64, u64)| Pushed {
        paths: paths
            .iter()
            .map(|(it, size)| ((*it).to_owned(), *size))
            .collect(),
        more_paths: more.0,
        more_bytes: more.1,
    };
    let with = |classes: Vec<(&str, Pushed)>| {
        let mut one = record("any", 1, &[]);
        one.body.classes = classes
            .into_iter()
            .map(|(it, of)| (class(it), of))
            .collect();
        one
    };
    let records = Records {
        read: vec![
            with(vec![("gold", pushed(&[("a", 10), ("b", 5)], (0, 0)))]),
            with(vec![
                ("gold", pushed(&[("a", 12)], (2, 100))),
                ("dust", pushed(&[("c", 1)], (0, 0))),
            ]),
        ],
        ..Records::default()
    };
    assert_eq!(estimate(&records), (5, 118));
    assert_eq!(estimate(&Records::default()), (0, 0));
    let endless = Records {
        read: vec![
            with(vec![("gold", pushed(&[("a", u64::MAX)], (u64::MAX, 9)))]),
            with(vec![("dust", pushed(&[("b", 1)], (1, u64::MAX)))]),
        ],
        ..Records::default()
    };
    assert_eq!(estimate(&endless), (u64::MAX, u64::MAX));
}

#[test]
fn the_largest_paths_are_listed() {
    let path = |number: usize| (path(&format!("p{number}")), number as u64);
    let few = Pushed::of((0..3).map(path).collect());
    assert_eq!((few.paths.len(), few.more_paths, few.more_bytes), (3, 0, 0));
    // What is zero is not written.
    let text = serde_json::to_string(&few).unwrap();
    assert!(!text.contains("more"), "{text}");
    let many = Pushed::of((1..=LISTED + 2).map(path).collect());
    assert_eq!(many.paths.len(), LISTED);
    assert_eq!((many.more_paths, many.more_bytes), (2, 3));
}

/// A record of this form must be readable for ever.
#[test]
fn a_record_keeps_its_form() {
    let text = r#"{
  "schema": 1,
  "requires": [],
  "writer": "nanna-cache 0.1.0",
  "project": "demo",
  "pins": {
    "release": {
      "path": "0c6kzph7l0dcbfmjap64f0czdafn3b7x-app",
      "pinned": "2027-01-15T08:00:00Z",
      "run": "71.1"
    }
  },
  "classes": {
    "apps": {
      "paths": { "0c6kzph7l0dcbfmjap64f0czdafn3b7x-app": 1234 },
      "more_paths": 2,
      "more_bytes": 3
    }
  },
  "written": "2027-01-15T08:00:00Z",
  "commit": "c0ffee",
  "run": "71.1",
  "later": { "what": "a newer version adds" }
}"#;
    let body: RecordBody = serde_json::from_str(text).unwrap();
    assert_eq!(body.written, NOW);
    assert_eq!(body.pins["release"].run.as_deref(), Some("71.1"));
    let again: Value = serde_json::to_value(&body).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(text).unwrap());
    // What may be missing.
    let least = r#"{"schema":1,"writer":"x","project":"demo","written":"2027-01-15T08:00:00Z"}"#;
    let body: RecordBody = serde_json::from_str(least).unwrap();
    assert!(body.pins.is_empty() && body.classes.is_empty());
}
