//! Store paths: `<hash>-<name>` inside a store directory.
//!
//! A [`StorePath`] is a base name that Nix would accept; the directory it lives in is a
//! [`StoreDir`] beside it, because formats differ in which of the two they print. Promises: a
//! value of these types is always valid, and its order is the order of its text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::base32::{self, Base32Error};

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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashPart([u8; 20]);

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
        self.text()
            .iter()
            .try_for_each(|&byte| fmt::Write::write_char(f, char::from(byte)))
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
    let allowed = |byte: &u8| NAME_BYTES[usize::from(*byte)];
    if !name.as_bytes().iter().all(allowed) {
        let wrong = name
            .chars()
            .find(|c| !c.is_ascii() || !NAME_BYTES[*c as usize & 0x7f]);
        return Err(StorePathError::Character(wrong.unwrap_or_default()));
    }
    if name.starts_with('.') && matches!(name.split('-').next(), Some("." | "..")) {
        return Err(StorePathError::Dots);
    }
    Ok(())
}

/// The bytes that a name may hold.
const NAME_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        allowed[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'?' | b'=');
        byte += 1;
    }
    allowed
};

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

/// The directory that store paths live in, `/nix/store` unless somebody chose another.
///
/// It is part of every store path's hash and of every signature. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Arc<str>);

impl StoreDir {
    /// Nix's default.
    pub const DEFAULT: &'static str = "/nix/store";

    /// A store directory.
    ///
    /// # Errors
    ///
    /// `dir` is not absolute, or not in its shortest form, or holds a line break or a NUL.
    pub fn new(dir: &str) -> Result<Self, StorePathError> {
        let parts = dir.strip_prefix('/').ok_or(StorePathError::StoreDir)?;
        let plain =
            |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\n', '\r']);
        if !parts.split('/').all(plain) {
            return Err(StorePathError::StoreDir);
        }
        Ok(Self(dir.into()))
    }

    /// The directory, absolute, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Prints the full path of `path`.
    #[must_use]
    pub const fn display<'a>(&'a self, path: &'a StorePath) -> FullPath<'a> {
        FullPath { dir: self, path }
    }

    /// Reads a full path that is directly in this directory.
    ///
    /// # Errors
    ///
    /// The path is elsewhere (also deeper), or its base name is not valid.
    pub fn parse(&self, full: &str) -> Result<StorePath, StorePathError> {
        self.base_name(full)?.parse()
    }

    /// Finds the store path that a path inside the store belongs to, and what follows it:
    /// `/nix/store/h-n/bin/x` gives `h-n` and `/bin/x`.
    ///
    /// Goes by the text alone: it follows no symlink and resolves no `..`.
    ///
    /// # Errors
    ///
    /// The path is not in this directory, or the first part in it is not a valid base name.
    pub fn containing<'a>(&self, path: &'a str) -> Result<(StorePath, &'a str), StorePathError> {
        let inside = self.base_name(path)?;
        let (base, rest) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
        Ok((base.parse()?, rest))
    }

    /// What follows this directory and one slash.
    pub(super) fn base_name<'a>(&self, full: &'a str) -> Result<&'a str, StorePathError> {
        full.strip_prefix(self.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::Outside(self.0.to_string()))
    }
}

/// A store path with its directory in front, for printing: [`StoreDir::display`].
#[derive(Debug, Clone, Copy)]
pub struct FullPath<'a> {
    dir: &'a StoreDir,
    path: &'a StorePath,
}

impl fmt::Display for FullPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dir, self.path)
    }
}

impl Default for StoreDir {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl FromStr for StoreDir {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        Self::new(text)
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";

    #[test]
    fn reads_and_prints() {
        let path: StorePath = HELLO.parse().unwrap();
        assert_eq!(path.to_string(), HELLO);
        assert_eq!(
            (path.hash().to_string().as_str(), path.name()),
            HELLO.split_once('-').unwrap()
        );
        let store = StoreDir::default();
        let full = format!("/nix/store/{HELLO}");
        assert_eq!(store.display(&path).to_string(), full);
        assert_eq!(store.parse(&full), Ok(path.clone()));
        assert_eq!(
            store.containing(&format!("{full}/bin/x")),
            Ok((path.clone(), "/bin/x"))
        );
        assert_eq!(store.containing(&full), Ok((path.clone(), "")));
        assert_eq!(serde_json::to_value(&path).unwrap(), HELLO);
        assert_eq!(
            serde_json::from_value::<StorePath>(HELLO.into()).unwrap(),
            path
        );
    }

    #[test]
    fn folds_to_the_known_hash_part() {
        let mut bytes = [0; 20];
        data_encoding::HEXLOWER
            .decode_mut(b"3e0f91f510c5230e06fab315a54108629ea8db8e", &mut bytes)
            .unwrap();
        assert_eq!(
            HashPart::from_nix_bytes(bytes).to_string(),
            "ivdsi7k2110sa5dkz830w8y523sr23ry"
        );
    }

    #[test]
    fn names_follow_the_rules_of_newer_versions() {
        let longest = "a".repeat(211);
        for name in ["a", "0+-._?=Z", ".a", "...", ".-", "..-x", &longest, "-"] {
            let wanted = !matches!(name, ".-" | "..-x");
            assert_eq!(check_name(name).is_ok(), wanted, "{name}");
        }
        assert_eq!(check_name(""), Err(StorePathError::EmptyName));
        assert_eq!(check_name("."), Err(StorePathError::Dots));
        assert_eq!(check_name(".."), Err(StorePathError::Dots));
        assert_eq!(check_name("..-a-b"), Err(StorePathError::Dots));
        assert_eq!(
            check_name(&"a".repeat(212)),
            Err(StorePathError::LongName(212))
        );
        assert_eq!(check_name("a/b"), Err(StorePathError::Character('/')));
        assert_eq!(check_name("aä"), Err(StorePathError::Character('ä')));
        assert_eq!(
            check_name("a\u{161}"),
            Err(StorePathError::Character('\u{161}'))
        );
    }

    #[test]
    fn rejects_other_paths() {
        let store = StoreDir::default();
        let outside = StorePathError::Outside("/nix/store".into());
        assert_eq!(store.parse(HELLO), Err(outside.clone()));
        assert_eq!(store.parse(&format!("/nix/stores/{HELLO}")), Err(outside));
        assert!(store.parse(&format!("/nix/store/{HELLO}/x")).is_err());
        assert!(store.parse(&format!("/nix/store//{HELLO}")).is_err());
        assert_eq!("".parse::<StorePath>(), Err(StorePathError::Form));
        assert_eq!(
            HELLO.replace('-', "_").parse::<StorePath>(),
            Err(StorePathError::Form)
        );
        assert!(matches!(
            HELLO.replace('i', "e").parse::<StorePath>(),
            Err(StorePathError::Hash(Base32Error::Digit { position: 0 }))
        ));
        assert!(
            "ääääääääääääääääääääääääääääääää-x"
                .parse::<StorePath>()
                .is_err()
        );
        for dir in [
            "",
            "nix",
            "/",
            "/nix/",
            "/nix//store",
            "/nix/../store",
            "/a\n",
        ] {
            assert_eq!(StoreDir::new(dir), Err(StorePathError::StoreDir), "{dir:?}");
        }
        assert_eq!(StoreDir::new("/nix/store"), Ok(store));
    }

    proptest! {
        #[test]
        fn agrees_with_base32(bytes in any::<[u8; 20]>()) {
            let part = HashPart::from_nix_bytes(bytes);
            let text = base32::encode(&bytes);
            prop_assert_eq!(part.to_string(), text.clone());
            prop_assert_eq!(text.parse::<HashPart>().unwrap(), part);
            prop_assert_eq!(HashPart::from_bytes(*part.as_bytes()), part);
        }

        #[test]
        fn order_is_that_of_the_text(
            a in "[0-9a-df-np-s]{32}-[a-c.-]{1,3}x", b in "[01]{32}-[A-c]{1,3}"
        ) {
            if let (Ok(x), Ok(y)) = (a.parse::<StorePath>(), b.parse::<StorePath>()) {
                prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            }
        }

        #[test]
        fn any_text_is_safe(text in "\\PC*", full in "/nix/store/\\PC*") {
            let _ = text.parse::<StorePath>();
            let _ = StoreDir::default().containing(&full);
            let _ = StoreDir::new(&text);
        }
    }
}
