//! How long work tells how far it is, and how it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters that workers add to and a display reads; cheap enough for every block.
#[derive(Debug, Default)]
pub struct Progress {
    /// Paths (or objects) that are to be done.
    pub paths_total: AtomicU64,
    /// Paths (or objects) done.
    pub paths_done: AtomicU64,
    /// Bytes that are to be read (NAR bytes for a push).
    pub bytes_total: AtomicU64,
    /// Bytes read.
    pub bytes_done: AtomicU64,
    /// Bytes written (compressed).
    pub bytes_written: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Asks the work to stop after the current objects.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether the work was asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}
