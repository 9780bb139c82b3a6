//! The time of the stand-in: the machine's, or one that stands still, moved on by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What the stand-in takes for the time. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    /// Where it stands; `None` for a clock that goes with the machine's.
    stands_at: Option<Timestamp>,
    ahead: SignedDuration,
}

impl Clock {
    /// A clock that stands at `at`, or goes with the machine's.
    pub fn new(at: Option<Timestamp>) -> Self {
        Self(Arc::new(Mutex::new(Reading {
            stands_at: at,
            ahead: SignedDuration::ZERO,
        })))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let reading = self.0.lock().unwrap();
        let base = reading.stands_at.unwrap_or_else(Timestamp::now);
        base.saturating_add(reading.ahead).unwrap_or(base)
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let mut reading = self.0.lock().unwrap();
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        reading.ahead = reading.ahead.saturating_add(by);
    }
}
