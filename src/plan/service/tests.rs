//! What a plan does with the records of a cache that a service keeps.

use super::testing::{NONE, V1, facts, observe, of_team, pin, plan, record, wanted, wanted_with};
use super::*;
use crate::plan::desired::{Adopt, Extra};
use crate::plan::guard::{Allowances, check};
use crate::plan::observed::{Observation, Why};
use crate::plan::plan::Plan;
use crate::plan::select::Selection;
use crate::plan::step::Op;
use crate::plan::testing::{ago, cache, find, hash, path};

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
    let full = with(", max-size: 3 GiB");
    assert!(
        said(&full)[0].ends_with("(an estimate; its max-size is 3 GiB)"),
        "{:?}",
        said(&full)
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
    let rule = |paths| {
        let plan = plan(&wanted_with(NONE, NONE, adopt(paths)), seen(), &[]);
        let step = find(&plan.steps, "push/team/record");
        step.because.rule.clone()
    };
    let end = "which a prune ends unless cache.yaml has them";
    assert_eq!(rule(None), format!("adopted: 2 foreign pins, {end}"));
    let one = rule(Some(vec![hash("lib")]));
    assert_eq!(one, format!("adopted: 1 foreign pin, {end}"));
    assert_eq!(adopted(Some(vec![hash("lib")])), fine("ours a+"));
    let none = adopted(Some(vec![hash("nothing")]));
    assert_eq!(none, (String::new(), "adopt-absent".to_owned()));
    let off = wanted_with(", records: none", NONE, adopt(None));
    assert_eq!(plan(&off, seen(), &[]).refusals[0].code, "adopt-service");
}

#[test]
fn a_pin_of_several_paths_is_for_a_person_and_one_of_days_says_so() {
    let text = "pins: { v1: { output: '.#app', keep: { days: 9 } } }\n";
    let desired = wanted(NONE, text);
    let seen = || {
        facts(
            vec![pin("theirs", "lib"), pin("another", "lib")],
            Vec::new(),
        )
    };
    let one = plan(&desired, seen(), ALL);
    let step = find(&one.steps, "push/team/pin-v1");
    assert_eq!(step.because.rule, "v1 keeps each revision for 9 days");
    let said = |plan: &Plan, about: &str| -> Vec<(String, String)> {
        let advice = plan.advice.iter().filter(|it| it.about == about);
        advice
            .filter(|it| it.phase == crate::plan::address::Phase::Push)
            .map(|it| (it.text.clone(), it.lines.join(" ")))
            .collect()
    };
    assert!(said(&one, "pin v1").is_empty());
    let (text, lines) = &said(&one, "team")[0];
    assert!(text.starts_with("2 pins are not in cache.yaml"), "{text}");
    assert_eq!(lines, "theirs another");

    let mut observed = observe(&desired, seen(), ALL);
    let output = observed.outputs.get_mut(".#app").unwrap();
    let Observation::Present(output) = output else {
        panic!("{output:?}")
    };
    output.outputs.insert("dev".to_owned(), path("lib"));
    let two = crate::plan::make::plan(&desired, &observed, "");
    assert!(!of_team(&two).contains(&"push/team/pin-v1"));
    let (text, _) = &said(&two, "pin v1")[0];
    assert!(
        text.starts_with("it names 2 paths, and team holds one under each name"),
        "{text}"
    );
}

#[test]
fn what_is_pushed_alone_is_written_down_with_it() {
    let desired = wanted(NONE, V1);
    let whole = || plan(&desired, facts(Vec::new(), Vec::new()), &["lib"]);
    let only = |part: &str| {
        let selection = Selection {
            only: vec![part.to_owned()],
            ..Selection::default()
        };
        let plan = selection.shown(whole());
        of_team(&plan).join(" ")
    };
    assert_eq!(only("push/team/apps"), "push/team/apps push/team/record");
    assert_eq!(
        only("push/team/pin-v1"),
        "push/team/pin-v1 push/team/record"
    );
    assert_eq!(only("setup"), "");
}
