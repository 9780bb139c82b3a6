//! What a plan does with the records of a cache that a service keeps.

use super::record::{Claim, Pushed, Record, RecordBody, Records};
use super::*;
use crate::plan::desired::{Adopt, Desired, Extra};
use crate::plan::guard::{Allowances, check};
use crate::plan::make;
use crate::plan::observed::{CacheContent, Observation, Why};
use crate::plan::plan::Plan;
use crate::plan::push::questions_of;
use crate::plan::push::service::with_present;
use crate::plan::record::Head;
use crate::plan::step::Op;
use crate::plan::testing::{
    NOW, addresses, ago, cache, class, desired_with, find, hash, path, world,
};

const NONE: &str = "";
const V1: &str = "pins: { v1: { output: '.#app', keep: { days: 9 } } }\n";

/// What is wanted: `.#app`, in a cache of a service with these keys, and so many pins.
fn wanted(more: &str, pins: &str) -> Desired {
    wanted_with(more, pins, Extra::default())
}

fn wanted_with(more: &str, pins: &str, extra: Extra) -> Desired {
    let text = format!(
        "caches:\n  team: {{ type: cachix{more} }}\n\
         artifacts: {{ apps: {{ priority: 1, outputs: ['.#app'], default: true }} }}\n{pins}"
    );
    desired_with(&text, extra)
}

fn pin(name: &str, word: &str) -> ServicePin {
    ServicePin {
        name: name.to_owned(),
        path: Some(path(word)),
        artifacts: Vec::new(),
        keep: Some(Keep::Days(9)),
    }
}

/// A record of so many days ago that these pins are ours.
fn record(days: i64, pins: &[(&str, &str)]) -> Record {
    let claim = |word: &str| Claim {
        path: path(word),
        pinned: ago(days),
        run: Some("71.1".to_owned()),
    };
    let pins = pins
        .iter()
        .map(|(name, word)| ((*name).to_owned(), claim(word)));
    Record {
        name: format!("nanna-cache.{days}"),
        body: RecordBody {
            head: Head::ours(),
            project: "demo".to_owned(),
            pins: pins.collect(),
            classes: [(class("apps"), Pushed::of(vec![(path("app"), 3 << 30)]))].into(),
            written: ago(days),
            commit: None,
            run: None,
            other: serde_json::Map::new(),
        },
    }
}

fn facts(pins: Vec<ServicePin>, read: Vec<Record>) -> ServiceFacts {
    ServiceFacts {
        is_public: true,
        keys: Vec::new(),
        has_token: true,
        may_write: true,
        pins: Ok(pins),
        records: Records {
            read,
            ..Records::default()
        },
        unseen: Vec::new(),
    }
}

/// The plan for a cache of which the service says this, and that it has these of the wanted paths.
fn plan(desired: &Desired, facts: ServiceFacts, has: &[&str]) -> Plan {
    let world = world()
        .with_store(&["lib 10", "app 20 lib"])
        .with_output(".#app", &["app"]);
    let mut observed = world.observe(desired);
    let team = cache("team");
    let content = CacheContent {
        now: NOW,
        folders: true,
        service: Some(facts),
        ..CacheContent::default()
    };
    let seen = |content| Observation::Present(content);
    observed.caches.insert(team.clone(), seen(content.clone()));
    let asked = questions_of(desired, &observed, &team).into_values();
    let there = asked.filter(|(path, _)| has.contains(&path.name()));
    let content = with_present(content, there);
    observed.caches.insert(team, seen(content));
    make::plan(desired, &observed, "")
}

fn of_team(plan: &Plan) -> Vec<&str> {
    let mut all = addresses(&plan.steps);
    all.retain(|address| address.contains("/team/"));
    all
}

const ALL: &[&str] = &["lib", "app"];

#[test]
fn what_is_pushed_and_pinned_is_written_down_with_the_pins_that_are_ours() {
    let held = || vec![pin("old", "lib"), pin("theirs", "lib")];
    let known = || vec![record(3, &[("old", "lib")])];
    let new = plan(&wanted(NONE, V1), facts(held(), known()), &["lib"]);
    let steps = [
        "push/team/apps",
        "push/team/pin-v1",
        "push/team/record",
        "prune/team/pin-old",
    ];
    assert_eq!(of_team(&new), steps);
    let Op::Record {
        pins,
        renews,
        is_public,
        ..
    } = &find(&new.steps, "push/team/record").op
    else {
        panic!()
    };
    assert_eq!((pins.len(), *renews, *is_public), (1, false, true));
    assert_eq!(
        (pins[0].name.as_str(), pins[0].claim.pinned),
        ("old", ago(3))
    );
    // Nothing to push and pin: nothing to write down.
    let all = vec![pin("v1", "app")];
    let none = plan(&wanted(NONE, V1), facts(all, known()), ALL);
    assert_eq!(of_team(&none), [""; 0]);
    let off = wanted(", records: none", V1);
    let off = plan(&off, facts(held(), Vec::new()), &["lib"]);
    assert_eq!(of_team(&off), ["push/team/apps", "push/team/pin-v1"]);
    assert!(off.caches.is_empty());
}

#[test]
fn an_old_record_is_written_again_and_that_is_no_change() {
    let held = || vec![pin("v1", "app")];
    let known = || vec![record(20, &[("v1", "app")])];
    let plan_of = |facts| plan(&wanted(NONE, V1), facts, ALL);
    let again = plan_of(facts(held(), known()));
    assert_eq!(of_team(&again), ["push/team/record"]);
    assert!(!find(&again.steps, "push/team/record").is_change());
    let reader = ServiceFacts {
        may_write: false,
        ..facts(held(), known())
    };
    let reader = plan_of(reader);
    assert_eq!(of_team(&reader), [""; 0]);
    assert!(reader.refusals.is_empty());
}

#[test]
fn ours_that_are_no_longer_declared_go_through_the_brakes() {
    let of = |names: &[&str]| {
        let held = names
            .iter()
            .map(|name| pin(name, "app"))
            .chain([pin("theirs", "lib")]);
        let known: Vec<(&str, &str)> = names.iter().map(|name| (*name, "app")).collect();
        facts(held.collect(), vec![record(3, &known)])
    };
    let desired = wanted(NONE, NONE);
    let refused = |plan: &Plan| -> Vec<String> {
        let all = check(&desired, plan, &Allowances::default());
        let team = all.into_iter().filter(|it| it.code.starts_with("prune"));
        team.map(|it| it.text).collect()
    };
    let one = plan(&desired, of(&["v1"]), ALL);
    assert_eq!(of_team(&one), ["prune/team/pin-v1"]);
    assert!(refused(&one).is_empty(), "{:?}", refused(&one));
    let because = &find(&one.steps, "prune/team/pin-v1").because.rule;
    assert!(
        because.contains("in run 71.1") && because.contains("nanna-cache.3"),
        "{because}"
    );
    let two = plan(&desired, of(&["v1", "v2"]), ALL);
    let text = "66.67% of the pins of team would be deleted; the limit is 30%";
    assert_eq!(refused(&two), [text]);
    // Who prunes nothing, ends no pin.
    let off = wanted(NONE, "prune: { enabled: false }\n");
    assert_eq!(of_team(&plan(&off, of(&["v1"]), ALL)), [""; 0]);
}

#[test]
fn a_newer_record_forbids_and_an_unread_one_is_unknown() {
    let mut seen = facts(vec![pin("v1", "app")], vec![record(3, &[("v1", "app")])]);
    let why = "the record `nanna-cache.9` needs a newer nanna-cache (schema 9)";
    seen.records.forbidden = Some(Why(why.to_owned()));
    seen.records.unread = vec![("nanna-cache.x".to_owned(), "it is odd".to_owned())];
    let plan_of = |pins: &str| plan(&wanted(NONE, pins), seen.clone(), ALL);
    let refused = plan_of(NONE);
    let refusal = refused.refusals.iter().find(|it| it.code == "prune-record");
    let refusal = refusal.unwrap();
    assert!(refusal.text.contains(why));
    assert_eq!(refusal.steps[0].as_str(), "prune/team/pin-v1");
    let unknown = refused
        .unknowns
        .iter()
        .find(|it| it.what == "team nanna-cache.x");
    assert_eq!(unknown.unwrap().why.0, "it is odd");
    let kept = plan_of(V1);
    assert!(kept.refusals.iter().all(|it| it.code != "prune-record"));
}

#[test]
fn the_estimate_is_one_and_is_only_advice() {
    let with = |size: &str| {
        let desired = wanted(size, V1);
        let seen = facts(vec![pin("v1", "app")], vec![record(3, &[("v1", "app")])]);
        plan(&desired, seen, ALL)
    };
    let said = |plan: &Plan| -> Vec<String> {
        let advice = plan.advice.iter().filter(|it| it.text.contains("estimate"));
        advice.map(|it| it.text.clone()).collect()
    };
    let below = with(", max-size: 4 GiB");
    assert_eq!(below.caches.len(), 1);
    let budget = &below.caches[0];
    assert!(budget.estimated);
    assert_eq!(
        (budget.paths, budget.bytes, budget.pins),
        (1, 3 << 30, Some(1))
    );
    assert_eq!((budget.max_size, budget.must_stay), (Some(4 << 30), None));
    assert!(
        said(&below)[0].contains("1 path with 3.0 GiB"),
        "{:?}",
        said(&below)
    );
    let above = with(", max-size: 2 GiB");
    assert!(
        said(&above)[0].contains("raise its max-size"),
        "{:?}",
        said(&above)
    );
    assert!(
        above
            .refusals
            .iter()
            .all(|it| !it.code.starts_with("prune"))
    );
    assert!(said(&with(NONE)).is_empty());
}

#[test]
fn foreign_pins_are_adopted_by_a_record() {
    let adopt = |paths: Option<Vec<_>>| Extra {
        adopt: Some(Adopt {
            cache: cache("team"),
            paths,
        }),
        ..Extra::default()
    };
    let seen = || {
        let held = vec![
            pin("ours", "app"),
            pin("a", "lib"),
            pin("b", "app"),
            pin("nanna-cache.3", "r"),
        ];
        facts(held, vec![record(3, &[("ours", "app")])])
    };
    let adopted = |paths| {
        let plan = plan(&wanted_with(NONE, NONE, adopt(paths)), seen(), &[]);
        let step = plan
            .steps
            .iter()
            .find(|step| matches!(step.op, Op::Record { .. }));
        let names = step.map(|step| {
            assert!(step.is_change());
            let Op::Record { pins, .. } = &step.op else {
                panic!()
            };
            let word = |it: &crate::plan::step::PinToRecord| {
                format!("{}{}", it.name, if it.adopted { "+" } else { "" })
            };
            pins.iter().map(word).collect::<Vec<_>>().join(" ")
        });
        let codes: Vec<String> = plan.refusals.iter().map(|it| it.code.clone()).collect();
        (names.unwrap_or_default(), codes.join(" "))
    };
    let fine = |names: &str| (names.to_owned(), String::new());
    assert_eq!(adopted(None), fine("ours a+ b+"));
    assert_eq!(adopted(Some(vec![hash("lib")])), fine("ours a+"));
    let none = adopted(Some(vec![hash("nothing")]));
    assert_eq!(none, (String::new(), "adopt-absent".to_owned()));
    let off = wanted_with(", records: none", NONE, adopt(None));
    assert_eq!(plan(&off, seen(), &[]).refusals[0].code, "adopt-service");
}
