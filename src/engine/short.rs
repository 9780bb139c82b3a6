//! What is wanted and there, and only lacks our signature or is compressed by another method: an extra look
//! at the narinfos of wanted paths.
//!
//! A path counts only if the local store has it with the same NAR and the same references: then signing it
//! says no more than pushing it would.

use super::machine::Machine;
use crate::config::model::CacheName;
use crate::plan::address::Phase;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{Observation, Observed};
use crate::plan::wanted::{Origin, Wanted};
use crate::provider::binary_cache::signers::{Known, Short, Standard, short_of};
use crate::transfer::progress::Progress;

/// Fills in what falls short of what a cache is to be, cache by cache.
pub(super) fn fill(
    desired: &Desired,
    machine: &Machine,
    observed: &mut Observed,
    progress: &Progress,
) {
    // Only a push adds signatures.
    if !desired.has(Phase::Push) {
        return;
    }
    for (name, cache) in &desired.caches {
        let found = look((desired, machine), observed, name, cache, progress);
        if let Some(Observation::Present(content)) = observed.caches.get_mut(name) {
            content.unsigned = found.unsigned;
            content.otherwise = found.otherwise;
        }
    }
}

fn look(
    (desired, machine): (&Desired, &Machine),
    observed: &Observed,
    name: &CacheName,
    cache: &Cache,
    progress: &Progress,
) -> Short {
    let push = &desired.config.push;
    if !push.enabled || !push.to.contains_key(name) {
        return Short::default();
    }
    let signing = cache.signing.as_ref();
    let key = match observed.keys.get(name) {
        Some(Observation::Present(key)) => signing.map(|_| key.name()),
        Some(Observation::Absent) => signing
            .filter(|signing| signing.generate)
            .map(|signing| signing.name.as_str()),
        _ => None,
    };
    let method = cache.recompress.then_some(cache.compression.method);
    let standard = Standard { key, method };
    let (Some(Observation::Present(content)), Some(store)) =
        (observed.caches.get(name), observed.store.present())
    else {
        return Short::default();
    };
    if (key.is_none() && method.is_none()) || !content.capabilities.replace {
        return Short::default();
    }
    let wanted = Wanted::resolve(desired, observed, content);
    let rows = wanted.paths.rows().filter(|row| {
        let there = content.paths.row(&wanted.paths.hash(*row));
        wanted.origins[*row as usize] == Origin::Store
            && there.is_some_and(|there| content.narinfos[there as usize].nar().is_some())
            && desired.pushes(name, wanted.classifier.name_of(wanted.class(*row)))
    });
    let known: Vec<Known> = rows
        .filter_map(|row| {
            let hash = wanted.paths.hash(row);
            let local = store.paths.row(&hash)?;
            let references = store.paths.refs().references(local).iter();
            Some(Known {
                hash,
                nar_hash: wanted.nar_hashes[row as usize],
                nar_size: wanted.paths.nar_size(row),
                references: references.map(|to| store.paths.hash(*to)).collect(),
            })
        })
        .collect();
    let Ok(view) = machine.view(cache) else {
        return Short::default();
    };
    short_of(
        standard,
        view.as_ref(),
        &observed.store_dir,
        &known,
        progress,
    )
}
