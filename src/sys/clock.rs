//! The clock: the only place that asks what time it is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time as a process sees it. A trait, so that tests and simulations can be the clock.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01 UTC, for people; never compared between processes.
    fn unix(&self) -> i64;

    /// How long it is since some fixed moment of this process; never goes back, and does not
    /// stand still while the machine sleeps.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// Seconds since 1970-01-01 UTC by the clock of the machine.
#[must_use]
pub fn unix() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    /// When it was last asked, by both clocks, and how much time had passed by then.
    last: Mutex<(Instant, SystemTime, Duration)>,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            last: Mutex::new((Instant::now(), SystemTime::now(), Duration::ZERO)),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix(&self) -> i64 {
        unix()
    }

    fn elapsed(&self) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (instant, wall) = (Instant::now(), SystemTime::now());
        // `Instant` stands still while a Linux or macOS machine sleeps, and the wall clock may be
        // set back; the larger of the two differences is never too short.
        let step = instant
            .duration_since(last.0)
            .max(wall.duration_since(last.1).unwrap_or_default());
        *last = (instant, wall, last.2 + step);
        last.2
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let clock = SystemClock::new();
        let before = clock.elapsed();
        clock.sleep(Duration::from_millis(3));
        assert!(clock.elapsed() >= before + Duration::from_millis(3));
        assert!(clock.unix() > 1_600_000_000);
    }
}
