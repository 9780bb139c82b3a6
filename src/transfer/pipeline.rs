//! Many trees to compressed NAR files at once, in bounded memory.
//!
//! Worker threads each take the next job, and read, hash, compress and hash again in one stream;
//! the last and largest NARs use more than one core ([`super::compress::SHARED_FROM`]). Other
//! threads wait for the disk while files are made durable, so that workers never do.

mod out;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::compress::{Compressor, word};
use super::gate::{Gate, Watch, Withheld};
use super::progress::Progress;
use super::sink::{FileFacts, Sink, SinkError};
use super::tree::{TreeError, write_nar_watched};
use crate::config::model::Compression;
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::store_path::StorePath;
use out::{FileOut, NarOut};

/// Bytes that are hashed and compressed at a time.
const BLOCK: usize = 256 * 1024;

/// Threads that make files durable, for what waits for a disk.
pub const FINISHERS: usize = 6;

/// Something to be made a NAR file of.
#[derive(Clone, Debug)]
pub struct Job {
    /// The store path that it is.
    pub path: StorePath,
    /// Root of the tree on disk.
    pub root: PathBuf,
    /// Hash that its NAR must have.
    pub nar_hash: Sha256,
    /// Bytes that its NAR must have.
    pub nar_size: u64,
}

/// A NAR file that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Key in the cache.
    pub key: String,
    /// Hash and size of the file.
    pub file: FileFacts,
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The tree cannot be read as a NAR.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The tree is not what it should be: it is damaged, or was changed.
    #[error(
        "use `{}`: its NAR has {found_size} bytes and hash {found}, but should have {wanted_size} bytes and hash {wanted}",
        root.display()
    )]
    Mismatch {
        /// Root of the tree.
        root: PathBuf,
        /// Hash that was expected.
        wanted: Sha256,
        /// Bytes that were expected.
        wanted_size: u64,
        /// Hash that was found.
        found: Sha256,
        /// Bytes that were found.
        found_size: u64,
    },
    /// It must not leave this machine, or not to this cache.
    #[error("{why}")]
    Refused {
        /// The path.
        path: StorePath,
        /// Why, as a sentence.
        why: String,
    },
    /// The cache did not take it.
    #[error("store the NAR of `{}`", root.display())]
    Sink {
        /// Root of the tree.
        root: PathBuf,
        /// Why.
        #[source]
        source: SinkError,
    },
}

impl JobError {
    /// Whether only this job is concerned, not the cache or the whole work.
    #[must_use]
    pub const fn is_of_source(&self) -> bool {
        matches!(
            self,
            Self::Mismatch { .. }
                | Self::Refused { .. }
                | Self::Tree(
                    TreeError::Io { .. }
                        | TreeError::Special { .. }
                        | TreeError::Changed { .. }
                        | TreeError::Nar { .. }
                )
        )
    }
}

/// Where and how the NAR files go.
pub struct Settings<'a> {
    /// Method and level.
    pub compression: Compression,
    /// Worker threads; 0: one per core.
    pub threads: usize,
    /// How many files are finished at once; as many more may wait for it.
    pub finishers: usize,
    /// No threads at all: a job is done when its result is asked for.
    pub is_alone: bool,
    /// Opens a place for one file.
    pub open: &'a (dyn Fn() -> Result<Box<dyn Sink>, SinkError> + Sync),
    /// Who looks at what is to leave; `None`: nobody.
    pub gate: Option<&'a dyn Gate>,
    /// Whether sinks send before they are finished, so that nothing may reach them that may be refused.
    pub withhold: bool,
    /// Counters and the wish to stop.
    pub progress: &'a Progress,
}

/// What is waiting to be done.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<usize>,
    /// NAR bytes of what is waiting.
    bytes: u64,
    closed: bool,
}

/// A pipeline at work.
pub struct Pipeline<'a> {
    jobs: &'a [Job],
    queue: &'a Mutex<Queue>,
    changed: &'a Condvar,
    results: Receiver<(usize, Result<Stored, JobError>)>,
    /// The only worker, where there are no threads.
    alone: Option<&'a Worker<'a>>,
}

impl Pipeline<'_> {
    /// Puts a job at the end of the queue; one job may be submitted again.
    pub fn submit(&self, job: usize) {
        let mut queue = lock(self.queue);
        queue.waiting.push_back(job);
        queue.bytes += self.jobs.get(job).map_or(0, |job| job.nar_size);
        self.changed.notify_one();
    }

    /// Waits for the next result, in the order in which they come; `None` after `patience`.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<(usize, Result<Stored, JobError>)> {
        if let Some(worker) = self.alone {
            return worker.one();
        }
        self.results.recv_timeout(patience).ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` with a pipeline for `jobs`. When it returns, what waits is dropped, and
/// what is under way is given up.
pub fn with_pipeline<R>(
    jobs: &[Job],
    settings: &Settings<'_>,
    body: impl FnOnce(&Pipeline<'_>) -> R,
) -> R {
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let queue = Mutex::new(Queue::default());
    let abandoned = AtomicBool::new(false);
    let changed = Condvar::new();
    let (results, receiver) = mpsc::channel();
    let finishers = settings.finishers.clamp(1, jobs.len().max(1));
    let (finished, to_finish) = mpsc::sync_channel::<Finishing>(finishers);
    let to_finish = Mutex::new(to_finish);
    if settings.is_alone {
        let worker = Worker {
            jobs,
            settings,
            threads: 1,
            queue: &queue,
            changed: &changed,
            abandoned: &abandoned,
        };
        return body(&Pipeline {
            jobs,
            queue: &queue,
            changed: &changed,
            results: receiver,
            alone: Some(&worker),
        });
    }
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (results, finished) = (results.clone(), finished.clone());
            let worker = Worker {
                jobs,
                settings,
                threads,
                queue: &queue,
                changed: &changed,
                abandoned: &abandoned,
            };
            scope.spawn(move || worker.work(&finished, &results));
        }
        for _ in 0..finishers {
            let (results, to_finish) = (results.clone(), &to_finish);
            scope.spawn(move || finish(jobs, to_finish, &results));
        }
        drop((results, finished));
        let pipeline = Pipeline {
            jobs,
            queue: &queue,
            changed: &changed,
            results: receiver,
            alone: None,
        };
        // Also when the body panics: the workers must not wait for ever.
        let _close = Close {
            queue: &queue,
            changed: &changed,
            abandoned: &abandoned,
        };
        body(&pipeline)
    })
}

struct Close<'a> {
    queue: &'a Mutex<Queue>,
    changed: &'a Condvar,
    abandoned: &'a AtomicBool,
}

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::SeqCst);
        let mut queue = lock(self.queue);
        queue.closed = true;
        queue.waiting.clear();
        self.changed.notify_all();
    }
}

/// A NAR file of which all bytes are written.
struct Finishing {
    job: usize,
    sink: Box<dyn Sink>,
    facts: FileFacts,
}

/// One thread that makes NAR files.
struct Worker<'a> {
    jobs: &'a [Job],
    settings: &'a Settings<'a>,
    threads: usize,
    queue: &'a Mutex<Queue>,
    changed: &'a Condvar,
    /// Nobody waits for results any more.
    abandoned: &'a AtomicBool,
}

impl Worker<'_> {
    fn work(
        &self,
        finished: &SyncSender<Finishing>,
        results: &Sender<(usize, Result<Stored, JobError>)>,
    ) {
        let mut compressor = Compressor::new(self.settings.compression);
        let mut block = Vec::with_capacity(BLOCK);
        while let Some((at, waiting)) = self.next() {
            let Some(job) = self.jobs.get(at) else {
                continue;
            };
            // If what waits cannot keep the other cores busy for as long, this NAR takes them too.
            let others = self.threads as u64 - 1;
            let share = job.nar_size.saturating_mul(others) > waiting;
            let own = if share {
                u32::try_from(self.threads).unwrap_or(1)
            } else {
                1
            };
            match self.encode(job, &mut compressor, &mut block, own) {
                // The finishers end only after all workers did.
                Ok((sink, facts)) => drop(finished.send(Finishing {
                    job: at,
                    sink,
                    facts,
                })),
                Err(error) => drop(results.send((at, Err(error)))),
            }
        }
    }

    /// Does the next job, if there is one.
    fn one(&self) -> Option<(usize, Result<Stored, JobError>)> {
        let at = lock(self.queue).waiting.pop_front()?;
        let job = self.jobs.get(at)?;
        let mut compressor = Compressor::new(self.settings.compression);
        let made = self.encode(job, &mut compressor, &mut Vec::new(), 1);
        let stored = made.and_then(|(sink, facts)| stored(job, sink, facts));
        Some((at, stored))
    }

    /// The next job, and the NAR bytes of those behind it.
    fn next(&self) -> Option<(usize, u64)> {
        let mut queue = lock(self.queue);
        loop {
            if let Some(at) = queue.waiting.pop_front() {
                queue.bytes -= self.jobs.get(at).map_or(0, |job| job.nar_size);
                return Some((at, queue.bytes));
            }
            if queue.closed {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One tree into a sink that is not finished yet.
    fn encode(
        &self,
        job: &Job,
        compressor: &mut Compressor,
        block: &mut Vec<u8>,
        threads: u32,
    ) -> Result<(Box<dyn Sink>, FileFacts), JobError> {
        let sink_error = |source| JobError::Sink {
            root: job.root.clone(),
            source,
        };
        let settings = self.settings;
        let is_withheld = settings.withhold && settings.gate.is_some_and(Gate::may_refuse);
        let mut withheld = is_withheld.then(Withheld::new);
        let mut sink = match withheld {
            Some(_) => None,
            None => Some((settings.open)().map_err(sink_error)?),
        };
        let mut watch = settings.gate.map(|gate| gate.begin(&job.path));
        let mut failed = None;
        let to: &mut dyn Sink = match (&mut withheld, &mut sink) {
            (Some(withheld), _) => withheld,
            (None, Some(sink)) => &mut **sink,
            (None, None) => return Err(sink_error("there is nowhere to write it".into())),
        };
        let file = FileOut {
            sink: to,
            hasher: Hasher::new(),
            failed: &mut failed,
            progress: settings.progress,
        };
        block.clear();
        let result = (|| {
            let stream = compressor
                .begin(job.nar_size, threads, file)
                .map_err(TreeOrIo::Io)?;
            let mut out = NarOut {
                stream,
                hasher: Hasher::new(),
                block,
                limit: job.nar_size,
                abandoned: self.abandoned,
                progress: settings.progress,
            };
            let unseen = settings.progress.unseen();
            let watch = watch.as_deref_mut();
            out = write_nar_watched(&job.root, out, &unseen, watch).map_err(TreeOrIo::Tree)?;
            out.push().map_err(TreeOrIo::Io)?;
            let (size, nar_hash) = (out.hasher.len(), out.hasher.finish());
            if size != job.nar_size || nar_hash != job.nar_hash {
                return Err(TreeOrIo::Other(size, nar_hash));
            }
            let file = out.stream.finish().map_err(TreeOrIo::Io)?;
            Ok(FileFacts {
                size: file.hasher.len(),
                hash: file.hasher.finish(),
                suffix: word(settings.compression.method).suffix(),
            })
        })();
        let error = match result {
            Ok(facts) => {
                if let Some(Err(why)) = watch.map(Watch::verdict) {
                    let path = job.path.clone();
                    return Err(JobError::Refused { path, why });
                }
                let mut sink = match sink {
                    Some(sink) => sink,
                    None => (settings.open)().map_err(sink_error)?,
                };
                if let Some(withheld) = withheld {
                    withheld.send(&mut *sink).map_err(sink_error)?;
                }
                return Ok((sink, facts));
            }
            Err(error) => error,
        };
        if let Some(source) = failed {
            return Err(sink_error(source));
        }
        Err(match error {
            // The stream refuses bytes beyond the size that was announced to the compressor.
            TreeOrIo::Tree(TreeError::Output { source, .. }) | TreeOrIo::Io(source)
                if source.kind() == io::ErrorKind::FileTooLarge =>
            {
                match super::tree::hash_tree(&job.root, &settings.progress.unseen()) {
                    Ok((found, found_size)) => mismatch(job, found, found_size),
                    Err(error) => error.into(),
                }
            }
            TreeOrIo::Tree(error) => error.into(),
            TreeOrIo::Io(source) => sink_error(source.into()),
            TreeOrIo::Other(found_size, found) => mismatch(job, found, found_size),
        })
    }
}

fn finish(
    jobs: &[Job],
    to_finish: &Mutex<Receiver<Finishing>>,
    results: &Sender<(usize, Result<Stored, JobError>)>,
) {
    loop {
        let next = lock(to_finish).recv();
        let Ok(Finishing { job, sink, facts }) = next else {
            return;
        };
        if let Some(made) = jobs.get(job) {
            // Nobody waits for it any more if the work was given up.
            let _ = results.send((job, stored(made, sink, facts)));
        }
    }
}

fn stored(job: &Job, sink: Box<dyn Sink>, facts: FileFacts) -> Result<Stored, JobError> {
    match sink.finish(&facts) {
        Ok(key) => Ok(Stored { key, file: facts }),
        Err(source) => Err(JobError::Sink {
            root: job.root.clone(),
            source,
        }),
    }
}

fn mismatch(job: &Job, found: Sha256, found_size: u64) -> JobError {
    JobError::Mismatch {
        root: job.root.clone(),
        wanted: job.nar_hash,
        wanted_size: job.nar_size,
        found,
        found_size,
    }
}

enum TreeOrIo {
    Tree(TreeError),
    Io(io::Error),
    Other(u64, Sha256),
}

#[cfg(test)]
mod tests;
