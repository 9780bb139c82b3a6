//! Ledgers whose best answer is known: the right change comes first, `git apply` takes it, and what it promises is what an
//! independent replay counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::bed::TestBed;

const DAY: i64 = 86_400;
/// 2026-01-01.
const BEGIN: i64 = 1_767_225_600;

/// A path: name, class, time of its build in milliseconds, bytes.
type Made<'a> = (&'a str, &'a str, u64, u64);

fn hash(name: &str) -> String {
    // 32 characters that a hash part may have.
    let mut text: String = name
        .bytes()
        .map(|b| char::from(b"0123456789abcdfg"[usize::from(b % 16)]))
        .collect();
    text.extend(std::iter::repeat_n('0', 32));
    text.truncate(32);
    text
}

/// A run that found nothing in any cache, so that how long everything takes is known; the replay says what it would have
/// found.
fn run(at: i64, made: &[Made<'_>]) -> Value {
    let start = jiff::Timestamp::from_second(BEGIN + at)
        .unwrap()
        .to_string();
    let built: Vec<Value> = made
        .iter()
        .map(|(name, class, millis, nar)| {
            let path = format!("{}-{name}", hash(name));
            json!({
                "drv": format!("{path}.drv"), "class": class, "millis": millis,
                "outputs": [{ "path": path, "nar": nar }],
            })
        })
        .collect();
    json!({
        "format": 1, "project": "known", "what": "nix build", "start": start, "millis": 1000, "outcome": "done",
        "origin": { "event": "main", "system": "x86_64-linux", "runner": "r1" }, "built": built,
    })
}

struct Case {
    bed: TestBed,
}

impl Case {
    fn new(config: &str, runs: &[Value]) -> Self {
        let bed = TestBed::new();
        bed.write("cache.yaml", config);
        let lines: Vec<String> = runs.iter().map(Value::to_string).collect();
        bed.write("runs.jsonl", lines.join("\n"));
        Self { bed }
    }

    fn advice(&self) -> Value {
        let said = self
            .bed
            .run(["advise", "--from", "runs.jsonl", "--format", "json"]);
        let found = said.success().json();
        // The same document may hold other findings beside the advice.
        found.get("advice").cloned().unwrap_or(found)
    }

    /// What an independent replay counts under these rules: milliseconds of building in a week.
    fn replayed(&self, rules: &Value) -> f64 {
        let output = Command::new("python3")
            .arg(support::fixture("tests/checker/replay.py"))
            .arg(self.bed.at("runs.jsonl"))
            .arg(rules.to_string())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let counted: Value = serde_json::from_slice(&output.stdout).unwrap();
        counted["built_millis"].as_f64().unwrap() * 7.0 * 86_400.0
            / counted["seconds"].as_f64().unwrap()
    }

    /// The first recommendation is of this kind, its diff makes this of the file, and it brings what it promises.
    fn judge(&self, kind: &str, line: &str, before: &Value, after: &Value) {
        let advice = self.advice();
        let first = &advice["recommendations"][0];
        assert_eq!(first["kind"], kind, "{advice}");
        let promised = first["effect"]["saved_millis"].as_f64().unwrap();
        let counted = self.replayed(before) - self.replayed(after);
        assert!(counted > 0.0, "{counted}");
        assert!(
            (promised - counted).abs() <= counted / 10.0,
            "promised {promised}, an independent replay counts {counted}"
        );

        let text = self.bed.run(["advise", "--from", "runs.jsonl"]).success();
        assert!(text.stdout.contains(line), "{text}");
        let diff = self
            .bed
            .run(["advise", "--from", "runs.jsonl", "--format", "diff"])
            .success();
        self.bed.write("change.diff", &diff.stdout);
        let mut git = self.bed.program("git");
        let applied = self.bed.finish(git.args(["apply", "change.diff"]));
        let _ = applied.success();
        assert!(
            self.bed
                .read("cache.yaml")
                .contains(line.trim_start_matches(['+', ' ']))
        );
        let _ = self.bed.run(["validate"]).success();
        let again = self.advice();
        let kinds = again["recommendations"].as_array().unwrap();
        assert!(
            kinds.iter().all(|one| one["what"] != first["what"]),
            "done, and still recommended: {again}"
        );
    }
}

#[test]
fn a_retention_that_is_too_short_for_how_often_a_class_is_read() {
    let config = "version: 1
project: known
caches:
  dev: { type: file, path: /var/cache/known, signing-key: { file: /k } }
artifacts:
  libs: { priority: 90, retention: 3d, match: [-lib] }
  apps: { priority: 50, retention: 60d, default: true }
";
    let names: Vec<String> = (0..60).map(|day| format!("app{day}")).collect();
    let runs: Vec<Value> = (0..60)
        .map(|day| {
            let mut made = vec![(
                names[usize::try_from(day).unwrap()].as_str(),
                "apps",
                5_000,
                1_000,
            )];
            if day % 5 == 0 {
                made.push(("the-lib", "libs", 600_000, 1_000_000));
            }
            run(day * DAY, &made)
        })
        .collect();
    let rules = |days: i64| json!({ "classes": { "libs": [days * DAY, 90], "apps": [60 * DAY, 50] }, "exclude": [], "max_size": null, "grace": DAY });
    let case = Case::new(config, &runs);
    let text = case.advice()["recommendations"][0]["after"].to_string();
    let days: i64 = text
        .split_once("libs: { priority: 90, retention: ")
        .and_then(|(_, rest)| rest.split_once('d'))
        .and_then(|(days, _)| days.parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    // Five days between two reads: what is longer brings nothing more.
    assert!((5..=14).contains(&days), "{days}");
    let line = format!("+  libs: {{ priority: 90, retention: {days}d, match: [-lib] }}");
    case.judge("longer-retention", &line, &rules(3), &rules(days));
}

#[test]
fn a_filter_that_keeps_back_what_is_built_again_and_again() {
    let config = "version: 1
project: known
caches:
  dev: { type: file, path: /var/cache/known, signing-key: { file: /k } }
artifacts:
  all: { priority: 50, retention: 30d, default: true }
push:
  exclude:
    - -source$
    - toolchain
";
    let runs: Vec<Value> = (0..40)
        .map(|day| {
            run(
                day * DAY,
                &[
                    ("big-toolchain", "all", 300_000, 2_000_000),
                    ("an-app", "all", 9_000, 100),
                ],
            )
        })
        .collect();
    let rules = |exclude: Value| json!({ "classes": { "all": [30 * DAY, 50] }, "exclude": exclude, "max_size": null, "grace": DAY });
    let case = Case::new(config, &runs);
    let advice = case.advice();
    assert!(
        !advice["recommendations"][0]["after"]
            .as_str()
            .unwrap()
            .contains("toolchain"),
        "{advice}"
    );
    case.judge(
        "exclude",
        "    - -source$",
        &rules(json!(["-source$", "toolchain"])),
        &rules(json!(["-source$"])),
    );
}

#[test]
fn priorities_that_let_the_wrong_class_go_first() {
    let config = "version: 1
project: known
caches:
  dev: { type: file, path: /var/cache/known, max-size: 100 MB, signing-key: { file: /k } }
artifacts:
  heavy: { priority: 10, retention: 90d, match: [-heavy] }
  light: { priority: 80, retention: 90d, default: true }
";
    let names: Vec<String> = (0..40).map(|at| format!("light{at}")).collect();
    let runs: Vec<Value> = (0..40)
        .map(|at| {
            let light = names[usize::try_from(at).unwrap()].as_str();
            run(
                at * 2 * DAY,
                &[
                    ("so-heavy", "heavy", 1_800_000, 40_000_000),
                    (light, "light", 1_000, 60_000_000),
                ],
            )
        })
        .collect();
    let rules = |heavy: u32, light: u32| json!({ "classes": { "heavy": [90 * DAY, heavy], "light": [90 * DAY, light] }, "exclude": [], "max_size": 100_000_000, "grace": DAY });
    let case = Case::new(config, &runs);
    case.judge(
        "priorities",
        "+  heavy: { priority: 80, retention: 90d, match: [-heavy] }",
        &rules(10, 80),
        &rules(80, 10),
    );
}

#[test]
fn with_few_runs_nothing_is_recommended() {
    let config = "version: 1
project: known
caches: { dev: { type: file, path: /var/cache/known, signing-key: { file: /k } } }
artifacts: { all: { priority: 50, default: true } }
";
    let runs: Vec<Value> = (0..5)
        .map(|day| run(day * DAY, &[("an-app", "all", 9_000, 100)]))
        .collect();
    let case = Case::new(config, &runs);
    let advice = case.advice();
    assert_eq!(advice["recommendations"], json!([]));
    let text = case.bed.run(["advise", "--from", "runs.jsonl"]).success();
    assert!(text.stdout.contains("not enough runs: 5 of 20"), "{text}");
    let diff = case
        .bed
        .run(["advise", "--from", "runs.jsonl", "--format", "diff"])
        .success();
    assert_eq!(diff.stdout, "");
}
