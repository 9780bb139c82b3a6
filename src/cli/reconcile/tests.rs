use clap::Parser as _;

use super::*;
use crate::cli::args::{Cli, Command};
use crate::plan::address::{Address, Phase};
use crate::plan::observed::Why;
use crate::plan::plan::PlanError;
use crate::plan::report::{FORMAT, Outcome, StepOutcome};
use crate::plan::step::{Because, Effect};
use crate::plan::time::Time;

fn plan() -> Plan {
    let text = include_str!("../../../tests/fixtures/plan/rich/plan.json");
    json::read(text).unwrap()
}

fn args(flags: &[&str]) -> PlanArgs {
    let words = ["nanna-cache", "reconcile"].iter().chain(flags);
    match Cli::try_parse_from(words).unwrap().command {
        Command::Reconcile(reconcile) => reconcile.common,
        other => panic!("{other:?}"),
    }
}

fn report(outcomes: &[Outcome], remaining: Remaining) -> Report {
    let step = |outcome: &Outcome| StepOutcome {
        address: Address::new(Phase::Push, "dev", "x"),
        promised: String::new(),
        promised_effect: Effect::default(),
        outcome: outcome.clone(),
        did: Effect::default(),
        duration_ms: 0,
        stage: 0,
        seen: None,
        sent: None,
        secrets: Vec::new(),
    };
    Report {
        format: FORMAT,
        writer: String::new(),
        project: String::new(),
        config: String::new(),
        began: Time(0),
        duration_ms: 0,
        steps: outcomes.iter().map(step).collect(),
        phases: Vec::new(),
        remaining,
        caches: Vec::new(),
        second_look: None,
        busy: false,
        journal: None,
        unreached: Vec::new(),
        errors: Vec::new(),
        interrupted: None,
    }
}

#[test]
fn a_shown_plan_ends_as_asked() {
    let mut plan = plan();
    assert_eq!(exit_of_plan(&args(&[]), &plan), Exit::Done);
    assert_eq!(
        exit_of_plan(&args(&["--detailed-exitcode"]), &plan),
        Exit::Changes
    );
    assert_eq!(
        exit_of_plan(&args(&["--detailed-exitcode", "--strict"]), &plan),
        Exit::Check
    );
    let refusal = |code: &str| Refusal {
        steps: Vec::new(),
        code: code.into(),
        text: String::new(),
        help: String::new(),
    };
    plan.refusals = vec![refusal("prune-busy")];
    assert_eq!(exit_of_plan(&args(&["--strict"]), &plan), Exit::Busy);
    plan.refusals.push(refusal("prune-share"));
    assert_eq!(exit_of_plan(&args(&["--strict"]), &plan), Exit::Refused);
    plan.errors.push(PlanError {
        what: vec![".#x".to_owned()],
        why: Why(String::new()),
        effect: String::new(),
        because: Because::default(),
    });
    assert_eq!(exit_of_plan(&args(&["--apply"]), &plan), Exit::Failed);
    plan = self::plan();
    plan.steps.clear();
    assert_eq!(
        exit_of_plan(&args(&["--detailed-exitcode"]), &plan),
        Exit::Done
    );
}

#[test]
fn what_a_plan_for_main_does_not_show_does_not_count() {
    let mut plan = plan();
    plan.steps[0].scope = Scope::Machine;
    plan.steps[1].scope = Scope::Shared;
    let [machine, shared] = [0, 1].map(|at: usize| plan.steps[at].address.clone());
    let mut refuse = |steps: &[&Address]| {
        plan.refusals = vec![Refusal {
            steps: steps.iter().copied().cloned().collect(),
            code: "x".to_owned(),
            text: String::new(),
            help: String::new(),
        }];
        shared_refusals(&plan).len()
    };
    assert_eq!(refuse(&[&machine]), 0);
    assert_eq!(refuse(&[&machine, &shared]), 1);
    assert_eq!(refuse(&[]), 1, "the whole plan");
}

#[test]
fn an_apply_ends_with_the_worst_that_happened() {
    let done = Outcome::Done {
        effect: Effect::default(),
        detail: String::new(),
    };
    let failed = Outcome::Failed { why: String::new() };
    let stale = Outcome::Stale { why: String::new() };
    let left = Remaining::Steps { steps: Vec::new() };
    let unseen = Remaining::Unconfirmed {
        why: Why(String::new()),
    };
    let exit = |outcomes: &[Outcome], remaining: &Remaining| {
        exit_of_report(&report(outcomes, remaining.clone()))
    };
    let converged = Remaining::Converged;
    assert_eq!(
        exit(&[done.clone(), Outcome::Unchanged], &converged),
        Exit::Done
    );
    assert_eq!(
        exit(&[done.clone(), failed.clone()], &converged),
        Exit::Partial
    );
    assert_eq!(
        exit(&[done.clone(), stale.clone()], &converged),
        Exit::Partial
    );
    assert_eq!(exit(&[failed.clone(), stale.clone()], &left), Exit::Failed);
    assert_eq!(exit(&[stale], &left), Exit::Stale);
    // What has not converged is an error, not a footnote.
    assert_eq!(exit(std::slice::from_ref(&done), &left), Exit::Partial);
    assert_eq!(exit(std::slice::from_ref(&done), &unseen), Exit::Partial);
    let all = |outcomes: &[Outcome]| report(outcomes, left.clone());
    let skipped = Outcome::Skipped { why: String::new() };
    let mut busy = all(std::slice::from_ref(&skipped));
    busy.busy = true;
    assert_eq!(exit_of_report(&busy), Exit::Busy);
    busy.steps.extend(all(std::slice::from_ref(&done)).steps);
    assert_eq!(exit_of_report(&busy), Exit::Partial, "something was done");
    // All classes failed, but not before something was uploaded.
    let mut partly = all(&[failed.clone(), failed.clone()]);
    assert_eq!(exit_of_report(&partly), Exit::Failed);
    partly.steps[1].did.paths = 3;
    assert_eq!(exit_of_report(&partly), Exit::Partial);
    let mut unwritten = all(&[skipped]);
    unwritten.journal = Some("no space".into());
    assert_eq!(exit_of_report(&unwritten), Exit::Failed);
    let mut ended = report(&[done], left.clone());
    ended.interrupted = Some(Signal::Interrupted);
    assert_eq!(exit_of_report(&ended), Exit::Interrupted);
    ended.interrupted = Some(Signal::Terminated);
    assert_eq!(exit_of_report(&ended), Exit::Terminated);
}

#[test]
fn a_stale_plan_is_told_step_by_step() {
    let saved = plan();
    assert!(differences(&saved, &saved).is_empty());
    assert!(fresh(&saved, &saved).is_ok());
    let mut now = plan();
    let gone = now.steps.remove(0).address;
    now.steps[0].effect.paths += 1;
    let changed = now.steps[0].address.clone();
    let mut new = now.steps[1].clone();
    new.address = Address::new(Phase::Setup, "z", "new");
    now.steps.push(new);
    assert_eq!(
        differences(&saved, &now),
        [
            format!("{gone} is no longer needed"),
            format!("{changed} would do something else"),
            "setup/z/new is new".to_owned()
        ]
    );
    assert_eq!(fresh(&saved, &now).unwrap_err().exit, Exit::Stale);
}

/// A flow over a world in which one cache folder is missing.
mod flow {
    use std::cell::Cell;

    use super::*;
    use crate::cli::args::Global;
    use crate::plan::desired::{Extra, Site};
    use crate::plan::observed::{Environment, Observation};
    use crate::sys::host::Host;

    const CONFIG: &str = "version: 1
project: p
caches: { dev: { type: file, path: /nowhere/cache } }
artifacts: { all: { priority: 1, default: true } }
setup: { nix-conf: none }
push: { to: { dev: all } }
";

    fn desired() -> Desired {
        let Ok((config, _)) = crate::config::read("cache.yaml", CONFIG.as_bytes()) else {
            panic!("the sample is valid")
        };
        let site = Site {
            home: "/h".into(),
            base: "/b".into(),
            user_conf: "/h/.config/nix".into(),
            system_conf: "/etc/nix".into(),
            system: "x86_64-linux".into(),
        };
        Desired::new(config, site, Extra::default())
    }

    fn observed(now: Time) -> Observed {
        let why = || Observation::Unknown(Why("not looked at".into()));
        Observed {
            logins: std::collections::BTreeMap::new(),
            store_dir: crate::nix::store_path::StoreDir::default(),
            now,
            nix: Observation::Absent,
            store: Observation::Unknown(Why("not looked at".into())),
            caches: [(
                crate::config::model::CacheName::new("dev"),
                Observation::Absent,
            )]
            .into(),
            upstreams: std::collections::BTreeMap::default(),
            outputs: std::collections::BTreeMap::default(),
            directories: std::collections::BTreeMap::default(),
            given: std::collections::BTreeMap::default(),
            closed: std::collections::BTreeSet::new(),
            files: [("/nowhere".to_owned(), why())].into(),
            keys: std::collections::BTreeMap::default(),
            distances: std::collections::BTreeMap::new(),
            requests: std::collections::BTreeMap::new(),
            environment: Environment::default(),
        }
    }

    /// Runs with these flags; returns how it ended and how often something was applied.
    fn run_with(
        flags: &[&str],
        folder: &std::path::Path,
        digest: &str,
    ) -> (Result<Exit, Failure>, u32) {
        let args = args(flags);
        let host = Host::made_up([("HOME", folder.to_str().unwrap())]);
        let global = Global {
            config: None,
            color: crate::cli::args::Color::Never,
            verbose: 0,
            quiet: true,
        };
        let desired = desired();
        let request = Request {
            args: &args,
            selection: args.selection(vec!["setup".into()]),
            desired: &desired,
            digest,
            output: Output::new(&global, &host),
            host: &host,
        };
        let applied = Cell::new(0);
        let exit = run(
            &request,
            |now| Ok(observed(now.unwrap_or(Time(1_000)))),
            |approved, _, _| {
                applied.set(applied.get() + 1);
                assert_eq!(approved.plan().steps.len(), 1);
                Ok(report(&[Outcome::Unchanged], Remaining::Converged))
            },
        );
        (exit, applied.get())
    }

    #[test]
    fn only_apply_applies() {
        let folder = tempfile::tempdir().unwrap();
        let (exit, applied) = run_with(&["--detailed-exitcode"], folder.path(), "aa");
        assert_eq!((exit.unwrap(), applied), (Exit::Changes, 0));
        let (exit, applied) = run_with(&["--apply"], folder.path(), "aa");
        assert_eq!((exit.unwrap(), applied), (Exit::Done, 1));
    }

    #[test]
    fn a_saved_plan_is_applied_only_while_it_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let (exit, _) = run_with(&["--out", "plan.json"], folder.path(), "aa");
        assert_eq!(exit.unwrap(), Exit::Done);
        let apply = ["--apply", "--from", "plan.json"];
        let (exit, applied) = run_with(&apply, folder.path(), "aa");
        assert_eq!((exit.unwrap(), applied), (Exit::Done, 1));
        let (exit, applied) = run_with(&apply, folder.path(), "bb");
        assert_eq!(
            (exit.unwrap_err().exit, applied),
            (Exit::Stale, 0),
            "cache.yaml has changed"
        );
        let path = folder.path().join("plan.json");
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("Priority: ", "Priority: 1");
        std::fs::write(&path, text).unwrap();
        let (exit, applied) = run_with(&apply, folder.path(), "aa");
        assert_eq!(
            (exit.unwrap_err().exit, applied),
            (Exit::Stale, 0),
            "a foreign hand was in it"
        );
        std::fs::write(&path, "rm -rf /").unwrap();
        let (exit, applied) = run_with(&apply, folder.path(), "aa");
        assert_eq!((exit.unwrap_err().exit, applied), (Exit::Failed, 0));
    }
}
