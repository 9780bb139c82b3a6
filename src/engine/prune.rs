//! A prune stage: the deletes from one cache, on a second look.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::machine::sentence;
use super::service;
use super::verify;
use super::work::{Applying, Ended, all, failed};
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
    Candidates, Decision, PruneDone, PruneError, prune_into,
};
use crate::sys::clock::SystemClock;

/// Runs the prune steps of one cache; one outcome per step.
pub(super) fn run(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    steps: &[&Step],
) -> Vec<Ended> {
    let declared = work.desired.caches.get(name);
    if let Some(service) = declared.and_then(|cache| cache.place.service()) {
        return service::prune(work, service, steps);
    }
    let (cache, store) = match work.cache(name) {
        Ok(found) => found,
        Err(why) => return all(steps, |step| failed(step, &why)),
    };
    let index = work.machine.index(&cache.place);
    let look = Look {
        store_dir: &observed.store_dir,
        index: (!work.machine.options.refresh).then_some(index.as_std_path()),
        thorough: true,
        threads: 0,
    };
    let grace = work.desired.config.prune.grace;
    let mut candidates = candidates(work, steps);
    if let Some(Observation::Present(content)) = observed.caches.get(name) {
        referrers_first(&mut candidates.paths, content);
    }
    let mut done = PruneDone::default();
    let result = wait_for_others(work, || {
        let mut decide = |content: &CacheContent| match &work.desired.extra.repair {
            Some(repair) => verify::still_broken(work, repair, content),
            None => decide(work, observed, name, content),
        };
        prune_into(
            &work.machine.terms(),
            store.as_ref(),
            &candidates,
            &look,
            grace,
            &mut decide,
            (&SystemClock::new(), work.progress),
            &mut done,
        )
    });
    all(steps, |step| {
        let did = did(step, &done);
        match &result {
            Ok(()) => outcome(step, did, &done),
            Err(PruneError::Busy { since }) => {
                let why = format!("another prune has been running since {since}");
                Ended::busy(step, &why)
            }
            Err(PruneError::Stopped(_)) => {
                Ended::skipped(step, "stopped; a rerun finishes").having_done(did)
            }
            Err(error) => failed(step, &sentence(error)).having_done(did),
        }
    })
}

/// Tries again while another prune is at work, for as long as the user said.
fn wait_for_others(
    work: &Applying<'_>,
    mut run: impl FnMut() -> Result<(), PruneError>,
) -> Result<(), PruneError> {
    use crate::sys::clock::Clock as _;
    let clock = SystemClock::new();
    loop {
        match run() {
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
    // Only a saved plan says what time it is to be; a million paths are not copied without need.
    let content = match work.machine.options.now {
        Some(now) if now != content.now => Cow::Owned(CacheContent {
            now,
            ..content.clone()
        }),
        _ => Cow::Borrowed(content),
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
                candidates.paths.extend(paths.hashes());
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

/// What of a step is gone.
fn did(step: &Step, done: &PruneDone) -> Effect {
    match &step.op {
        Op::Prune { paths, .. } => {
            let gone: BTreeSet<&HashPart> = done.paths.iter().collect();
            let all = paths.hashes().zip(paths.bytes());
            let went = all.filter(|(hash, _)| gone.contains(hash));
            went.fold(Effect::default(), |sum, (_, bytes)| Effect {
                paths: sum.paths + 1,
                bytes: sum.bytes + bytes,
            })
        }
        Op::Sweep { objects, .. } => {
            let gone: BTreeSet<&String> = done.objects.iter().collect();
            let went = objects.iter().filter(|object| gone.contains(&object.key));
            Effect {
                paths: 0,
                bytes: went.map(|object| object.size).sum(),
            }
        }
        _ => Effect::default(),
    }
}

fn outcome(step: &Step, effect: Effect, done: &PruneDone) -> Ended {
    let detail = match &step.op {
        Op::Prune { paths, .. } => {
            let spared: BTreeSet<&HashPart> = done.spared.iter().collect();
            match paths.hashes().filter(|hash| spared.contains(hash)).count() {
                0 => String::new(),
                kept => format!("{kept} spared: needed again"),
            }
        }
        Op::Sweep { .. } => String::new(),
        _ => return failed(step, "it is no step of a prune"),
    };
    Ended::new(step, Outcome::Done { effect, detail })
}
