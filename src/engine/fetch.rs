//! Fetching a directory from the declared caches, hash-checked, without any Nix.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::machine::{Machine, sentence};
use super::secret;
use crate::config::model::CacheName;
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::desired::{Desired, name_of_directory, resolve};
use crate::plan::observed::Observation;
use crate::provider::binary_cache::fetch::{self as from_cache, FetchError};
use crate::transfer::progress::Progress;
use crate::transfer::unpack::{Occupied, Unpacked};

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// From where.
    pub cache: CacheName,
    /// The path.
    pub path: StorePath,
    /// Bytes of its NAR.
    pub bytes: u64,
    /// `false`: the same tree was there already.
    pub fresh: bool,
}

/// Why nothing was fetched. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFailure {
    /// Why, read after "fetch `NAME`:".
    pub why: String,
    /// What to do.
    pub help: Option<String>,
}

/// Brings what was last pushed under `name` to `into`, from the first cache (in the order of asking) that
/// has it.
///
/// # Errors
/// No cache has it, it is not signed by a declared key, it is broken, or there is something else at `into`.
pub fn fetch(
    desired: &Desired,
    machine: &Machine,
    name: &str,
    only: Option<&CacheName>,
    into: &Utf8Path,
    progress: &Progress,
) -> Result<Fetched, FetchFailure> {
    let fail = |why: String| FetchFailure { why, help: None };
    let mut caches: Vec<_> = desired
        .caches
        .iter()
        .filter(|(cache, _)| only.is_none_or(|only| only == *cache))
        .collect();
    caches.sort_by_key(|(_, cache)| cache.nix_priority);
    if caches.is_empty() {
        return Err(fail(
            "cache.yaml has no such cache to fetch from".to_owned(),
        ));
    }
    let here = machine
        .store
        .as_ref()
        .map_or_else(|_| StoreDir::default(), |store| store.store.clone());
    let (mut problems, mut known) = (Vec::new(), BTreeSet::new());
    for (cache_name, cache) in caches {
        let opened = machine.view(cache).and_then(|store| {
            let found = from_cache::find(store.as_ref(), name)?;
            Ok((store, found))
        });
        let (store, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                problems.push(format!("{cache_name}: {}", sentence(&error)));
                continue;
            }
        };
        // However the directory is written here, it is recorded by one name.
        let full = resolve(name, &desired.site);
        let recorded = name_of_directory(full.as_str(), &desired.site);
        let found = if found.is_empty() {
            from_cache::find(store.as_ref(), &recorded).unwrap_or_default()
        } else {
            found
        };
        let Some(newest) = found.first() else {
            known.extend(from_cache::names(store.as_ref()).unwrap_or_default());
            continue;
        };
        // Its paths are those of the store that the cache is for, whatever store is here.
        let store_dir = from_cache::store_dir(store.as_ref()).unwrap_or_else(|| here.clone());
        let mut keys = cache.public_keys.clone();
        if let Some(signing) = &cache.signing
            && let Observation::Present(key) =
                secret::public_key(&machine.host, &desired.site.base, signing, progress)
        {
            keys.push(key);
        }
        let got = from_cache::fetch(
            store.as_ref(),
            &newest.path,
            into.as_std_path(),
            &keys,
            &store_dir,
            Occupied::Refuse,
            progress,
        );
        match got {
            Ok((narinfo, unpacked)) => {
                return Ok(Fetched {
                    cache: cache_name.clone(),
                    path: newest.path.clone(),
                    bytes: narinfo.nar_size,
                    fresh: unpacked != Unpacked::Present,
                });
            }
            Err(error @ FetchError::Unpack(_)) => return Err(fail(sentence(&error))),
            Err(error) => problems.push(format!("{cache_name}: {}", sentence(&error))),
        }
    }
    if problems.is_empty() {
        return Err(FetchFailure {
            why: "no declared cache has a record of that name".to_owned(),
            help: Some(names(&known)),
        });
    }
    Err(fail(problems.join("; ")))
}

/// What there is to fetch, or how something gets there.
fn names(known: &BTreeSet<String>) -> String {
    const SHOWN: usize = 8;
    if known.is_empty() {
        return "names are those of directories as they were pushed; `nanna-cache push --apply` pushes them"
            .to_owned();
    }
    let mut names: Vec<String> = known
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if known.len() > SHOWN {
        names.push(format!("{} more", known.len() - SHOWN));
    }
    format!("there are {}", names.join(", "))
}
