//! The JSON of `nix path-info --json`, in all the shapes it has had since Nix 2.8.
//!
//! An array (2.8), an object keyed by full path (2.19 to 2.32, and format 1), or an object
//! that holds one keyed by base name under `info` (formats 2 and 3). Promise: fields that are
//! absent, null or empty all read the same; fields that we do not know are ignored.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::content_address::{ContentAddress, ContentAddressError, Method};
use super::hash::{Hash, HashError, Sha256};
use super::key::{KeyError, Signature};
use super::narinfo::Compression;
use super::store_path::{StoreDir, StorePath, StorePathError};

/// Why the JSON cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathInfoError {
    /// Not JSON, or a field of another type.
    #[error("not the JSON of `nix path-info`")]
    Json(#[from] serde_json::Error),
    /// Neither an array nor an object.
    #[error("neither an array nor an object")]
    Shape,
    /// A version of the format that we do not know.
    #[error("format {0} is newer than those we know (1 to 3)")]
    Version(u64),
    /// The paths are in another store directory.
    #[error("about the store `{0}`, not the one asked about")]
    StoreDir(String),
    /// A text that is no store path.
    #[error("`{text}`: {source}")]
    Path {
        /// The text.
        text: String,
        /// What is wrong.
        source: StorePathError,
    },
    /// A malformed hash.
    #[error("`{path}`: {source}")]
    Hash {
        /// Whose hash.
        path: StorePath,
        /// What is wrong.
        source: HashError,
    },
    /// A malformed content address.
    #[error("`{path}`: {source}")]
    ContentAddress {
        /// Whose address.
        path: StorePath,
        /// What is wrong.
        source: ContentAddressError,
    },
    /// A malformed signature.
    #[error("`{path}`: {source}")]
    Signature {
        /// Whose signature.
        path: StorePath,
        /// What is wrong.
        source: KeyError,
    },
    /// A known path without its NAR hash or size.
    #[error("`{path}`: no `{field}`")]
    Missing {
        /// The path.
        path: StorePath,
        /// The field.
        field: &'static str,
    },
}

/// What is known about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// The SHA-256 of its NAR.
    pub nar_hash: Sha256,
    /// The size of its NAR in bytes.
    pub nar_size: u64,
    /// The paths it refers to, itself included where it does; ascending.
    pub references: Vec<StorePath>,
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// The content address.
    pub ca: Option<ContentAddress>,
    /// When it was registered on this machine, in Unix seconds; none for a binary cache.
    pub registration_time: Option<i64>,
    /// Whether it was built here.
    pub ultimate: bool,
    /// Its signatures.
    pub signatures: Vec<Signature>,
    /// The sum of the NAR sizes of its closure, where that was asked for.
    pub closure_size: Option<u64>,
    /// Where the NAR file is; only for a binary cache.
    pub url: Option<String>,
    /// How the NAR file is compressed; only for a binary cache, from 2.34.
    pub compression: Option<Compression>,
    /// The SHA-256 of the NAR file; only for a binary cache.
    pub file_hash: Option<Sha256>,
    /// The size of the NAR file in bytes; only for a binary cache.
    pub file_size: Option<u64>,
}

/// The answer of `nix path-info --json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathInfos {
    /// The paths that the store has, in the order of the JSON.
    pub known: Vec<PathInfo>,
    /// The paths that it does not have.
    pub unknown: Vec<StorePath>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    path: Option<String>,
    valid: Option<bool>,
    store_dir: Option<String>,
    nar_hash: Option<String>,
    nar_size: Option<u64>,
    references: Option<Vec<String>>,
    deriver: Option<String>,
    ca: Option<RawAddress>,
    registration_time: Option<i64>,
    ultimate: Option<bool>,
    signatures: Option<Vec<RawSignature>>,
    closure_size: Option<u64>,
    url: Option<String>,
    compression: Option<String>,
    download_hash: Option<String>,
    download_size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawAddress {
    Text(String),
    Parts { hash: String, method: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawSignature {
    Text(String),
    #[serde(rename_all = "camelCase")]
    Parts {
        key_name: String,
        sig: String,
    },
}

impl PathInfos {
    /// Reads the JSON about paths in `store_dir`.
    ///
    /// # Errors
    ///
    /// The text is not such JSON, is about another store, or one of its values is malformed.
    pub fn parse(json: &str, store_dir: &StoreDir) -> Result<Self, PathInfoError> {
        let mut infos = Self::default();
        match serde_json::from_str(json)? {
            Value::Array(list) => {
                for value in list {
                    let raw: Raw = serde_json::from_value(value)?;
                    let text = raw.path.clone().unwrap_or_default();
                    infos.add(&text, Some(raw), store_dir)?;
                }
            }
            Value::Object(mut object) => {
                check_head(&object, store_dir)?;
                let keyed = match object.remove("info") {
                    Some(Value::Object(info)) => info,
                    _ => object,
                };
                for (text, value) in keyed {
                    // Format 1 has its version among the paths.
                    if !matches!(text.as_str(), "version" | "storeDir") {
                        infos.add(&text, serde_json::from_value(value)?, store_dir)?;
                    }
                }
            }
            _ => return Err(PathInfoError::Shape),
        }
        Ok(infos)
    }

    fn add(
        &mut self,
        text: &str,
        raw: Option<Raw>,
        store_dir: &StoreDir,
    ) -> Result<(), PathInfoError> {
        let path = store_path(text, store_dir)?;
        match raw.filter(|raw| raw.valid != Some(false)) {
            Some(raw) => self.known.push(raw.into_path_info(path, store_dir)?),
            None => self.unknown.push(path),
        }
        Ok(())
    }
}

/// Checks what stands beside the paths.
fn check_head(object: &Map<String, Value>, store_dir: &StoreDir) -> Result<(), PathInfoError> {
    match object.get("version").and_then(Value::as_u64) {
        Some(version) if version > 3 => return Err(PathInfoError::Version(version)),
        _ => {}
    }
    check_store_dir(object.get("storeDir").and_then(Value::as_str), store_dir)
}

fn check_store_dir(found: Option<&str>, store_dir: &StoreDir) -> Result<(), PathInfoError> {
    match found {
        Some(found) if found != store_dir.as_str() => {
            Err(PathInfoError::StoreDir(found.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Reads a full path or a base name, whichever it is.
fn store_path(text: &str, store_dir: &StoreDir) -> Result<StorePath, PathInfoError> {
    let parsed = if text.starts_with('/') {
        store_dir.parse(text)
    } else {
        text.parse()
    };
    parsed.map_err(|source| PathInfoError::Path {
        text: text.to_owned(),
        source,
    })
}

impl Raw {
    fn into_path_info(
        self,
        path: StorePath,
        store_dir: &StoreDir,
    ) -> Result<PathInfo, PathInfoError> {
        check_store_dir(self.store_dir.as_deref(), store_dir)?;
        let missing = |field| PathInfoError::Missing {
            path: path.clone(),
            field,
        };
        let hash = |text: &str| {
            text.parse().map_err(|source| PathInfoError::Hash {
                path: path.clone(),
                source,
            })
        };
        let filled = |text: &String| !text.is_empty();
        let mut references = self
            .references
            .unwrap_or_default()
            .iter()
            .map(|text| store_path(text, store_dir))
            .collect::<Result<Vec<_>, _>>()?;
        references.sort_unstable();
        references.dedup();
        let deriver = self
            .deriver
            .filter(|text| filled(text) && text != "unknown-deriver");
        let ca = self
            .ca
            .map(RawAddress::parse)
            .transpose()
            .map_err(|source| PathInfoError::ContentAddress {
                path: path.clone(),
                source,
            })?;
        let signatures = self
            .signatures
            .unwrap_or_default()
            .into_iter()
            .map(RawSignature::parse);
        let signatures =
            signatures
                .collect::<Result<_, _>>()
                .map_err(|source| PathInfoError::Signature {
                    path: path.clone(),
                    source,
                })?;
        Ok(PathInfo {
            nar_hash: hash(&self.nar_hash.ok_or_else(|| missing("narHash"))?)?,
            nar_size: self.nar_size.ok_or_else(|| missing("narSize"))?,
            references,
            deriver: deriver
                .map(|text| store_path(&text, store_dir))
                .transpose()?,
            ca: ca.flatten(),
            registration_time: self.registration_time,
            ultimate: self.ultimate.unwrap_or_default(),
            signatures,
            closure_size: self.closure_size,
            url: self.url.filter(filled),
            compression: self
                .compression
                .map(|word| Compression::from(word.as_str())),
            file_hash: self
                .download_hash
                .filter(filled)
                .map(|text| hash(&text))
                .transpose()?,
            file_size: self.download_size,
            path,
        })
    }
}

impl RawAddress {
    fn parse(self) -> Result<Option<ContentAddress>, ContentAddressError> {
        let (hash, method) = match self {
            Self::Text(text) if text.is_empty() => return Ok(None),
            Self::Text(text) => return text.parse().map(Some),
            Self::Parts { hash, method } => (hash, method),
        };
        let hash: Hash = hash.parse()?;
        let method = match method.as_str() {
            "flat" => Method::Flat,
            "nar" => Method::Nar,
            "text" => Method::Text,
            "git" => Method::Git,
            _ => return Err(ContentAddressError::Form),
        };
        Ok(Some(ContentAddress { method, hash }))
    }
}

impl RawSignature {
    fn parse(self) -> Result<Signature, KeyError> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Parts { key_name, sig } => format!("{key_name}:{sig}").parse(),
        }
    }
}

#[cfg(test)]
mod tests;
