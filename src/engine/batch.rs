//! What a push stage hands to its cache: the paths of all its steps with what the store says of them, the
//! roots, what is relied on, and the key that signs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::machine::sentence;
use super::secret::{self, NoSecret};
use super::work::Applying;
use crate::config::model::{CacheName, ClassName};
use crate::nix::content_address::ContentAddress;
use crate::nix::key::SecretKey;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::desired::Cache;
use crate::plan::observed::{Observation, Observed};
use crate::plan::push::reliance;
use crate::plan::step::{Op, PathToPush, Step};
use crate::provider::binary_cache::push::{Batch, Item, Spare};
use crate::provider::nix_store::{self, Details};

/// What the push steps of one cache upload and write; `Err`: why it cannot be told.
pub(super) fn batch(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    cache: &Cache,
    steps: &[&Step],
) -> Result<Batch, String> {
    let mut items: Vec<(&ClassName, &PathToPush)> = Vec::new();
    let mut roots = Vec::new();
    for step in steps {
        if let Op::Push {
            class,
            paths,
            roots: wanted,
            ..
        } = &step.op
        {
            items.extend(paths.iter().map(|path| (class, path)));
            roots.extend(wanted.iter().cloned());
        }
    }
    // Renewing roots signs nothing; a record in a cache that signs itself is a path like any other.
    let records = steps
        .iter()
        .any(|step| matches!(step.op, Op::Record { .. }));
    let keys = if items.is_empty() && !records {
        Arc::new([])
    } else {
        keys(work, cache)?
    };
    let details = details(work, items.iter().map(|(_, path)| *path))?;
    let store_dir = observed.store_dir.clone();
    let rely = reliance(work.desired, observed, name, &roots);
    if let Some(hash) = left_out(&rely.closure, &items, observed, name) {
        return Err(format!(
            "`{hash}` belongs to it, and is neither in the cache nor pushed with it: it is of a class \
             that was left out"
        ));
    }
    let highest = work
        .desired
        .config
        .classes
        .iter()
        .max_by_key(|(_, class)| class.priority);
    let class = steps.iter().find_map(|step| match &step.op {
        Op::Push { class, .. } => Some(class.clone()),
        _ => None,
    });
    Ok(Batch {
        class: class
            .or_else(|| highest.map(|(name, _)| name.clone()))
            .ok_or("there is no class")?,
        items: items
            .into_iter()
            .map(|(class, path)| item(work, class, path, &details, &store_dir))
            .collect::<Result<_, _>>()?,
        roots,
        closure: rely.closure,
        upstream: rely.upstream.into_iter().collect(),
        keys,
        compression: cache.compression,
        grace: work.desired.config.prune.grace,
        commit: observed.environment.commit.clone(),
        run: observed.environment.run.clone(),
        threads: 0,
        gate: None,
        store_dir,
    })
}

/// What the cache lost since it was looked at, as far as it is at hand.
pub(super) fn spare(
    work: &Applying<'_>,
    observed: &Observed,
    cache: &Cache,
    batch: &Batch,
    lost: &[HashPart],
) -> Option<Spare> {
    let paths: Vec<PathToPush> = lost
        .iter()
        .filter_map(|hash| at_hand(observed, *hash))
        .collect();
    let details = details(work, paths.iter()).ok()?;
    let items = paths
        .iter()
        .map(|path| item(work, &batch.class, path, &details, &batch.store_dir));
    Some(Spare {
        items: items.collect::<Result<_, _>>().ok()?,
        keys: keys(work, cache).ok()?,
    })
}

/// A path of the local store, or of a directory.
fn at_hand(observed: &Observed, hash: HashPart) -> Option<PathToPush> {
    let to_push = |path: StorePath, nar_hash, nar_size, directory| PathToPush {
        path,
        nar_size,
        nar_hash,
        rank: 0,
        directory,
        unasked: false,
        sign: false,
        recompress: false,
        mend: false,
    };
    let store = observed.store.present();
    if let Some((store, row)) = store.and_then(|store| Some((store, store.paths.row(&hash)?))) {
        let nar_hash = *store.nar_hashes.get(row as usize)?;
        let (path, size) = (store.paths.path(row), store.paths.nar_size(row));
        return Some(to_push(path, nar_hash, size, None));
    }
    let directories = observed.directories.values();
    let mut facts = directories
        .filter_map(Observation::present)
        .flat_map(|seen| &seen.found);
    let facts = facts.find(|facts| facts.path.hash() == hash)?;
    let directory = Some(facts.directory.clone());
    Some(to_push(
        facts.path.clone(),
        facts.nar_hash,
        facts.nar_size,
        directory,
    ))
}

/// What is relied on and neither was in the cache nor is pushed: a part of the plan was left out.
fn left_out(
    closure: &[HashPart],
    items: &[(&ClassName, &PathToPush)],
    observed: &Observed,
    cache: &CacheName,
) -> Option<HashPart> {
    let content = observed.caches.get(cache).and_then(Observation::present);
    let pushed: HashSet<HashPart> = items.iter().map(|(_, path)| path.path.hash()).collect();
    let is_there = |hash: &HashPart| {
        pushed.contains(hash) || content.is_some_and(|content| content.paths.row(hash).is_some())
    };
    closure.iter().find(|hash| !is_there(hash)).copied()
}

fn details<'p>(
    work: &Applying<'_>,
    paths: impl Iterator<Item = &'p PathToPush>,
) -> Result<BTreeMap<HashPart, Details>, String> {
    let stored: Vec<StorePath> = paths
        .filter(|path| path.directory.is_none())
        .map(|path| path.path.clone())
        .collect();
    if stored.is_empty() {
        return Ok(BTreeMap::new());
    }
    let location = work.machine.store.as_ref().map_err(Clone::clone)?;
    nix_store::details(location, &stored).map_err(|error| sentence(&error))
}

fn item(
    work: &Applying<'_>,
    class: &ClassName,
    path: &PathToPush,
    details: &BTreeMap<HashPart, Details>,
    store_dir: &StoreDir,
) -> Result<Item, String> {
    let item = Item {
        path: path.path.clone(),
        root: std::path::PathBuf::new(),
        nar_hash: path.nar_hash,
        nar_size: path.nar_size,
        references: Vec::new(),
        deriver: None,
        signatures: Vec::new(),
        ca: None,
        class: class.clone(),
        rank: path.rank,
        recompress: path.recompress,
        mend: path.mend,
    };
    if let Some(directory) = &path.directory {
        let ca = Some(ContentAddress::of_nar(path.nar_hash));
        return Ok(Item {
            root: directory.into(),
            ca,
            ..item
        });
    }
    let location = work.machine.store.as_ref().map_err(Clone::clone)?;
    let known = details
        .get(&path.path.hash())
        .ok_or_else(|| format!("{} is no longer valid in the local store", path.path))?;
    let itself = known.references.contains(&path.path);
    let others: Vec<StorePath> = known
        .references
        .iter()
        .filter(|to| **to != path.path)
        .cloned()
        .collect();
    // A content address that does not follow from the path makes Nix abort: leave it out.
    let ca = known
        .ca
        .as_deref()
        .and_then(|ca| ca.parse::<ContentAddress>().ok())
        .filter(|ca| {
            let made = ca.store_path(&others, itself, path.path.name(), store_dir);
            made.is_ok_and(|made| made == path.path)
        });
    Ok(Item {
        root: location.on_disk(&path.path).into(),
        references: known.references.clone(),
        deriver: known.deriver.clone(),
        signatures: known
            .signatures
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect(),
        ca,
        ..item
    })
}

fn keys(work: &Applying<'_>, cache: &Cache) -> Result<Arc<[SecretKey]>, String> {
    let Some(signing) = &cache.signing else {
        return Ok(Arc::new([]));
    };
    match secret::signing_key(
        &work.machine.host,
        &work.desired.site.base,
        signing,
        work.progress,
    ) {
        Ok(key) => Ok(Arc::new([key])),
        Err(NoSecret::Missing) => Err(format!("the signing key is missing: {}", signing.secret)),
        Err(NoSecret::Unreadable(why)) => Err(why),
    }
}
