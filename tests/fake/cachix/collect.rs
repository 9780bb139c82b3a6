//! The collector: when the files exceed the limit, the paths used longest ago go, pins apart.

use std::collections::BTreeSet;

use super::stand_in::Shared;
use super::world::World;

/// Bytes of all files.
fn size(world: &World) -> u64 {
    world.caches.values().map(super::world::Cache::size).sum()
}

/// Removes what is over the limit, and lets pins run out.
pub fn collect(shared: &Shared) {
    super::pin::run_out(shared);
    let mut world = shared.world();
    let Some(limit) = world.size_limit else {
        return;
    };
    let mut candidates = Vec::new();
    for (name, cache) in &world.caches {
        let pinned = cache.pinned();
        for (hash, entry) in cache
            .entries
            .iter()
            .filter(|(hash, _)| !pinned.contains(*hash))
        {
            candidates.push((entry.last_use(), name.clone(), hash.clone()));
        }
    }
    candidates.sort();
    for (_, name, hash) in candidates {
        if size(&world) <= limit {
            break;
        }
        world.caches.get_mut(&name).unwrap().remove(&hash);
    }
    drop(world);
    sweep_files(shared);
}

/// Removes files that no path has.
pub fn sweep_files(shared: &Shared) {
    let world = shared.world();
    let entries = world
        .caches
        .values()
        .flat_map(|cache| cache.entries.values());
    let kept: BTreeSet<String> = entries.map(super::world::Entry::file_name).collect();
    let Ok(folder) = std::fs::read_dir(shared.folder.join("nar")) else {
        return;
    };
    for file in folder.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        // Files that are being put together have three words, too, but the second is `new`.
        if !kept.contains(&name) && !name.contains(".new.") {
            let _ = std::fs::remove_file(file.path());
        }
    }
}
