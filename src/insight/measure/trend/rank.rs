//! The rank-sum test of Mann and Whitney: how probable is it that the later ones of some values are higher (or lower)
//! than the earlier ones by nothing but chance?
//!
//! It asks for no curve that the values follow, only that without a change any order of them were as probable as any other.

/// The smaller side may have so many values for the exact count, which takes work with its square.
const FEW: usize = 12;

/// The ranks of values, in the order of the values; equal ones share the mean of theirs.
pub(super) struct Ranks {
    /// Twice the ranks, for a mean of ranks may end in a half.
    twice: Vec<u32>,
    /// The sum of t³ − t over groups of t equal values.
    ties: f64,
}

impl Ranks {
    pub(super) fn of(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut twice = vec![0; values.len()];
        let mut ties = 0.0;
        let mut at = 0;
        while at < order.len() {
            let equal = |place: &&usize| values[**place].total_cmp(&values[order[at]]).is_eq();
            let group: Vec<usize> = order[at..].iter().take_while(equal).copied().collect();
            let size = u32::try_from(group.len()).unwrap_or(u32::MAX);
            let first = u32::try_from(at).unwrap_or(u32::MAX);
            for place in &group {
                twice[*place] = 2 * first + size + 1;
            }
            ties += f64::from(size).powi(3) - f64::from(size);
            at += group.len();
        }
        Self { twice, ties }
    }

    /// How far the values from `cut` on lie above those before, in standard deviations of what chance gives; negative:
    /// below. Zero: all values are equal.
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are at most some hundred values"
    )]
    pub(super) fn score(&self, cut: usize) -> f64 {
        let (left, right) = (cut as f64, (self.twice.len() - cut) as f64);
        let whole = left + right;
        let sum: f64 = self.twice[cut..]
            .iter()
            .map(|twice| f64::from(*twice) / 2.0)
            .sum();
        let beyond = sum - right * (right + 1.0) / 2.0 - left * right / 2.0;
        let spread = left * right / 12.0 * (whole + 1.0 - self.ties / (whole * (whole - 1.0)));
        if spread <= 0.0 {
            return 0.0;
        }
        // Half a step back, because ranks are whole numbers and the curve is not.
        (beyond.abs() - 0.5).max(0.0).copysign(beyond) / spread.sqrt()
    }

    /// How probable it is that the values from `cut` on have ranks at least as high (`up`) or as low as they have, counted
    /// over all ways to choose so many of the values; none: neither side is small enough to count them.
    pub(super) fn exact(&self, cut: usize, up: bool) -> Option<f64> {
        let later = self.twice.len() - cut;
        let (side, high) = if cut < later {
            (&self.twice[..cut], !up)
        } else {
            (&self.twice[cut..], up)
        };
        if side.len() > FEW {
            return None;
        }
        // Low ranks are high ones from the other end.
        let end = 2 * (self.twice.len() + 1);
        let value = |twice: &u32| {
            let twice = *twice as usize;
            if high { twice } else { end - twice }
        };
        let wanted: usize = side.iter().map(value).sum();
        let largest = side.len() * end;
        // ways[k][s]: in how many ways k of the values seen so far have the sum s.
        let mut ways = vec![vec![0.0f64; largest + 1]; side.len() + 1];
        ways[0][0] = 1.0;
        for rank in self.twice.iter().map(value) {
            for chosen in (1..=side.len()).rev() {
                let (fewer, more) = ways.split_at_mut(chosen);
                let (from, to) = (&fewer[chosen - 1], &mut more[0]);
                for (to, from) in to[rank..].iter_mut().zip(from) {
                    *to += from;
                }
            }
        }
        let ways = &ways[side.len()];
        Some(ways[wanted..].iter().sum::<f64>() / ways.iter().sum::<f64>())
    }
}

/// How probable it is that a normal value lies above `z`. Source: Abramowitz and Stegun, 7.1.26 (error below 1.5e-7).
pub(super) fn above(z: f64) -> f64 {
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
    use super::*;

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
        let ranks = Ranks::of(&[3.0, 1.0, 3.0, 2.0]);
        assert_eq!(ranks.twice, [7, 2, 7, 4]);
        assert!((ranks.ties - 6.0).abs() < f64::EPSILON);
        let same = Ranks::of(&[1.0; 6]);
        assert!(same.score(3).abs() < f64::EPSILON);
        assert_eq!(same.exact(3, true), Some(1.0));
    }

    /// By counting all ways to choose, one by one.
    fn counted(values: &[f64], cut: usize, up: bool) -> f64 {
        let ranks = Ranks::of(values).twice;
        let is: u32 = ranks[cut..].iter().sum();
        let (mut ways, mut found) = (0.0, 0.0);
        for chosen in 0u32..1 << values.len() {
            if chosen.count_ones() as usize == values.len() - cut {
                let sum: u32 = (0..values.len())
                    .filter(|at| chosen >> at & 1 == 1)
                    .map(|at| ranks[at])
                    .sum();
                ways += 1.0;
                found += f64::from(u8::from(if up { sum >= is } else { sum <= is }));
            }
        }
        found / ways
    }

    #[test]
    fn the_exact_count_is_that_of_all_choices() {
        for values in [
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0][..],
            &[3.0, 1.0, 3.0, 2.0, 3.0, 3.0, 0.0, 2.0],
            &[0.0, 0.0, 100.0, 0.0, 0.0, 100.0, 100.0, 100.0, 0.0],
        ] {
            for cut in 1..values.len() {
                for up in [true, false] {
                    let exact = Ranks::of(values).exact(cut, up).unwrap();
                    let wanted = counted(values, cut, up);
                    assert!((exact - wanted).abs() < 1e-12, "{values:?} {cut} {up}");
                }
            }
        }
        // Where the curve is good, both say the same.
        let values: Vec<f64> = (0..60).map(|at| f64::from(at * 7 % 60)).collect();
        let ranks = Ranks::of(&values);
        let exact = ranks.exact(49, ranks.score(49) > 0.0).unwrap();
        assert!((exact - above(ranks.score(49).abs())).abs() < 0.01);
        assert_eq!(ranks.exact(30, true), None);
    }
}
