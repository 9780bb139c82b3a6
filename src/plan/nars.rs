//! The NAR files of a cache in flat columns: a file is its number.
//!
//! Nearly all keys are `nar/<hash>.nar<suffix>`, so a key is kept as its hash and a number for the
//! suffix; only the keys of others are kept as text. A million files take 45 MB.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::Time;
use crate::nix::base32;
use crate::nix::hash::Sha256;

/// An object of a cache.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nar {
    /// Key, such as `nar/….nar.zst`.
    pub key: String,
    /// Bytes of the file.
    pub size: u64,
    /// When it was last written, by the clock of the cache.
    pub modified: Time,
}

/// What follows `.nar` in a key, by number.
const SUFFIXES: [&str; 7] = ["", ".xz", ".zst", ".bz2", ".br", ".lzip", ".lz4"];

/// The number in place of a suffix where the key has another form.
const OTHER: u8 = u8::MAX;

/// The key of a NAR file in 33 bytes: different keys have different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarKey([u8; 33]);

impl NarKey {
    /// The short form of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self::usual(key).unwrap_or_else(|| Self::new(Sha256::of(key.as_bytes()).0, OTHER))
    }

    fn new(hash: [u8; 32], suffix: u8) -> Self {
        let mut bytes = [suffix; 33];
        bytes[..32].copy_from_slice(&hash);
        Self(bytes)
    }

    fn usual(key: &str) -> Option<Self> {
        let (hash, rest) = key.strip_prefix("nar/")?.as_bytes().split_at_checked(52)?;
        let suffix = rest.strip_prefix(b".nar")?;
        let number = SUFFIXES.iter().position(|s| s.as_bytes() == suffix)?;
        Some(Self::new(
            base32::decode(hash).ok()?,
            u8::try_from(number).ok()?,
        ))
    }

    /// From the bytes of [`NarKey::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 33]) -> Self {
        Self(bytes)
    }

    /// The 33 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Fifteen bytes of the hash, and the suffix: enough to find a file by, in half the room.
    #[must_use]
    pub fn brief(&self) -> [u8; 16] {
        let mut brief = [self.0[32]; 16];
        brief[..15].copy_from_slice(&self.0[..15]);
        brief
    }

    /// The key as text; `None`: it is not of the usual form, and only its digest is known.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let (hash, suffix) = self.0.split_at(32);
        let suffix = SUFFIXES.get(usize::from(*suffix.first()?))?;
        let mut text = String::with_capacity(4 + 52 + 4 + suffix.len());
        text.push_str("nar/");
        base32::encode_to(hash, &mut text);
        text.push_str(".nar");
        text.push_str(suffix);
        Some(text)
    }
}

/// NAR files with their sizes and times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nars {
    keys: Vec<NarKey>,
    sizes: Vec<u64>,
    /// Seconds since 1970; what lies outside is moved to the edge.
    modified: Vec<u32>,
    /// Keys of another form.
    others: BTreeMap<NarKey, Box<str>>,
}

impl Nars {
    /// None yet, with room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self {
            keys: Vec::with_capacity(count),
            sizes: Vec::with_capacity(count),
            modified: Vec::with_capacity(count),
            others: BTreeMap::new(),
        }
    }

    /// Number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a file.
    pub fn add(&mut self, key: &str, size: u64, modified: Time) {
        let short = NarKey::of(key);
        if short.0[32] == OTHER {
            self.others.insert(short, key.into());
        }
        self.keys.push(short);
        self.sizes.push(size);
        self.modified.push(modified.seconds());
    }

    /// Adds a file.
    #[expect(clippy::needless_pass_by_value, reason = "as a list takes it")]
    pub fn push(&mut self, nar: Nar) {
        self.add(&nar.key, nar.size, nar.modified);
    }

    /// Adds a file whose key is of the usual form; `false`: it is not.
    #[must_use]
    pub fn add_short(&mut self, key: NarKey, size: u64, modified: u32) -> bool {
        let usual = usize::from(key.0[32]) < SUFFIXES.len();
        if usual {
            self.keys.push(key);
            self.sizes.push(size);
            self.modified.push(modified);
        }
        usual
    }

    /// Short form of the key of a file.
    ///
    /// # Panics
    /// There is no such file; so with the other questions about one.
    #[must_use]
    pub fn short(&self, number: u32) -> NarKey {
        self.keys[number as usize]
    }

    /// Short forms of all keys, by number.
    #[must_use]
    pub fn shorts(&self) -> &[NarKey] {
        &self.keys
    }

    /// Key of a file, such as `nar/….nar.zst`.
    #[must_use]
    pub fn key(&self, number: u32) -> String {
        let short = self.keys[number as usize];
        let other = || self.others.get(&short).map(|text| text.clone().into());
        short.text().or_else(other).unwrap_or_default()
    }

    /// Bytes of a file.
    #[must_use]
    pub fn size(&self, number: u32) -> u64 {
        self.sizes[number as usize]
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().sum()
    }

    /// When a file was last written, by the clock of the cache.
    #[must_use]
    pub fn modified(&self, number: u32) -> Time {
        Time(i64::from(self.modified[number as usize]))
    }

    /// The same in seconds since 1970, at most those that fit.
    #[must_use]
    pub fn seconds(&self, number: u32) -> u32 {
        self.modified[number as usize]
    }

    /// Whether the short forms of all keys are enough to tell the keys.
    #[must_use]
    pub fn are_usual(&self) -> bool {
        self.others.is_empty()
    }

    /// Corrects size and time of a file.
    pub fn set(&mut self, number: u32, size: u64, modified: Time) {
        self.sizes[number as usize] = size;
        self.modified[number as usize] = modified.seconds();
    }

    /// Everything about a file.
    #[must_use]
    pub fn get(&self, number: u32) -> Nar {
        Nar {
            key: self.key(number),
            size: self.size(number),
            modified: self.modified(number),
        }
    }

    /// All numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// All files, one after another.
    pub fn iter(&self) -> impl Iterator<Item = Nar> {
        self.numbers().map(|number| self.get(number))
    }

    /// Forgets all files.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The same files in the order of the short forms of their keys.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        if self.keys.is_sorted() {
            return self;
        }
        // Four bytes of a hash tell nearly all apart; the number of the file stands below them.
        let start = |key: &NarKey| {
            let first = key.0.first_chunk().copied();
            u64::from(u32::from_be_bytes(first.unwrap_or_default())) << 32
        };
        let starts = self.keys.iter().map(start).zip(0u64..);
        let mut order: Vec<u64> = starts.map(|(start, number)| start | number).collect();
        order.sort_unstable();
        for same in order.chunk_by_mut(|one, other| one >> 32 == other >> 32) {
            if same.len() > 1 {
                same.sort_unstable_by_key(|one| self.keys[number_in(*one)]);
            }
        }
        self.arrange(&mut order);
        self.keys.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.modified.shrink_to_fit();
        self
    }

    /// Puts at each place the file whose number stands there in `order`. In place, for there may be so
    /// many that a copy of all of them is felt.
    fn arrange(&mut self, order: &mut [u64]) {
        for begin in 0..order.len() {
            let mut at = begin;
            loop {
                let from = number_in(order[at]);
                // It is dealt with.
                order[at] = at as u64;
                if from == begin {
                    break;
                }
                self.keys.swap(at, from);
                self.sizes.swap(at, from);
                self.modified.swap(at, from);
                at = from;
            }
        }
    }
}

/// The number of a file below the start of its hash.
const fn number_in(one: u64) -> usize {
    let [.., a, b, c, d] = one.to_be_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize
}

impl Extend<Nar> for Nars {
    fn extend<I: IntoIterator<Item = Nar>>(&mut self, nars: I) {
        for nar in nars {
            self.push(nar);
        }
    }
}

impl FromIterator<Nar> for Nars {
    fn from_iter<I: IntoIterator<Item = Nar>>(nars: I) -> Self {
        let mut all = Self::default();
        all.extend(nars);
        all
    }
}

#[cfg(test)]
mod tests;
