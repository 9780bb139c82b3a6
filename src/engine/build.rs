//! A build stage: all outputs in one go, so that what they share is built once and at once.
//!
//! # Guarantees
//! What fails is not built a second time only to learn which it was: one output's failure keeps no other from being
//! built, what is valid afterwards is done, and Nix's own words say why the rest is not. What is built is kept
//! from the garbage collector until the run ends.

use std::sync::Mutex;

use super::event::Event;
use super::links::Links;
use super::machine::sentence;
use super::work::{Applying, Ended, failed};
use crate::nix::store_path::StorePath;
use crate::plan::observed::Observed;
use crate::plan::report::Outcome;
use crate::plan::step::{Op, Step};
use crate::provider::nix_cli::{Nix, NixError};
use crate::provider::nix_store;

/// Lines of a log that are remembered; a build that says more than this about failures says nothing.
const LINES: usize = 10_000;

/// Runs the build steps; one outcome per step.
pub(super) fn run(work: &Applying<'_>, observed: &Observed, steps: &[&Step]) -> Vec<Ended> {
    let nix = match &work.machine.nix {
        Ok(Some(nix)) => nix,
        Ok(None) => {
            let why = "there is no Nix here";
            return steps.iter().map(|step| failed(step, why)).collect();
        }
        Err(why) => return steps.iter().map(|step| failed(step, why)).collect(),
    };
    let names: Vec<String> = steps.iter().filter_map(|step| name(step)).collect();
    let log = Mutex::new(Vec::new());
    match build(work, nix, &names, &log) {
        Ok(()) => steps.iter().map(|step| done(step)).collect(),
        Err(error) if error.is_stopped() => steps.iter().map(|step| stopped(step)).collect(),
        Err(error) if names.len() == 1 => {
            let why = sentence(&error);
            steps.iter().map(|step| failed(step, &why)).collect()
        }
        Err(_) => {
            let log = log.into_inner().unwrap_or_default();
            let judge = |step: &&Step| one(work, nix, observed, step, &log);
            steps.iter().map(judge).collect()
        }
    }
}

/// What became of one of several outputs, not all of which could be built.
fn one(work: &Applying<'_>, nix: &Nix, observed: &Observed, step: &Step, log: &[String]) -> Ended {
    let (Op::Build { drv, .. }, Some(name)) = (&step.op, name(step)) else {
        return failed(step, "it is no step of a build");
    };
    if is_valid(work, observed, &name) {
        // Where anything fails, Nix makes no links to what does not.
        if let Err(error) = build(work, nix, &[name], &Mutex::default()) {
            tracing::debug!(error = sentence(&error), "no link keeps what was built");
        }
        return done(step);
    }
    if let Some(why) = drv.as_ref().and_then(|drv| reason(log, drv)) {
        return failed(step, &format!("build `{name}`: Nix says: {why}"));
    }
    match build(work, nix, &[name], &Mutex::default()) {
        Ok(()) => done(step),
        Err(error) if error.is_stopped() => stopped(step),
        Err(error) => failed(step, &sentence(&error)),
    }
}

fn build(
    work: &Applying<'_>,
    nix: &Nix,
    names: &[String],
    log: &Mutex<Vec<String>>,
) -> Result<(), NixError> {
    let mut line = |line: &str| {
        if let Ok(mut log) = log.lock()
            && log.len() < LINES
            && (line.contains(".drv'") || line.trim_start().starts_with("Reason:"))
        {
            log.push(line.to_owned());
        }
        (work.listener)(Event::Line(line.to_owned()));
    };
    let (flake, base) = (&work.desired.config.flake, &work.desired.site.base);
    let stopped = || work.progress.is_stopped();
    let kept_by = work.links.map(Links::next);
    nix.build(names, flake, base, kept_by.as_deref(), &stopped, &mut line)
        .map(drop)
}

/// Whether all paths of an output are valid in the local store by now.
fn is_valid(work: &Applying<'_>, observed: &Observed, name: &str) -> bool {
    let facts = observed.outputs.get(name).and_then(|facts| facts.present());
    let (Some(facts), Ok(store)) = (facts, &work.machine.store) else {
        return false;
    };
    let paths: Vec<StorePath> = facts.outputs.values().cloned().collect();
    let found = nix_store::details(store, &paths);
    !paths.is_empty() && found.is_ok_and(|found| found.len() == paths.len())
}

/// What Nix said of a derivation that it could not build: the last such line, and the reason below it.
fn reason(log: &[String], drv: &StorePath) -> Option<String> {
    let path = format!("{drv}'");
    let words = ["failed", "Cannot build", "cannot build"];
    let is_it = |line: &String| line.contains(&path) && words.iter().any(|w| line.contains(w));
    let at = log.iter().rposition(is_it)?;
    let said = log[at].trim().trim_start_matches("error:").trim();
    let below = log.get(at + 1).map(|line| line.trim());
    Some(match below.filter(|line| line.starts_with("Reason:")) {
        Some(below) => format!("{said} {below}"),
        None => said.to_owned(),
    })
}

fn name(step: &Step) -> Option<String> {
    match &step.op {
        Op::Build { installable, .. } => Some(installable.clone()),
        _ => None,
    }
}

fn done(step: &Step) -> Ended {
    let (effect, detail) = (step.effect, String::new());
    Ended::new(step, Outcome::Done { effect, detail })
}

fn stopped(step: &Step) -> Ended {
    let why = "stopped".to_owned();
    Ended::new(step, Outcome::Skipped { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_that_of_the_derivation_itself() {
        let drv = |name: &str| -> StorePath {
            format!("0000000000000000000000000000000{name}")
                .parse()
                .unwrap()
        };
        let (bad, above) = (drv("1-bad.drv"), drv("2-above.drv"));
        let log =
            |lines: &[&str]| -> Vec<String> { lines.iter().map(ToString::to_string).collect() };
        let old = log(&[
            &format!("building '/nix/store/{bad}'..."),
            &format!("error: builder for '/nix/store/{bad}' failed with exit code 3"),
            &format!("error: 1 dependencies of derivation '/nix/store/{above}' failed to build"),
        ]);
        let text = |log: &[String], drv| reason(log, drv).unwrap();
        assert_eq!(
            text(&old, &bad),
            format!("builder for '/nix/store/{bad}' failed with exit code 3")
        );
        assert!(text(&old, &above).starts_with("1 dependencies of derivation"));
        let new = log(&[
            &format!("error: Cannot build '/nix/store/{bad}'."),
            "       Reason: builder failed with exit code 3.",
        ]);
        let expected =
            format!("Cannot build '/nix/store/{bad}'. Reason: builder failed with exit code 3.");
        assert_eq!(text(&new, &bad), expected);
        assert_eq!(reason(&new, &above), None);
        assert_eq!(
            reason(&log(&[&format!("building '/nix/store/{bad}'...")]), &bad),
            None
        );
    }
}
