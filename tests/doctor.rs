//! Doctor names what is wrong: every way in which a cache is not used that can be set up here, with a real Nix.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "doctor/case.rs"]
mod case;
#[path = "doctor/complaints.rs"]
mod complaints;
#[path = "doctor/scenarios.rs"]
mod scenarios;
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use case::Case;
use complaints::{Answer, COMPLAINTS};
use nanna_cache::insight::doctor::{Code, Link, Severity};
use scenarios::{ELSEWHERE, SCENARIOS};

#[test]
fn a_healthy_set_up_has_no_findings() {
    let Some(case) = Case::new() else { return };
    for arguments in [
        vec!["doctor"],
        vec!["doctor", &case.path],
        vec!["doctor", "--deep", &case.path],
    ] {
        let said = case.bed.run(arguments).success();
        assert!(said.stdout.contains("Nothing is wrong"), "{said}");
        assert!(!said.stdout.contains('✗'), "{said}");
    }
    assert_eq!(case.codes(), [""; 0]);
}

#[test]
fn every_scenario_is_named() {
    let mut wrong = String::new();
    for (wanted, what, set_up) in SCENARIOS {
        let Some(mut case) = Case::new() else { return };
        set_up(&mut case);
        let found = case.codes().join(" ");
        if found != *wanted {
            let said = case.bed.run(["doctor", "--deep", &case.path]);
            writeln!(
                wrong,
                "{what}: {wanted} is wanted, {found} is named\n{said}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_code_has_a_scenario_or_a_reason() {
    let shown = SCENARIOS.iter().flat_map(|(codes, ..)| codes.split(' '));
    let shown: BTreeSet<&str> = shown
        .chain(ELSEWHERE.iter().map(|(code, _)| *code))
        .collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(shown, all);
}

#[test]
fn what_is_ours_is_mended() {
    let Some(mut case) = Case::new() else { return };
    scenarios::declared_only(&mut case);
    let said = case.bed.run(["doctor"]).fails(7);
    assert!(said.stdout.contains("doctor --fix` mends"), "{said}");
    let said = case.bed.run(["doctor", "--fix", "--yes"]).success();
    assert!(said.stdout.contains("Nothing is wrong"), "{said}");
    let _ = case.bed.run(["doctor", &case.path]).success();
}

/// docs/doctor.md, from the codes.
#[test]
fn the_document_lists_the_codes() {
    let mut text = "# What doctor finds\n\n`nanna-cache doctor [PATH]` walks what Nix does, in its order, and names what is wrong by these codes. \
                    *Wrong* findings end it with 7; the others are worth knowing. The list is made from the program \
                    (`NANNA_WRITE_DOCS=1 cargo nextest run --test doctor`).\n"
        .to_owned();
    for link in Link::ALL {
        write!(
            text,
            "\n## {}\n\n| code | | cause | way out |\n|---|---|---|---|\n",
            link.word()
        )
        .unwrap();
        for code in Code::ALL.iter().filter(|code| code.link() == link) {
            let severity = match code.severity() {
                Severity::Wrong => "wrong",
                Severity::WorthKnowing => "worth knowing",
            };
            writeln!(
                text,
                "| `{}` | {severity} | {} | {} |",
                code.word(),
                code.cause(),
                code.way_out()
            )
            .unwrap();
        }
    }
    let file = support::repository().join("docs/doctor.md");
    if std::env::var_os("NANNA_WRITE_DOCS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), text);
}

#[test]
fn every_complaint_is_answered_by_a_test_or_has_its_reason() {
    let codes: BTreeSet<&str> = SCENARIOS
        .iter()
        .flat_map(|(codes, ..)| codes.split(' '))
        .collect();
    for (complaint, answer) in COMPLAINTS {
        match answer {
            Answer::Named(named) => {
                for code in *named {
                    assert!(
                        codes.contains(code),
                        "{complaint}: no scenario has `{code}`"
                    );
                }
            }
            Answer::Shown(tests) => {
                for (file, test) in *tests {
                    let text = std::fs::read_to_string(support::repository().join(file)).unwrap();
                    assert!(
                        text.contains(&format!("fn {test}(")),
                        "{complaint}: {file} has no `{test}`"
                    );
                }
            }
            Answer::NotYet(why) => assert!(why.len() > 20, "{complaint}"),
        }
    }
}
