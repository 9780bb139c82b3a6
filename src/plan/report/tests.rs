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
        duration_ms: 0,
    });
    Report {
        format: FORMAT,
        writer: String::new(),
        project: String::new(),
        config: String::new(),
        began: NOW,
        duration_ms: 0,
        steps: steps.into(),
        remaining: Remaining::Converged,
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
