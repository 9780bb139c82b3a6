//! A push stage: the uploads to one cache, all classes in one go, then its roots and pins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::machine::{Machine, sentence};
use super::secret::{self, NoSecret};
use super::work::{Applying, Ended, failed};
use crate::config::model::{CacheName, ClassName};
use crate::config::rough::Rough;
use crate::nix::content_address::ContentAddress;
use crate::nix::key::SecretKey;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::desired::Cache;
use crate::plan::observed::Observed;
use crate::plan::push::reliance;
use crate::plan::report::Outcome;
use crate::plan::step::{Effect, Op, PathToPush, RootToWrite, Step};
use crate::provider::binary_cache::push::{Batch, Item, PushDone, PushError, push};
use crate::provider::binary_cache::{narinfo_key, pins};
use crate::provider::nix_store::{self, Details};
use crate::sys::clock::SystemClock;

/// Runs the push steps and pins of one cache; one outcome per step.
pub(super) fn run(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    steps: &[&Step],
) -> Vec<Ended> {
    let Some(cache) = work.desired.caches.get(name) else {
        return Vec::new();
    };
    let batch = match batch(work, observed, name, cache, steps) {
        Ok(batch) => batch,
        Err(why) => return steps.iter().map(|step| failed(step, &why)).collect(),
    };
    let store = Machine::folder(&cache.folder);
    let result = if batch.items.is_empty() && batch.roots.is_empty() {
        Ok(PushDone::default())
    } else {
        push(&store, &batch, &SystemClock::new(), work.progress)
    };
    let (done, stopped) = match result {
        Ok(done) => (done, false),
        Err(PushError::Stopped(done)) => (*done, true),
        Err(PushError::Moved(hash)) => {
            let why = format!("the cache lost {hash} since it was looked at");
            return steps
                .iter()
                .map(|step| Ended::new(step, Outcome::Stale { why: why.clone() }))
                .collect();
        }
        Err(error) => {
            let why = sentence(&error);
            return steps.iter().map(|step| failed(step, &why)).collect();
        }
    };
    let judge = Judge {
        done: &done,
        stopped,
    };
    steps
        .iter()
        .map(|step| judge.step(work, &store, step))
        .collect()
}

/// Turns what a push did into outcomes of steps.
struct Judge<'a> {
    done: &'a PushDone,
    stopped: bool,
}

impl Judge<'_> {
    fn step(
        &self,
        work: &Applying<'_>,
        store: &dyn crate::provider::binary_cache::CacheStore,
        step: &Step,
    ) -> Ended {
        match &step.op {
            Op::Push {
                class,
                paths,
                roots,
                ..
            } => self.pushed(step, class, paths, roots),
            Op::Pin {
                name, add, remove, ..
            } => {
                if self.stopped {
                    return Ended::new(
                        step,
                        Outcome::Skipped {
                            why: "stopped".to_owned(),
                        },
                    );
                }
                let lost =
                    |path: &&StorePath| self.done.failed.iter().any(|failed| failed.path == **path);
                if let Some(path) = add.iter().find(lost) {
                    return failed(step, &format!("{path} could not be pushed"));
                }
                // A pin of what is not there would only take the place of one that is.
                let absent = |path: &&StorePath| {
                    let there = store.head(&narinfo_key(path.hash()));
                    !matches!(there, Ok(Some(_)))
                };
                if let Some(path) = add.iter().find(absent) {
                    return failed(step, &format!("{path} is not in the cache"));
                }
                let project = &work.desired.config.project;
                let because = Some(step.because.rule.as_str());
                let wrote = add
                    .iter()
                    .try_for_each(|path| {
                        pins::write(store, name, project, path, because, work.machine.now())
                    })
                    .and_then(|()| {
                        remove
                            .iter()
                            .try_for_each(|path| pins::remove(store, name, path.hash()))
                    });
                match wrote {
                    Ok(()) => Ended::new(
                        step,
                        Outcome::Done {
                            effect: step.effect,
                            detail: String::new(),
                        },
                    ),
                    Err(error) => failed(step, &sentence(&error)),
                }
            }
            _ => failed(step, "it is no step of a push"),
        }
    }

    fn pushed(
        &self,
        step: &Step,
        class: &ClassName,
        paths: &[PathToPush],
        roots: &[RootToWrite],
    ) -> Ended {
        let mine: BTreeSet<HashPart> = paths.iter().map(|path| path.path.hash()).collect();
        let lost: Vec<_> = self
            .done
            .failed
            .iter()
            .filter(|failed| mine.contains(&failed.path.hash()))
            .collect();
        if let Some(first) = lost.first() {
            return failed(
                step,
                &format!(
                    "{} of {} paths were not pushed; {}: {}",
                    lost.len(),
                    mine.len(),
                    first.path,
                    first.why
                ),
            );
        }
        if self.stopped {
            return Ended::new(
                step,
                Outcome::Skipped {
                    why: "stopped before it was whole; a rerun finishes".to_owned(),
                },
            );
        }
        let done = self.done.classes.get(class).cloned().unwrap_or_default();
        let mut detail = Vec::new();
        if done.file_bytes > 0 {
            detail.push(format!("{} uploaded", Rough(done.file_bytes)));
        }
        if !done.present.is_empty() {
            let there = match done.present.len() {
                1 => "1 was there already".to_owned(),
                many => format!("{many} were there already"),
            };
            detail.push(there);
        }
        let fresh = roots.iter().filter(|root| root.new).count();
        if roots.len() > fresh {
            let renewed = roots.len() - fresh;
            let roots = if renewed == 1 { "root" } else { "roots" };
            detail.push(format!("{renewed} {roots} renewed"));
        }
        let effect = Effect {
            paths: done.uploaded.len() as u64,
            bytes: done.nar_bytes,
        };
        Ended::new(
            step,
            Outcome::Done {
                effect,
                detail: detail.join(", "),
            },
        )
    }
}

fn batch(
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
    // Renewing roots signs nothing.
    let keys = if items.is_empty() {
        Arc::new([])
    } else {
        keys(work, cache)?
    };
    let details = details(work, items.iter().map(|(_, path)| *path))?;
    let store_dir = observed.store_dir.clone();
    let rely = reliance(work.desired, observed, name);
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
        store_dir,
    })
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
    match secret::signing_key(&work.machine.host, &work.desired.site.base, signing) {
        Ok(key) => Ok(Arc::new([key])),
        Err(NoSecret::Missing) => Err(format!("the signing key is missing: {}", signing.secret)),
        Err(NoSecret::Unreadable(why)) => Err(why),
    }
}
