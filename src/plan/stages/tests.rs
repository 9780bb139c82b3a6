//! Order of running.

use super::*;
use crate::config::model::PinName;
use crate::plan::address::{Phase, build_address, pin_address, prune_address, push_address};
use crate::plan::drops::PathsToDrop;
use crate::plan::step::{Because, Effect, Scope};
use crate::plan::testing::{cache, class};

fn step(address: Address, op: Op, waits_for: &[Address]) -> Step {
    Step {
        phase: Phase::Push,
        address,
        scope: Scope::Machine,
        op,
        because: Because::default(),
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: waits_for.to_vec(),
    }
}

fn push(to: &str, of: &str, waits_for: &[Address]) -> Step {
    let op = Op::Push {
        cache: cache(to),
        class: class(of),
        paths: Vec::new(),
        selectors: Vec::new(),
        roots: Vec::new(),
    };
    step(push_address(&cache(to), of), op, waits_for)
}

fn prune(of: &str, waits_for: &[Address]) -> Step {
    let op = Op::Prune {
        cache: cache("dev"),
        class: class(of),
        paths: PathsToDrop::default(),
        roots: Vec::new(),
    };
    step(prune_address(&cache("dev"), of), op, waits_for)
}

fn sweep() -> Step {
    let op = Op::Sweep {
        cache: cache("dev"),
        objects: Vec::new(),
    };
    step(crate::plan::address::sweep_address(&cache("dev")), op, &[])
}

fn build(name: &str) -> Step {
    let op = Op::Build {
        installable: name.to_owned(),
        drv: None,
    };
    step(build_address(name), op, &[])
}

fn warm(name: &str, waits_for: &[Address]) -> Step {
    let op = Op::Warm {
        installable: name.to_owned(),
        paths: Vec::new(),
    };
    step(Address::new(Phase::Optimize, "warm", name), op, waits_for)
}

fn pin(waits_for: &[Address]) -> Step {
    let op = Op::Pin {
        cache: cache("dev"),
        name: PinName::new("v1"),
        add: Vec::new(),
        remove: Vec::new(),
    };
    step(
        pin_address(&cache("dev"), &PinName::new("v1")),
        op,
        waits_for,
    )
}

fn order(steps: &[Step]) -> Vec<Vec<usize>> {
    stages(steps).into_iter().map(|stage| stage.steps).collect()
}

#[test]
fn the_steps_of_a_cache_run_as_one_after_all_builds() {
    let steps = [
        push("dev", "gold", &[build_address("b")]),
        push("two", "gold", &[]),
        pin(&[push_address(&cache("dev"), "dust")]),
        push("dev", "dust", &[build_address("a")]),
        build("a"),
        build("b"),
        prune("gold", &[push_address(&cache("dev"), "gold")]),
        sweep(),
    ];
    assert_eq!(
        order(&steps),
        [vec![1], vec![4, 5], vec![0, 2, 3], vec![6, 7]]
    );
    let kinds: Vec<_> = stages(&steps).into_iter().map(|stage| stage.kind).collect();
    assert_eq!(
        kinds,
        [
            StageKind::Push(cache("two")),
            StageKind::Build,
            StageKind::Push(cache("dev")),
            StageKind::Prune(cache("dev"))
        ]
    );
}

#[test]
fn what_is_not_in_the_plan_is_not_waited_for() {
    let gone = Address::new(Phase::Setup, "nix", "fragment");
    assert_eq!(order(&[warm("a", &[gone]), warm("b", &[])]), [[0], [1]]);
}

#[test]
fn a_single_step_waits_for_another() {
    let first = Address::new(Phase::Optimize, "warm", "b");
    let kinds: Vec<_> = stages(&[warm("a", &[first]), warm("b", &[])])
        .into_iter()
        .map(|stage| stage.kind)
        .collect();
    assert_eq!(kinds, [StageKind::Single(1), StageKind::Single(0)]);
}

#[test]
fn a_circle_runs_in_the_order_of_the_plan() {
    let of = |name| Address::new(Phase::Optimize, "warm", name);
    let steps = [warm("a", &[of("b")]), warm("b", &[of("a")])];
    assert_eq!(order(&steps), [[0], [1]]);
}

#[test]
fn a_push_is_late_where_something_is_built_or_not_known() {
    let late = |steps: &[Step]| -> Vec<bool> {
        let all = stages(steps);
        all.iter().map(|stage| stage.is_late(steps)).collect()
    };
    assert_eq!(late(&[push("dev", "gold", &[])]), [false]);
    assert_eq!(late(&[push("dev", "gold", &[]), build("a")]), [true, false]);
    assert_eq!(late(&[prune("gold", &[]), build("a")]), [false, false]);
    let mut after = warm("a", &[]);
    after.known = Known::After {
        steps: Vec::new(),
        cap: None,
    };
    assert_eq!(late(&[after]), [true]);
}

#[test]
fn who_stands_first_in_the_plan_still_waits_for_the_last() {
    let steps = [
        prune("gold", &[push_address(&cache("dev"), "gold")]),
        push("dev", "gold", &[build_address("a")]),
        build("a"),
    ];
    assert_eq!(order(&steps), [[2], [1], [0]]);
}
