//! How a cache grows, and when it is full.
//!
//! The slope is the median of the slopes between all pairs of samples (Theil and Sen): a prune, or one large push,
//! does not turn it. With less than [`LEAST`] samples, or less than a day between the first and the last, nothing is
//! said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::time::Time;

/// So many samples at least.
const LEAST: usize = 5;
/// Beyond this many, every second, third, … counts: pairs grow with the square.
const MOST: usize = 400;
const DAY: i64 = 86_400;
/// Later than this nobody plans.
const HORIZON: i64 = 3_650 * DAY;

/// How a cache grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// Bytes a day; negative: it shrinks.
    pub per_day: i64,
    /// When it will be full at this rate; none: it does not grow, has no limit, or that is more than ten years away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<Time>,
}

/// The forecast of these samples, the oldest first.
pub(super) fn of(samples: &[(Time, u64)], limit: Option<u64>, now: Time) -> Option<Forecast> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < LEAST || last.0.0 - first.0.0 < DAY {
        return None;
    }
    let step = samples.len().div_ceil(MOST);
    // The last one counts in any case.
    let samples: Vec<_> = samples.iter().rev().step_by(step).collect();
    let mut slopes = Vec::new();
    for (at, later) in samples.iter().enumerate() {
        for earlier in &samples[at + 1..] {
            let seconds = later.0.0 - earlier.0.0;
            if seconds > 0 {
                let bytes = i128::from(later.1) - i128::from(earlier.1);
                slopes.push(bytes * i128::from(DAY) / i128::from(seconds));
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable();
    let per_day = slopes[slopes.len() / 2];
    let full = limit.filter(|_| per_day > 0).and_then(|limit| {
        let left = i128::from(limit) - i128::from(last.1);
        let seconds = i64::try_from(left * i128::from(DAY) / per_day).ok()?;
        let full = last.0.0.saturating_add(seconds).max(now.0);
        (full - now.0 < HORIZON).then_some(Time(full))
    });
    Some(Forecast {
        per_day: i64::try_from(per_day).ok()?,
        full,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(bytes: &[u64]) -> Vec<(Time, u64)> {
        (0i64..)
            .zip(bytes)
            .map(|(day, bytes)| (Time(day * DAY), *bytes))
            .collect()
    }

    #[test]
    fn a_steady_growth_fills_the_cache_on_its_day() {
        let samples = days(&[100, 200, 300, 400, 500, 600]);
        let found = of(&samples, Some(1_000), Time(5 * DAY)).unwrap();
        assert_eq!((found.per_day, found.full), (100, Some(Time(9 * DAY))));
        assert_eq!(of(&samples, None, Time(5 * DAY)).unwrap().full, None);
        assert_eq!(
            of(&samples, Some(500), Time(7 * DAY)).unwrap().full,
            Some(Time(7 * DAY))
        );
    }

    #[test]
    fn one_prune_or_one_large_push_does_not_turn_it() {
        let samples = days(&[100, 200, 300, 5_000, 500, 600, 0, 800, 900, 1_000]);
        let found = of(&samples, Some(2_000), Time(9 * DAY)).unwrap();
        assert_eq!(found.per_day, 100);
    }

    #[test]
    fn with_little_nothing_is_said() {
        assert_eq!(of(&days(&[1, 2, 3, 4]), Some(9), Time(0)), None);
        let hours: Vec<_> = (0..9).map(|hour| (Time(hour * 3_600), 1)).collect();
        assert_eq!(of(&hours, Some(9), Time(0)), None);
        let same = vec![(Time(0), 1); 9];
        assert_eq!(of(&same, Some(9), Time(0)), None);
        let shrinking = of(&days(&[9, 8, 7, 6, 5]), Some(20), Time(0)).unwrap();
        assert_eq!((shrinking.per_day, shrinking.full), (-1, None));
        let slow = of(&days(&[1, 2, 3, 4, 5]), Some(1 << 40), Time(0)).unwrap();
        assert_eq!(slow.full, None);
    }
}
