//! Each kind of step is counted once, and a renewal is no change.

use super::*;
use crate::config::model::PinName;
use crate::plan::observed::{Nar, Observation};
use crate::plan::step::RootToWrite;
use crate::plan::testing::{ago, cache, class, desired, dev, path, world};

#[test]
fn a_whole_plan_is_counted() {
    let desired = desired(
        "push: { paths: [/g] }
pins: { v1: { path: /g }, old: { path: /h } }
optimize: { cores: 2, warm: ['.#w'] }
artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#later'] }
  dust: { priority: 10, retention: 10d, default: true }
",
    );
    let mut world = world()
        .with_output(".#later", &["later"])
        .with_output(".#w", &["w"])
        .with_upstream(&["w"])
        .with_store(&["a 70 b", "b 30"])
        .with_cached(400, &["x 10", "y 5"])
        .with_roots(300, "dust", &["x", "y"])
        .with_roots(1, "dust", &["a"]);
    world.environment.github_env = Some("/env".to_owned());
    let mut observed = world.observe(&desired);
    let given = Observation::Present(vec![path("a")]);
    observed.given.insert("/g".to_owned(), given);
    observed.given.insert("/h".to_owned(), Observation::Absent);
    dev(&mut observed).nars.push(Nar {
        key: "nar/old".to_owned(),
        size: 3,
        modified: ago(9),
    });
    let plan = crate::plan::make::plan(&desired, &observed, "digest");
    let sum = Summary::of(&plan);
    let expected = Summary {
        error: 0,
        changes: 8,
        create: 1,
        change: 0,
        build: 1,
        fetch: 1,
        push_paths: 2,
        push_bytes: 100,
        sign: 0,
        recompress: 0,
        recompress_bytes: 0,
        push_later: 1,
        roots_new: 0,
        roots_renewed: 1,
        pin: 1,
        unpin: 0,
        delete_paths: 2,
        delete_files: 1,
        delete_bytes: 18,
        roots_ended: 2,
        unknown: 1,
        refused: 0,
        advice: 1,
    };
    assert_eq!(sum, expected);
    assert!(!sum.is_empty());
}

#[test]
fn a_plan_that_only_renews_changes_nothing() {
    let desired = desired("push: { paths: [/g] }");
    let world = world().with_cached(1, &["a"]).with_roots(1, "dust", &["a"]);
    let with = |class: &'static str| {
        let mut observed = world.observe(&desired);
        let given = Observation::Present(vec![path("a")]);
        observed.given.insert("/g".to_owned(), given);
        for root in &mut dev(&mut observed).roots {
            root.class = crate::plan::testing::class(class);
        }
        Summary::of(&crate::plan::make::plan(&desired, &observed, "digest"))
    };
    assert!(with("dust").is_empty());
    assert_eq!(with("dust").roots_renewed, 1);
    assert_eq!(with("gold").changes, 1, "a new record is a change");
}

#[test]
fn steps_of_a_kind_add_up() {
    let step = |op: Op| Step {
        address: crate::plan::address::key_address(&cache("dev")),
        phase: crate::plan::address::Phase::Push,
        scope: crate::plan::step::Scope::Shared,
        because: crate::plan::step::Because::default(),
        effect: crate::plan::step::Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
        op,
    };
    let root = |new| RootToWrite {
        path: path("a"),
        class: class("dust"),
        attr: None,
        new,
    };
    let ops = [
        Op::EditFile {
            path: String::new(),
            before: Some(String::new()),
            after: String::new(),
        },
        Op::Push {
            cache: cache("dev"),
            class: class("dust"),
            paths: Vec::new(),
            selectors: Vec::new(),
            roots: vec![root(true), root(false), root(false), root(false)],
        },
        Op::Pin {
            cache: cache("dev"),
            name: PinName::new("v1"),
            add: vec![path("a")],
            remove: vec![path("b"), path("c")],
        },
        Op::Unpin {
            cache: cache("dev"),
            name: "old".to_owned(),
            path: path("d"),
        },
    ];
    let twice: Vec<Step> = ops.iter().chain(&ops).cloned().map(step).collect();
    let expected = Summary {
        changes: 8,
        change: 2,
        roots_new: 2,
        roots_renewed: 6,
        pin: 2,
        unpin: 6,
        ..Summary::default()
    };
    assert_eq!(Summary::of_steps(&twice), expected);
}

#[test]
fn to_put_away_records_alone_is_no_change() {
    let sweep = |keys: &[&str]| {
        let objects = keys.iter().map(|key| Nar {
            key: (*key).to_owned(),
            size: 1,
            modified: ago(9),
        });
        Op::Sweep {
            cache: cache("dev"),
            objects: objects.collect(),
        }
    };
    let record = format!("{}/intents/x.json", crate::plan::record::FOLDER);
    assert_eq!(sweep(&[&record]).kind(), Kind::Renew);
    assert_eq!(sweep(&[&record, "nar/x"]).kind(), Kind::Delete);
}
