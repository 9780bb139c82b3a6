//! The brakes, one by one: a cache of 1,000 paths and 10,000 bytes.

use super::*;
use crate::plan::address::{Address, prune_address, sweep_address};
use crate::plan::drops::PathsToDrop;
use crate::plan::plan::CacheBudget;
use crate::plan::step::{Because, Effect, Known, PathToPush, Scope};
use crate::plan::testing::{cache, class, desired, path, world};

fn plan() -> Plan {
    let desired = desired("");
    let mut plan = world().plan(&desired);
    plan.steps.clear();
    plan.refusals.clear();
    plan.caches = vec![budget("dev", 1_000, 10_000)];
    plan
}

fn budget(name: &str, paths: u64, bytes: u64) -> CacheBudget {
    CacheBudget {
        cache: cache(name),
        kind: "file".to_owned(),
        tier: Some(3),
        paths,
        bytes,
        bytes_after: bytes,
        max_size: None,
        estimated: false,
        pins: None,
        must_stay: None,
    }
}

fn step(address: Address, op: Op, paths: u64, bytes: u64) -> Step {
    Step {
        phase: Phase::Prune,
        address,
        scope: Scope::Machine,
        op,
        because: Because::default(),
        effect: Effect { paths, bytes },
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
    }
}

fn prune(of: &str, paths: u64, bytes: u64) -> Step {
    let op = Op::Prune {
        cache: cache("dev"),
        class: class(of),
        paths: PathsToDrop::default(),
        roots: Vec::new(),
    };
    step(prune_address(&cache("dev"), of), op, paths, bytes)
}

fn sweep(bytes: u64) -> Step {
    let op = Op::Sweep {
        cache: cache("dev"),
        objects: Vec::new(),
    };
    step(sweep_address(&cache("dev")), op, 0, bytes)
}

fn codes(sections: &str, steps: Vec<Step>, allowed: &Allowances) -> Vec<(String, String)> {
    let plan = Plan { steps, ..plan() };
    check(&desired(sections), &plan, allowed)
        .into_iter()
        .map(|refusal| (refusal.code, refusal.text))
        .collect()
}

const NONE: Allowances = Allowances {
    share: None,
    bytes: None,
    count: None,
    unasked: None,
    max_size: None,
};

#[test]
fn a_share_of_thirty_percent_passes_and_no_more() {
    assert_eq!(codes("", vec![prune("gold", 300, 3_000)], &NONE), []);
    let paths = codes("", vec![prune("gold", 301, 3_000)], &NONE);
    let text = "30.1% of the paths of dev would be deleted; the limit is 30%";
    assert_eq!(paths, [("prune-share".to_owned(), text.to_owned())]);
    let bytes = codes("", vec![prune("gold", 300, 3_001)], &NONE);
    let text = "30.01% of the bytes of dev would be deleted; the limit is 30%";
    assert_eq!(bytes, [("prune-share".to_owned(), text.to_owned())]);
}

#[test]
fn the_deletes_of_a_cache_are_added_up() {
    let steps = vec![
        prune("gold", 150, 1_500),
        prune("dust", 151, 1_000),
        sweep(501),
    ];
    let plan = Plan { steps, ..plan() };
    let refusals = check(&desired(""), &plan, &NONE);
    assert_eq!(refusals.len(), 1, "said once");
    let all: Vec<&str> = refusals[0].steps.iter().map(Address::as_str).collect();
    assert_eq!(
        all,
        [
            "prune/dev/gold",
            "prune/dev/dust",
            "prune/dev/unnamed-files"
        ]
    );
    assert_eq!(
        refusals[0].text,
        "30.1% of the paths and 30.01% of the bytes of dev would be deleted; the limit is 30%"
    );
    assert_eq!(
        refusals[0].help,
        "raise prune.limits.share, pass --allow share=30.1%, or leave the prune out: reconcile \
         --only setup,push,optimize"
    );
}

#[test]
fn the_share_that_is_named_is_enough() {
    let steps = || vec![prune("gold", 333, 3_333)];
    let allow = |share| Allowances {
        share: Some(Share(share)),
        ..NONE
    };
    assert_eq!(codes("", steps(), &allow(3_333)), []);
    assert_eq!(codes("", steps(), &allow(3_332)).len(), 1);
    // Less than a hundredth of a percent is rounded up, so it never passes as nothing.
    assert_eq!(share_of(1, 1_000_000), Share(1));
    assert_eq!(share_of(0, 0), Share(0));
    assert_eq!(share_of(1, 0), Share(10_000));
    assert_eq!(share_of(u64::MAX, u64::MAX), Share(10_000));
    assert_eq!(share_of(5, 1), Share(10_000));
}

#[test]
fn bytes_and_count_have_limits_of_their_own() {
    let limits = "prune: { limits: { share: 100%, bytes: 100 B, count: 10 } }";
    assert_eq!(codes(limits, vec![prune("gold", 10, 100)], &NONE), []);
    let both = codes(limits, vec![prune("gold", 11, 101)], &NONE);
    let expected = [
        (
            "prune-bytes",
            "101 B would be deleted from dev; the limit is 100 B",
        ),
        (
            "prune-count",
            "11 paths would be deleted from dev; the limit is 10",
        ),
    ];
    let expected = expected.map(|(code, text)| (code.to_owned(), text.to_owned()));
    assert_eq!(both, expected);
    let allowed = Allowances {
        bytes: Some(Size(101)),
        count: Some(11),
        ..NONE
    };
    assert_eq!(codes(limits, vec![prune("gold", 11, 101)], &allowed), []);
    // What the command line says also narrows.
    let narrow = Allowances {
        bytes: Some(Size(1)),
        count: Some(1),
        ..NONE
    };
    assert_eq!(codes("", vec![prune("gold", 2, 2)], &narrow).len(), 2);
}

#[test]
fn without_a_budget_whatever_goes_is_all() {
    let plan = Plan {
        steps: vec![prune("gold", 1, 1)],
        caches: vec![budget("other", 1_000, 1_000)],
        ..plan()
    };
    let refusals = check(&desired(""), &plan, &NONE);
    let text = "100% of the paths and 100% of the bytes of dev would be deleted; the limit is 30%";
    assert_eq!(refusals[0].text, text);
    assert_eq!(refusals.len(), 1);
}

fn push(to: &str, unasked: bool, size: u64) -> Step {
    let op = Op::Push {
        cache: cache(to),
        class: class("dust"),
        paths: vec![PathToPush {
            sign: false,
            recompress: false,
            mend: false,
            path: path("a"),
            nar_size: size,
            nar_hash: crate::nix::hash::Sha256([0; 32]),
            rank: 0,
            directory: None,
            unasked,
        }],
        selectors: Vec::new(),
        roots: Vec::new(),
    };
    Step {
        phase: Phase::Push,
        ..step(Address::new(Phase::Push, to, "dust"), op, 1, size)
    }
}

#[test]
fn unasked_paths_pass_with_an_allowance_for_each_cache() {
    let refusal = |code: &str| Refusal {
        steps: Vec::new(),
        code: code.to_owned(),
        text: String::new(),
        help: String::new(),
    };
    let plan = Plan {
        steps: vec![
            push("dev", true, 60),
            push("dev", true, 40),
            push("dev", false, 900),
            push("two", true, 70),
        ],
        refusals: vec![refusal("push-unasked"), refusal("setup-key-missing")],
        ..plan()
    };
    let codes = |limit: Option<u64>| {
        let allowed = Allowances {
            unasked: limit.map(Size),
            ..NONE
        };
        let refusals = check(&desired(""), &plan, &allowed);
        refusals
            .into_iter()
            .map(|refusal| refusal.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(None), ["push-unasked", "setup-key-missing"]);
    assert_eq!(codes(Some(99)), ["push-unasked", "setup-key-missing"]);
    assert_eq!(codes(Some(100)), ["setup-key-missing"]);
}

#[test]
fn only_a_plan_without_refusals_is_approved() {
    let fine = Plan {
        steps: vec![prune("gold", 300, 3_000)],
        ..plan()
    };
    let approved = approve(&desired(""), fine.clone(), &NONE).unwrap();
    assert_eq!(approved.plan(), &fine);
    let bad = Plan {
        steps: vec![prune("gold", 301, 0)],
        ..plan()
    };
    assert_eq!(approve(&desired(""), bad, &NONE).unwrap_err().len(), 1);
}
