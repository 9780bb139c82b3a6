//! Sizes as sentences have them: to a tenth, in the unit that suits. `cache.yaml` has [`super::units::Size`].

use std::fmt;

/// Binary units.
const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes that are printed to a tenth of a unit: `17 B`, `11.4 MiB`. Not for reading back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rough(pub u64);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |unit: usize| {
            let one = 1_u128 << (10 * unit);
            (u128::from(self.0) * 10 + one / 2) / one
        };
        // One step earlier than 1024, so that rounding never prints `1024.0 MiB`.
        let fits = |unit: &usize| tenths(*unit) < 10_240;
        let unit = (0..UNITS.len()).find(fits).unwrap_or(UNITS.len() - 1);
        match unit {
            0 => write!(f, "{} B", self.0),
            unit => write!(
                f,
                "{}.{} {}",
                tenths(unit) / 10,
                tenths(unit) % 10,
                UNITS[unit]
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rough;

    #[test]
    fn is_short_and_never_a_thousand_of_a_unit() {
        let text = |bytes| Rough(bytes).to_string();
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1023), "1023 B");
        assert_eq!(text(1024), "1.0 KiB");
        assert_eq!(text(12_001_273), "11.4 MiB");
        assert_eq!(text((1 << 30) - 1), "1.0 GiB");
        assert_eq!(text(u64::MAX), "16.0 EiB");
    }
}
