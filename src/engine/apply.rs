//! Applying an approved plan.
//!
//! # Expected flow
//! Stage by stage, in the order of `plan::stages`; what is known only after a step is observed and planned
//! again by the same function when its turn comes, and may not go beyond the cap that was approved.
//!
//! # Guarantees
//! The journal has a line before and after each step. A step whose world has moved on does not run (stale).
//! A step that waits for one that failed does not run. A stop is honoured between objects, and nothing is
//! broken by it. One step's failure does not keep unrelated steps from running.
//!
//! # Assumptions
//! The plan was made from `observed`; both are of one moment.
//!
//! # Errors
//! Only the journal can fail as a whole; what fails besides is an outcome of its step.

use std::time::Duration;

use camino::Utf8Path;

use super::event::Event;
use super::journal::Entry;
use super::machine::sentence;
use super::observe::observe;
use super::work::{Applying, Ended, failed};
use super::{build, create, prune, push};
use crate::config::model::CacheName;
use crate::config::rough::Rough;
use crate::config::secret::SecretRef;
use crate::config::units::Size;
use crate::nix::key::SecretKey;
use crate::plan::address::Address;
use crate::plan::guard::ApprovedPlan;
use crate::plan::make;
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::Plan;
use crate::plan::report::{Outcome, StepOutcome};
use crate::plan::stages::{Stage, StageKind, stages};
use crate::plan::step::{Effect, Known, Op, Step};
use crate::provider::nix_conf::{self, ApplyError};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::file::{self, FileError};

/// What became of the steps.
#[derive(Debug, Default)]
pub struct Applied {
    /// In the order in which they ran.
    pub steps: Vec<StepOutcome>,
    /// Whether a step did not run because another prune is at work.
    pub busy: bool,
}

/// Applies a plan that was made from `observed`.
///
/// # Errors
/// The journal cannot be written; nothing runs without it.
pub fn apply(
    work: &Applying<'_>,
    approved: &ApprovedPlan,
    mut observed: Observed,
) -> Result<Applied, FileError> {
    let plan = approved.plan();
    let mut applied = Applied::default();
    let mut broken: Vec<Address> = Vec::new();
    let clock = SystemClock::new();
    work.progress.expect(counted(&[]), counted(&plan.steps));
    for stage in stages(&plan.steps) {
        let steps: Vec<Step> = stage
            .steps
            .iter()
            .map(|at| plan.steps[*at].clone())
            .collect();
        let began = clock.elapsed();
        let promised = counted(&steps);
        let ended = if let Some(why) = reason_to_skip(work, &steps, &broken) {
            work.progress.expect(promised, counted(&[]));
            skip(&steps, &why)
        } else {
            let steps = if stage.is_late(&plan.steps) {
                observed = observe(work.desired, work.machine, work.progress, work.listener);
                again(work, plan, &stage, &steps, &observed)
            } else {
                Ok(steps)
            };
            let known = steps.as_deref().unwrap_or_default();
            work.progress.expect(promised, counted(known));
            match steps {
                Ok(steps) => run(work, &stage.kind, &steps, &observed)?,
                Err(ended) => ended,
            }
        };
        let duration = clock.elapsed().saturating_sub(began);
        for one in ended {
            if !matches!(one.outcome, Outcome::Done { .. } | Outcome::Unchanged) {
                broken.push(one.step.address.clone());
            }
            applied.busy |= one.busy;
            applied.steps.push(outcome_of(&one, duration));
        }
    }
    Ok(applied)
}

/// What of steps is counted while they run: paths, and bytes that are read.
fn counted(steps: &[Step]) -> (u64, u64) {
    steps
        .iter()
        .fold((0, 0), |(paths, bytes), step| match &step.op {
            Op::Push { paths: more, .. } => (paths + more.len() as u64, bytes + step.effect.bytes),
            Op::Prune { paths: more, .. } => (paths + more.len() as u64, bytes),
            _ => (paths, bytes),
        })
}

fn outcome_of(ended: &Ended, duration: Duration) -> StepOutcome {
    StepOutcome {
        address: ended.step.address.clone(),
        promised: promise(&ended.step),
        promised_effect: ended.step.effect,
        outcome: ended.outcome.clone(),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    }
}

/// What a step does, in words without numbers.
fn promise(step: &Step) -> String {
    match &step.op {
        Op::WriteFile { path, .. } => format!("write {path}"),
        Op::EditFile { path, .. } => format!("edit {path}"),
        Op::GenerateKey { path, .. } => format!("make the signing key {path}"),
        Op::CreateCache { cache, folder, .. } => format!("make the cache {cache} in {folder}"),
        Op::ExportVariable { name, .. } => format!("hand {name} to later steps"),
        Op::Warm { installable, .. } => format!("fetch {installable}"),
        Op::Build { installable, .. } => format!("build {installable}"),
        Op::Push { cache, class, .. } => format!("push {class} to {cache}"),
        Op::Pin { cache, name, .. } => format!("pin {name} in {cache}"),
        Op::Prune { cache, class, .. } => format!("prune {class} from {cache}"),
        Op::Sweep { cache, .. } => format!("sweep unnamed files from {cache}"),
    }
}

fn reason_to_skip(work: &Applying<'_>, steps: &[Step], broken: &[Address]) -> Option<String> {
    if work.progress.is_stopped() {
        return Some("it was interrupted before".to_owned());
    }
    // What deletes does not run after anything that was to come before it failed; what uploads goes on
    // with what there is.
    let waits = steps.iter().flat_map(|step| &step.waits_for);
    let lost = waits.filter(|address| broken.contains(address)).find(|_| {
        steps
            .iter()
            .any(|step| !matches!(step.op, Op::Push { .. } | Op::Build { .. }))
            || broken.iter().any(|address| address.is_in("setup"))
    });
    lost.map(|address| format!("{address} did not succeed"))
}

fn skip(steps: &[Step], why: &str) -> Vec<Ended> {
    steps
        .iter()
        .map(|step| {
            Ended::new(
                step,
                Outcome::Skipped {
                    why: why.to_owned(),
                },
            )
        })
        .collect()
}

/// Why the cache or the store cannot be seen, if so.
fn hidden(observed: &Observed, cache: &CacheName) -> Option<String> {
    let seen = observed.caches.get(cache).and_then(Observation::unknown);
    let why = seen.or_else(|| observed.store.unknown())?;
    Some(why.0.clone())
}

/// The steps of a late stage as they are known now, or why they do not run.
fn again(
    work: &Applying<'_>,
    plan: &Plan,
    stage: &Stage,
    old: &[Step],
    observed: &Observed,
) -> Result<Vec<Step>, Vec<Ended>> {
    let fresh = make::plan(work.desired, observed, &plan.config);
    let belongs = |step: &&Step| match (&stage.kind, &step.op) {
        (StageKind::Push(cache), Op::Push { cache: of, .. } | Op::Pin { cache: of, .. }) => {
            cache == of
        }
        _ => old.iter().any(|old| old.address == step.address),
    };
    let steps: Vec<Step> = fresh.steps.iter().filter(belongs).cloned().collect();
    // What only now comes to light may be what must not be done.
    let refused = fresh.refusals.iter().find(|refusal| {
        let named = |address: &Address| steps.iter().any(|step| step.address == *address);
        refusal.code != "prune-busy"
            && (refusal.steps.is_empty() || refusal.steps.iter().any(named))
    });
    if let Some(refusal) = refused {
        let why = format!("{}; {}", refusal.text, refusal.help);
        return Err(old.iter().map(|step| failed(step, &why)).collect());
    }
    let is_push = |step: &&Step| matches!(step.op, Op::Push { .. });
    if let StageKind::Push(cache) = &stage.kind
        && old.iter().any(|step| is_push(&step))
        && !steps.iter().any(|step| is_push(&step))
        && let Some(why) = hidden(observed, cache)
    {
        let why = format!("after the build it could not be seen what to push: {why}");
        return Err(old.iter().map(|step| failed(step, &why)).collect());
    }
    let bytes = |steps: &[Step]| -> u64 {
        let pushes = steps
            .iter()
            .filter(|step| matches!(step.op, Op::Push { .. }));
        pushes.map(|step| step.effect.bytes).sum()
    };
    let caps = old.iter().filter_map(|step| match &step.known {
        Known::After { cap, .. } => *cap,
        Known::Now => None,
    });
    let cap = caps
        .max()
        .unwrap_or(work.desired.config.push.max_after_build.0);
    let more = bytes(&steps).saturating_sub(bytes(old));
    if more > cap {
        let why = format!(
            "after the build {} of NAR would be pushed beyond what the plan named; the limit \
             (push.limits.after-build) is {}",
            Rough(more),
            Size(cap)
        );
        return Err(old.iter().map(|step| failed(step, &why)).collect());
    }
    Ok(steps)
}

fn run(
    work: &Applying<'_>,
    kind: &StageKind,
    steps: &[Step],
    observed: &Observed,
) -> Result<Vec<Ended>, FileError> {
    let what = steps.iter().map(promise).collect::<Vec<_>>().join(", ");
    let addresses = steps.iter().map(|step| step.address.clone()).collect();
    (work.listener)(Event::Began {
        steps: addresses,
        what,
    });
    for step in steps {
        work.journal
            .write(work.machine.now(), Some(&step.address), Entry::Begin)?;
    }
    let all: Vec<&Step> = steps.iter().collect();
    let ended = match kind {
        StageKind::Push(cache) => push::run(work, observed, cache, &all),
        StageKind::Prune(cache) => prune::run(work, observed, cache, &all),
        StageKind::Build => build::run(work, observed, &all),
        StageKind::Single(_) => all.iter().map(|step| single(work, step)).collect(),
    };
    for one in &ended {
        let result = Some(one.outcome.clone());
        work.journal.write(
            work.machine.now(),
            Some(&one.step.address),
            Entry::End { result },
        )?;
        let (step, outcome) = (one.step.address.clone(), one.outcome.clone());
        (work.listener)(Event::Ended { step, outcome });
    }
    Ok(ended)
}

fn single(work: &Applying<'_>, step: &Step) -> Ended {
    let host = &work.machine.host;
    let result = match &step.op {
        Op::WriteFile {
            path,
            before,
            after,
        }
        | Op::EditFile {
            path,
            before,
            after,
        } => nix_conf::write(host, Utf8Path::new(path), before.as_deref(), after)
            .map_err(|error| from_conf(&error)),
        Op::ExportVariable {
            file,
            name,
            before,
            after,
        } => nix_conf::export(host, Utf8Path::new(file), name, before, after)
            .map_err(|error| from_conf(&error)),
        Op::GenerateKey { path, name, .. } => generate_key(work, path, name),
        Op::CreateCache {
            folder,
            before,
            info,
            ..
        } => create::cache(folder, before.as_deref(), info),
        Op::Warm { paths, .. } => warm(work, paths),
        Op::Build { .. }
        | Op::Push { .. }
        | Op::Pin { .. }
        | Op::Prune { .. }
        | Op::Sweep { .. } => Err(Outcome::Failed {
            why: "it does not run by itself".to_owned(),
        }),
    };
    match result {
        Ok(()) => {
            let effect = Effect { ..step.effect };
            Ended::new(
                step,
                Outcome::Done {
                    effect,
                    detail: String::new(),
                },
            )
        }
        Err(outcome) => Ended::new(step, outcome),
    }
}

fn from_conf(error: &ApplyError) -> Outcome {
    let why = sentence(error);
    if error.is_stale() {
        Outcome::Stale { why }
    } else {
        Outcome::Failed { why }
    }
}

fn generate_key(work: &Applying<'_>, path: &str, name: &str) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| fail(format!("there is no randomness: {error}")))?;
    let key = SecretKey::generate(name, seed).map_err(|error| fail(sentence(&error)))?;
    let path = Utf8Path::new(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| fail(format!("the folder {folder} cannot be made: {error}")))?;
    }
    match file::create_private(path.as_std_path(), key.to_file_text().as_bytes()) {
        Ok(()) => {
            let text = format!(
                "made the signing key {path}; its public key is {}",
                key.public()
            );
            (work.listener)(Event::Note(text));
            Ok(())
        }
        Err(error) => Err(match error.kind() {
            Some(std::io::ErrorKind::AlreadyExists) => Outcome::Stale {
                why: format!("there is a {} by now", SecretRef::File(path.to_string())),
            },
            _ => fail(sentence(&error)),
        }),
    }
}

fn warm(work: &Applying<'_>, paths: &[crate::nix::store_path::StorePath]) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let nix = match &work.machine.nix {
        Ok(Some(nix)) => nix,
        Ok(None) => return Err(fail("there is no Nix here".to_owned())),
        Err(why) => return Err(fail(why.clone())),
    };
    let stopped = || work.progress.is_stopped();
    let mut line = |line: &str| (work.listener)(Event::Line(line.to_owned()));
    nix.substitute(paths, &stopped, &mut line).map_err(|error| {
        if error.is_stopped() {
            Outcome::Skipped {
                why: "stopped".to_owned(),
            }
        } else {
            fail(sentence(&error))
        }
    })
}
