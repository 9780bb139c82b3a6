//! Store paths: `<hash>-<name>` inside a store directory.
//!
//! A [`StorePath`] is a base name that Nix would accept; the directory it lives in is a
//! [`StoreDir`] beside it, because formats differ in which of the two they print. Promises: a
//! value of these types is always valid, and its order is the order of its text.

use std::fmt;
use std::str::FromStr;

use super::base32::{self, Base32Error};

mod dir;

pub use dir::{FullPath, StoreDir};

/// The longest name of a store path, in bytes.
pub const MAX_NAME_LEN: usize = 211;

/// The length of the hash in front of the name, in characters.
pub const HASH_LEN: usize = 32;

/// Why a text is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// The 32 characters in front are not base 32.
    #[error("the hash of a store path is malformed: {0}")]
    Hash(#[from] Base32Error),
    /// Shorter than a hash, a dash and a name, or another character where the dash belongs.
    #[error("not of the form `<hash>-<name>`")]
    Form,
    /// An empty name.
    #[error("the name of a store path is empty")]
    EmptyName,
    /// A name above [`MAX_NAME_LEN`].
    #[error("the name of a store path has {0} bytes, more than {MAX_NAME_LEN}")]
    LongName(usize),
    /// A character outside `0-9A-Za-z+-._?=`.
    #[error("the name of a store path holds the character {0:?}")]
    Character(char),
    /// `.`, `..`, or a name whose first dash-part is one of them.
    #[error("the name of a store path begins with a part that is `.` or `..`")]
    Dots,
    /// A full path that is not directly in the store directory.
    #[error("not in the store directory `{0}`")]
    Outside(String),
    /// A store directory that is not an absolute path in its shortest form.
    #[error("a store directory is an absolute path without `.`, `..`, `//` or a slash at the end")]
    StoreDir,
}

/// The 160-bit number in front of a store path's name.
///
/// Stored big-endian, so that the derived order is that of the 32 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashPart([u8; 20]);

impl Ord for HashPart {
    /// The order of the text. As numbers, because millions are sorted and searched.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.numbers().cmp(&other.numbers())
    }
}

impl PartialOrd for HashPart {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl HashPart {
    /// From the bytes in Nix's own order (little-endian), as folded from a SHA-256.
    #[must_use]
    pub fn from_nix_bytes(mut bytes: [u8; 20]) -> Self {
        bytes.reverse();
        Self(bytes)
    }

    /// From the big-endian bytes of [`Self::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The number, big-endian: compact to store, and in the order of the text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The number in three parts, the most significant first.
    fn numbers(&self) -> (u64, u64, u32) {
        let (eights, rest) = self.0.as_chunks::<8>();
        let eight = |at: usize| eights.get(at).copied().unwrap_or_default();
        let rest = <[u8; 4]>::try_from(rest).unwrap_or_default();
        (
            u64::from_be_bytes(eight(0)),
            u64::from_be_bytes(eight(1)),
            u32::from_be_bytes(rest),
        )
    }

    /// Reads the 32 characters.
    ///
    /// # Errors
    ///
    /// Another length, or a character outside Nix's base 32.
    pub fn parse(text: &[u8]) -> Result<Self, Base32Error> {
        if text.len() != HASH_LEN {
            return Err(Base32Error::Length {
                wanted: HASH_LEN,
                found: text.len(),
            });
        }
        let mut bytes = [0; 20];
        // Eight digits are 40 bits are five bytes, so groups never share a byte.
        for (group, (digits, out)) in text.chunks(8).zip(bytes.chunks_mut(5)).enumerate() {
            let mut number = 0u64;
            for (index, &digit) in digits.iter().enumerate() {
                let position = group * 8 + index;
                let value = base32::digit_value(digit).ok_or(Base32Error::Digit { position })?;
                number = number << 5 | u64::from(value);
            }
            out.copy_from_slice(&number.to_be_bytes()[3..]);
        }
        Ok(Self(bytes))
    }

    /// The 32 characters, in place.
    fn text(self) -> [u8; HASH_LEN] {
        let mut text = [0; HASH_LEN];
        for (bytes, out) in self.0.chunks(5).zip(text.chunks_mut(8)) {
            let mut number = bytes
                .iter()
                .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
            for digit in out.iter_mut().rev() {
                *digit = base32::ALPHABET[usize::from(number.to_le_bytes()[0] & 31)];
                number >>= 5;
            }
        }
        text
    }
}

impl FromStr for HashPart {
    type Err = Base32Error;

    fn from_str(text: &str) -> Result<Self, Base32Error> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits are ASCII.
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Checks a name by Nix's rules (those of the newer versions, the stricter ones).
///
/// # Errors
///
/// Empty, longer than [`MAX_NAME_LEN`], a character outside `0-9A-Za-z+-._?=`, or a first
/// dash-part that is `.` or `..`.
pub fn check_name(name: &str) -> Result<(), StorePathError> {
    if name.is_empty() {
        return Err(StorePathError::EmptyName);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(StorePathError::LongName(name.len()));
    }
    // Without branches: names are checked by the hundred thousand.
    let allowed = |so_far: bool, &byte: &u8| so_far & is_name_byte(byte);
    if !name.as_bytes().iter().fold(true, allowed) {
        let wrong = name
            .chars()
            .find(|&c| !u8::try_from(c).is_ok_and(is_name_byte));
        return Err(StorePathError::Character(wrong.unwrap_or_default()));
    }
    if name.starts_with('.') && matches!(name.split('-').next(), Some("." | "..")) {
        return Err(StorePathError::Dots);
    }
    Ok(())
}

/// Whether a name may hold this byte.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches the compiler looks at many bytes at once"
)]
const fn is_name_byte(byte: u8) -> bool {
    (byte.wrapping_sub(b'0') < 10)
        | ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte == b'+')
        | (byte == b'-')
        | (byte == b'.')
        | (byte == b'_')
        | (byte == b'?')
        | (byte == b'=')
}

/// Checks that `text` is the base name of a store path, without decoding it: for lists of very
/// many names.
pub(super) fn check_base_name(text: &str) -> Result<(), StorePathError> {
    let plain = text
        .as_bytes()
        .split_at_checked(HASH_LEN)
        .is_some_and(|(hash, rest)| {
            base32::all_digits(hash)
                && rest.first() == Some(&b'-')
                && check_name(text.get(HASH_LEN + 1..).unwrap_or_default()).is_ok()
        });
    if plain {
        return Ok(());
    }
    StorePathRef::parse(text).map(drop)
}

/// A [`StorePath`] that borrows its name; reading it allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePathRef<'a> {
    hash: HashPart,
    name: &'a str,
}

impl<'a> StorePathRef<'a> {
    /// Reads `<hash>-<name>`.
    ///
    /// # Errors
    ///
    /// The text is no valid base name of a store path.
    pub fn parse(text: &'a str) -> Result<Self, StorePathError> {
        let (hash, rest) = text
            .as_bytes()
            .split_at_checked(HASH_LEN)
            .ok_or(StorePathError::Form)?;
        let hash = HashPart::parse(hash)?;
        if rest.first() != Some(&b'-') {
            return Err(StorePathError::Form);
        }
        // All bytes up to here are ASCII, so this is a character boundary.
        let name = &text[HASH_LEN + 1..];
        check_name(name)?;
        Ok(Self { hash, name })
    }

    /// The number in front.
    #[must_use]
    pub const fn hash(self) -> HashPart {
        self.hash
    }

    /// What follows the dash.
    #[must_use]
    pub const fn name(self) -> &'a str {
        self.name
    }
}

impl From<StorePathRef<'_>> for StorePath {
    fn from(path: StorePathRef<'_>) -> Self {
        Self {
            hash: path.hash,
            name: path.name.into(),
        }
    }
}

impl fmt::Display for StorePathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hash, self.name)
    }
}

impl fmt::Debug for StorePathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The base name of a store path: `<hash>-<name>`, always valid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    hash: HashPart,
    name: Box<str>,
}

impl StorePath {
    /// Puts a store path together.
    ///
    /// # Errors
    ///
    /// The name is not valid ([`check_name`]).
    pub fn new(hash: HashPart, name: &str) -> Result<Self, StorePathError> {
        check_name(name)?;
        Ok(Self {
            hash,
            name: name.into(),
        })
    }

    /// The number in front.
    #[must_use]
    pub const fn hash(&self) -> HashPart {
        self.hash
    }

    /// What follows the dash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> StorePathRef<'_> {
        StorePathRef {
            hash: self.hash,
            name: &self.name,
        }
    }

    /// Whether this is a derivation (`.drv`).
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name.ends_with(".drv")
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        StorePathRef::parse(text).map(Self::from)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hash, self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

super::serde_as_text!(HashPart, StorePath, StoreDir);

#[cfg(test)]
mod tests;
