//! How a cache grows, and when it is full.
//!
//! The slope is the median of the slopes between all pairs of samples (Theil and Sen): a prune, or one large push,
//! does not turn it. Beside it stands the fastest pace that was held for a third of the recorded time: few caches are
//! full before that says so. With less than [`LEAST`] samples, or less than a day between the first and the last, nothing is
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
    /// When it will be full at the fastest pace that it has held for a third of the recorded time; none: as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Time>,
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
    let (mut slopes, mut fastest) = (Vec::new(), 0);
    for (at, later) in samples.iter().enumerate() {
        for earlier in &samples[at + 1..] {
            let seconds = later.0.0 - earlier.0.0;
            if seconds > 0 {
                let bytes = i128::from(later.1) - i128::from(earlier.1);
                let slope = bytes * i128::from(DAY) / i128::from(seconds);
                slopes.push(slope);
                if seconds >= (last.0.0 - first.0.0) / 3 {
                    fastest = slope.max(fastest);
                }
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable();
    let per_day = slopes[slopes.len() / 2];
    let full = |pace: i128| {
        let left = i128::from(limit?) - i128::from(last.1);
        let seconds = (left * i128::from(DAY)).checked_div(pace.max(0))?;
        let full = last.0.0.saturating_add(i64::try_from(seconds).ok()?);
        let full = full.max(now.0);
        (full.saturating_sub(now.0) < HORIZON).then_some(Time(full))
    };
    Some(Forecast {
        per_day: i64::try_from(per_day).ok()?,
        full: full(per_day),
        earliest: full(fastest),
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

    #[test]
    fn the_earliest_day_is_that_of_the_fastest_third() {
        // Ten days: three of them at 1000 a day, the others at 100.
        let samples = days(&[0, 100, 200, 300, 1_300, 2_300, 3_300, 3_400, 3_500, 3_600]);
        let found = of(&samples, Some(9_600), Time(9 * DAY)).unwrap();
        assert_eq!(found.earliest, Some(Time(15 * DAY)));
        assert!(found.full > found.earliest);
        let steady = of(&days(&[1, 2, 3, 4, 5]), Some(10), Time(0)).unwrap();
        assert_eq!(steady.earliest, steady.full);
        let shrinking = of(&days(&[9, 8, 7, 6, 5]), Some(20), Time(0)).unwrap();
        assert_eq!(shrinking.earliest, None);
    }

    /// Caches that grow by pushes of all sizes, pruned each week: the truth lies before the earliest day in one of ten
    /// at most, and the day at the usual pace is right within a third for most.
    #[test]
    fn made_up_caches_are_full_when_it_says() {
        let mut seed = 42u64;
        let mut push = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Mostly small, sometimes large: about 1300 in the mean.
            let unit = (seed >> 33) % 1_000;
            unit * unit * unit / 250_000 + 300
        };
        let (mut early, mut right) = (0, 0);
        for _ in 0..200 {
            let mut sizes = vec![10_000u64];
            while sizes.len() < 400 {
                let pruned = if sizes.len() % 7 == 0 { 4_000 } else { 0 };
                let last = sizes[sizes.len() - 1];
                sizes.push(last.saturating_sub(pruned) + push());
            }
            let limit = 2 * sizes[39];
            let truth = sizes.iter().position(|bytes| *bytes >= limit).unwrap();
            let truth = Time(i64::try_from(truth).unwrap() * DAY);
            let found = of(&days(&sizes[..40]), Some(limit), Time(39 * DAY)).unwrap();
            let (full, earliest) = (found.full.unwrap(), found.earliest.unwrap());
            assert!(earliest <= full);
            early += u32::from(truth < earliest);
            let (said, is) = (full.0 - 39 * DAY, truth.0 - 39 * DAY);
            right += u32::from((said - is).abs() * 3 <= is);
        }
        assert!(early <= 20, "{early} of 200 were full before");
        assert!(right >= 150, "{right} of 200 were said right");
    }
}
