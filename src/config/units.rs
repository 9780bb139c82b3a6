//! Sizes, durations and shares as `cache.yaml` writes them: parsed strictly, printed back the same.
//!
//! Each spelling means one number, and [`Display`](fmt::Display) gives the spelling with the fewest
//! digits; parsing what was printed gives the same value (a property test). A number without its
//! unit is refused: nobody should have to guess whether `20` means bytes or gigabytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes, such as `20 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub u64);

/// A length of time in whole seconds, such as `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

/// A share in hundredths of a percent, such as `30%` = 3000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub u32);

/// Why a text is no size, duration or share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UnitError {
    /// Does not start with a number.
    #[error("does not start with a number")]
    NoNumber,
    /// Negative.
    #[error("is negative")]
    Negative,
    /// A number alone.
    #[error("has no unit")]
    NoUnit,
    /// A unit that we do not know.
    #[error("has an unknown unit")]
    UnknownUnit,
    /// A fraction where it would not be a whole number of bytes, seconds or hundredths.
    #[error("is not a whole number of the smallest unit")]
    Fraction,
    /// Beyond what fits.
    #[error("is too large")]
    TooLarge,
    /// More than 100 %.
    #[error("is more than 100%")]
    Above,
}

/// Units of [`Size`]; of two spellings that are equally short, the earlier one is printed.
const SIZES: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of [`Span`]. A week is read but printed as days.
const SPANS: [(&str, u64); 5] = [
    ("w", 7 * 24 * 3600),
    ("d", 24 * 3600),
    ("h", 3600),
    ("m", 60),
    ("s", 1),
];

/// At most this many digits after the point.
const PLACES: u32 = 3;

/// What the schema accepts, as a regular expression; the parser is as strict.
pub const SIZE_PATTERN: &str = r"^[0-9]+(\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|PB|KiB|MiB|GiB|TiB|PiB)$";
/// What the schema accepts, as a regular expression; the parser is as strict.
pub const SPAN_PATTERN: &str = "^[0-9]+ ?(s|m|h|d|w)$";
/// What the schema accepts, as a regular expression; the parser is as strict.
pub const SHARE_PATTERN: &str = r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?) ?%$";

/// Splits `12.5 GiB` into whole part, fraction and unit.
fn split(text: &str) -> Result<(u128, &str, &str), UnitError> {
    if text.starts_with('-') {
        return Err(UnitError::Negative);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    if whole.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let whole = whole.parse().map_err(|_| UnitError::TooLarge)?;
    let (fraction, unit) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            if end == 0 || end > PLACES as usize {
                return Err(UnitError::Fraction);
            }
            rest.split_at(end)
        }
    };
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if unit.is_empty() {
        return Err(UnitError::NoUnit);
    }
    Ok((whole, fraction, unit))
}

/// `whole.fraction * unit`, if that is a whole number below 2^64.
fn multiply(whole: u128, fraction: &str, unit: u64) -> Result<u64, UnitError> {
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(PLACES));
    let digits: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().map_err(|_| UnitError::Fraction)?
    };
    let product = whole
        .checked_mul(scale)
        .and_then(|whole| whole.checked_add(digits))
        .and_then(|number| number.checked_mul(u128::from(unit)))
        .ok_or(UnitError::TooLarge)?;
    if product % scale != 0 {
        return Err(UnitError::Fraction);
    }
    u64::try_from(product / scale).map_err(|_| UnitError::TooLarge)
}

fn unit_of(units: &[(&str, u64)], name: &str) -> Result<u64, UnitError> {
    let found = units.iter().find(|(unit, _)| *unit == name);
    found.map(|(_, size)| *size).ok_or(UnitError::UnknownUnit)
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (whole, fraction, unit) = split(text)?;
        multiply(whole, fraction, unit_of(&SIZES, unit)?).map(Self)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (whole, fraction, unit) = split(text)?;
        let unit = unit_of(&SPANS, unit)?;
        if !fraction.is_empty() {
            return Err(UnitError::Fraction);
        }
        multiply(whole, "", unit).map(Self)
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (whole, fraction, unit) = split(text)?;
        if unit != "%" {
            return Err(UnitError::UnknownUnit);
        }
        if fraction.len() > 2 {
            return Err(UnitError::Fraction);
        }
        let share = multiply(whole, fraction, 100)?;
        match u32::try_from(share) {
            Ok(share) if share <= 10_000 => Ok(Self(share)),
            _ => Err(UnitError::Above),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = 10_u128.pow(PLACES);
        let spelling = |(name, unit): &(&'static str, u64)| {
            let scaled = u128::from(self.0) * scale;
            let number = scaled / u128::from(*unit);
            if !scaled.is_multiple_of(u128::from(*unit)) || (self.0 > 0 && number < scale) {
                return None;
            }
            let fraction = format!("{:03}", number % scale);
            let fraction = fraction.trim_end_matches('0');
            let whole = (number / scale).to_string();
            let digits = whole.len() + fraction.len();
            let point = if fraction.is_empty() { "" } else { "." };
            Some((
                digits,
                !fraction.is_empty(),
                format!("{whole}{point}{fraction} {name}"),
            ))
        };
        let zero = [("B", 1)];
        let units: &[(&str, u64)] = if self.0 == 0 { &zero } else { &SIZES };
        let best = units
            .iter()
            .filter_map(spelling)
            .min_by_key(|(digits, broken, _)| (*digits, *broken));
        f.pad(&best.map_or_else(|| format!("{} B", self.0), |(_, _, text)| text))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 3600;
        // People write `24h` for a day of grace and `30d` for a month: from two days on, days.
        let (number, unit) = match self.0 {
            0 => (0, "s"),
            seconds if seconds.is_multiple_of(DAY) && seconds >= 2 * DAY => (seconds / DAY, "d"),
            seconds if seconds % 3600 == 0 => (seconds / 3600, "h"),
            seconds if seconds % 60 == 0 => (seconds / 60, "m"),
            seconds => (seconds, "s"),
        };
        f.pad(&format!("{number}{unit}"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        let text = match (hundredths, hundredths % 10) {
            (0, _) => format!("{whole}%"),
            (_, 0) => format!("{whole}.{}%", hundredths / 10),
            _ => format!("{whole}.{hundredths:02}%"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests;
