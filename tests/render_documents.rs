//! The JSON of plans and its schema, and the text of reports and explanations.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use nanna_cache::plan::address::{Address, Phase};
use nanna_cache::plan::explain::Explanation;
use nanna_cache::plan::observed::Why;
use nanna_cache::plan::plan::Unknown;
use nanna_cache::plan::report::{
    FORMAT, Outcome, PhaseOutcome, Remaining, Report, SecondLook, Seen, Signal, StepOutcome,
};
use nanna_cache::plan::step::{Effect, Op};
use nanna_cache::plan::summary::Summary;
use nanna_cache::plan::time::Time;
use nanna_cache::render::style::Palette;
use nanna_cache::render::text::Layout;
use nanna_cache::render::{explain, json, report};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn layout() -> Layout {
    Layout::new(None, Palette::PLAIN)
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(&json::schema()).unwrap()).unwrap()
}

fn plans() -> Vec<(PathBuf, String)> {
    fs::read_dir(file("tests/fixtures/plan"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("plan.json"))
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn the_schema_is_not_stale() {
    let path = file("schema/plan.schema.json");
    let schema = json::schema();
    if std::env::var_os("ACCEPT").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema, "run `nanna-cache schema --write`");
}

#[test]
fn what_is_written_fits_the_schema_and_reads_back() {
    let validator = validator();
    for (path, text) in plans() {
        let plan = json::read(&text).unwrap();
        let written = json::plan(&plan);
        let value: serde_json::Value = serde_json::from_str(&written).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        assert_eq!(json::read(&written).unwrap(), plan);
        assert_eq!(
            value["summary"],
            serde_json::to_value(Summary::of(&plan)).unwrap()
        );
        assert_eq!(value["format"], 1);
    }
}

#[test]
fn the_schema_refuses_what_is_no_plan() {
    let validator = validator();
    let good: serde_json::Value =
        serde_json::from_str(&json::plan(&json::read(&plans()[0].1).unwrap())).unwrap();
    assert!(validator.is_valid(&good));
    for (field, wrong) in [
        ("format", serde_json::json!("1")),
        ("now", serde_json::json!(17)),
        ("steps", serde_json::json!([{ "address": "push/dev/x" }])),
        ("steps", serde_json::json!({})),
        ("project", serde_json::Value::Null),
    ] {
        let mut bad = good.clone();
        bad[field] = wrong;
        assert!(!validator.is_valid(&bad), "{field}");
    }
}

/// A plan of format 1 as an earlier version wrote it. Never edit it: if this fails, the number of
/// the format has to be raised.
#[test]
fn format_1_keeps_loading() {
    let text = fs::read_to_string(file("tests/fixtures/plan-format-1.json")).unwrap();
    let plan = json::read(&text).unwrap();
    let ops: std::collections::BTreeSet<String> = plan
        .steps
        .iter()
        .map(|step| {
            serde_json::to_value(&step.op).unwrap()["op"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let all = [
        "build",
        "create-cache",
        "edit-file",
        "export-variable",
        "generate-key",
        "pin",
        "prune",
        "push",
        "sweep",
        "warm",
        "write-file",
    ];
    assert_eq!(
        ops.iter().map(String::as_str).collect::<Vec<_>>(),
        all,
        "every kind of step is in it"
    );
    assert!(plan.steps.iter().any(
        |step| matches!(&step.op, Op::Push { roots, .. } if roots.iter().any(|root| root.new))
    ));
    let before: serde_json::Value = serde_json::from_str(&text).unwrap();
    let after: serde_json::Value = serde_json::from_str(&json::plan(&plan)).unwrap();
    for (field, value) in before.as_object().unwrap() {
        if field != "summary" {
            assert_eq!(&after[field], value, "{field} means the same");
        }
    }
}

#[test]
fn a_later_format_is_refused_with_its_number() {
    let text = plans()[0].1.replacen("\"format\": 1", "\"format\": 9", 1);
    let error = json::read(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        "read it: its format is 9, this version reads up to 1"
    );
    let error = json::read("{\"format\": 1, \"writer\": 5}")
        .unwrap_err()
        .to_string();
    assert!(error.contains("`writer`"), "{error}");
    assert!(json::read("").is_err());
}

fn outcome(what: &str, outcome: Outcome) -> StepOutcome {
    StepOutcome {
        address: Address::new(Phase::Push, "dev", what),
        promised: format!("push {what} to dev"),
        promised_effect: Effect {
            paths: 18,
            bytes: 812 << 20,
        },
        did: match &outcome {
            Outcome::Done { effect, .. } => *effect,
            _ => Effect::default(),
        },
        outcome,
        duration_ms: 12_345,
        stage: 0,
        seen: Some(Seen::Settled),
        sent: None,
        secrets: Vec::new(),
    }
}

fn sample() -> Report {
    let mut report = Report {
        format: FORMAT,
        writer: "nanna-cache 0.1.0".into(),
        project: "nanna-coder".into(),
        config: "5b".repeat(32),
        began: Time(1_763_640_000),
        duration_ms: 200_000,
        steps: vec![outcome(
            "rust-dependencies",
            Outcome::Done {
                effect: Effect {
                    paths: 18,
                    bytes: 812 << 20,
                },
                detail: "uploaded 300.0 MiB".into(),
            },
        )],
        phases: Vec::new(),
        remaining: Remaining::Converged,
        caches: Vec::new(),
        second_look: Some(SecondLook::default()),
        busy: false,
        journal: None,
        unreached: Vec::new(),
        errors: Vec::new(),
        interrupted: None,
    };
    report.phases = PhaseOutcome::of(&report.steps);
    report
}

#[test]
fn a_whole_report_is_short() {
    insta::assert_snapshot!(report::text(&sample(), layout()));
}

#[test]
fn what_did_not_happen_is_said_in_full() {
    let mut sample = sample();
    sample.steps.push(outcome(
        "build-artifacts",
        Outcome::Done {
            effect: Effect {
                paths: 2,
                bytes: 10 << 20,
            },
            detail: String::new(),
        },
    ));
    sample
        .steps
        .push(outcome("base-images", Outcome::Unchanged));
    sample.steps.push(outcome(
        "model-cache",
        Outcome::Failed {
            why: "failed to write `nar/x`: no space left".into(),
        },
    ));
    sample.steps.push(outcome(
        "test-containers",
        Outcome::Stale {
            why: "somebody pruned dev\u{1b}[2J".into(),
        },
    ));
    sample.steps.push(outcome(
        "system-packages",
        Outcome::Skipped {
            why: "push/dev/model-cache failed".into(),
        },
    ));
    sample.remaining = Remaining::Steps {
        steps: vec![Address::new(Phase::Push, "dev", "model-cache")],
    };
    let mut later = outcome(
        "tools",
        Outcome::Done {
            effect: Effect::default(),
            detail: String::new(),
        },
    );
    (later.stage, later.duration_ms) = (1, 250);
    later.promised_effect = Effect::default();
    sample.steps.push(later);
    let seen = [
        None,
        Some(Seen::Pending),
        None,
        Some(Seen::Pending),
        Some(Seen::Settled),
        Some(Seen::Pending),
        Some(Seen::Unknown {
            why: Why("dev: a folder is closed".into()),
        }),
    ];
    for (step, seen) in sample.steps.iter_mut().zip(seen) {
        step.seen = seen;
    }
    sample.steps[3].did = Effect {
        paths: 5,
        bytes: 3 << 20,
    };
    sample.phases = PhaseOutcome::of(&sample.steps);
    sample.journal = Some("no space left on device".into());
    sample.second_look = Some(SecondLook {
        unknowns: vec![Unknown {
            what: "dev".into(),
            why: Why("a folder is closed".into()),
            effect: String::new(),
        }],
        others: 0,
        first_others: Vec::new(),
    });
    assert!(
        !sample.is_whole() && sample.has_failed() && sample.is_stale() && sample.did_something()
    );
    insta::assert_snapshot!(report::text(&sample, layout()));
    let back: Report = serde_json::from_str(&report::json(&sample)).unwrap();
    assert_eq!(back, sample);
}

#[test]
fn an_interrupted_report_says_so() {
    let mut sample = sample();
    sample.interrupted = Some(Signal::Interrupted);
    sample.second_look = None;
    sample.steps[0].seen = None;
    sample.remaining = Remaining::Unconfirmed {
        why: Why("interrupted".into()),
    };
    assert!(!sample.is_whole());
    insta::assert_snapshot!(report::text(&sample, layout()));
}

#[test]
fn the_last_line_says_no_more_than_was_seen() {
    let last = |sample: &Report| -> String {
        let text = report::text(sample, layout());
        let (_, last) = text.trim_end().rsplit_once("\n\n").unwrap();
        last.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut sample = sample();
    assert!(last(&sample).contains("everything is as `cache.yaml` says"));
    let unknown = Unknown {
        what: "dev".into(),
        why: Why("closed".into()),
        effect: String::new(),
    };
    sample.second_look = Some(SecondLook {
        unknowns: vec![unknown],
        others: 2,
        first_others: vec![Address::new(Phase::Prune, "dev", "dust")],
    });
    let text = last(&sample);
    assert!(!text.contains("everything"), "{text}");
    assert!(
        text.contains(
            "2 other changes are left: prune/dev/dust and 1 more, 1 thing could not be seen"
        ),
        "{text}"
    );
    sample.second_look = None;
    assert!(last(&sample).contains("nothing was to change"));
    sample.remaining = Remaining::Unconfirmed {
        why: Why("dev".into()),
    };
    assert!(last(&sample).contains("not confirmed"));
}

#[test]
fn an_explanation_gives_reasons() {
    let sample: Explanation = serde_json::from_value(serde_json::json!({
        "format": 1,
        "now": "2026-11-20T12:00:00Z",
        "path": "ivdsi7k2110sa5dkz830w8y523sr23ry-openssl-3.4.1",
        "nar_size": 7_340_032,
        "in_store": true,
        "gc_roots": ["/home/me/project/result", "/nix/var/nix/profiles/per-user/me/profile-3-link"],
        "wanted_by": [{ "what": ".#nanna-coder", "because": { "rule": "an output of build-artifacts", "line": 40 } }],
        "class": {
            "class": "system-packages", "priority": 20, "retention": 15_552_000,
            "because": { "rule": "the default class", "line": 52 }, "also": []
        },
        "upstreams": [
            { "cache": "nixos", "has": null, "how": "it could not be asked: connection refused" }
        ],
        "caches": [
            {
                "cache": "dev", "present": true, "priority": 60,
                "roots": [{
                    "path": "04000000000000000000000000000000-nanna-coder-1.4.0", "class": "build-artifacts",
                    "written": "2026-08-20T12:00:00Z", "retention": 7_776_000, "priority": 60,
                    "until": "2026-11-18T12:00:00Z", "attr": ".#nanna-coder"
                }],
                "need": { "need": "until", "time": "2026-11-18T12:00:00Z" },
                "verdict": { "verdict": "deleted", "reason": { "need-ended": "2026-11-18T12:00:00Z" } }
            },
            {
                "cache": "builds", "present": false, "priority": null, "roots": [],
                "need": { "need": "unreached" },
                "verdict": {
                    "verdict": "held-back", "reason": "needs-held",
                    "needs": "00000000000000000000000000000000-nanna-source"
                }
            },
            {
                "cache": "mirror", "present": null, "priority": null, "roots": [],
                "need": { "need": "unknown", "why": "MIRROR_TOKEN is not set" },
                "verdict": { "verdict": "undecided", "why": "MIRROR_TOKEN is not set" }
            }
        ]
    }))
    .unwrap();
    insta::assert_snapshot!(explain::text(&sample, layout()));
    let back: Explanation = serde_json::from_str(&explain::json(&sample)).unwrap();
    assert_eq!(back, sample);
}
