use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::model::Method;
use crate::nix::narinfo;
use crate::transfer::compress::decompress;
use crate::transfer::tree::hash_tree;

/// Keeps finished files in memory, and fails after so many bytes.
struct Memory {
    bytes: Vec<u8>,
    files: Arc<Mutex<Files>>,
    open: Arc<AtomicUsize>,
    room: usize,
}

impl Sink for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err("no space left".into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>, facts: &FileFacts) -> Result<String, SinkError> {
        self.files
            .lock()
            .unwrap()
            .push((*facts, std::mem::take(&mut self.bytes)));
        Ok(facts.hash.to_nix32())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

type Files = Vec<(FileFacts, Vec<u8>)>;
type Results = Vec<(usize, Result<Stored, JobError>)>;

fn run(jobs: &[Job], method: Method, room: usize) -> (Results, Files, usize) {
    let (files, open) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(AtomicUsize::new(0)),
    );
    let progress = Progress::default();
    let make = || -> Result<Box<dyn Sink>, SinkError> {
        open.fetch_add(1, Ordering::SeqCst);
        let (files, open) = (Arc::clone(&files), Arc::clone(&open));
        Ok(Box::new(Memory {
            bytes: Vec::new(),
            files,
            open,
            room,
        }))
    };
    let settings = Settings {
        compression: Compression { method, level: 1 },
        threads: 3,
        finishers: FINISHERS,
        is_alone: false,
        open: &make,
        gate: None,
        withhold: false,
        progress: &progress,
    };
    let results = with_pipeline(jobs, &settings, |pipeline| {
        (0..jobs.len()).for_each(|job| pipeline.submit(job));
        (0..jobs.len())
            .map(|_| pipeline.next(Duration::from_mins(1)).unwrap())
            .collect()
    });
    let left = open.load(Ordering::SeqCst);
    let files = files.lock().unwrap().clone();
    (results, files, left)
}

fn jobs(dir: &std::path::Path) -> Vec<Job> {
    [10, 3_000_000, 0, 40_000_000]
        .iter()
        .enumerate()
        .map(|(at, &size)| {
            let root = dir.join(at.to_string());
            let bytes: Vec<u8> = (0..size)
                .map(|i: u32| (i / 7 % 251).to_le_bytes()[0])
                .collect();
            std::fs::write(&root, bytes).unwrap();
            let (nar_hash, nar_size) = hash_tree(&root, &Progress::default()).unwrap();
            Job {
                path: format!("{}-{at}", "0".repeat(32)).parse().unwrap(),
                root,
                nar_hash,
                nar_size,
            }
        })
        .collect()
}

#[test]
fn files_hold_the_nars_whatever_the_method() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = jobs(dir.path());
    for (method, word) in [
        (Method::Zstd, narinfo::Compression::Zstd),
        (Method::Xz, narinfo::Compression::Xz),
        (Method::None, narinfo::Compression::None),
    ] {
        let (results, files, left) = run(&jobs, method, usize::MAX);
        assert_eq!((results.len(), files.len(), left), (4, 4, 0));
        for (job, result) in results {
            let stored = result.unwrap();
            let (facts, bytes) = files
                .iter()
                .find(|(f, _)| f.hash == stored.file.hash)
                .unwrap();
            assert_eq!(facts.hash, Sha256::of(bytes));
            assert_eq!(facts.size, bytes.len() as u64);
            assert_eq!(facts.suffix, word.suffix());
            let mut hasher = Hasher::new();
            let mut plain = decompress(&word, bytes.as_slice()).unwrap().unwrap();
            std::io::copy(&mut plain, &mut hasher).unwrap();
            assert_eq!(hasher.finish(), jobs[job].nar_hash);
        }
    }
}

#[test]
fn failures_are_of_one_job_and_leave_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobs = jobs(dir.path());
    jobs[0].nar_hash = Sha256::of(b"other");
    std::fs::remove_file(&jobs[2].root).unwrap();
    let (results, files, left) = run(&jobs, Method::None, 10_000_000);
    assert_eq!((files.len(), left), (1, 0));
    for (job, result) in results {
        match (job, result) {
            (1, Ok(_)) => {}
            (0, Err(error @ JobError::Mismatch { .. })) | (2, Err(error @ JobError::Tree(_))) => {
                assert!(error.is_of_source());
            }
            (3, Err(error @ JobError::Sink { .. })) => assert!(!error.is_of_source()),
            (job, result) => panic!("{job}: {result:?}"),
        }
    }
}

#[test]
fn giving_up_does_not_wait_for_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = jobs(dir.path());
    let make = || -> Result<Box<dyn Sink>, SinkError> { Err("no".into()) };
    let progress = Progress::default();
    let settings = Settings {
        compression: Compression {
            method: Method::Zstd,
            level: 1,
        },
        threads: 0,
        finishers: FINISHERS,
        is_alone: false,
        open: &make,
        gate: None,
        withhold: false,
        progress: &progress,
    };
    let first = with_pipeline(&jobs, &settings, |pipeline| {
        (0..1_000).for_each(|_| pipeline.submit(3));
        pipeline.next(Duration::from_mins(1))
    });
    assert!(matches!(first, Some((3, Err(JobError::Sink { .. })))));
}
