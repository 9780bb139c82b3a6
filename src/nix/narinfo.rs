//! narinfo files: what a binary cache says about one store path.
//!
//! [`NarInfo`] owns what it read, for changing and printing; [`Brief`] borrows from the text and
//! allocates nothing, for looking through very many. Both accept and refuse the same texts: those
//! that Nix 2.34 reads, except that malformed signatures are counted and left out. Promise: a
//! narinfo that Nix wrote prints back byte for byte.

mod read;

use std::fmt;
use std::str::FromStr;

use super::content_address::ContentAddress;
use super::hash::Sha256;
use super::key::{PublicKey, SecretKey, Signature};
use super::store_path::{StoreDir, StorePath};

pub use read::{Brief, NarInfoError};

/// How a NAR file is compressed, by Nix's own words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// Nix's default when it writes.
    Xz,
    /// Nix's default for a narinfo that says nothing.
    Bzip2,
    /// Brotli.
    Br,
    /// Zstandard, from Nix 2.4.
    Zstd,
    /// From Nix 2.4.
    Gzip,
    /// From Nix 2.4.
    Lzip,
    /// From Nix 2.4.
    Lz4,
    /// A word that we do not write. Nix knows a few more (`lzma`, `compress`); a word that it
    /// does not know makes some versions stop at once.
    Other(String),
}

impl Compression {
    /// The word in a narinfo.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Lzip => "lzip",
            Self::Lz4 => "lz4",
            Self::Other(word) => word,
        }
    }

    /// What Nix puts after `.nar` in the file's name.
    #[must_use]
    pub const fn suffix(&self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Br => ".br",
            Self::Zstd => ".zst",
            Self::Lzip => ".lzip",
            Self::Lz4 => ".lz4",
            Self::None | Self::Gzip | Self::Other(_) => "",
        }
    }
}

impl From<&str> for Compression {
    fn from(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "xz" => Self::Xz,
            "bzip2" | "" => Self::Bzip2,
            "br" => Self::Br,
            "zstd" => Self::Zstd,
            "gzip" => Self::Gzip,
            "lzip" => Self::Lzip,
            "lz4" => Self::Lz4,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl FromStr for Compression {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(word.into())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

super::serde_as_text!(Compression);

/// What a signature covers: path, NAR hash, NAR size and references, as one line of text.
///
/// The order of `references` does not matter, and repeated ones count once.
#[must_use]
pub fn fingerprint<'a>(
    store_dir: &StoreDir,
    path: &StorePath,
    nar_hash: Sha256,
    nar_size: u64,
    references: impl IntoIterator<Item = &'a StorePath>,
) -> String {
    use fmt::Write as _;

    let mut references: Vec<&StorePath> = references.into_iter().collect();
    references.sort_unstable();
    references.dedup();
    let mut text = format!("1;{};{nar_hash};{nar_size};", store_dir.display(path));
    for (index, reference) in references.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a String does not fail.
        let _ = write!(text, "{comma}{}", store_dir.display(reference));
    }
    text
}

/// One narinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The path that this is about.
    pub store_path: StorePath,
    /// Where the NAR file is, relative to the cache's root (an absolute URL is possible).
    pub url: String,
    /// How the NAR file is compressed.
    pub compression: Compression,
    /// The SHA-256 of the NAR file as it is stored. Nix does not check it.
    pub file_hash: Option<Sha256>,
    /// The size of the NAR file as it is stored, in bytes. Nix does not check it.
    pub file_size: Option<u64>,
    /// The SHA-256 of the NAR itself.
    pub nar_hash: Sha256,
    /// The size of the NAR itself in bytes, above 0.
    pub nar_size: u64,
    /// The paths it refers to, itself included where it does; ascending, each once.
    pub references: Vec<StorePath>,
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// The well-formed signatures in the order of the text.
    pub signatures: Vec<Signature>,
    /// The content address, whether true or not: see [`NarInfo::has_valid_ca`].
    pub ca: Option<ContentAddress>,
    /// Keys that Nix does not know, with their values; not printed again, as Nix does not either.
    pub unknown: Vec<(String, String)>,
    /// How many malformed `Sig` lines there were. Above 0 the text is fatal to Nix 2.34.
    pub malformed_signatures: usize,
}

impl NarInfo {
    /// Reads a narinfo.
    ///
    /// # Errors
    ///
    /// The text is one that Nix calls corrupt; the error says where and why.
    pub fn parse(text: &str, store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        Brief::parse(text, store_dir).map(|brief| brief.to_nar_info())
    }

    /// Prints the narinfo as Nix does.
    #[must_use]
    pub const fn display<'a>(&'a self, store_dir: &'a StoreDir) -> NarInfoText<'a> {
        NarInfoText {
            info: self,
            store_dir,
        }
    }

    /// The name of the file in the cache: `<hash>.narinfo`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.narinfo", self.store_path.hash())
    }

    /// What signatures of this narinfo cover.
    #[must_use]
    pub fn fingerprint(&self, store_dir: &StoreDir) -> String {
        fingerprint(
            store_dir,
            &self.store_path,
            self.nar_hash,
            self.nar_size,
            &self.references,
        )
    }

    /// Whether one of the signatures is by `key` and true.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey, store_dir: &StoreDir) -> bool {
        let mut ours = self
            .signatures
            .iter()
            .filter(|s| s.name() == key.name())
            .peekable();
        if ours.peek().is_none() {
            return false;
        }
        let fingerprint = self.fingerprint(store_dir);
        ours.any(|signature| key.verify(&fingerprint, signature))
    }

    /// Adds a signature by `key`; says whether it was new. Signatures then stand in the order
    /// in which Nix writes them.
    pub fn sign(&mut self, key: &SecretKey, store_dir: &StoreDir) -> bool {
        let signature = key.sign(&self.fingerprint(store_dir));
        if self.signatures.contains(&signature) {
            return false;
        }
        self.signatures.push(signature);
        self.signatures.sort_by_cached_key(ToString::to_string);
        true
    }

    /// Whether the path refers to itself.
    #[must_use]
    pub fn refers_to_itself(&self) -> bool {
        self.references.binary_search(&self.store_path).is_ok()
    }

    /// Whether there is a content address and the store path follows from it. Nix then needs no
    /// signature. An address that is there and does not match makes Nix stop at once.
    ///
    /// Says nothing about the content: that has to be hashed.
    #[must_use]
    pub fn has_valid_ca(&self, store_dir: &StoreDir) -> bool {
        let others = self
            .references
            .iter()
            .filter(|path| **path != self.store_path);
        self.ca.is_some_and(|ca| {
            ca.store_path(
                others,
                self.refers_to_itself(),
                self.store_path.name(),
                store_dir,
            )
            .is_ok_and(|path| path == self.store_path)
        })
    }
}

/// A narinfo with its store directory, for printing: [`NarInfo::display`].
#[derive(Debug, Clone, Copy)]
pub struct NarInfoText<'a> {
    info: &'a NarInfo,
    store_dir: &'a StoreDir,
}

impl fmt::Display for NarInfoText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info;
        writeln!(f, "StorePath: {}", self.store_dir.display(&info.store_path))?;
        writeln!(f, "URL: {}", info.url)?;
        writeln!(f, "Compression: {}", info.compression)?;
        if let Some(hash) = info.file_hash {
            writeln!(f, "FileHash: {hash}")?;
        }
        if let Some(size) = info.file_size {
            writeln!(f, "FileSize: {size}")?;
        }
        writeln!(f, "NarHash: {}", info.nar_hash)?;
        writeln!(f, "NarSize: {}", info.nar_size)?;
        // The blank after the colon stays when there are none: without it the line is corrupt.
        f.write_str("References: ")?;
        for (index, reference) in info.references.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{reference}")?;
        }
        writeln!(f)?;
        if let Some(deriver) = &info.deriver {
            writeln!(f, "Deriver: {deriver}")?;
        }
        for signature in &info.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        if let Some(ca) = &info.ca {
            writeln!(f, "CA: {ca}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
