//! A prune stage: the deletes from one cache, on a second look.

use std::collections::BTreeSet;

use super::machine::{Machine, sentence};
use super::work::{Applying, Ended, failed};
use crate::config::model::CacheName;
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::observed::{CacheContent, Observation, Observed};
use crate::plan::prune;
use crate::plan::record::Root;
use crate::plan::report::Outcome;
use crate::plan::step::{Effect, Op, Step};
use crate::provider::binary_cache::observe::Look;
use crate::provider::binary_cache::prune::{
    Candidates, Decision, PruneDone, PruneError, prune as run_prune,
};
use crate::sys::clock::SystemClock;

/// Runs the prune steps of one cache; one outcome per step.
pub(super) fn run(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    steps: &[&Step],
) -> Vec<Ended> {
    let Some(cache) = work.desired.caches.get(name) else {
        return Vec::new();
    };
    let store = Machine::folder(&cache.folder);
    let store_dir = observed.store_dir.clone();
    let index = work.machine.index(&cache.folder);
    let look = Look {
        store_dir: &store_dir,
        index: Some(index.as_std_path()),
        threads: 0,
    };
    let grace = work.desired.config.prune.grace;
    let mut candidates = candidates(work, steps);
    if let Some(Observation::Present(content)) = observed.caches.get(name) {
        referrers_first(&mut candidates.paths, content);
    }
    let result = wait_for_others(work, |work| {
        let mut decide = |content: &CacheContent| decide(work, observed, name, content);
        run_prune(
            &store,
            &candidates,
            &look,
            grace,
            &mut decide,
            &SystemClock::new(),
            work.progress,
        )
    });
    match result {
        Ok(done) => steps.iter().map(|step| outcome(step, &done)).collect(),
        Err(PruneError::Busy { since }) => {
            let why = format!("another prune has been running since {since}");
            steps.iter().map(|step| Ended::busy(step, &why)).collect()
        }
        Err(PruneError::Stopped(_)) => {
            let why = "stopped; a rerun finishes".to_owned();
            steps
                .iter()
                .map(|step| Ended::new(step, Outcome::Skipped { why: why.clone() }))
                .collect()
        }
        Err(error) => {
            let why = sentence(&error);
            steps.iter().map(|step| failed(step, &why)).collect()
        }
    }
}

/// Tries again while another prune is at work, for as long as the user said.
fn wait_for_others(
    work: &Applying<'_>,
    run: impl Fn(&Applying<'_>) -> Result<PruneDone, PruneError>,
) -> Result<PruneDone, PruneError> {
    use crate::sys::clock::Clock as _;
    let clock = SystemClock::new();
    loop {
        match run(work) {
            Err(PruneError::Busy { .. })
                if clock.elapsed() < work.patience && !work.progress.is_stopped() =>
            {
                clock.sleep(std::time::Duration::from_millis(200));
            }
            other => return other,
        }
    }
}

/// What may go by the rules, on a fresh look.
fn decide(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    content: &CacheContent,
) -> Decision {
    let content = CacheContent {
        now: work.machine.options.now.unwrap_or(content.now),
        ..content.clone()
    };
    let Some(need) = prune::look(work.desired, observed, name, &content) else {
        return Decision::default();
    };
    let dead = content.paths.rows().filter(|row| !need.live.contains(*row));
    Decision {
        dead: dead.map(|row| content.paths.hash(row)).collect(),
        ended: need
            .ended
            .iter()
            .map(|number| &content.roots[*number])
            .map(|root| Root::key(&root.class, root.hash))
            .collect(),
    }
}

fn candidates(work: &Applying<'_>, steps: &[&Step]) -> Candidates {
    let mut candidates = Candidates {
        plan: work.digest.to_owned(),
        run: work.run.clone(),
        ..Candidates::default()
    };
    for step in steps {
        match &step.op {
            Op::Prune { paths, roots, .. } => {
                candidates
                    .paths
                    .extend(paths.iter().map(|path| path.path.hash()));
                candidates.roots.extend(roots.iter().cloned());
            }
            Op::Sweep { objects, .. } => {
                candidates
                    .objects
                    .extend(objects.iter().map(|object| object.key.clone()));
            }
            _ => {}
        }
    }
    candidates
}

/// Puts paths into the order in which a prune takes them where it cannot take all at once.
fn referrers_first(paths: &mut [HashPart], content: &CacheContent) {
    let mut rows = RowSet::new(content.paths.len());
    for row in paths.iter().filter_map(|hash| content.paths.row(hash)) {
        rows.insert(row);
    }
    let order = content.paths.refs().order_references_first(&rows);
    let mut places = vec![usize::MAX; content.paths.len()];
    for (place, row) in order.rows.iter().rev().enumerate() {
        if let Some(known) = places.get_mut(*row as usize) {
            *known = place;
        }
    }
    let place = |hash: &HashPart| {
        content
            .paths
            .row(hash)
            .and_then(|row| places.get(row as usize))
    };
    paths.sort_by_key(|hash| place(hash).copied().unwrap_or(usize::MAX));
}

fn outcome(step: &Step, done: &PruneDone) -> Ended {
    let gone: BTreeSet<&HashPart> = done.paths.iter().collect();
    let spared: BTreeSet<&HashPart> = done.spared.iter().collect();
    match &step.op {
        Op::Prune { paths, .. } => {
            let went = paths.iter().filter(|path| gone.contains(&path.path.hash()));
            let kept = paths
                .iter()
                .filter(|path| spared.contains(&path.path.hash()))
                .count();
            let effect = went.fold(Effect::default(), |sum, path| Effect {
                paths: sum.paths + 1,
                bytes: sum.bytes + path.bytes,
            });
            let detail = if kept > 0 {
                format!("{kept} spared: needed again")
            } else {
                String::new()
            };
            Ended::new(step, Outcome::Done { effect, detail })
        }
        Op::Sweep { objects, .. } => {
            let went: BTreeSet<&String> = done.objects.iter().collect();
            let bytes = objects
                .iter()
                .filter(|object| went.contains(&object.key))
                .map(|object| object.size);
            let effect = Effect {
                paths: 0,
                bytes: bytes.sum(),
            };
            Ended::new(
                step,
                Outcome::Done {
                    effect,
                    detail: String::new(),
                },
            )
        }
        _ => failed(step, "it is no step of a prune"),
    }
}
