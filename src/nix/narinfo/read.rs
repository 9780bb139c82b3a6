//! The one reader of narinfo text.

use super::{Compression, NarInfo};
use crate::nix::content_address::{ContentAddress, ContentAddressError};
use crate::nix::hash::{HashError, Sha256};
use crate::nix::key::Signature;
use crate::nix::store_path::{
    HASH_LEN, HashPart, StoreDir, StorePath, StorePathError, StorePathRef, check_base_name,
};

/// Why a text is not a narinfo. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// Bytes that are no text.
    #[error("not UTF-8 after {valid} bytes")]
    NotUtf8 {
        /// Bytes before the first wrong one.
        valid: usize,
    },
    /// No text at all.
    #[error("empty")]
    Empty,
    /// The last line has no line break: the file was cut off.
    #[error("line {line}: cut off, the line does not end")]
    Truncated {
        /// The last line.
        line: usize,
    },
    /// A line without anything.
    #[error("line {line}: empty")]
    EmptyLine {
        /// The line.
        line: usize,
    },
    /// A line without a colon.
    #[error("line {line}: no colon")]
    NoColon {
        /// The line.
        line: usize,
    },
    /// A line that ends in CR LF, or holds a CR.
    #[error("line {line}: a carriage return")]
    CarriageReturn {
        /// The line.
        line: usize,
    },
    /// No blank between the colon and the value. Nix skips one byte there, whatever it is.
    #[error("line {line}: no blank after the colon")]
    NoBlank {
        /// The line.
        line: usize,
    },
    /// `StorePath`, a reference or the deriver is no store path.
    #[error("line {line}: `{key}`: {source}")]
    Path {
        /// The line.
        line: usize,
        /// The key of the line.
        key: &'static str,
        /// What is wrong.
        source: StorePathError,
    },
    /// A hash that is no SHA-256 hash.
    #[error("line {line}: `{key}`: {source}")]
    Hash {
        /// The line.
        line: usize,
        /// The key of the line.
        key: &'static str,
        /// What is wrong.
        source: HashError,
    },
    /// The content address is malformed.
    #[error("line {line}: `CA`: {source}")]
    ContentAddress {
        /// The line.
        line: usize,
        /// What is wrong.
        source: ContentAddressError,
    },
    /// A size that is no decimal number of 64 bits.
    #[error("line {line}: `{key}` is not a number of bytes")]
    Size {
        /// The line.
        line: usize,
        /// The key of the line.
        key: &'static str,
    },
    /// A second line of a key that may stand only once.
    #[error("line {line}: a second `{key}`")]
    Second {
        /// The line.
        line: usize,
        /// The key of the line.
        key: &'static str,
    },
    /// A key that has to be there is not, or is empty, or (`NarSize`) zero.
    #[error("`{key}` is missing or empty")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

/// A narinfo that borrows from its text; reading it allocates nothing.
///
/// All is checked as [`NarInfo::parse`] checks it.
#[derive(Debug, Clone, Copy)]
pub struct Brief<'a> {
    text: &'a str,
    /// The path that this is about.
    pub store_path: StorePathRef<'a>,
    /// Where the NAR file is, relative to the cache's root.
    pub url: &'a str,
    /// Nix's word for the compression; empty stands for `bzip2`.
    pub compression: &'a str,
    /// The SHA-256 of the NAR file as it is stored.
    pub file_hash: Option<Sha256>,
    /// The size of the NAR file as it is stored, in bytes.
    pub file_size: Option<u64>,
    /// The SHA-256 of the NAR itself.
    pub nar_hash: Sha256,
    /// The size of the NAR itself in bytes.
    pub nar_size: u64,
    /// Base names, separated by blanks.
    references: &'a str,
    /// The derivation that built it.
    pub deriver: Option<StorePathRef<'a>>,
    /// The content address, whether true or not.
    pub ca: Option<ContentAddress>,
    /// How many malformed `Sig` lines there are.
    pub malformed_signatures: usize,
}

/// The keys and values of a text whose form is known to be good.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_terminator('\n').filter_map(|line| {
        let (key, rest) = line.split_once(':')?;
        Some((key, rest.get(1..)?))
    })
}

/// What the lines gave so far.
#[derive(Default)]
struct Found<'a> {
    path: Option<StorePathRef<'a>>,
    url: &'a str,
    compression: &'a str,
    file_hash: Option<Sha256>,
    file_size: Option<u64>,
    nar_hash: Option<Sha256>,
    nar_size: u64,
    references: &'a str,
    deriver: Option<StorePathRef<'a>>,
    ca: Option<ContentAddress>,
    malformed_signatures: usize,
}

impl<'a> Found<'a> {
    /// Takes in one line.
    fn take(
        &mut self,
        line: usize,
        key: &str,
        value: &'a str,
        store_dir: &StoreDir,
    ) -> Result<(), NarInfoError> {
        let path = |key| move |source| NarInfoError::Path { line, key, source };
        match key {
            "StorePath" => {
                let base = store_dir.base_name(value).map_err(path("StorePath"))?;
                self.path = Some(StorePathRef::parse(base).map_err(path("StorePath"))?);
            }
            "URL" => self.url = value,
            "Compression" => self.compression = value,
            "FileHash" => self.file_hash = Some(hash(line, "FileHash", value)?),
            "FileSize" => self.file_size = Some(size(line, "FileSize", value)?),
            "NarHash" => self.nar_hash = Some(hash(line, "NarHash", value)?),
            "NarSize" => self.nar_size = size(line, "NarSize", value)?,
            "References" => {
                if names(self.references).next().is_some() {
                    return Err(NarInfoError::Second {
                        line,
                        key: "References",
                    });
                }
                for name in names(value) {
                    check_base_name(name).map_err(path("References"))?;
                }
                self.references = value;
            }
            "Deriver" if value == "unknown-deriver" => self.deriver = None,
            "Deriver" => {
                self.deriver = Some(StorePathRef::parse(value).map_err(path("Deriver"))?);
            }
            "Sig" => {
                self.malformed_signatures += usize::from(!Signature::is_well_formed(value));
            }
            "CA" => {
                if self.ca.is_some() {
                    return Err(NarInfoError::Second { line, key: "CA" });
                }
                let wrong = |source| NarInfoError::ContentAddress { line, source };
                if !value.is_empty() {
                    self.ca = Some(value.parse().map_err(wrong)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Brief<'a> {
    /// Reads a narinfo.
    ///
    /// # Errors
    ///
    /// As [`NarInfo::parse`].
    pub fn parse(text: &'a str, store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        let mut found = Found::default();
        let mut rest = text;
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let (whole, after) = rest
                .split_once('\n')
                .ok_or(NarInfoError::Truncated { line })?;
            rest = after;
            if whole.is_empty() {
                return Err(NarInfoError::EmptyLine { line });
            }
            if whole.contains('\r') {
                return Err(NarInfoError::CarriageReturn { line });
            }
            let (key, value) = whole
                .split_once(':')
                .ok_or(NarInfoError::NoColon { line })?;
            let value = value
                .strip_prefix(' ')
                .ok_or(NarInfoError::NoBlank { line })?;
            found.take(line, key, value, store_dir)?;
        }
        if line == 0 {
            return Err(NarInfoError::Empty);
        }
        let missing = |key| NarInfoError::Missing { key };
        let store_path = found.path.ok_or(missing("StorePath"))?;
        let nar_hash = found.nar_hash.ok_or(missing("NarHash"))?;
        if found.url.is_empty() {
            return Err(missing("URL"));
        }
        if found.nar_size == 0 {
            return Err(missing("NarSize"));
        }
        Ok(Self {
            text,
            store_path,
            url: found.url,
            compression: found.compression,
            file_hash: found.file_hash,
            file_size: found.file_size,
            nar_hash,
            nar_size: found.nar_size,
            references: found.references,
            deriver: found.deriver,
            ca: found.ca,
            malformed_signatures: found.malformed_signatures,
        })
    }

    /// Reads a narinfo from the bytes of a file.
    ///
    /// # Errors
    ///
    /// As [`NarInfo::parse`], and when the bytes are not UTF-8.
    pub fn from_bytes(bytes: &'a [u8], store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        let text = std::str::from_utf8(bytes).map_err(|error| NarInfoError::NotUtf8 {
            valid: error.valid_up_to(),
        })?;
        Self::parse(text, store_dir)
    }

    /// The paths it refers to, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = StorePathRef<'a>> + use<'a> {
        // Every name was checked while reading; none is left out here.
        names(self.references).filter_map(|name| StorePathRef::parse(name).ok())
    }

    /// The hash parts of the paths it refers to, in the order of the text.
    pub fn reference_hashes(&self) -> impl Iterator<Item = HashPart> + use<'a> {
        let digits = |name: &'a str| name.as_bytes().get(..HASH_LEN);
        // Every name was checked while reading; none is left out here.
        names(self.references).filter_map(move |name| HashPart::parse(digits(name)?).ok())
    }

    /// The texts of the well-formed signatures, in order.
    pub fn signatures(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        fields(self.text)
            .filter(|(key, value)| *key == "Sig" && Signature::is_well_formed(value))
            .map(|(_, value)| value)
    }

    /// The same, owned.
    #[must_use]
    pub fn to_nar_info(&self) -> NarInfo {
        let mut references: Vec<StorePath> = self.references().map(StorePath::from).collect();
        references.sort_unstable();
        references.dedup();
        NarInfo {
            store_path: self.store_path.into(),
            url: self.url.to_owned(),
            compression: Compression::from(self.compression),
            file_hash: self.file_hash,
            file_size: self.file_size,
            nar_hash: self.nar_hash,
            nar_size: self.nar_size,
            references,
            deriver: self.deriver.map(StorePath::from),
            signatures: self
                .signatures()
                .filter_map(|text| text.parse().ok())
                .collect(),
            ca: self.ca,
            unknown: fields(self.text)
                .filter(|(key, _)| !KEYS.contains(key))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            malformed_signatures: self.malformed_signatures,
        }
    }
}

/// The keys that Nix knows.
const KEYS: [&str; 11] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "Sig",
    "CA",
];

/// The base names in a list with blanks between them.
///
/// Looks for the blank only behind the hash, which no name can be without; a word that is shorter
/// comes out together with the next one, and is no base name either way.
fn names(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        let behind = rest.as_bytes().get(HASH_LEN..).unwrap_or_default();
        let end = behind
            .iter()
            .position(|&byte| byte == b' ')
            .map(|at| HASH_LEN + at);
        let (name, after) = end
            .and_then(|end| rest.split_at_checked(end))
            .unwrap_or((rest, ""));
        rest = after;
        (!name.is_empty()).then_some(name)
    })
}

fn hash(line: usize, key: &'static str, value: &str) -> Result<Sha256, NarInfoError> {
    value
        .parse()
        .map_err(|source| NarInfoError::Hash { line, key, source })
}

fn size(line: usize, key: &'static str, value: &str) -> Result<u64, NarInfoError> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or(NarInfoError::Size { line, key })
}
