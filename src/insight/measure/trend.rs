//! What got worse, and since when: a change of level between two stretches of runs.
//!
//! Every place where the runs could be cut is judged by the rank-sum test of Mann and Whitney (with the normal
//! approximation, corrected for ties); of the cuts the clearest counts, and its probability is multiplied by the number
//! of cuts that were tried. So something is said only where chance would say it in fewer than one of a hundred
//! ledgers, and only if the medians differ by enough to matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Point;
use crate::plan::time::Time;

/// So many runs on either side, at least.
const SIDE: usize = 5;
/// No more runs than these, the latest, are looked at.
const WINDOW: usize = 200;
/// How probable chance may be.
const CHANCE: f64 = 0.01;
/// Points of percent by which a rate must differ.
const POINTS: f64 = 5.0;
/// By which share a time must differ.
const TIMES: f64 = 0.2;

/// Something that got worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// What: `hit rate`, `time of runs`, `time of pushes`.
    pub figure: String,
    /// Its median before.
    pub before: f64,
    /// Its median since.
    pub after: f64,
    /// In which unit these are: `%` or `ms`.
    pub unit: String,
    /// The first run since which it is worse.
    pub since: Time,
    /// The commit of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How many runs there were since.
    pub runs: u64,
}

/// What got worse in these runs, the oldest first.
pub(super) fn find(series: &[Point]) -> Vec<Trend> {
    let rate = |point: &Point| {
        let share = point.paths?.share()?;
        Some(f64::from(share) / 100.0)
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of years fit")]
    let of = |millis: Option<u64>| millis.map(|millis| millis as f64);
    let worse_rate = |before: f64, after: f64| before - after >= POINTS;
    let worse_time = |before: f64, after: f64| after > before * (1.0 + TIMES);
    let nix = |point: &Point| of(point.millis.filter(|_| point.paths.is_some()));
    let push = |point: &Point| of(point.push_millis);
    let mut found = Vec::new();
    found.extend(one(series, "hit rate", "%", -1.0, &rate, &worse_rate));
    found.extend(one(series, "time of runs", "ms", 1.0, &nix, &worse_time));
    found.extend(one(series, "time of pushes", "ms", 1.0, &push, &worse_time));
    found
}

/// `bad`: 1 if more is worse, -1 if less is.
fn one(
    series: &[Point],
    figure: &str,
    unit: &str,
    bad: f64,
    value: &dyn Fn(&Point) -> Option<f64>,
    matters: &dyn Fn(f64, f64) -> bool,
) -> Option<Trend> {
    let known: Vec<(&Point, f64)> = series
        .iter()
        .filter_map(|point| Some((point, value(point)?)))
        .collect();
    let known = &known[known.len().saturating_sub(WINDOW)..];
    let values: Vec<f64> = known.iter().map(|(_, value)| *value * bad).collect();
    let (cut, chance) = clearest(&values)?;
    let before = median(&known[..cut])?;
    let after = median(&known[cut..])?;
    (chance < CHANCE && matters(before, after)).then(|| Trend {
        figure: figure.to_owned(),
        before,
        after,
        unit: unit.to_owned(),
        since: known[cut].0.start,
        commit: known[cut].0.commit.clone(),
        runs: (known.len() - cut) as u64,
    })
}

fn median(values: &[(&Point, f64)]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The cut after which values are most clearly higher than before, and how probable that is by chance.
pub(super) fn clearest(values: &[f64]) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * SIDE {
        return None;
    }
    let (ranks, ties) = ranks(values);
    let mut best: Option<(usize, f64)> = None;
    let cuts = SIDE..=count - SIDE;
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are at most some hundred values"
    )]
    for cut in cuts.clone() {
        let (left, right) = (cut as f64, (count - cut) as f64);
        let whole = left + right;
        let sum: f64 = ranks[cut..].iter().sum();
        let u = sum - right * (right + 1.0) / 2.0;
        let mean = left * right / 2.0;
        let spread = left * right / 12.0 * (whole + 1.0 - ties / (whole * (whole - 1.0)));
        if spread > 0.0 {
            // Half a step back, because ranks are whole numbers and the curve is not.
            let z = (u - mean - 0.5) / spread.sqrt();
            if best.is_none_or(|(_, known)| z > known) {
                best = Some((cut, z));
            }
        }
    }
    let (cut, z) = best?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are at most some hundred cuts"
    )]
    let tried = cuts.count() as f64;
    Some((cut, (above(z) * tried).min(1.0)))
}

/// Ranks, the mean of those that are equal; and the sum of t³ − t over groups of equals.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut ties = 0.0;
    let mut at = 0;
    while at < order.len() {
        let mut end = at + 1;
        while end < order.len() && values[order[end]].total_cmp(&values[order[at]]).is_eq() {
            end += 1;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are at most some hundred values"
        )]
        let (rank, equal) = ((at + end + 1) as f64 / 2.0, (end - at) as f64);
        for place in &order[at..end] {
            ranks[*place] = rank;
        }
        ties += equal.powi(3) - equal;
        at = end;
    }
    (ranks, ties)
}

/// How probable it is that a normal value lies above `z`. Source: Abramowitz and Stegun, 7.1.26 (error below 1.5e-7).
fn above(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let beyond = polynomial * (-x * x).exp() / 2.0;
    if z >= 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::super::Rate;
    use super::*;

    /// Numbers that look random, the same on each run.
    struct Dice(u64);

    impl Dice {
        fn unit(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1u32 << 31)
        }

        /// Somewhat normal, with this mean and spread.
        fn around(&mut self, mean: f64, spread: f64) -> f64 {
            let sum: f64 = (0..12).map(|_| self.unit()).sum();
            mean + (sum - 6.0) * spread
        }
    }

    fn series(rates: &[f64]) -> Vec<Point> {
        let point = |(at, rate): (i64, &f64)| Point {
            start: Time(at),
            what: String::new(),
            commit: Some(format!("c{at}")),
            millis: None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is a share"
            )]
            paths: Some(Rate {
                hit: (rate * 10.0).clamp(0.0, 1000.0) as u64,
                all: 1000,
                unknown: 0,
            }),
            push_millis: None,
            sizes: std::collections::BTreeMap::new(),
        };
        (0..).zip(rates).map(point).collect()
    }

    #[test]
    fn a_wobble_is_no_cry() {
        let mut dice = Dice(1);
        let mut cries = 0;
        for _ in 0..600 {
            let rates: Vec<f64> = (0..60).map(|_| dice.around(85.0, 6.0)).collect();
            cries += find(&series(&rates)).len();
        }
        // One of a hundred at most by chance; twice that is left for the dice.
        assert!(cries <= 12, "{cries} of 600 ledgers without a change");
    }

    #[test]
    fn a_drop_of_fifteen_points_is_found_within_eight_runs() {
        let mut dice = Dice(7);
        let (mut found, mut placed) = (0, 0);
        for _ in 0..100 {
            let mut rates: Vec<f64> = (0..40).map(|_| dice.around(88.0, 4.0)).collect();
            rates.extend((0..8).map(|_| dice.around(73.0, 4.0)));
            let trends = find(&series(&rates));
            if let Some(trend) = trends.first() {
                assert_eq!(trend.figure, "hit rate");
                assert!(trend.before > trend.after);
                found += 1;
                // The cut is where it happened, or a run or two beside it.
                placed += u32::from((38..=42).contains(&trend.since.0));
            }
        }
        assert!(found >= 99, "{found} of 100 were found");
        assert!(placed >= 90, "{placed} of 100 were found in their place");
    }

    #[test]
    fn what_got_better_or_hardly_worse_is_no_trend() {
        let better: Vec<f64> = (0..40)
            .map(|at| if at < 20 { 50.0 } else { 90.0 })
            .collect();
        assert_eq!(find(&series(&better)), []);
        let hardly: Vec<f64> = (0..40)
            .map(|at| if at < 20 { 90.0 } else { 87.0 })
            .collect();
        assert_eq!(find(&series(&hardly)), []);
        let few: Vec<f64> = (0..9).map(|at| if at < 5 { 90.0 } else { 10.0 }).collect();
        assert_eq!(find(&series(&few)), []);
    }

    #[test]
    fn the_tail_of_the_normal_curve_is_right() {
        for (z, wanted) in [
            (0.0, 0.5),
            (1.644_853_6, 0.05),
            (2.326_347_9, 0.01),
            (-1.0, 0.841_344_7),
        ] {
            assert!((above(z) - wanted).abs() < 1e-5, "{z}");
        }
    }

    #[test]
    fn equal_values_share_their_ranks() {
        let (ranks, ties) = ranks(&[3.0, 1.0, 3.0, 2.0]);
        assert_eq!(ranks, [3.5, 1.0, 3.5, 2.0]);
        assert!((ties - 6.0).abs() < f64::EPSILON);
    }
}
