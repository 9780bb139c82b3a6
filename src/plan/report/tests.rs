use super::*;

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
    }
}

fn done() -> Outcome {
    Outcome::Done {
        effect: Effect::default(),
        detail: String::new(),
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
