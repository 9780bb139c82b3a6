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

/// Hit rates without a change, of several kinds of projects: steady; jumpy; mostly warm and now and then all cold;
/// a coin; full but for one of ten.
fn steady(dice: &mut Dice, kind: usize, runs: usize) -> Vec<f64> {
    let one = |_| match kind {
        0 => dice.around(85.0, 6.0),
        1 => dice.around(70.0, 15.0),
        2 if dice.unit() < 0.8 => dice.around(98.0, 2.0),
        2 => dice.around(20.0, 5.0),
        3 => f64::from(u8::from(dice.unit() < 0.5)) * 100.0,
        _ => f64::from(u8::from(dice.unit() < 0.9)) * 100.0,
    };
    (0..runs).map(one).collect()
}

#[test]
fn a_wobble_is_no_cry() {
    for kind in 0..5 {
        let mut dice = Dice(1);
        let mut cries = 0;
        for at in 0..500 {
            let runs = [10, 15, 25, 60][at % 4];
            cries += find(&series(&steady(&mut dice, kind, runs))).len();
        }
        // One of a hundred at most by chance; as many again are left for the dice.
        assert!(cries < 10, "{cries} of 500 ledgers, kind {kind}");
    }
}

/// Whoever looks after each run gives chance many chances.
#[test]
fn a_wobble_is_hardly_ever_a_cry_though_somebody_looks_after_each_run() {
    for kind in 0..5 {
        let mut dice = Dice(3);
        let mut cries = 0;
        for _ in 0..40 {
            let rates = steady(&mut dice, kind, 60);
            let points = series(&rates);
            cries += u32::from((10..=60).any(|runs| !find(&points[..runs]).is_empty()));
        }
        assert!(cries <= 4, "{cries} of 40 ledgers, kind {kind}");
    }
}

#[test]
fn times_that_wobble_are_no_cry_and_slower_ones_are_found() {
    let mut dice = Dice(5);
    let (mut cries, mut found) = (0, 0);
    for _ in 0..200 {
        let mut points = series(&[90.0; 48]);
        for point in &mut points {
            // Some runs take many times as long as most.
            let factor = dice.around(0.0, 0.5).exp();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is a time"
            )]
            let millis = |base: f64| Some((base * factor) as u64);
            (point.millis, point.push_millis) = (millis(60_000.0), millis(5_000.0));
        }
        cries += find(&points).len();
        for point in &mut points[38..] {
            point.push_millis = point.push_millis.map(|millis| millis * 3);
        }
        let trends = find(&points);
        found += usize::from(trends.iter().any(|it| it.figure == "time of pushes"));
    }
    assert!(cries < 6, "{cries} of 400 figures");
    assert!(found >= 190, "{found} of 200");
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

/// Stretches of runs about these rates; where the last trend is said to begin, most of twenty times.
fn told(stretches: &[(usize, f64)]) -> Option<i64> {
    let mut dice = Dice(11);
    let mut said = std::collections::BTreeMap::new();
    for _ in 0..20 {
        let mut rates = Vec::new();
        for (runs, rate) in stretches {
            rates.extend((0..*runs).map(|_| dice.around(*rate, 2.0)));
        }
        let place = find(&series(&rates)).first().map(|trend| trend.since.0);
        *said.entry(place).or_insert(0) += 1;
    }
    let (place, times) = said.into_iter().max_by_key(|(_, times)| *times).unwrap();
    assert!(times >= 15, "{place:?} {times} of 20 times");
    place
}

#[test]
fn the_last_change_is_told_and_only_if_it_is_for_the_worse() {
    assert_eq!(told(&[(50, 90.0), (50, 70.0)]), Some(50));
    // It was mended.
    assert_eq!(told(&[(50, 90.0), (20, 60.0), (50, 90.0)]), None);
    // It was bad long ago, then good, and is worse now: the old days do not hide it.
    assert_eq!(told(&[(30, 60.0), (30, 90.0), (10, 75.0)]), Some(60));
    assert_eq!(
        told(&[(50, 90.0), (50, 70.0), (50, 95.0), (10, 80.0)]),
        Some(150)
    );
    // Down by steps: the last step.
    assert_eq!(told(&[(40, 95.0), (40, 85.0), (40, 70.0)]), Some(80));
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
