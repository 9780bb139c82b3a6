//! How long work tells how far it is, and how it is told to stop.

use std::sync::Arc;
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
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// Counters of their own that are told to stop with these: for work that is not shown.
    #[must_use]
    pub fn unseen(&self) -> Self {
        Self {
            stop: Arc::clone(&self.stop),
            ..Self::default()
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_work_stops_too_and_is_not_counted() {
        let shown = Progress::default();
        let unseen = shown.unseen();
        Progress::add(&unseen.paths_done, 3);
        assert_eq!(shown.paths_done.load(Ordering::Relaxed), 0);
        shown.stop();
        assert!(unseen.is_stopped());
    }
}
