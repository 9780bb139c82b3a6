//! Pushing paths: their NARs go up in any order, many at once; each becomes a narinfo after those that it
//! refers to; in the end the service is asked whether it has them all.
//!
//! What is there already is never overwritten by the service, so doing it again is harmless.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::Method;

use super::sink::{Parts, Road};
use super::wire::{Completion, NewNarInfo};
use super::{CachixError, Client};
use crate::config::model::{Compression, Method as How};
use crate::nix::hash::Sha256;
use crate::nix::key::SecretKey;
use crate::nix::narinfo::fingerprint;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::transfer::gate::Gate;
use crate::transfer::pipeline::{FINISHERS, Job, JobError, Settings, Stored, with_pipeline};
use crate::transfer::progress::Progress;

/// NARs that are made and sent at once: most of the time they wait for the network.
const AT_ONCE: usize = 8;
/// Narinfos that are made at once.
const NARINFOS: usize = 8;
/// How often a whole path is tried.
const TRIES: usize = 2;

/// A path to be pushed.
#[derive(Clone, Debug)]
pub struct Item {
    /// The path.
    pub path: StorePath,
    /// Where its tree is on disk.
    pub root: PathBuf,
    /// Hash that its NAR must have.
    pub nar_hash: Sha256,
    /// Bytes that its NAR must have.
    pub nar_size: u64,
    /// What it refers to.
    pub references: Vec<StorePath>,
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
}

/// What is to be pushed at once.
pub struct Batch {
    /// Directory of the store paths.
    pub store_dir: StoreDir,
    /// The paths, what comes first in front.
    pub items: Vec<Item>,
    /// The key that signs; `None`: the service does.
    pub key: Option<Arc<[SecretKey]>>,
    /// Method and level.
    pub compression: Compression,
    /// Who looks at what is to leave; `None`: nobody.
    pub gate: Option<Arc<dyn Gate>>,
}

/// What a push did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Paths that the service has, with the bytes of their files.
    pub pushed: BTreeMap<HashPart, u64>,
    /// Paths that it has not, and why.
    pub failed: BTreeMap<HashPart, String>,
}

/// Pushes a batch. What was done stands in `done`, however it ends.
///
/// # Errors
/// The service failed or refused, or the work was asked to stop. Failures of single paths are in `done`.
pub fn push(
    client: &Client,
    batch: &Batch,
    progress: &Progress,
    done: &mut Done,
) -> Result<(), CachixError> {
    let jobs: Vec<Job> = batch
        .items
        .iter()
        .map(|item| Job {
            path: item.path.clone(),
            root: item.root.clone(),
            nar_hash: item.nar_hash,
            nar_size: item.nar_size,
        })
        .collect();
    let (method, most) = match batch.compression.method {
        How::Zstd => ("zst", AT_ONCE),
        // It takes a hundred MiB for each.
        How::Xz | How::None => ("xz", 2),
    };
    let road = Arc::new(Road::default());
    let open =
        || -> Result<Box<dyn crate::transfer::sink::Sink>, crate::transfer::sink::SinkError> {
            Ok(Box::new(Parts::begin(client, &road, method)?))
        };
    let settings = Settings {
        compression: batch.compression,
        threads: most.min(jobs.len().max(1)),
        finishers: FINISHERS,
        is_alone: false,
        open: &open,
        gate: batch.gate.as_deref(),
        // Parts go up while the file is made.
        withhold: true,
        progress,
    };
    let result = with_pipeline(&jobs, &settings, |pipeline| {
        let mut rest = Work::new(client, batch, &road, progress, done);
        for job in 0..jobs.len() {
            pipeline.submit(job);
        }
        let mut open = jobs.len();
        let mut tries = vec![1; jobs.len()];
        while open > 0 {
            if progress.is_stopped() {
                road.stop();
                return Err(CachixError::Stopped { what: "push" });
            }
            let Some((job, result)) = pipeline.next(Duration::from_millis(50)) else {
                rest.publish()?;
                continue;
            };
            match result {
                Ok(stored) => rest.arrived(job, stored),
                Err(error) if error.is_of_source() => rest.fail(job, sentence(&error)),
                Err(error) => match of_service(error) {
                    Ok(error) if error.may_pass() && tries[job] < TRIES => {
                        tracing::debug!(%error, "a path is sent again");
                        tries[job] += 1;
                        pipeline.submit(job);
                        continue;
                    }
                    Ok(error) => {
                        road.stop();
                        return Err(error);
                    }
                    Err(why) => rest.fail(job, why),
                },
            }
            open -= 1;
            // What is ready goes in waves: few while NARs still come, all in the end.
            if open == 0 || rest.ready.len() >= NARINFOS {
                rest.publish()?;
            }
        }
        rest.publish()
    });
    road.stop();
    // A NAR whose path failed stays behind otherwise.
    client.abort_all(&road.left());
    result?;
    confirm(client, batch, progress, done)
}

/// The service's own error in what a job says, if it is one.
fn of_service(error: JobError) -> Result<CachixError, String> {
    match error {
        JobError::Sink { root, source } => match source.downcast::<CachixError>() {
            Ok(error) => Ok(*error),
            Err(source) => Err(format!("send the NAR of `{}`: {source}", root.display())),
        },
        error => Err(sentence(&error)),
    }
}

fn sentence(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What has arrived, and what still has to become narinfos.
struct Work<'a> {
    client: &'a Client,
    batch: &'a Batch,
    road: &'a Road,
    progress: &'a Progress,
    done: &'a mut Done,
    stored: HashMap<usize, Stored>,
    /// For each item, how many that it refers to have no narinfo yet.
    waits: Vec<usize>,
    /// For each item, those that refer to it.
    referrers: Vec<Vec<usize>>,
    ready: VecDeque<usize>,
}

impl<'a> Work<'a> {
    fn new(
        client: &'a Client,
        batch: &'a Batch,
        road: &'a Road,
        progress: &'a Progress,
        done: &'a mut Done,
    ) -> Self {
        let at: HashMap<HashPart, usize> = batch
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.path.hash(), at))
            .collect();
        let mut waits = vec![0; batch.items.len()];
        let mut referrers = vec![Vec::new(); batch.items.len()];
        for (from, item) in batch.items.iter().enumerate() {
            let to: BTreeSet<usize> = item
                .references
                .iter()
                .filter_map(|to| at.get(&to.hash()).copied())
                .filter(|to| *to != from)
                .collect();
            waits[from] = to.len();
            for to in to {
                referrers[to].push(from);
            }
        }
        Self {
            client,
            batch,
            road,
            progress,
            done,
            stored: HashMap::new(),
            waits,
            referrers,
            ready: VecDeque::new(),
        }
    }

    fn arrived(&mut self, job: usize, stored: Stored) {
        self.stored.insert(job, stored);
        if self.waits[job] == 0 {
            self.ready.push_back(job);
        }
    }

    /// Gives a path up, and all that refer to it.
    fn fail(&mut self, job: usize, why: String) {
        let item = &self.batch.items[job];
        if self.done.failed.contains_key(&item.path.hash()) {
            return;
        }
        self.done.failed.insert(item.path.hash(), why);
        let name = item.path.to_string();
        for referrer in self.referrers[job].clone() {
            self.fail(referrer, format!("it needs {name}, which was not pushed"));
        }
    }

    /// Makes the narinfos of what is ready, and of what becomes ready by that.
    fn publish(&mut self) -> Result<(), CachixError> {
        while !self.ready.is_empty() {
            let wave: Vec<usize> = self.ready.drain(..self.ready.len().min(NARINFOS)).collect();
            let results: Vec<(usize, Result<u64, CachixError>)> = std::thread::scope(|scope| {
                let begun: Vec<_> = wave
                    .iter()
                    .filter_map(|job| Some((*job, self.stored.remove(job)?)))
                    .map(|(job, stored)| {
                        let (client, batch, road, progress) =
                            (self.client, self.batch, self.road, self.progress);
                        let task = move || complete(client, batch, road, progress, job, &stored);
                        (job, scope.spawn(task))
                    })
                    .collect();
                begun
                    .into_iter()
                    .map(|(job, task)| {
                        let broke = |_| {
                            Err(CachixError::Stopped {
                                what: "complete an upload",
                            })
                        };
                        (job, task.join().unwrap_or_else(broke))
                    })
                    .collect()
            });
            for (job, result) in results {
                let hash = self.batch.items[job].path.hash();
                if self.done.failed.contains_key(&hash) {
                    continue;
                }
                match result {
                    Ok(bytes) => {
                        self.done.pushed.insert(hash, bytes);
                        Progress::add(&self.progress.paths_done, 1);
                        for referrer in self.referrers[job].clone() {
                            self.waits[referrer] -= 1;
                            if self.waits[referrer] == 0 && self.stored.contains_key(&referrer) {
                                self.ready.push_back(referrer);
                            }
                        }
                    }
                    Err(
                        error @ CachixError::Status {
                            status: 400..=428, ..
                        },
                    ) => {
                        self.fail(job, format!("failed to {error}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Completes an upload; bytes of the file.
fn complete(
    client: &Client,
    batch: &Batch,
    road: &Road,
    progress: &Progress,
    job: usize,
    stored: &Stored,
) -> Result<u64, CachixError> {
    let what = "complete an upload";
    let item = &batch.items[job];
    let arrived = road
        .take(&stored.key)
        .ok_or(CachixError::Stopped { what })?;
    let mut references: Vec<String> = item.references.iter().map(ToString::to_string).collect();
    references.sort_unstable();
    references.dedup();
    let sig = batch.key.as_ref().and_then(|keys| keys.first()).map(|key| {
        let text = fingerprint(
            &batch.store_dir,
            &item.path,
            item.nar_hash,
            item.nar_size,
            &item.references,
        );
        let signature = key.sign(&text).to_string();
        // The service puts the name of the key before it.
        signature
            .split_once(':')
            .map_or(signature.clone(), |(_, base64)| base64.to_owned())
    });
    let body = client.body(
        what,
        &Completion {
            parts: &arrived.parts,
            nar_info_create: NewNarInfo {
                store_hash: item.path.hash().to_string(),
                store_suffix: item.path.name().to_owned(),
                nar_hash: item.nar_hash.to_string(),
                nar_size: item.nar_size,
                file_hash: stored.file.hash.to_hex(),
                file_size: stored.file.size,
                references,
                deriver: item
                    .deriver
                    .as_ref()
                    .map_or_else(|| "unknown-deriver".to_owned(), ToString::to_string),
                sig,
            },
        },
    )?;
    let stopped = || progress.is_stopped();
    let to = client.of_upload(&arrived.upload, "/complete", "");
    match client.ask(what, (Method::POST, to), body, client.patience, &stopped) {
        Ok(_) => Ok(stored.file.size),
        Err(error @ (CachixError::Stopped { .. } | CachixError::Refused { .. })) => Err(error),
        // It may have taken effect without an answer, and then a second time is refused.
        Err(error) => match client.missing(&BTreeSet::from([item.path.hash()]), &stopped) {
            Ok(missing) if missing.is_empty() => Ok(stored.file.size),
            _ => {
                if !error.is_outage() {
                    client.abort(&arrived.upload);
                }
                Err(error)
            }
        },
    }
}

/// Asks whether the service has what it took.
fn confirm(
    client: &Client,
    batch: &Batch,
    progress: &Progress,
    done: &mut Done,
) -> Result<(), CachixError> {
    let all: BTreeSet<HashPart> = done.pushed.keys().copied().collect();
    if all.is_empty() {
        return Ok(());
    }
    let stopped = || progress.is_stopped();
    let missing = client.missing(&all, &stopped)?;
    for item in &batch.items {
        let hash = item.path.hash();
        if missing.contains(&hash) {
            done.pushed.remove(&hash);
            let why = "the service took it, and says that it lacks it".to_owned();
            done.failed.insert(hash, why);
        }
    }
    Ok(())
}

/// The base64 of a public key without its name, as the service wants it.
#[must_use]
pub fn bare_key(key: &crate::nix::key::PublicKey) -> String {
    BASE64.encode(key.bytes())
}
