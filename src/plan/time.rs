//! Points in time, whole seconds. The core never asks a clock; it is given a [`Time`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::Span;

/// Seconds since 1970-01-01 UTC. Printed and serialised as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// This long after; saturates.
    #[must_use]
    pub fn after(self, span: Span) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)),
        )
    }

    /// Seconds since 1970 in four bytes; what lies outside is moved to the edge.
    #[must_use]
    pub fn seconds(self) -> u32 {
        let inside = self.0.clamp(0, i64::from(u32::MAX));
        u32::try_from(inside).unwrap_or(0)
    }

    /// Seconds from `earlier` to here; zero if `earlier` is later (clocks jump).
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stamp = Timestamp::deserialize(deserializer)?;
        Ok(Self(stamp.as_second()))
    }
}

#[cfg(test)]
mod tests;
