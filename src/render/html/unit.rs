//! What the numbers of a chart are: how they are written, and where an axis of them ends.

use crate::render::units::{elapsed, size};

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Parts of one, written in percent.
    Share,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Millis,
    /// Money, in whatever it is paid.
    Money,
}

/// Tops of an axis of times, in seconds: their quarters are times that people think in.
const TIMES: [f64; 22] = [
    1.0,
    2.0,
    4.0,
    8.0,
    20.0,
    40.0,
    60.0,
    120.0,
    240.0,
    480.0,
    1200.0,
    2400.0,
    3600.0,
    7200.0,
    14_400.0,
    28_800.0,
    57_600.0,
    86_400.0,
    172_800.0,
    345_600.0,
    691_200.0,
    1_382_400.0,
];

/// Room for what the numbers of computers cannot say.
const LITTLE: f64 = 1.000_001;

impl Unit {
    /// A number in words.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Share => {
                let text = format!("{:.1}", value * 100.0);
                format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
            }
            Self::Bytes => size(whole(value)),
            Self::Millis => elapsed(whole(value)),
            Self::Money => format!("{value:.2}"),
        }
    }

    /// Where an axis ends that is to have room for this.
    pub(super) fn round_up(self, value: f64) -> f64 {
        if value <= 0.0 {
            return 1.0;
        }
        match self {
            Self::Share | Self::Money => decimal(value),
            Self::Bytes => {
                let unit = 1024_f64.powf(value.log(1024.0).floor().max(0.0));
                match value / unit {
                    many if many > 500.0 => unit * 1024.0,
                    many => decimal(many) * unit,
                }
            }
            Self::Millis => {
                let seconds = value / 1000.0;
                let known = TIMES.into_iter().find(|top| seconds <= top * LITTLE);
                let top = match known {
                    Some(top) if seconds > 0.5 => top,
                    _ => decimal(seconds),
                };
                top * 1000.0
            }
        }
    }
}

/// The next of 1, 2, 2.5, 5, 10 times a power of ten.
fn decimal(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = steps
        .into_iter()
        .find(|step| value <= step * power * LITTLE);
    step.unwrap_or(10.0) * power
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is drawn is no negative number, and one that is too large is cut"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_where_people_count() {
        let top = |unit: Unit, value: f64| unit.text(unit.round_up(value));
        for (unit, value, text) in [
            (Unit::Share, 0.85, "100%"),
            (Unit::Share, 0.3, "50%"),
            (Unit::Share, 0.0, "100%"),
            (Unit::Bytes, 31.0 * 1_073_741_824.0, "50.0 GiB"),
            (Unit::Bytes, 900.0 * 1_048_576.0, "1.0 GiB"),
            (Unit::Bytes, 600.0 * 1_048_576.0, "1.0 GiB"),
            (Unit::Bytes, 7.0, "10 B"),
            (Unit::Millis, 130_000.0, "4 min 00 s"),
            (Unit::Millis, 8_000_000.0, "4 h 00 min"),
            (Unit::Millis, 30.0, "0.05 s"),
            (Unit::Money, 12.3, "20.00"),
        ] {
            assert_eq!(top(unit, value), text, "{unit:?} {value}");
            assert!(unit.round_up(value) * LITTLE >= value, "{unit:?} {value}");
        }
        assert!(Unit::Millis.round_up(9e12) >= 9e12);
        assert_eq!(Unit::Share.text(0.8512), "85.1%");
        assert_eq!(Unit::Bytes.text(-1.0), "0 B");
    }
}
