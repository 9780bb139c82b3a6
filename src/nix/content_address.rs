//! Content addresses: store paths that follow from what they hold.
//!
//! Text form (the `CA` key of a narinfo, the `ca` column of the database): `text:sha256:<nix32>`,
//! `fixed:<algo>:<nix32>` (the bytes of one file), `fixed:r:<algo>:<nix32>` (the NAR) and
//! `fixed:git:<algo>:<nix32>` (experimental). Promise: a store path computed here is the one that
//! Nix computes, or an error where Nix refuses.

use std::fmt;
use std::str::FromStr;

use super::hash::{Algorithm, Hash, HashError, Hasher, Sha256};
use super::store_path::{HashPart, StoreDir, StorePath, StorePathError};

/// What of the content is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The bytes of one file that may have references, made by evaluation (`.drv`, `toFile`).
    Text,
    /// The bytes of one file that is not executable.
    Flat,
    /// The NAR of a file tree.
    Nar,
    /// The git tree object of a file tree (experimental in Nix).
    Git,
}

impl Method {
    /// What stands before the algorithm, colon included.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Text => "text:",
            Self::Flat => "fixed:",
            Self::Nar => "fixed:r:",
            Self::Git => "fixed:git:",
        }
    }
}

/// A method and the hash that it gave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress {
    /// What was hashed.
    pub method: Method,
    /// The hash of it.
    pub hash: Hash,
}

/// Why a text is no content address, or why it has no store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentAddressError {
    /// Neither `text:` nor `fixed:` in front.
    #[error("neither `text:` nor `fixed:` in front of a content address")]
    Form,
    /// The hash is malformed.
    #[error("the hash of a content address is malformed: {0}")]
    Hash(#[from] HashError),
    /// `text:` with another algorithm than SHA-256, or `fixed:git:` with MD5 or SHA-512.
    #[error("{0} is not allowed with this kind of content address")]
    Algorithm(Algorithm),
    /// References where this kind allows none.
    #[error("this kind of content address cannot have references")]
    References,
    /// A reference of the path to itself where this kind allows none.
    #[error("this kind of content address cannot refer to itself")]
    SelfReference,
    /// The name is not one of a store path.
    #[error(transparent)]
    Name(#[from] StorePathError),
}

impl ContentAddress {
    /// The content address of a tree by its NAR hash.
    #[must_use]
    pub fn of_nar(nar_hash: Sha256) -> Self {
        Self {
            method: Method::Nar,
            hash: nar_hash.into(),
        }
    }

    /// Computes the store path that content of this address has.
    ///
    /// `references` are the other paths that it refers to, in any order; `self_reference` says
    /// whether it refers to itself (then the hash was taken with its own hash zeroed).
    ///
    /// # Errors
    ///
    /// The name is not valid, or this kind of address allows no such references.
    pub fn store_path<'a>(
        &self,
        references: impl IntoIterator<Item = &'a StorePath>,
        self_reference: bool,
        name: &str,
        store_dir: &StoreDir,
    ) -> Result<StorePath, ContentAddressError> {
        let mut references: Vec<&StorePath> = references.into_iter().collect();
        references.sort_unstable();
        references.dedup();
        let algorithm = self.hash.algorithm();
        let (mut kind, inner) = match (self.method, algorithm) {
            (Method::Text, Algorithm::Sha256) => {
                if self_reference {
                    return Err(ContentAddressError::SelfReference);
                }
                ("text".to_owned(), self.hash.to_hex())
            }
            (Method::Nar, Algorithm::Sha256) => ("source".to_owned(), self.hash.to_hex()),
            (Method::Text, _) => return Err(ContentAddressError::Algorithm(algorithm)),
            (Method::Flat | Method::Nar | Method::Git, _) => {
                if !references.is_empty() {
                    return Err(ContentAddressError::References);
                }
                if self_reference {
                    return Err(ContentAddressError::SelfReference);
                }
                let ingestion = match self.method {
                    Method::Nar => "r:",
                    Method::Git => "git:",
                    Method::Text | Method::Flat => "",
                };
                let inner = format!("fixed:out:{ingestion}{algorithm}:{}:", self.hash.to_hex());
                (
                    "output:out".to_owned(),
                    Sha256::of(inner.as_bytes()).to_hex(),
                )
            }
        };
        for reference in references {
            kind.push(':');
            kind.push_str(&store_dir.display(reference).to_string());
        }
        if self_reference {
            kind.push_str(":self");
        }
        let mut hasher = Hasher::new();
        for piece in [
            &kind,
            ":sha256:",
            &inner,
            ":",
            store_dir.as_str(),
            ":",
            name,
        ] {
            hasher.update(piece.as_bytes());
        }
        Ok(StorePath::new(fold(hasher.finish()), name)?)
    }
}

/// The store path of a file tree that refers to nothing, by its NAR hash (recursive SHA-256).
///
/// # Errors
///
/// The name is not one of a store path.
pub fn path_of_directory(
    nar_hash: Sha256,
    name: &str,
    store_dir: &StoreDir,
) -> Result<StorePath, ContentAddressError> {
    ContentAddress::of_nar(nar_hash).store_path([], false, name, store_dir)
}

/// Folds a SHA-256 to the 160 bits of a store path by exclusive or.
fn fold(digest: Sha256) -> HashPart {
    let mut bytes = [0; 20];
    for (index, byte) in digest.0.iter().enumerate() {
        bytes[index % 20] ^= byte;
    }
    HashPart::from_nix_bytes(bytes)
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;

    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        let (method, hash) = if let Some(hash) = text.strip_prefix("text:") {
            (Method::Text, hash)
        } else if let Some(rest) = text.strip_prefix("fixed:") {
            if let Some(hash) = rest.strip_prefix("r:") {
                (Method::Nar, hash)
            } else if let Some(hash) = rest.strip_prefix("git:") {
                (Method::Git, hash)
            } else {
                (Method::Flat, rest)
            }
        } else {
            return Err(ContentAddressError::Form);
        };
        // Nix takes a prefixed hash here, never SRI.
        let (algorithm, digits) = hash.split_once(':').ok_or(HashError::NoAlgorithm)?;
        let hash = Hash::parse_digits(algorithm.parse()?, digits)?;
        match (method, hash.algorithm()) {
            (Method::Text, Algorithm::Sha256)
            | (Method::Git, Algorithm::Sha1 | Algorithm::Sha256)
            | (Method::Flat | Method::Nar, _) => Ok(Self { method, hash }),
            (_, algorithm) => Err(ContentAddressError::Algorithm(algorithm)),
        }
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.method.prefix(), self.hash)
    }
}

impl fmt::Debug for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

super::serde_as_text!(ContentAddress);

#[cfg(test)]
mod tests;
