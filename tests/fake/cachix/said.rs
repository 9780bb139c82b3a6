//! What a client says of a path at the end of an upload, judged word by word.

use data_encoding::BASE64;
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::store_path::{HashPart, StorePath};
use serde::Deserialize;

use super::answer::Answer;

/// What the client says of the path.
#[derive(Deserialize)]
pub struct NarInfoCreate {
    #[serde(rename = "cStoreHash")]
    store_hash: String,
    #[serde(rename = "cStoreSuffix")]
    store_suffix: String,
    #[serde(rename = "cNarHash")]
    nar_hash: String,
    #[serde(rename = "cNarSize")]
    nar_size: u64,
    #[serde(rename = "cFileHash")]
    file_hash: String,
    #[serde(rename = "cFileSize")]
    file_size: u64,
    #[serde(rename = "cReferences")]
    references: Vec<String>,
    #[serde(rename = "cDeriver")]
    deriver: String,
    #[serde(rename = "cSig")]
    signature: Option<String>,
}

/// The same, once it has been judged.
pub struct Judged {
    /// The path.
    pub path: StorePath,
    /// Of the NAR.
    pub nar_hash: Sha256,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Of the compressed file.
    pub file_hash: Sha256,
    /// Bytes of the compressed file.
    pub file_size: u64,
    /// Sorted.
    pub references: Vec<StorePath>,
    /// A base name.
    pub deriver: Option<String>,
    /// Of a client that signs.
    pub signature: Option<[u8; 64]>,
}

/// Refuses what is not written as it must be.
pub fn judge(said: &NarInfoCreate) -> Result<Judged, Answer> {
    let wrong = |field: &str, why: &str| Answer::bad(format!("{field} {why}"));
    let hash = HashPart::parse(said.store_hash.as_bytes())
        .map_err(|_| wrong("cStoreHash", "must be the 32 characters of a store path"))?;
    let path = StorePath::new(hash, &said.store_suffix)
        .map_err(|_| wrong("cStoreSuffix", "is not a valid name"))?;
    let digits = said
        .nar_hash
        .strip_prefix("sha256:")
        .filter(|digits| digits.len() == 52);
    let nar_hash = digits.and_then(|_| Sha256::parse(&said.nar_hash).ok());
    let nar_hash =
        nar_hash.ok_or_else(|| wrong("cNarHash", "must be sha256: and Nix's base 32"))?;
    if said.nar_size == 0 {
        return Err(wrong("cNarSize", "must be greater than 0"));
    }
    let is_lower = said
        .file_hash
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let file_hash = Sha256::from_hex(&said.file_hash).ok().filter(|_| is_lower);
    let file_hash =
        file_hash.ok_or_else(|| wrong("cFileHash", "must be 64 lower-case hex digits"))?;
    let mut references = Vec::new();
    for name in &said.references {
        let reference: StorePath = name
            .parse()
            .map_err(|_| wrong("cReferences", "must be base names of store paths"))?;
        references.push(reference);
    }
    if !said.references.is_sorted_by(|one, next| one < next) {
        return Err(wrong("cReferences", "must be sorted, each once"));
    }
    let deriver = match said.deriver.as_str() {
        "unknown-deriver" => None,
        name if name
            .parse()
            .is_ok_and(|path: StorePath| path.is_derivation()) =>
        {
            Some(name.to_owned())
        }
        _ => return Err(wrong("cDeriver", "must be a base name, or unknown-deriver")),
    };
    let signature = match &said.signature {
        None => None,
        Some(text) => {
            let bytes = BASE64.decode(text.as_bytes()).ok();
            let bytes = bytes.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
            Some(bytes.ok_or_else(|| wrong("cSig", "must be the base64 of 64 bytes, no name"))?)
        }
    };
    Ok(Judged {
        path,
        nar_hash,
        nar_size: said.nar_size,
        file_hash,
        file_size: said.file_size,
        references,
        deriver,
        signature,
    })
}
