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

    /// Whether everything is to be done on the caller's own thread, one thing after the other: so in
    /// simulations, where time goes on only by what is done.
    fn is_alone(&self) -> bool {
        false
    }
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

impl SystemClock {
    /// How much time has passed, by what both clocks say now.
    fn pass(&self, instant: Instant, wall: SystemTime) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // `Instant` stands still while a Linux or macOS machine sleeps, and the wall clock may be
        // set back; the larger of the two differences is never too short.
        let step = instant
            .saturating_duration_since(last.0)
            .max(wall.duration_since(last.1).unwrap_or_default());
        *last = (instant, wall, last.2 + step);
        last.2
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
        self.pass(Instant::now(), SystemTime::now())
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

    #[test]
    fn time_passes_while_one_of_the_clocks_stands_still_or_goes_back() {
        let clock = SystemClock::new();
        let (instant, wall) = (Instant::now(), SystemTime::now());
        let hour = Duration::from_hours(1);
        let start = clock.pass(instant, wall);
        // The machine slept: only the wall clock knows.
        assert_eq!(clock.pass(instant, wall + hour) - start, hour);
        // Somebody set the wall clock back by two hours, and an hour passed.
        assert_eq!(clock.pass(instant + hour, wall - hour) - start, 2 * hour);
        // Both agree.
        assert_eq!(clock.pass(instant + 2 * hour, wall) - start, 3 * hour);
    }
}
