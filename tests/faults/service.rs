//! The faults of a service: the stand-in for Cachix.

use std::time::{Duration, Instant};

use crate::cachix::{CacheSettings, Fault, Grant, Kind, Place};
use crate::golden::{golden, words};
use crate::support::bed::Output;
use crate::support::planted::Planted;
use crate::support::skew;
use crate::team::{TOKEN, Team};

const CACHE: &str = "/api/v1/cache/team";
const NARS: &str = "/api/v1/cache/team/multipart-nar*";
const PINS: &str = "/api/v1/cache/team/pin";
const PIN: &str = "pins: { release: { output: '.#app' } }\n";
const APPLY: &str = "reconcile --apply";
const PLAN: &str = "reconcile --plan";

fn team() -> Option<Team> {
    let team = Team::new(|cache| cache)?;
    team.declare("", PIN);
    Some(team)
}

/// Runs a command during a fault.
#[track_caller]
fn during(team: &Team, fault: Fault, line: &str, code: i32) -> Output {
    let name = format!("{fault:?}");
    team.standin.faults().add(fault);
    let said = team.world.run(line).fails(code);
    assert!(team.standin.faults().struck() > 0, "{name} never struck");
    team.standin.faults().clear();
    let found = Planted::of([TOKEN]).found(said.to_string().as_bytes());
    assert_eq!(found, [""; 0], "{said}");
    said
}

/// The fault is over: it finishes, and everything is there once, and whole.
#[track_caller]
fn over(team: &Team) {
    team.world.converge();
    assert_eq!(team.names(), ["app", "lib"]);
    assert_eq!(team.pins(), ["release"]);
    let pins = team.standin.cache("team").pins();
    let revisions: Vec<usize> = pins.iter().map(|pin| pin.revisions.len()).collect();
    assert!(revisions.iter().all(|count| *count == 1), "{pins:?}");
    team.assert_whole();
    team.assert_no_token();
}

/// Applies while faults pass: each strikes some requests, and nothing is to be noticed.
#[track_caller]
fn passes(faults: impl IntoIterator<Item = Fault>) {
    if let Some(team) = team() {
        pass(&team, faults);
    }
}

#[track_caller]
fn pass(team: &Team, faults: impl IntoIterator<Item = Fault>) {
    for fault in faults {
        team.standin.faults().add(fault);
    }
    let said = team.world.run(APPLY).success();
    assert!(team.standin.faults().struck() > 0, "it never struck");
    assert!(words(&said).contains("Applied:"), "{said}");
    team.standin.faults().clear();
    team.world.assert_nothing_to_do();
    over(team);
    assert_eq!(team.standin.uploads(), 0, "uploads are left open");
}

/// One run during the fault, then without it.
#[track_caller]
fn stays(name: &str, fault: Fault, line: &str, code: i32) {
    let Some(team) = team() else { return };
    let said = during(&team, fault, line, code);
    golden(name, &[(line, &said)]);
    over(&team);
    assert_eq!(team.standin.uploads(), 0, "uploads are left open");
}

/// A plan and an apply during faults, then without.
#[track_caller]
fn plan_and_apply(name: &str, look: Fault, write: Fault, code: i32) {
    let Some(team) = team() else { return };
    let plan = during(&team, look, PLAN, 0);
    let apply = during(&team, write, APPLY, code);
    golden(name, &[(PLAN, &plan), (APPLY, &apply)]);
    over(&team);
}

fn later(seconds: &str) -> Kind {
    Kind::TooMany {
        retry_after: Some(seconds.to_owned()),
    }
}

pub(crate) fn text_401() {
    plan_and_apply(
        "text_401__service",
        Fault::new("GET", CACHE, Kind::Unauthorized),
        Fault::new("POST", NARS, Kind::Unauthorized),
        6,
    );
}

pub(crate) fn not_found_404() {
    plan_and_apply(
        "not_found_404__service",
        Fault::new("GET", CACHE, Kind::NotFound),
        Fault::new("POST", NARS, Kind::NotFound),
        6,
    );
}

pub(crate) fn too_many_429() {
    let Some(mut team) = team() else { return };
    // What the service asks for is waited for, if that is within our patience.
    team.world.bed.set("NANNA_CACHE_TEST_PATIENCE", "9");
    let begun = Instant::now();
    pass(&team, [Fault::new("POST", NARS, later("4")).times(1)]);
    assert!(begun.elapsed() >= Duration::from_secs(4), "it did not wait");
    stays(
        "too_many_429__service",
        Fault::new("POST", NARS, later("0")),
        APPLY,
        6,
    );
}

pub(crate) fn problem_502() {
    let problem = |retry_after| Kind::BadGatewayProblem { retry_after };
    passes([Fault::new("POST", NARS, problem(Some(0))).times(1)]);
    stays(
        "problem_502__service",
        Fault::new("POST", NARS, problem(None)),
        APPLY,
        6,
    );
}

pub(crate) fn page_502() {
    let page = || Kind::BadGatewayPage { retry_after: None };
    passes([Fault::new("POST", NARS, page()).times(1)]);
    plan_and_apply(
        "page_502__service",
        Fault::new("GET", CACHE, page()),
        Fault::new("POST", "*/complete", page()),
        6,
    );
}

pub(crate) fn reset_in_a_part() {
    let reset = || Kind::Reset { after_bytes: 20 };
    passes([Fault::new("PUT", "/storage/parts/*", reset()).times(2)]);
    stays(
        "reset_in_a_part__service",
        Fault::new("PUT", "/storage/parts/*", reset()),
        APPLY,
        6,
    );
}

pub(crate) fn no_etag() {
    passes([Fault::new("PUT", "/storage/parts/*", Kind::NoETag).times(1)]);
    stays(
        "no_etag__service",
        Fault::new("PUT", "/storage/parts/*", Kind::NoETag),
        APPLY,
        6,
    );
}

pub(crate) fn answer_lost() {
    passes([
        Fault::new("POST", "*/complete", Kind::AnswerLost).times(1),
        Fault::new("POST", "*/complete", Kind::AnswerCut { after_bytes: 10 }).times(1),
    ]);
    // Whoever loses every answer has done everything all the same.
    stays(
        "answer_lost__service",
        Fault::new("POST", "*/complete", Kind::AnswerLost),
        APPLY,
        0,
    );
}

pub(crate) fn pin_without_answer() {
    for kind in [Kind::AnswerLost, Kind::Silence] {
        passes([Fault::new("POST", PINS, kind).times(1)]);
    }
    stays(
        "pin_without_answer__service",
        Fault::new("POST", PINS, Kind::AnswerLost),
        APPLY,
        0,
    );
}

pub(crate) fn slow_loris() {
    let Some(team) = team() else { return };
    let begun = Instant::now();
    let drip = || Kind::Drip { millis: 200 };
    let slow = during(&team, Fault::new("GET", CACHE, drip()), PLAN, 0);
    let silent = during(&team, Fault::new("GET", CACHE, Kind::Silence), PLAN, 0);
    let apply = during(&team, Fault::new("POST", NARS, drip()), APPLY, 6);
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    golden(
        "slow_loris__service",
        &[(PLAN, &slow), (PLAN, &silent), (APPLY, &apply)],
    );
    // What is slow, and not as slow as that, is an answer.
    team.standin
        .faults()
        .add(Fault::new("*", "/api/v1/*", Kind::Delay { millis: 30 }));
    over(&team);
}

pub(crate) fn redirect() {
    let Some(team) = team() else { return };
    let to = |status| Fault::new("*", "/api/*", Kind::Redirect { status });
    let found = during(&team, to(302), PLAN, 0);
    let moved = Fault::new("POST", NARS, Kind::Redirect { status: 307 });
    let moved = during(&team, moved, APPLY, 6);
    golden("redirect__service", &[(PLAN, &found), (APPLY, &moved)]);
    assert!(team.standin.requests().at(Place::Stranger).is_empty());
    over(&team);
}

pub(crate) fn other_narinfo() {
    let Some(mut team) = team() else { return };
    over(&team);
    // Without a token every narinfo is asked for.
    team.world.bed.unset("CACHIX_AUTH_TOKEN");
    team.world.assert_nothing_to_do();
    let other = Fault::new("*", "/team/*.narinfo", Kind::OtherNarInfo);
    let plan = during(&team, other, PLAN, 0);
    golden("other_narinfo__service", &[(PLAN, &plan)]);
    team.assert_whole();
    team.assert_no_token();
}

pub(crate) fn listing() {
    let Some(team) = team() else { return };
    over(&team);
    let list = |kind| Fault::new("GET", PINS, kind);
    let repeats = during(&team, list(Kind::PinsRepeat), PLAN, 0);
    let skips = during(&team, list(Kind::PinsSkip), PLAN, 0);
    golden("listing__service", &[(PLAN, &repeats), (PLAN, &skips)]);
    passes([list(Kind::PinsRepeat).times(9)]);
    passes([list(Kind::PinsSkip).times(1)]);
}

pub(crate) fn expired_token() {
    let Some(mut team) = Team::new(CacheSettings::private) else {
        return;
    };
    let token = team.standin.new_token(Grant::Write("team".to_owned()));
    team.world.bed.set("CACHIX_AUTH_TOKEN", &token);
    team.declare("visibility: private", "");
    team.world.converge();
    team.standin.expire(&token);
    // Nix itself says nothing of it: it builds what the cache would have had.
    let other = team.world.nix.another();
    let built = team
        .world
        .with_nix_in(&other, "nix build --no-link .#app")
        .success();
    assert!(!built.to_string().contains("401"), "{built}");
    let plan = team.world.run(PLAN).success();
    let apply = team.world.run(APPLY);
    for said in [&plan, &apply] {
        assert_eq!(
            Planted::of([&*token]).found(said.to_string().as_bytes()),
            [""; 0]
        );
    }
    golden("expired_token__service", &[(PLAN, &plan), (APPLY, &apply)]);
    team.assert_whole();
    // The netrc of the user holds it, and nothing else.
    let netrc = team.world.bed.home().join(".config/nix/netrc");
    std::fs::remove_file(netrc).unwrap();
    team.assert_none_of(&[TOKEN, &token]);
}

pub(crate) fn clock_skew() {
    let Some(mut team) = team() else { return };
    let days = 86_400;
    skew::set(&mut team.world.bed, -40 * days);
    let behind = team.world.run(APPLY).success();
    golden("clock_skew__service", &[(APPLY, &behind)]);
    skew::set(&mut team.world.bed, 40 * days);
    team.world.assert_nothing_to_do();
    skew::unset(&mut team.world.bed);
    over(&team);
}

pub(crate) fn read_only() {
    let Some(mut team) = team() else { return };
    let token = team.standin.new_token(Grant::Read("team".to_owned()));
    team.world.bed.set("CACHIX_AUTH_TOKEN", &token);
    let apply = team.world.run(APPLY).fails(4);
    assert_eq!(
        Planted::of([&*token]).found(apply.to_string().as_bytes()),
        [""; 0]
    );
    golden("read_only__service", &[(APPLY, &apply)]);
    assert_eq!(team.names(), [""; 0]);
    team.assert_none_of(&[TOKEN, &token]);
    team.world.bed.set("CACHIX_AUTH_TOKEN", TOKEN);
    over(&team);
}

pub(crate) fn no_answer() {
    let Some(team) = team() else { return };
    let said: Vec<Output> = [
        Fault::new("GET", CACHE, Kind::ServerError),
        Fault::new("GET", CACHE, Kind::Portal),
        Fault::new("GET", CACHE, Kind::BrokenJson),
        Fault::new("POST", "/api/v1/cache/team/narinfo", Kind::ServerError),
        Fault::new("GET", PINS, Kind::ServerError),
    ]
    .into_iter()
    .map(|fault| during(&team, fault, PLAN, 0))
    .collect();
    let said: Vec<(&str, &Output)> = said.iter().map(|said| (PLAN, said)).collect();
    golden("no_answer__service", &said);
    over(&team);
}

pub(crate) fn let_pass() {
    let Some(team) = team() else { return };
    team.declare("on-error: warn", PIN);
    let outage = Kind::BadGatewayPage { retry_after: None };
    let passed = during(&team, Fault::new("POST", NARS, outage), APPLY, 0);
    // Not so what the service refuses: that is no failure of its.
    let refused = during(
        &team,
        Fault::new("POST", NARS, Kind::ExpiredToken),
        APPLY,
        1,
    );
    golden("let_pass__service", &[(APPLY, &passed), (APPLY, &refused)]);
    over(&team);
}

pub(crate) fn no_token() {
    let Some(mut team) = team() else { return };
    team.world
        .bed
        .set("CACHIX_AUTH_TOKEN", "two words-of-a-secret");
    let plan = team.world.run(PLAN).success();
    golden("no_token__service", &[(PLAN, &plan)]);
    team.assert_none_of(&["words-of-a-secret"]);
    assert!(!plan.to_string().contains("words-of-a-secret"));
    team.world.bed.set("CACHIX_AUTH_TOKEN", TOKEN);
    over(&team);
}
