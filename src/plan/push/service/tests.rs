//! Who may write, what a record says, and how a cache that names no paths is filled in.

use super::*;
use crate::plan::plan::Plan;
use crate::plan::service::ServiceFacts;
use crate::plan::service::testing::{NONE, V1, facts, pin, plan, record, wanted};
use crate::plan::testing::{NOW, find, path};

fn with_rights(has_token: bool, may_write: bool) -> ServiceFacts {
    let held = vec![pin("old", "app")];
    ServiceFacts {
        has_token,
        may_write,
        ..facts(held, vec![record(3, &[("old", "app")])])
    }
}

/// Refusals and advice that speak of the token, with the steps that are refused.
fn said(plan: &Plan) -> Vec<String> {
    let refusals = plan.refusals.iter().filter(|it| it.code == NO_RIGHT);
    let refusals = refusals.map(|it| {
        let steps: Vec<&str> = it.steps.iter().map(Address::as_str).collect();
        format!("refused: {}", steps.join(" "))
    });
    let advice = plan.advice.iter().filter(|it| it.text.contains("token"));
    let advice = advice.map(|it| {
        let text = it.text.split_once(" it: ").unwrap().0;
        format!("{}: {text}", it.phase)
    });
    refusals.chain(advice).collect()
}

#[test]
fn whoever_may_not_write_is_told_so_for_each_phase_that_would() {
    let both = |has_token, may_write| {
        let mut all = said(&plan(
            &wanted(NONE, V1),
            with_rights(has_token, may_write),
            &[],
        ));
        all.sort();
        all
    };
    let none = "there is no token here, so an apply could not";
    let push = format!("push: {none} push to");
    let prune = format!("prune: {none} delete from");
    assert_eq!(both(false, false), [prune, push.clone()]);
    assert_eq!(
        both(true, false),
        [
            "refused: prune/team/pin-old",
            "refused: push/team/apps push/team/pin-v1"
        ]
    );
    assert_eq!(both(true, true), [""; 0]);
    // What needs no write, needs no token.
    let there = |pins| {
        let seen = ServiceFacts {
            has_token: false,
            may_write: false,
            ..facts(pins, Vec::new())
        };
        said(&plan(&wanted(NONE, V1), seen, &["lib", "app"]))
    };
    assert_eq!(there(vec![pin("v1", "app")]), [""; 0]);
    // A pin alone is written, too.
    assert_eq!(there(Vec::new()), [push]);
}

/// Until the service says who may read the cache, `cache.yaml` does.
#[test]
fn a_record_is_public_as_the_service_or_else_the_declaration_says() {
    let is_public = |visibility: &str, facts: Option<ServiceFacts>| {
        let desired = wanted(&format!(", visibility: {visibility}"), NONE);
        let (name, cache) = desired.caches.iter().next().unwrap();
        let service = cache.place.service().unwrap();
        let content = CacheContent {
            service: facts,
            ..CacheContent::default()
        };
        let step = record_step(
            &desired,
            (name, cache, service),
            &content,
            (Vec::new(), false),
        );
        match step.op {
            Op::Record { is_public, .. } => is_public,
            other => panic!("{other:?}"),
        }
    };
    assert!(is_public("public", None));
    assert!(!is_public("private", None));
    let said = |is_public| {
        Some(ServiceFacts {
            is_public,
            ..facts(Vec::new(), Vec::new())
        })
    };
    assert!(is_public("private", said(true)));
    assert!(!is_public("public", said(false)));
}

#[test]
fn what_is_not_missing_is_there_with_a_file_of_unknown_size() {
    let empty = CacheContent {
        now: NOW,
        ..CacheContent::default()
    };
    let some = with_present(empty.clone(), [(path("a"), 7), (path("b"), 8)]);
    for (word, size) in [("a", 7), ("b", 8)] {
        let row = some.paths.row(&path(word).hash()).unwrap();
        assert_eq!(some.paths.nar_size(row), size);
        let nar = some.narinfos[row as usize].nar().unwrap();
        assert_eq!(some.nars.size(nar), 0);
    }
    assert_eq!(some.nars.len(), 1);
    let none = with_present(empty, []);
    assert!(none.nars.is_empty() && none.paths.is_empty());
}

#[test]
fn a_push_is_written_down_and_without_one_nothing_is() {
    let records = |has: &[&str]| {
        let pinned = vec![pin("v1", "app")];
        let plan = plan(&wanted(NONE, V1), facts(pinned, Vec::new()), has);
        let steps = plan.steps.iter();
        steps
            .filter(|step| matches!(step.op, Op::Record { .. }))
            .count()
    };
    assert_eq!((records(&["lib"]), records(&["lib", "app"])), (1, 0));
    let written = plan(
        &wanted(NONE, V1),
        facts(Vec::new(), Vec::new()),
        &["lib", "app"],
    );
    assert_eq!(
        find(&written.steps, "push/team/record").phase,
        Phase::Push,
        "a pin alone is written down"
    );
}
