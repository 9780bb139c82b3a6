//! Cache folders.

use super::step;
use crate::config::model::CacheName;
use crate::nix::cache_info::CacheInfo;
use crate::nix::store_path::StoreDir;
use crate::plan::address::{
    Address, adopt_address, cache_address, pin_address, prune_address, push_address, sweep_address,
};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::Refusal;
use crate::plan::step::Op;

/// The folder of a cache, its `nix-cache-info`, and the folders that an opening Nix would make.
pub(super) fn folder(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
    cache: &Cache,
    changes: &mut Changes,
) {
    let store_dir = observed.store_dir.clone();
    let priority = i32::try_from(cache.nix_priority).unwrap_or(i32::MAX);
    let wanted = CacheInfo::new(&store_dir, true, priority).to_string();
    let (before, info) = match observed.caches.get(name) {
        Some(Observation::Absent) => (None, wanted),
        Some(Observation::Present(content)) => match &content.info {
            None => (None, wanted),
            Some(text) => match revised_info(text, &store_dir, priority) {
                Ok(info) if info == *text && content.folders => return,
                Ok(info) => (Some(text.clone()), info),
                Err(text) => {
                    changes.refusals.push(Refusal {
                        steps: addresses(desired, name),
                        code: "setup-other-store".to_owned(),
                        text: format!("{} {text}", cache.place.shown()),
                        help: format!(
                            "give {} another folder",
                            desired
                                .config
                                .words(&format!("/caches/{name}/{}", cache.place.setting()))
                        ),
                    });
                    return;
                }
            },
        },
        // Push and prune name an unseen cache; setup has nothing to add.
        Some(Observation::Unknown(_) | Observation::Error(_)) | None => return,
    };
    let because = desired.because(
        format!("cache {name} is declared"),
        &format!("/caches/{name}"),
    );
    let folder = cache.place.shown();
    let op = Op::CreateCache {
        cache: name.clone(),
        folder,
        before,
        info,
    };
    changes
        .steps
        .push(step(cache_address(name), cache.scope, op, because));
}

/// Whatever could be done to a cache.
fn addresses(desired: &Desired, name: &CacheName) -> Vec<Address> {
    let config = &desired.config;
    let mut all = vec![cache_address(name)];
    for class in config.classes.keys() {
        all.push(push_address(name, class.as_str()));
        all.push(adopt_address(name, class.as_str()));
        all.push(prune_address(name, class.as_str()));
    }
    all.extend(config.pins.keys().map(|pin| pin_address(name, pin)));
    all.push(sweep_address(name));
    all
}

/// The same cache info with our priority; whatever else stands in it stays.
fn revised_info(text: &str, store_dir: &StoreDir, priority: i32) -> Result<String, String> {
    // A priority that is no number makes Nix drop the cache; the other lines still count.
    let readable: String = text
        .split_inclusive('\n')
        .filter(|line| CacheInfo::parse(line).is_ok())
        .collect();
    let Ok(mut info) = CacheInfo::parse(&readable) else {
        return Ok(CacheInfo::new(store_dir, true, priority).to_string());
    };
    match info.store_dir() {
        Some(dir) if dir != store_dir.as_str() => {
            return Err(format!("is a cache of the store {dir}, not of {store_dir}"));
        }
        _ => {}
    }
    info.set_priority(priority);
    Ok(info.to_string())
}
