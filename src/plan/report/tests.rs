//! What a report says of a run as a whole; exit codes follow it.

use super::*;
use crate::plan::testing::NOW;

fn done() -> Outcome {
    Outcome::Done {
        effect: Effect::default(),
        detail: String::new(),
    }
}

fn failed() -> Outcome {
    Outcome::Failed { why: String::new() }
}

fn stale() -> Outcome {
    Outcome::Stale { why: String::new() }
}

fn skipped() -> Outcome {
    Outcome::Skipped { why: String::new() }
}

fn report<const N: usize>(outcomes: [Outcome; N]) -> Report {
    let steps = outcomes.map(|outcome| StepOutcome {
        address: crate::plan::address::key_address(&crate::plan::testing::cache("dev")),
        promised: String::new(),
        promised_effect: Effect::default(),
        outcome,
        did: Effect::default(),
        duration_ms: 0,
        stage: 0,
        seen: None,
        sent: None,
        secrets: Vec::new(),
    });
    Report {
        format: FORMAT,
        writer: String::new(),
        project: String::new(),
        config: String::new(),
        began: NOW,
        duration_ms: 0,
        steps: steps.into(),
        phases: Vec::new(),
        remaining: Remaining::Converged,
        caches: Vec::new(),
        unreached: Vec::new(),
        errors: Vec::new(),
        second_look: None,
        busy: false,
        journal: None,
        interrupted: None,
    }
}

#[test]
fn one_step_is_enough_to_have_done_something_failed_or_gone_stale() {
    for (what, report, expected) in [
        ("nothing", report([]), [false, false, false, true]),
        ("done", report([done()]), [true, false, false, true]),
        (
            "by somebody else",
            report([Outcome::Unchanged]),
            [false, false, false, true],
        ),
        (
            "failed",
            report([done(), failed()]),
            [true, true, false, false],
        ),
        ("stale", report([stale()]), [false, false, true, false]),
        (
            "skipped",
            report([skipped(), Outcome::Unchanged]),
            [false, false, false, false],
        ),
    ] {
        let said = [
            report.did_something(),
            report.has_failed(),
            report.is_stale(),
            report.is_whole(),
        ];
        assert_eq!(said, expected, "{what}");
    }
}

#[test]
fn steps_are_counted_by_what_became_of_them() {
    let report = report([done(), failed(), done()]);
    assert_eq!(
        report.count(|outcome| matches!(outcome, Outcome::Done { .. })),
        2
    );
    assert_eq!(report.count(|_| false), 0);
}

#[test]
fn a_run_that_was_interrupted_or_left_something_is_not_whole() {
    for signal in [Signal::Interrupted, Signal::Terminated] {
        let mut ended = report([done()]);
        ended.interrupted = Some(signal);
        assert!(!ended.is_whole(), "{signal:?}");
    }
    for remaining in [
        Remaining::Steps { steps: Vec::new() },
        Remaining::Unconfirmed {
            why: Why(String::new()),
        },
    ] {
        let mut open = report([done()]);
        open.remaining = remaining;
        assert!(!open.is_whole(), "{:?}", open.remaining);
    }
}

/// What a service did not do on a bad day leaves the run whole, but nothing beside it does.
#[test]
fn what_was_tolerated_may_be_left_or_unseen() {
    let tolerated = || Outcome::Tolerated { why: String::new() };
    let unknown = || Seen::Unknown {
        why: Why(String::new()),
    };
    let mut run = report([]);
    run.steps = vec![
        step("push/team/apps", 0, (0, 0), tolerated()),
        step("push/dev/apps", 0, (10, 1_000), done()),
    ];
    assert!(run.is_whole());
    let (team, dev) = (run.steps[0].address.clone(), run.steps[1].address.clone());
    for (left, whole) in [
        (vec![team.clone()], true),
        (vec![dev.clone()], false),
        (vec![team, dev], false),
        (vec![], false),
    ] {
        run.remaining = Remaining::Steps { steps: left };
        assert_eq!(run.is_whole(), whole, "{:?}", run.remaining);
    }
    run.remaining = Remaining::Unconfirmed {
        why: Why(String::new()),
    };
    assert!(!run.is_whole(), "nothing says what was not seen");
    run.steps[0].seen = Some(unknown());
    assert!(run.is_whole());
    run.steps[1].seen = Some(unknown());
    assert!(!run.is_whole());
}

fn step(address: &str, stage: u32, did: (u64, u64), outcome: Outcome) -> StepOutcome {
    let parts: Vec<&str> = address.split('/').collect();
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| phase.word() == parts[0]);
    StepOutcome {
        address: Address::new(phase.unwrap(), parts[1], parts[2]),
        promised: String::new(),
        promised_effect: Effect {
            paths: 10,
            bytes: 1_000,
        },
        outcome,
        did: Effect {
            paths: did.0,
            bytes: did.1,
        },
        duration_ms: 40,
        stage,
        seen: None,
        sent: None,
        secrets: Vec::new(),
    }
}

#[test]
fn a_phase_takes_as_long_as_its_stages_and_not_its_steps() {
    let failed = Outcome::Failed { why: String::new() };
    let steps = [
        step("push/build/.#a", 0, (0, 0), done()),
        step("push/dev/a", 1, (10, 1_000), done()),
        step("push/dev/b", 1, (4, 300), failed),
        step("prune/dev/a", 2, (0, 0), done()),
    ];
    let phases = PhaseOutcome::of(&steps);
    let amount = |steps, paths, bytes| Amount {
        steps,
        paths,
        bytes,
    };
    assert_eq!(phases.len(), 2, "{phases:?}");
    let push = &phases[0];
    assert_eq!(
        (push.phase, push.duration_ms, push.moving_ms),
        (Phase::Push, 80, 40)
    );
    assert_eq!(push.planned, amount(3, 30, 3_000));
    assert_eq!(
        push.done,
        amount(2, 14, 1_300),
        "a failure may have done something"
    );
    assert_eq!((phases[1].phase, phases[1].moving_ms), (Phase::Prune, 0));
}

#[test]
fn a_report_without_what_came_later_still_loads() {
    let text = r#"{ "format": 1, "writer": "w", "project": "p", "config": "c",
        "began": "2026-11-20T12:00:00Z", "duration_ms": 5, "remaining": { "confirm": "converged" },
        "steps": [{ "address": "push/dev/a", "promised": "push a to dev",
            "promised_effect": { "paths": 1, "bytes": 2 }, "duration_ms": 3,
            "outcome": { "outcome": "failed", "why": "x" } }] }"#;
    let report: Report = serde_json::from_str(text).unwrap();
    assert!(!report.did_something() && report.has_failed() && !report.busy);
    let mut some = report.clone();
    some.steps[0].did.paths = 1;
    assert!(some.did_something(), "part of a step is something");
    let mut unwritten = report;
    unwritten.steps.clear();
    assert!(unwritten.is_whole());
    unwritten.journal = Some("no space left".into());
    assert!(!unwritten.is_whole());
}

#[test]
fn what_a_step_promises_is_said_without_numbers() {
    let build = Op::Build {
        installable: ".#a".to_owned(),
        drv: None,
    };
    assert_eq!(promise(&build), "build .#a");
    let sweep = Op::Sweep {
        cache: crate::plan::testing::cache("dev"),
        objects: Vec::new(),
    };
    assert_eq!(promise(&sweep), "sweep unnamed files from dev");
    let create = |folder: &str| {
        promise(&Op::CreateCache {
            cache: crate::plan::testing::cache("dev"),
            folder: folder.to_owned(),
            before: None,
            info: String::new(),
        })
    };
    assert_eq!(create("/c"), "make the cache dev in /c");
    assert_eq!(create("s3://c"), "make the cache dev at s3://c");
}
