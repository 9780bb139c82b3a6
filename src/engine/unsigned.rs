//! What is wanted and there, and only lacks our signature: an extra look at the narinfos of wanted paths.
//!
//! A path counts only if the local store has it with the same NAR and the same references: then signing it
//! says no more than pushing it would.

use super::machine::Machine;
use crate::config::model::CacheName;
use crate::nix::store_path::HashPart;
use crate::plan::address::Phase;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{Observation, Observed};
use crate::plan::wanted::{Origin, Wanted};
use crate::provider::binary_cache::signers::{Known, unsigned};
use crate::transfer::progress::Progress;

/// Fills in what lacks our signature, cache by cache.
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
            content.unsigned = found;
        }
    }
}

fn look(
    (desired, machine): (&Desired, &Machine),
    observed: &Observed,
    name: &CacheName,
    cache: &Cache,
    progress: &Progress,
) -> Vec<HashPart> {
    let push = &desired.config.push;
    let (Some(signing), true) = (&cache.signing, push.enabled && push.to.contains_key(name)) else {
        return Vec::new();
    };
    let key = match observed.keys.get(name) {
        Some(Observation::Present(key)) => key.name(),
        Some(Observation::Absent) if signing.generate => signing.name.as_str(),
        _ => return Vec::new(),
    };
    let (Some(Observation::Present(content)), Some(store)) =
        (observed.caches.get(name), observed.store.present())
    else {
        return Vec::new();
    };
    let wanted = Wanted::resolve(desired, observed, content);
    let rows = wanted.paths.rows().filter(|row| {
        let there = content.paths.row(&wanted.paths.hash(*row));
        wanted.origins[*row as usize] == Origin::Store
            && there.is_some_and(|there| content.narinfos[there as usize].nar.is_some())
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
        return Vec::new();
    };
    unsigned(view.as_ref(), &observed.store_dir, key, &known, progress)
}
