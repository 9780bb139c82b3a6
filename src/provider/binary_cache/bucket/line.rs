//! The line out of this process: how many bytes are on their way at once, and how long they may take.
//!
//! All caches share it. A part that is not through in its time shows that the line is slow; from then
//! on large parts go one after another, so that each gets all of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// KiB of all files together that are in memory because they are being sent.
const MEMORY: u32 = 24 << 10;

/// Bytes from which on a body is a large one.
const LARGE: usize = 1 << 20;

/// Whether a body of so many bytes is a large one.
pub(super) const fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

/// What may be on its way beside a body that is sent: small files, which are not counted.
const BESIDE: u64 = 8 << 20;

/// How long bodies may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Until the answer, without what sending takes.
    pub(super) answer: Duration,
    /// Bytes in a second that the line is thought to carry at least.
    pub(super) speed: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_mins(1),
            speed: 64 << 10,
        }
    }
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    pace: Pace,
    room: Arc<Semaphore>,
    is_slow: AtomicBool,
    alone: Semaphore,
}

impl Line {
    pub(super) fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            pace,
            room: Arc::new(Semaphore::new(MEMORY as usize)),
            is_slow: AtomicBool::new(false),
            alone: Semaphore::new(1),
        })
    }

    /// That of this process.
    pub(super) fn of_process() -> Arc<Self> {
        static LINE: LazyLock<Arc<Line>> = LazyLock::new(|| Line::new(Pace::default()));
        Arc::clone(&LINE)
    }

    /// Room for so many bytes that are sent; waits for it. `None` never comes: it is never closed.
    ///
    /// Before they are signed: a storage refuses what was signed too long ago.
    pub(super) async fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = if self.is_slow.load(Ordering::Relaxed) {
            MEMORY
        } else {
            u32::try_from(bytes.div_ceil(1024)).map_or(MEMORY, |kib| kib.min(MEMORY))
        };
        Arc::clone(&self.room).acquire_many_owned(kib).await.ok()
    }

    /// How long a body of so many bytes may take, with its answer.
    pub(super) fn limit(&self, bytes: usize) -> Duration {
        let bytes = (bytes as u64).saturating_add(BESIDE);
        self.pace.answer + Duration::from_secs(bytes.div_ceil(self.pace.speed.max(1)))
    }

    /// A body of so many bytes was not through in its time.
    pub(super) fn was_late(&self, bytes: usize) {
        if is_large(bytes) {
            self.is_slow.store(true, Ordering::Relaxed);
        }
    }

    /// A body of so many bytes was through after this time.
    pub(super) fn was_through(&self, bytes: usize, after: Duration) {
        // With so much to spare, many at once are through in time, too.
        if is_large(bytes) && after < self.limit(bytes) / 8 {
            self.is_slow.store(false, Ordering::Relaxed);
        }
    }

    /// The whole line for a body that was late once; `None`: it is a small one.
    pub(super) async fn alone(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if !is_large(bytes) {
            return None;
        }
        self.alone.acquire().await.ok()
    }
}
