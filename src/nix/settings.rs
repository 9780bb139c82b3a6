//! The settings that Nix knows: names, aliases, kinds of value, versions, defaults.
//!
//! From Nix 2.8 to 2.35 (a few of 2.36). Settings that only exist on macOS are in. Promise: a
//! name that is in no version of Nix is found here to be unknown; a default is given only where
//! it is the same in all versions and on all machines.

mod table;

use std::fmt;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `yes`, `1`, `false`, `no`, `0`; lower case only.
    Bool,
    /// A decimal number, from 2.23 also with `K`, `M`, `G` or `T`. Seconds and bytes are such.
    Integer,
    /// A number, or `auto`.
    IntegerOrAuto,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Words in order, repeated ones kept.
    List,
    /// Words without order, each once.
    Set,
    /// Words `key=value`.
    Map,
    /// A path that must not be empty.
    Path,
    /// A path, or nothing.
    OptionalPath,
    /// Any text.
    Text,
}

/// What is wrong with a value. All of these make every Nix command fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No bool.
    #[error("`{0}` is none of `true`, `yes`, `1`, `false`, `no`, `0`")]
    Bool(String),
    /// No number.
    #[error("`{0}` is not a number of 0 or more")]
    Integer(String),
    /// None of the words allowed.
    #[error("`{value}` is none of {}", Words(.allowed))]
    OneOf {
        /// The value.
        value: String,
        /// The words allowed.
        allowed: &'static [&'static str],
    },
    /// An empty path.
    #[error("a path is missing")]
    EmptyPath,
}

/// Words in back-ticks.
struct Words<'a>(&'a [&'a str]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            write!(f, "{}`{word}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Kind {
    /// Whether `extra-NAME` appends to such a setting.
    #[must_use]
    pub const fn can_append(self) -> bool {
        matches!(self, Self::List | Self::Set | Self::Map)
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// Nix would refuse it, in every version. (A number with a unit letter is fine here, though
    /// fatal to versions before 2.23: see [`has_unit`].)
    pub fn check(self, words: &[String]) -> Result<(), ValueError> {
        let value = || words.join(" ");
        let one = match words {
            [] => "",
            [word] => word.as_str(),
            // No kind but lists and texts takes several words; a blank is in no other value.
            [_, ..] => " ",
        };
        match self {
            Self::Bool => match one {
                "true" | "yes" | "1" | "false" | "no" | "0" => Ok(()),
                _ => Err(ValueError::Bool(value())),
            },
            Self::IntegerOrAuto if one == "auto" => Ok(()),
            Self::Integer | Self::IntegerOrAuto => {
                let digits = if has_unit(one) {
                    &one[..one.len() - 1]
                } else {
                    one
                };
                let number = digits.bytes().all(|byte| byte.is_ascii_digit());
                match digits.parse::<u64>() {
                    Ok(_) if number => Ok(()),
                    _ => Err(ValueError::Integer(value())),
                }
            }
            Self::OneOf(allowed) if allowed.contains(&one) => Ok(()),
            Self::OneOf(allowed) => Err(ValueError::OneOf {
                value: value(),
                allowed,
            }),
            Self::Path if words.is_empty() => Err(ValueError::EmptyPath),
            Self::Path | Self::OptionalPath | Self::Text | Self::List | Self::Set | Self::Map => {
                Ok(())
            }
        }
    }
}

/// Whether a number ends in a unit letter, which versions before 2.23 refuse.
#[must_use]
pub fn has_unit(number: &str) -> bool {
    number.ends_with(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't'])
}

/// A version of Nix, without the patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 2 as long as anybody remembers.
    pub major: u32,
    /// Counts releases.
    pub minor: u32,
}

impl Version {
    /// Reads the version out of a text such as `nix (Nix) 2.8.0` or `2.34.8pre…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits = minor
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(minor.len());
        Some(Self {
            major,
            minor: minor[..digits].parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is known about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its main name.
    pub name: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The first version that has it; none when 2.8 has it.
    pub since: Option<Version>,
    /// The first version that has it no longer.
    pub until: Option<Version>,
    /// Its default, words separated by blanks, where that is the same everywhere.
    pub default: Option<&'static str>,
}

impl Info {
    /// Whether `version` (2.8 or later) has this setting.
    #[must_use]
    pub fn is_known_to(&self, version: Version) -> bool {
        self.since.is_none_or(|since| version >= since)
            && self.until.is_none_or(|until| version < until)
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn since(mut self, minor: u32) -> Self {
        self.since = Some(Version { major: 2, minor });
        self
    }

    const fn until(mut self, minor: u32) -> Self {
        self.until = Some(Version { major: 2, minor });
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// A row of the table.
const fn setting(name: &'static str, kind: Kind) -> Info {
    Info {
        name,
        aliases: &[],
        kind,
        since: None,
        until: None,
        default: None,
    }
}

/// All settings, ascending by name.
#[must_use]
pub const fn all() -> &'static [Info] {
    table::TABLE
}

/// The setting of this name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static Info> {
    all()
        .iter()
        .find(|info| info.name == name || info.aliases.contains(&name))
}

/// The main name or alias nearest to `name`, when one is near enough to be what was meant.
///
/// `extra-` and a byte order mark in front are not looked at; of names equally near, one that
/// begins as `name` does comes first, after `extra-` one to which it can be put.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix('\u{feff}').unwrap_or(name);
    let (extra, name) = name
        .strip_prefix("extra-")
        .map_or((false, name), |rest| (true, rest));
    if name.len() > 64 {
        return None;
    }
    let limit = (name.len() / 4).clamp(1, 4);
    let rank = |info: &Info, known: &'static str| {
        let distance = distance(name.as_bytes(), known.as_bytes());
        let other_kind = extra && !info.kind.can_append();
        (distance, other_kind, !known.starts_with(name), known)
    };
    all()
        .iter()
        .flat_map(|info| {
            info.aliases
                .iter()
                .copied()
                .chain([info.name])
                .map(move |n| rank(info, n))
        })
        .min()
        .filter(|(distance, ..)| *distance <= limit)
        .map(|(.., known)| known)
}

/// How many bytes have to be put in, taken out or replaced to make one text of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
