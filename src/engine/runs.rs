//! Carries records of runs between the ledger of this machine and the caches that keep those of all machines.
//!
//! Promise: a record is never changed on its way; what a cache has that cannot be read is left there and named.

use std::collections::BTreeSet;

use super::machine::{Machine, sentence};
use super::origin::origin;
use crate::config::model::{CacheName, ClassName};
use crate::insight::run::{FORMAT, Origin, Outcome, Pushed, Run, Storage};
use crate::ledger::{Added, Ledger, file};
use crate::plan::desired::{Cache, Desired};
use crate::plan::report::{self, Remaining, Report};
use crate::plan::time::Time;
use crate::provider::binary_cache::runs;

/// The caches that keep records of runs, as far as this run concerns them.
fn keepers(desired: &Desired) -> impl Iterator<Item = (&CacheName, &Cache)> {
    let kept = &desired.config.ledger.caches;
    kept.iter()
        .filter_map(|name| desired.caches.get_key_value(name))
}

/// Brings what caches have and this ledger has not. Answers what was added, and a sentence for each cache or record
/// that could not be read.
pub fn gather(desired: &Desired, machine: &Machine, ledger: &mut Ledger) -> (Added, Vec<String>) {
    let mut added = Added::default();
    let mut unseen = Vec::new();
    for (name, cache) in keepers(desired) {
        match gather_from(desired, machine, cache, ledger) {
            Ok((more, broken)) => {
                added.new += more.new;
                added.known += more.known;
                let say = |why| format!("a record of a run in {name}: {why}");
                unseen.extend(broken.into_iter().map(say));
            }
            Err(why) => unseen.push(format!("records of runs in {name}: {why}")),
        }
    }
    (added, unseen)
}

fn gather_from(
    desired: &Desired,
    machine: &Machine,
    cache: &Cache,
    ledger: &mut Ledger,
) -> Result<(Added, Vec<String>), String> {
    let since = oldest(desired, machine.now());
    let project = &desired.config.project;
    let view = machine.view(cache).map_err(|error| sentence(&error))?;
    if !view.exists().map_err(|error| sentence(&error))? {
        return Ok((Added::default(), Vec::new()));
    }
    let mut wanted = Vec::new();
    for listed in runs::list(&*view, project).map_err(|error| sentence(&error))? {
        let has = ledger.has(&listed.id).map_err(|error| sentence(&error))?;
        if !has && listed.start >= since {
            wanted.push(listed);
        }
    }
    let mut added = Added::default();
    let mut broken = Vec::new();
    for (listed, bytes) in wanted.iter().zip(runs::read(&*view, &wanted)) {
        let read = bytes.map_err(|error| sentence(&error));
        let lines = match read {
            Ok(Some(bytes)) => file::unpack(&bytes),
            Ok(None) => continue,
            Err(why) => Err(why),
        };
        let outcome = lines.and_then(|lines| {
            let added = ledger.add(lines.lines());
            added.map_err(|error| sentence(&error))
        });
        match outcome {
            Ok(more) => {
                added.new += more.new;
                added.known += more.known;
            }
            Err(why) => broken.push(format!("`{}`: {why}", listed.key)),
        }
    }
    Ok((added, broken))
}

/// Writes what caches have not been told of yet, and takes away, here and there, what is older than `ledger.keep`.
/// Answers how many records were written, and a sentence for each cache that could not be written.
pub fn share(
    desired: &Desired,
    machine: &Machine,
    ledger: &mut Ledger,
    meant: &dyn Fn(&CacheName) -> bool,
) -> (u64, Vec<String>) {
    let mut written = 0;
    let mut failed = Vec::new();
    for (name, cache) in keepers(desired).filter(|(name, _)| meant(name)) {
        match share_with(desired, machine, name, cache, ledger) {
            Ok(more) => written += more,
            Err(why) => failed.push(format!("records of runs in {name}: {why}")),
        }
    }
    let project = &desired.config.project;
    if let Err(error) = ledger.thin(project, oldest(desired, machine.now())) {
        failed.push(sentence(&error));
    }
    (written, failed)
}

fn share_with(
    desired: &Desired,
    machine: &Machine,
    name: &CacheName,
    cache: &Cache,
    ledger: &mut Ledger,
) -> Result<u64, String> {
    let since = oldest(desired, machine.now());
    let project = &desired.config.project;
    let place = cache.place.identity();
    let untold = ledger
        .untold(project, &place)
        .map_err(|error| sentence(&error))?;
    let store = machine.store(cache).map_err(|error| sentence(&error))?;
    if !store.view().exists().map_err(|error| sentence(&error))? {
        return Err(format!("there is no cache `{name}` yet"));
    }
    let mut written = Vec::new();
    for (id, line) in untold {
        let Ok(run) = Run::from_line(&line) else {
            continue;
        };
        if run.start >= since {
            let bytes = file::pack(&format!("{line}\n"));
            runs::write(&*store, project, run.start, &id, bytes)
                .map_err(|error| sentence(&error))?;
        }
        written.push(id);
    }
    ledger
        .told(&place, &written)
        .map_err(|error| sentence(&error))?;
    runs::thin(&*store, project, since).map_err(|error| sentence(&error))?;
    Ok(written.len() as u64)
}

/// Runs that began before this are kept nowhere.
fn oldest(desired: &Desired, now: Time) -> Time {
    let keep = i64::try_from(desired.config.ledger.keep.0).unwrap_or(i64::MAX);
    Time(now.0.saturating_sub(keep))
}

/// Records what an apply did, and writes to the caches of `ledger.caches` what they have not been told of yet; the
/// latter only for caches that it pushed to. Answers a sentence for each thing that could not be done: none of them is
/// a failure of the apply.
pub fn close(desired: &Desired, machine: &Machine, report: &Report) -> Vec<String> {
    let mut ledger = match Ledger::open(&machine.host.state_folder()) {
        Ok(ledger) => ledger,
        Err(error) => return vec![format!("this run is not recorded: {}", sentence(&error))],
    };
    let mut failed = Vec::new();
    if let Some(run) = of_report(report, origin(&machine.host, &desired.site.base))
        && let Err(error) = ledger.add([run.to_line().as_str()])
    {
        failed.push(format!("this run is not recorded: {}", sentence(&error)));
    }
    let pushed: BTreeSet<&str> = report
        .steps
        .iter()
        .filter(|step| step.address.is_in("push"))
        .map(|step| step.address.place())
        .collect();
    let (_, unwritten) = share(desired, machine, &mut ledger, &|cache| {
        pushed.contains(cache.as_str())
    });
    failed.extend(unwritten);
    failed
}

/// What an apply pushed, and how full the caches were afterwards, as the record of a run. None: it pushed nothing
/// and saw nothing new.
#[must_use]
pub fn of_report(report: &Report, origin: Origin) -> Option<Run> {
    let pushed: Vec<Pushed> = report.steps.iter().filter_map(pushed).collect();
    let storage: Vec<Storage> = report
        .caches
        .iter()
        .map(|budget| Storage {
            cache: budget.cache.clone(),
            paths: budget.paths,
            bytes: budget.bytes,
            estimate: budget.estimated,
            limit: budget.max_size,
            classes: std::collections::BTreeMap::new(),
        })
        .collect();
    if pushed.is_empty() && storage.is_empty() {
        return None;
    }
    let is_good = report.remaining == Remaining::Converged
        && report.steps.iter().all(|step| step.outcome.is_good());
    Some(Run {
        format: FORMAT,
        project: report.project.clone(),
        what: "apply".to_owned(),
        start: report.began,
        millis: Some(report.duration_ms),
        outcome: match (report.interrupted, is_good) {
            (Some(_), _) => Outcome::Interrupted,
            (None, true) => Outcome::Done,
            (None, false) => Outcome::Failed,
        },
        origin,
        substituted: Vec::new(),
        built: Vec::new(),
        fetched: Vec::new(),
        pushed,
        storage,
    })
}

fn pushed(step: &report::StepOutcome) -> Option<Pushed> {
    if step.did.paths == 0 {
        return None;
    }
    Some(Pushed {
        cache: CacheName::new(step.address.place()),
        class: Some(ClassName::new(step.address.what())),
        paths: step.did.paths,
        nar: step.did.bytes,
        sent: step.sent?,
        millis: Some(step.duration_ms),
    })
}
