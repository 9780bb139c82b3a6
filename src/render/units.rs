//! Numbers for people: counts, plurals, sizes, durations, shares. The only place that spells them.

/// A number with commas between thousands: `1,204`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what is counted: `1 path`, `1,204 paths`.
#[must_use]
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A number of things whose plural ends in `s`.
#[must_use]
pub fn things(number: u64, one: &str) -> String {
    plural(number, one, &format!("{one}s"))
}

/// Binary units.
const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// The unit in which a size has a whole part below 1,000 or so (1,023 bytes are bytes).
fn unit_of(bytes: u64) -> usize {
    let mut unit = 0;
    // One step earlier than 1024, so that rounding never prints `1024.0 MiB`.
    while unit + 1 < UNITS.len() && tenths(bytes, unit) >= 10_240 {
        unit += 1;
    }
    unit
}

/// A size in tenths of a unit, rounded half up.
fn tenths(bytes: u64, unit: usize) -> u128 {
    let one = 1_u128 << (10 * unit);
    (u128::from(bytes) * 10 + one / 2) / one
}

fn in_unit(bytes: u64, unit: usize) -> String {
    if unit == 0 {
        return count(bytes);
    }
    let tenths = tenths(bytes, unit);
    let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
    format!("{}.{}", count(whole), tenths % 10)
}

/// A size: `17 B`, `812.4 MiB`, `1.3 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let unit = unit_of(bytes);
    format!("{} {}", in_unit(bytes, unit), UNITS[unit])
}

/// A part and its whole: `3.4 GiB of 9.8 GiB`.
#[must_use]
pub fn size_of(part: u64, whole: u64) -> String {
    format!("{} of {}", size(part), size(whole))
}

/// A length of time in its largest unit, rounded down from two of it on: `41 days`, `36 hours`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    for (length, name) in UNITS {
        // `2 days` is clear where `1 day` would hide 23 hours.
        if seconds >= 2 * length || seconds == length {
            return things(seconds / length, name);
        }
    }
    things(seconds, "second")
}

/// A length of time that is still to come, rounded to its largest unit: nobody says `89 days` of 90 days less
/// the second that has passed.
#[must_use]
pub fn to_come(seconds: u64) -> String {
    const UNITS: [u64; 3] = [86_400, 3_600, 60];
    let unit = UNITS
        .into_iter()
        .find(|unit| seconds + unit / 2 >= 2 * unit);
    duration(unit.map_or(seconds, |unit| (seconds + unit / 2) / unit * unit))
}

/// How long something took: `0.42 s`, `12.0 s`, `3 min 20 s`, `2 h 05 min`.
#[must_use]
pub fn elapsed(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{seconds}.{:02} s", milliseconds % 1000 / 10),
        10..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", count(seconds / 3600), seconds % 3600 / 60),
    }
}

/// A part of a whole in percent, rounded down, so that `100%` means all: `97%`.
/// Nothing of nothing is all of it.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    let share = (u128::from(part) * 100)
        .checked_div(u128::from(whole))
        .unwrap_or(100);
    format!("{}%", share.min(100))
}

/// How many times larger: `×2.7`; `None` where that says nothing.
#[must_use]
pub fn ratio(before: u64, after: u64) -> Option<String> {
    if before == 0 || after == 0 {
        return None;
    }
    let tenths = (u128::from(before) * 10 + u128::from(after) / 2) / u128::from(after);
    Some(format!("×{}.{}", tenths / 10, tenths % 10))
}

/// Bytes in so many milliseconds: `12.3 MiB/s`; `None` before a time has passed.
#[must_use]
pub fn rate(bytes: u64, milliseconds: u64) -> Option<String> {
    let per_second = (u128::from(bytes) * 1000).checked_div(u128::from(milliseconds))?;
    Some(format!(
        "{}/s",
        size(u64::try_from(per_second).unwrap_or(u64::MAX))
    ))
}

/// Puts words in a row: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_plurals() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1204), "1,204");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(plural(1, "entry", "entries"), "1 entry");
        assert_eq!(things(0, "path"), "0 paths");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn sizes() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1,023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(851_863_142), "812.4 MiB");
        // Not `1,024.0 MiB`.
        assert_eq!(size((1 << 30) - 1), "1.0 GiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(size_of(3_650_722_202, 10_522_669_875), "3.4 GiB of 9.8 GiB");
        assert_eq!(size_of(5 << 20, 10 << 30), "5.0 MiB of 10.0 GiB");
        assert_eq!(size_of(0, 10 << 30), "0 B of 10.0 GiB");
    }

    #[test]
    fn times() {
        assert_eq!(to_come(90 * 86_400 - 1), "90 days");
        assert_eq!(to_come(36 * 3600 - 1), "36 hours");
        assert_eq!(to_come(36 * 3600), "2 days");
        assert_eq!(to_come(35 * 3600), "35 hours");
        assert_eq!(to_come(86_400 - 1), "1 day");
        assert_eq!(
            (to_come(59), to_come(0)),
            ("59 seconds".to_owned(), "0 seconds".to_owned())
        );
        assert_eq!(duration(0), "0 seconds");
        assert_eq!(duration(41 * 86_400 + 7), "41 days");
        assert_eq!(duration(86_400), "1 day");
        assert_eq!(duration(36 * 3600), "36 hours");
        assert_eq!(duration(90), "90 seconds");
        assert_eq!(elapsed(425), "0.42 s");
        assert_eq!(elapsed(12_345), "12.3 s");
        assert_eq!(elapsed(200_000), "3 min 20 s");
        assert_eq!(elapsed(7_500_000), "2 h 05 min");
    }

    #[test]
    fn shares_and_rates() {
        assert_eq!(percent(999, 1000), "99%");
        assert_eq!(percent(0, 0), "100%");
        assert_eq!(percent(3, 2), "100%");
        assert_eq!(ratio(27, 10).as_deref(), Some("×2.7"));
        assert_eq!(ratio(1, 0), None);
        assert_eq!(rate(1 << 20, 500).as_deref(), Some("2.0 MiB/s"));
        assert_eq!(rate(1, 0), None);
    }
}
