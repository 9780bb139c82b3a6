//! Hashes as Nix writes them.
//!
//! [`Sha256`] is the one we compute and compare: NAR and file hashes. [`struct@Hash`] carries any of
//! Nix's four algorithms and is needed for content addresses only; we never compute the others.
//! Forms (told apart by length): `algo:<hex>`, `algo:<nix32>`, `algo:<base64>` and SRI
//! `algo-<base64>`. Printing is `algo:<nix32>` unless said otherwise.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::Digest as _;

use super::base32;

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Neither `algo:` nor `algo-` at the start.
    #[error("a hash without its algorithm in front")]
    NoAlgorithm,
    /// An algorithm that Nix does not have.
    #[error("unknown hash algorithm `{0}`")]
    UnknownAlgorithm(String),
    /// Another algorithm where only SHA-256 will do.
    #[error("a {0} hash where only sha256 is allowed")]
    NotSha256(Algorithm),
    /// Neither the hex, nor the base-32, nor the base-64 length of the algorithm.
    #[error("{found} characters is no length of a {algorithm} hash")]
    Length {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// Bytes of text after the algorithm.
        found: usize,
    },
    /// The right length, but a wrong character or padding.
    #[error("malformed {form} digits of a {algorithm} hash")]
    Digits {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// `hex`, `base-32` or `base-64`.
        form: &'static str,
    },
}

/// The hash algorithms of Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The length of a digest in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Nix's name of it, lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        match text {
            "md5" => Ok(Self::Md5),
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(HashError::UnknownAlgorithm(text.chars().take(32).collect())),
        }
    }
}

/// A hash of any of Nix's algorithms. Parsing allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algorithm: Algorithm,
    /// The digest, then zeros.
    bytes: [u8; 64],
}

impl Hash {
    /// A hash from its digest; `None` when the digest has not the algorithm's length.
    #[must_use]
    pub fn new(algorithm: Algorithm, digest: &[u8]) -> Option<Self> {
        if digest.len() != algorithm.size() {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Some(Self { algorithm, bytes })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The digest in lower-case hex, without the algorithm.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(self.bytes())
    }

    /// `algo-<base64>`, the form of package expressions and of newer JSON.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm, BASE64.encode(self.bytes()))
    }

    /// Reads the digits of a hash whose algorithm is known from elsewhere.
    ///
    /// # Errors
    ///
    /// No form of the algorithm has this length, or the digits are malformed.
    pub fn parse_digits(algorithm: Algorithm, digits: &str) -> Result<Self, HashError> {
        let size = algorithm.size();
        let mut bytes = [0; 64];
        let text = digits.as_bytes();
        let digest = &mut bytes[..size];
        let (decoded, form) = if text.len() == size * 2 {
            (HEXLOWER_PERMISSIVE.decode_mut(text, digest).is_ok(), "hex")
        } else if text.len() == base32::encoded_len(size) {
            (base32::decode_into(text, digest).is_ok(), "base-32")
        } else if text.len() == BASE64.encode_len(size) {
            (decode_base64(text, digest).is_some(), "base-64")
        } else {
            return Err(HashError::Length {
                algorithm,
                found: text.len(),
            });
        };
        if !decoded {
            return Err(HashError::Digits { algorithm, form });
        }
        Ok(Self { algorithm, bytes })
    }
}

/// Decodes base 64 with padding into exactly `bytes`, without allocating.
pub(super) fn decode_base64(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    // Two more than the longest that we decode, because the length is only known up to padding.
    let mut buffer = [0; 66];
    let len = BASE64.decode_len(text.len()).ok()?;
    let decoded = BASE64.decode_mut(text, buffer.get_mut(..len)?).ok()?;
    let exact = buffer
        .get(..decoded)
        .filter(|decoded| decoded.len() == bytes.len())?;
    bytes.copy_from_slice(exact);
    Some(())
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        if let Some((algorithm, digits)) = text.split_once(':') {
            return Self::parse_digits(algorithm.parse()?, digits);
        }
        let (algorithm, digits) = text.split_once('-').ok_or(HashError::NoAlgorithm)?;
        let algorithm: Algorithm = algorithm.parse()?;
        if digits.len() != BASE64.encode_len(algorithm.size()) {
            return Err(HashError::Length {
                algorithm,
                found: digits.len(),
            });
        }
        Self::parse_digits(algorithm, digits)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, base32::encode(self.bytes()))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256> for Hash {
    fn from(hash: Sha256) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&hash.0);
        Self {
            algorithm: Algorithm::Sha256,
            bytes,
        }
    }
}

/// A SHA-256 digest. Printed and serialised as `sha256:<nix32>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `bytes`, in one go.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 hex digits without an algorithm in front (`nix-store --dump-db`, the daemon).
    ///
    /// # Errors
    ///
    /// Another length, or a character that is no hex digit.
    pub fn from_hex(hex: &str) -> Result<Self, HashError> {
        let algorithm = Algorithm::Sha256;
        if hex.len() != 64 {
            return Err(HashError::Length {
                algorithm,
                found: hex.len(),
            });
        }
        Self::try_from(Hash::parse_digits(algorithm, hex)?)
    }

    /// Reads `sha256:` with hex, base-32 or base-64 digits, or SRI `sha256-`.
    ///
    /// # Errors
    ///
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        text.parse()
    }

    /// The 52 base-32 digits, without `sha256:`.
    #[must_use]
    pub fn to_nix32(&self) -> String {
        base32::encode(&self.0)
    }

    /// The 64 lower-case hex digits, without `sha256:`.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// `sha256-<base64>`.
    #[must_use]
    pub fn to_sri(&self) -> String {
        Hash::from(*self).to_sri()
    }
}

impl TryFrom<Hash> for Sha256 {
    type Error = HashError;

    fn try_from(hash: Hash) -> Result<Self, HashError> {
        if hash.algorithm != Algorithm::Sha256 {
            return Err(HashError::NotSha256(hash.algorithm));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.bytes());
        Ok(Self(digest))
    }
}

impl FromStr for Sha256 {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        text.parse::<Hash>()?.try_into()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_nix32())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

super::serde_as_text!(Sha256, Hash);

/// Computes a [`Sha256`] from pieces, and counts their bytes.
#[derive(Clone, Default)]
pub struct Hasher {
    state: sha2::Sha256,
    len: u64,
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// How many bytes were taken in.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was taken in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digest of everything taken in.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        Sha256(self.state.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
