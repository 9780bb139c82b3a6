//! Looking again at what is to be mended: before anything of it is deleted, and after all was done.

use std::collections::BTreeSet;

use super::{Question, verify};
use crate::engine::event::Listener;
use crate::engine::machine::Machine;
use crate::engine::work::Applying;
use crate::insight::verify::repair;
use crate::nix::store_path::HashPart;
use crate::plan::desired::{Desired, Repair};
use crate::plan::observed::{CacheContent, Why};
use crate::plan::record::Root;
use crate::plan::repair::closed;
use crate::provider::binary_cache::prune::Decision;
use crate::transfer::progress::Progress;

/// What of a repair is still to be done, as the cache is now.
fn now(
    desired: &Desired,
    machine: &Machine,
    was: &Repair,
    progress: &Progress,
    listener: Listener<'_>,
) -> Result<Repair, Why> {
    let paths: Vec<HashPart> = was.damages.keys().copied().collect();
    if paths.is_empty() {
        return Ok(Repair {
            by_hand: Vec::new(),
            ..was.clone()
        });
    }
    let question = Question {
        sample: None,
        seed: String::new(),
        paths,
        wanted: true,
    };
    let progress = progress.unseen();
    let found = verify(desired, machine, &was.cache, &question, &progress, listener);
    let mut again = repair(&found.map_err(Why)?);
    again.by_hand.clear();
    Ok(again)
}

/// The same wishes with what is still to be mended; `None`: nothing was to be.
pub(in crate::engine) fn again(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
    listener: Listener<'_>,
) -> Result<Option<Desired>, Why> {
    let Some(was) = &desired.extra.repair else {
        return Ok(None);
    };
    let mut desired = desired.clone();
    desired.extra.repair = Some(now(&desired, machine, was, progress, listener)?);
    Ok(Some(desired))
}

/// What may be deleted of what was found broken: what still is, with all that refers to it. Where that cannot
/// be seen, nothing may.
pub(in crate::engine) fn still_broken(
    work: &Applying<'_>,
    was: &Repair,
    content: &CacheContent,
) -> Decision {
    let found = now(work.desired, work.machine, was, work.progress, &|_| {});
    let Ok(found) = found else {
        return Decision::default();
    };
    let broken: BTreeSet<HashPart> = found
        .damages
        .iter()
        .filter(|(_, damage)| damage.broken || !damage.lacks.is_empty())
        .map(|(hash, _)| *hash)
        .collect();
    let dead = closed(content, &broken);
    let roots = content.roots.iter().filter(|root| {
        let row = content.paths.row(&root.hash);
        row.is_some_and(|row| dead.contains(row))
    });
    Decision {
        ended: roots
            .map(|root| Root::key(&root.class, root.hash))
            .collect(),
        dead: dead.iter().map(|row| content.paths.hash(row)).collect(),
    }
}
