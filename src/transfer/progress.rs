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

    /// Takes paths and bytes that were expected back, and expects others instead.
    pub fn expect(&self, before: (u64, u64), after: (u64, u64)) {
        for (total, before, after) in [
            (&self.paths_total, before.0, after.0),
            (&self.bytes_total, before.1, after.1),
        ] {
            total.fetch_add(after, Ordering::Relaxed);
            total.fetch_sub(before, Ordering::Relaxed);
        }
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
    fn expectations_change() {
        let progress = Progress::default();
        progress.expect((0, 0), (5, 50));
        progress.expect((2, 20), (3, 10));
        assert_eq!(progress.paths_total.load(Ordering::Relaxed), 6);
        assert_eq!(progress.bytes_total.load(Ordering::Relaxed), 40);
    }

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
