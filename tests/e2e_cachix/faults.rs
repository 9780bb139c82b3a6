//! Every fault of the service, by name: how the program ends, what it says, and that the token is nowhere.
//!
//! A fault that passes, or that changes nothing, ends well and whole; one that stays ends with a message that
//! names the cause and the way out.

use crate::Team;
use crate::cachix::{Fault, Grant, Kind};
use crate::support::bed::Output;

const CACHE: &str = "/api/v1/cache/team";
const NARS: &str = "/api/v1/cache/team/multipart-nar*";
const PIN: &str = "pins: { release: { output: '.#app' } }\n";

fn team() -> Option<Team> {
    let team = Team::new(|cache| cache)?;
    team.declare("", PIN);
    Some(team)
}

/// Lines of the output that hold a word, for messages that are compared whole.
fn said(output: &Output, word: &str) -> String {
    let text = format!("{}\n{}", output.stdout, output.stderr);
    // The frame of the box is no part of a sentence.
    let flat: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "┃")
        .collect();
    let flat = flat.join(" ");
    assert!(flat.contains(word), "{word:?} is not in:\n{output}");
    flat
}

/// The apply ends well though this happens, and everything is there once.
fn survives(fault: Fault) {
    let Some(team) = team() else { return };
    let fault_name = format!("{fault:?}");
    team.standin.faults().add(fault);
    let _ = team.world.run("reconcile --apply").success();
    assert!(
        team.standin.faults().struck() > 0,
        "{fault_name} never struck"
    );
    team.standin.faults().clear();
    assert_eq!(team.names(), ["app", "lib"], "{fault_name}");
    assert_eq!(team.pins(), ["release"], "{fault_name}");
    team.world.assert_nothing_to_do();
    team.assert_no_token();
}

/// The apply fails with this code and says this; afterwards, without the fault, it finishes.
fn fails(fault: Fault, code: i32, word: &str) -> Option<Team> {
    let team = team()?;
    let fault_name = format!("{fault:?}");
    team.standin.faults().add(fault);
    let ended = team.world.run("reconcile --apply").fails(code);
    let _ = said(&ended, word);
    assert!(!ended.to_string().contains(team.standin.token()));
    team.standin.faults().clear();
    team.world.converge();
    assert_eq!(team.names(), ["app", "lib"], "{fault_name}");
    team.assert_no_token();
    Some(team)
}

/// The plan ends with 0, and says this.
fn unseen(fault: Fault, word: &str) {
    let Some(team) = team() else { return };
    team.standin.faults().add(fault);
    let plan = team.world.run("reconcile --plan").success();
    let _ = said(&plan, word);
    assert!(!plan.to_string().contains(team.standin.token()));
    assert_eq!(team.names(), [""; 0]);
    team.assert_no_token();
}

#[test]
fn no_answer_leaves_an_unknown() {
    unseen(
        Fault::new("GET", CACHE, Kind::Unauthorized),
        "refused (401)",
    );
    unseen(Fault::new("GET", CACHE, Kind::NotFound), "create: true");
    unseen(Fault::new("GET", CACHE, Kind::ServerError), "answered 500");
}

#[test]
fn an_answer_that_is_none_leaves_an_unknown() {
    unseen(
        Fault::new("GET", CACHE, Kind::Portal),
        "the answer of 127.0.0.1",
    );
    unseen(Fault::new("GET", CACHE, Kind::BrokenJson), "cannot be read");
    unseen(
        Fault::new("GET", CACHE, Kind::Redirect { status: 302 }),
        "leads to another address (302)",
    );
}

#[test]
fn a_question_without_an_answer_leaves_an_unknown() {
    unseen(
        Fault::new("POST", "/api/v1/cache/team/narinfo", Kind::ServerError),
        "failed to ask which paths are missing",
    );
    unseen(
        Fault::new("GET", "/api/v1/cache/team/pin", Kind::ServerError),
        "failed to list the pins",
    );
}

#[test]
fn a_redirect_never_takes_the_token_along() {
    let Some(team) = team() else { return };
    for status in [301, 307] {
        team.standin
            .faults()
            .add(Fault::new("*", "/api/*", Kind::Redirect { status }));
        let _ = team.world.run("reconcile --apply");
        team.standin.faults().clear();
    }
    team.assert_no_token();
}

#[test]
fn too_many_requests_are_waited_for() {
    let later = |text: &str| Kind::TooMany {
        retry_after: Some(text.to_owned()),
    };
    survives(Fault::new("POST", NARS, later("0")).times(1));
    survives(Fault::new("POST", NARS, Kind::TooMany { retry_after: None }).times(1));
}

#[test]
fn a_gateway_that_fails_once_is_tried_again() {
    survives(Fault::new("POST", NARS, Kind::BadGatewayProblem { retry_after: None }).times(1));
    survives(Fault::new("POST", NARS, Kind::BadGatewayPage { retry_after: None }).times(1));
}

#[test]
fn a_part_that_is_cut_is_sent_again() {
    survives(Fault::new("PUT", "*", Kind::Reset { after_bytes: 20 }).times(1));
    survives(Fault::new("PUT", "*", Kind::NoETag).times(1));
}

#[test]
fn an_answer_that_is_lost_after_the_effect_is_looked_for() {
    survives(Fault::new("POST", "*/complete", Kind::AnswerLost).times(1));
    survives(Fault::new("POST", "*/complete", Kind::AnswerCut { after_bytes: 10 }).times(1));
}

#[test]
fn a_pin_that_is_set_without_an_answer_is_set_once() {
    survives(Fault::new("POST", "/api/v1/cache/team/pin", Kind::AnswerLost).times(1));
    let Some(team) = team() else { return };
    team.standin
        .faults()
        .add(Fault::new("POST", "/api/v1/cache/team/pin", Kind::AnswerLost).times(1));
    let _ = team.world.run("reconcile --apply").success();
    let pins = team.standin.cache("team").pins();
    assert_eq!(pins[0].revisions.len(), 1, "one revision");
}

#[test]
fn a_listing_that_repeats_or_skips_is_no_drift_for_ever() {
    survives(Fault::new("GET", "/api/v1/cache/team/pin", Kind::PinsRepeat).times(9));
    survives(Fault::new("GET", "/api/v1/cache/team/pin", Kind::PinsSkip).times(1));
}

#[test]
fn slow_answers_are_answers() {
    survives(Fault::new("*", "/api/v1/*", Kind::Delay { millis: 30 }));
    survives(Fault::new("GET", CACHE, Kind::Drip { millis: 1 }));
}

#[test]
fn storage_that_gives_no_etag_fails() {
    let _ = fails(
        Fault::new("PUT", "*", Kind::NoETag),
        6,
        "it gave no ETag for a part",
    );
}

#[test]
fn a_gateway_that_goes_on_failing_fails() {
    let _ = fails(
        Fault::new("POST", NARS, Kind::BadGatewayProblem { retry_after: None }),
        6,
        "failed to begin an upload: 127.0.0.1",
    );
}

#[test]
fn a_service_that_fails_may_leave_a_run_green() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    team.declare("on-error: warn", PIN);
    let outage = Kind::BadGatewayPage { retry_after: None };
    team.standin.faults().add(Fault::new("POST", NARS, outage));
    let ended = team.world.run("reconcile --apply").success();
    let _ = said(&ended, "which `on-error: warn` lets pass");
    assert_eq!(team.names(), [""; 0]);
    // Not so what the service refuses: that is no failure of its.
    team.standin.faults().clear();
    team.standin
        .faults()
        .add(Fault::new("POST", NARS, Kind::ExpiredToken));
    let ended = team.world.run("reconcile --apply").fails(1);
    let _ = said(
        &ended,
        "the token is wrong, has expired, or has no right to it",
    );
    team.standin.faults().clear();
    team.world.converge();
    team.assert_no_token();
}

#[test]
fn a_token_that_ran_out_is_said() {
    let Some(mut team) = team() else { return };
    let token = team.standin.new_token(Grant::Write("team".to_owned()));
    team.world.bed.set("CACHIX_AUTH_TOKEN", &token);
    team.world.converge();
    team.standin.expire(&token);
    let plan = team.world.run("reconcile").success();
    let _ = said(
        &plan,
        "the token is wrong, has expired, or has no right to it",
    );
    assert!(!plan.to_string().contains(&token));
}

#[test]
fn a_token_that_is_none_is_said_and_not_shown() {
    let Some(mut team) = team() else { return };
    team.world
        .bed
        .set("CACHIX_AUTH_TOKEN", "two words-of-a-secret");
    let plan = team.world.run("reconcile").success();
    let _ = said(&plan, "holds no token: it has blanks or other signs");
    assert!(!plan.to_string().contains("words-of-a-secret"));
}

#[test]
fn a_pin_that_is_set_and_never_answered_is_set_once() {
    let Some(team) = team() else { return };
    team.standin
        .faults()
        .add(Fault::new("POST", "/api/v1/cache/team/pin", Kind::Silence).times(2));
    let _ = team.world.run("reconcile --apply").success();
    // That of the record, and the one that is declared.
    let pins = team.standin.cache("team").pins();
    let revisions: Vec<usize> = pins.iter().map(|pin| pin.revisions.len()).collect();
    assert_eq!(revisions, [1, 1]);
    team.world.assert_nothing_to_do();
    team.assert_no_token();
}

#[test]
fn who_answers_byte_by_byte_is_not_waited_for() {
    unseen(
        Fault::new("GET", CACHE, Kind::Drip { millis: 200 }),
        "did not answer in time",
    );
    unseen(
        Fault::new("GET", CACHE, Kind::Silence),
        "did not answer in time",
    );
}

#[test]
fn a_narinfo_of_another_path_is_none_of_this_one() {
    let Some(mut team) = team() else { return };
    team.world.converge();
    team.world.bed.unset("CACHIX_AUTH_TOKEN");
    team.world.assert_nothing_to_do();
    team.standin
        .faults()
        .add(Fault::new("*", "/team/*.narinfo", Kind::OtherNarInfo));
    let plan = team.world.run("reconcile").success();
    let _ = said(&plan, "what it gives for a narinfo is none");
    team.assert_no_token();
}
