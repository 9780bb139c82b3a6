//! How the phases come together: what waits for what, what is said once, and what lacks a key.

use super::*;
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Requests, Why};
use crate::plan::simulate::World;
use crate::plan::step::{Because, Step};
use crate::plan::testing::{addresses, cache, desired, find, hash, path, world};

const BUILT_AND_GIVEN: &str = "push: { paths: [/g] }
optimize: { warm: ['.#w'] }
artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a'] }
  dust: { priority: 10, retention: 10d, default: true }
";

fn built_and_given() -> World {
    world()
        .with_output(".#a", &["a"])
        .with_output(".#w", &["w"])
        .with_upstream(&["w"])
        .with_store(&["here 10"])
        .with_cached(400, &["old 10"])
        .with_roots(300, "dust", &["old"])
}

fn plan_given(desired: &Desired, world: &World, given: &str) -> Plan {
    let mut observed = world.observe(desired);
    let given = Observation::Present(vec![path(given)]);
    observed.given.insert("/g".to_owned(), given);
    plan(desired, &observed, "digest")
}

fn waits(step: &Step) -> Vec<String> {
    step.waits_for.iter().map(ToString::to_string).collect()
}

#[test]
fn tuning_and_warming_come_before_a_build_and_builds_before_a_push() {
    let mut world = built_and_given();
    world.cache("dev").info = None;
    let plan = plan_given(&desired(BUILT_AND_GIVEN), &world, "here");
    assert_eq!(
        addresses(&plan.steps),
        [
            "setup/dev/cache",
            "push/dev/gold",
            "push/dev/dust",
            "push/build/.#a",
            "optimize/warm/.#w",
            "prune/dev/dust",
        ],
        "in the order of reading"
    );
    assert_eq!(
        waits(find(&plan.steps, "push/build/.#a")),
        ["optimize/warm/.#w", "setup/dev/cache"]
    );
    for push in ["push/dev/gold", "push/dev/dust"] {
        assert_eq!(
            waits(find(&plan.steps, push)),
            ["push/build/.#a", "setup/dev/cache", "setup/dev/signing-key"],
            "each once: {push}"
        );
    }
}

#[test]
fn a_plan_says_what_it_was_made_from() {
    let plan = plan_given(&desired(BUILT_AND_GIVEN), &built_and_given(), "here");
    assert_eq!(
        (plan.project.as_str(), plan.config.as_str()),
        ("demo", "digest")
    );
    assert_eq!(plan.now, crate::plan::testing::NOW);
    let expected = Counts {
        caches: 2,
        classes: 2,
        compared: 1,
    };
    assert_eq!(plan.counts, expected);
    let priorities: Vec<_> = plan.priorities.values().copied().collect();
    assert_eq!(priorities, [10, 100]);
    assert_eq!(plan.caches.len(), 1);
}

#[test]
fn what_all_phases_compared_is_added_up() {
    let desired = desired("push: { paths: [/g] }");
    let world = world().with_store(&["a 10 b", "b 10"]);
    assert_eq!(plan_given(&desired, &world, "a").counts.compared, 2);
}

#[test]
fn settings_that_cannot_be_seen_are_named() {
    let desired = desired("");
    let mut observed = world().observe(&desired);
    observed.nix = Observation::Unknown(Why("no nix here".to_owned()));
    let plan = plan(&desired, &observed, "digest");
    let [unknown] = &plan.unknowns[..] else {
        panic!("{:?}", plan.unknowns)
    };
    assert_eq!(unknown.what, "Nix settings");
    assert_eq!(unknown.why.0, "no nix here");
}

#[test]
fn an_upstream_is_named_only_if_it_left_a_question_open() {
    let desired = desired("");
    let said = |unanswered: &[&str]| {
        let mut observed = world().observe(&desired);
        let up = observed.upstreams.get_mut(&cache("up")).unwrap();
        up.why = Some(Why("it does not answer".to_owned()));
        up.unanswered = unanswered.iter().map(|name| hash(name)).collect();
        let plan = plan(&desired, &observed, "digest");
        let what = plan.unknowns.into_iter().map(|unknown| unknown.what);
        what.collect::<Vec<_>>()
    };
    assert_eq!(said(&["a"]), ["up"]);
    assert!(said(&[]).is_empty());
}

#[test]
fn an_upstream_that_is_only_asked_about_references_says_only_that() {
    let effect = |unanswered: &str| {
        let desired = desired("push: { paths: [/g] }");
        let mut observed = world().with_store(&["a 10"]).observe(&desired);
        let given = Observation::Present(vec![crate::plan::testing::path("a")]);
        observed.given.insert("/g".to_owned(), given);
        let up = observed.upstreams.get_mut(&cache("up")).unwrap();
        up.why = Some(Why("it does not answer".to_owned()));
        up.unanswered = [hash(unanswered)].into();
        let plan = plan(&desired, &observed, "digest");
        let unknown = plan.unknowns.into_iter().find(|one| one.what == "up");
        unknown.unwrap().effect
    };
    assert_eq!(
        effect("elsewhere"),
        "whether references are broken is not known"
    );
    assert_eq!(
        effect("a"),
        "what it may have counts as absent there, marked `?`"
    );
}

const TWO_CACHES: &str = "caches:
  one: { type: file, tier: 1, path: /1, signing-key: { file: /key } }
  two: { type: file, tier: 1, path: /2 }
push: { paths: [/g] }
";

#[test]
fn without_its_key_a_push_is_refused_and_no_other() {
    let desired = desired(TWO_CACHES);
    let world = world().with_store(&["a 10"]);
    let plan = plan_given(&desired, &world, "a");
    let [refusal] = &plan.refusals[..] else {
        panic!("{:?}", plan.refusals)
    };
    assert_eq!(refusal.code, setup::key::MISSING);
    let refused: Vec<_> = refusal.steps.iter().map(ToString::to_string).collect();
    assert_eq!(refused, ["push/one/dust"]);
    find(&plan.steps, "push/two/dust");
}

#[test]
fn a_missing_key_that_nothing_waits_for_is_advice() {
    let desired = desired(TWO_CACHES);
    // A cache that has the path and its root: what is left is a renewal, which signs nothing.
    let mut world = world()
        .with_cached(1, &["a 10"])
        .with_roots(1, "dust", &["a"]);
    let full = world.caches.remove(&cache("dev")).unwrap();
    world.caches.insert(cache("one"), full.clone());
    world.caches.insert(cache("two"), full);
    let plan = plan_given(&desired, &world, "a");
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    find(&plan.steps, "push/one/dust");
    let [advice] = &plan.advice[..] else {
        panic!("{:?}", plan.advice)
    };
    assert_eq!(advice.about, "signing key");
    assert!(
        advice.text.contains("/key is missing: put it there"),
        "{}",
        advice.text
    );
}

#[test]
fn other_refusals_stay_as_they_are() {
    let desired = desired(TWO_CACHES);
    let mut world = world().with_store(&["a 10"]);
    world.cache("two").info = Some("StoreDir: /elsewhere\n".to_owned());
    let plan = plan_given(&desired, &world, "a");
    let codes: Vec<_> = plan.refusals.iter().map(|refusal| &refusal.code).collect();
    assert_eq!(codes, [setup::key::MISSING, "setup-other-store"]);
    let stopped = &plan.refusals[1].steps;
    assert!(stopped.iter().all(|step| step.place() == "two"));
    assert!(stopped.iter().any(|step| step.is_in("prune")));
}

#[test]
fn one_slip_is_said_once_for_all_that_have_it() {
    let error = |what: &[&str], why: &str, effect: &str| PlanError {
        what: what.iter().map(ToString::to_string).collect(),
        why: Why(why.to_owned()),
        effect: effect.to_owned(),
        because: Because {
            rule: what[0].to_owned(),
            ..Because::default()
        },
    };
    let all = together(vec![
        error(&["b"], "slip", "not pushed"),
        error(&["a"], "slip", "not pushed"),
        error(&["a"], "slip", "not warmed"),
        error(&["c"], "other", "not pushed"),
    ]);
    let expected = [
        error(&["c"], "other", "not pushed"),
        error(&["a", "b"], "slip", "not pushed; not warmed"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn what_a_look_took_is_told_for_the_caches_that_count_requests() {
    let desired = desired("");
    let mut observed = world().observe(&desired);
    let took = Requests { lists: 2, reads: 7 };
    observed.requests.insert(cache("dev"), took);
    observed.requests.insert(cache("undeclared"), took);
    let plan = plan(&desired, &observed, "digest");
    let expected = CacheRequests {
        cache: cache("dev"),
        requests: took,
    };
    assert_eq!(plan.requests, [expected]);
}

#[test]
fn with_a_price_the_plan_says_what_a_month_costs_more() {
    let of = |prices: &str| {
        let desired = desired(&format!("{BUILT_AND_GIVEN}{prices}"));
        plan_given(
            &desired,
            &built_and_given().with_store(&["here 35"]),
            "here",
        )
    };
    assert_eq!(of("").costs(), None);
    assert_eq!(
        of("prices: { ci-minute: 1 }\n").costs(),
        None,
        "storage costs nothing"
    );
    let plan = of("prices: { currency: EUR, storage: 1000000 }\n");
    let bytes = |phase: &str| -> u64 {
        let steps = plan.steps.iter().filter(|step| step.address.is_in(phase));
        steps.map(|step| step.effect.bytes).sum()
    };
    let (push, prune) = (bytes("push"), bytes("prune"));
    assert!(push != prune, "{push} {prune}");
    let wanted = (i64::try_from(push).unwrap() - i64::try_from(prune).unwrap()) * 1_000;
    assert_eq!(
        plan.costs(),
        Some(wanted),
        "a million for a gigabyte is a thousand millionths for a byte"
    );
}
