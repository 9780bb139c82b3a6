//! The end of an upload: everything said about the path is judged, the file put together and
//! compared, the narinfo made and signed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use nanna_cache::nix::hash::{Hasher, Sha256};
use nanna_cache::nix::key::Signature;
use nanna_cache::nix::narinfo::fingerprint;
use nanna_cache::nix::store_path::{HashPart, StoreDir, StorePath};
use serde::Deserialize;

use super::account::key_name;
use super::answer::{Answer, Outcome};
use super::collect;
use super::nar_file;
use super::route;
use super::serve::Asked;
use super::stand_in::{Shared, random};
use super::storage;
use super::upload;
use super::world::{Cache, Entry, Signing, Upload};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completion {
    /// Null from clients that got a part back without an ETag.
    parts: Option<Vec<Part>>,
    nar_info_create: NarInfoCreate,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "partNumber")]
    number: u32,
    #[serde(rename = "eTag")]
    etag: String,
}

/// What the client says of the path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NarInfoCreate {
    c_store_hash: String,
    c_store_suffix: String,
    c_nar_hash: String,
    c_nar_size: u64,
    c_file_hash: String,
    c_file_size: u64,
    c_references: Vec<String>,
    c_deriver: String,
    c_sig: Option<String>,
}

/// The same, once it has been judged.
struct Judged {
    path: StorePath,
    nar_hash: Sha256,
    nar_size: u64,
    file_hash: Sha256,
    file_size: u64,
    references: Vec<StorePath>,
    deriver: Option<String>,
    signature: Option<[u8; 64]>,
}

/// `POST /cache/{name}/multipart-nar/{id}/complete?uploadId=`.
pub fn complete(shared: &Shared, asked: &Asked, name: &str, id: &str) -> Outcome {
    let mut world = shared.world();
    let upload = upload::find(&mut world, asked, name, id)?;
    let completion: Completion = route::body(asked)?;
    let count = check_parts(shared, upload, completion.parts.as_deref())?;
    let said = judge(completion.nar_info_create)?;
    upload.completing = true;
    let upload = upload.clone();
    let signature = sign(&world.caches[name], &said);
    drop(world);
    let stored =
        signature.and_then(|signature| store(shared, id, count, &upload, &said, signature));
    let mut world = shared.world();
    let (entry, file) = match stored {
        Ok(stored) => stored,
        Err(refusal) => {
            if let Some(upload) = world.uploads.get_mut(id) {
                upload.completing = false;
            }
            return Err(refusal);
        }
    };
    world.uploads.remove(id);
    match world.caches.get_mut(name) {
        // What is there is never overwritten.
        Some(cache) if !cache.entries.contains_key(&said.path.hash().to_string()) => {
            std::fs::rename(file, nar_file::path(shared, &entry.file_name())).unwrap();
            cache.entries.insert(said.path.hash().to_string(), entry);
        }
        _ => std::fs::remove_file(file).unwrap(),
    }
    drop(world);
    storage::drop_parts(shared, id, upload.parts.keys());
    collect::collect(shared);
    Ok(Answer::empty())
}

fn check_parts(shared: &Shared, upload: &Upload, parts: Option<&[Part]>) -> Result<u32, Answer> {
    let parts = parts.ok_or_else(|| Answer::bad("parts are missing"))?;
    if parts.is_empty() {
        return Err(Answer::bad("there must be at least one part"));
    }
    let mut count = 0;
    for part in parts {
        count += 1;
        if part.number != count {
            return Err(Answer::bad(format!(
                "part {count} is missing, or out of order"
            )));
        }
        match upload.parts.get(&part.number) {
            Some((etag, _)) if *etag == part.etag => {}
            Some(_) => return Err(Answer::bad(format!("part {count} has another eTag"))),
            None => return Err(Answer::bad(format!("part {count} was not uploaded"))),
        }
        let size = upload.parts[&part.number].1;
        let is_last = parts.len() == count as usize;
        if !is_last && size < shared.settings.min_part {
            return Err(Answer::bad(format!(
                "part {count} is smaller than the minimum"
            )));
        }
    }
    Ok(count)
}

fn judge(said: NarInfoCreate) -> Result<Judged, Answer> {
    let wrong = |field: &str, why: &str| Answer::bad(format!("{field} {why}"));
    let hash = HashPart::parse(said.c_store_hash.as_bytes())
        .map_err(|_| wrong("cStoreHash", "must be the 32 characters of a store path"))?;
    let path = StorePath::new(hash, &said.c_store_suffix)
        .map_err(|_| wrong("cStoreSuffix", "is not a valid name"))?;
    let digits = said
        .c_nar_hash
        .strip_prefix("sha256:")
        .filter(|digits| digits.len() == 52);
    let nar_hash = digits.and_then(|_| Sha256::parse(&said.c_nar_hash).ok());
    let nar_hash =
        nar_hash.ok_or_else(|| wrong("cNarHash", "must be sha256: and Nix's base 32"))?;
    if said.c_nar_size == 0 {
        return Err(wrong("cNarSize", "must be greater than 0"));
    }
    let is_lower = said
        .c_file_hash
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let file_hash = Sha256::from_hex(&said.c_file_hash)
        .ok()
        .filter(|_| is_lower);
    let file_hash =
        file_hash.ok_or_else(|| wrong("cFileHash", "must be 64 lower-case hex digits"))?;
    let mut references = Vec::new();
    for name in &said.c_references {
        let reference: StorePath = name
            .parse()
            .map_err(|_| wrong("cReferences", "must be base names of store paths"))?;
        references.push(reference);
    }
    if !said.c_references.is_sorted_by(|one, next| one < next) {
        return Err(wrong("cReferences", "must be sorted, each once"));
    }
    let deriver = match said.c_deriver.as_str() {
        "unknown-deriver" => None,
        name if name.ends_with(".drv") && name.parse::<StorePath>().is_ok() => {
            Some(name.to_owned())
        }
        _ => return Err(wrong("cDeriver", "must be a base name, or unknown-deriver")),
    };
    let signature = match &said.c_sig {
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
        nar_size: said.c_nar_size,
        file_hash,
        file_size: said.c_file_size,
        references,
        deriver,
        signature,
    })
}

/// The signature of the service, or the client's if it is one.
fn sign(cache: &Cache, said: &Judged) -> Result<Signature, Answer> {
    let dir = StoreDir::default();
    let text = fingerprint(
        &dir,
        &said.path,
        said.nar_hash,
        said.nar_size,
        &said.references,
    );
    match (&cache.signing, said.signature) {
        (Signing::Managed(key), None) => Ok(key.sign(&text)),
        (Signing::Managed(_), Some(_)) => Err(Answer::bad(format!(
            "{} is signed by the service: cSig must be null",
            cache.name
        ))),
        (Signing::Client(keys), _) if keys.is_empty() => {
            Err(Answer::bad(format!("{} has no signing key", cache.name)))
        }
        (Signing::Client(_), None) => Err(Answer::bad("cSig is missing")),
        (Signing::Client(keys), Some(bytes)) => {
            let signature = Signature::new(&key_name(&cache.name), bytes).unwrap();
            let verifies = keys.iter().any(|key| key.verify(&text, &signature));
            verifies
                .then_some(signature)
                .ok_or_else(|| Answer::bad("cSig does not verify"))
        }
    }
}

/// Puts the file together, beside its place, if it is what was said.
fn store(
    shared: &Shared,
    id: &str,
    count: u32,
    upload: &Upload,
    said: &Judged,
    signature: Signature,
) -> Result<(Entry, PathBuf), Answer> {
    let entry = Entry {
        base_name: said.path.to_string(),
        nar_hash: said.nar_hash.to_string(),
        nar_size: said.nar_size,
        file_hash: said.file_hash.to_hex(),
        file_size: said.file_size,
        suffix: upload.suffix.clone(),
        references: said.references.iter().map(ToString::to_string).collect(),
        deriver: said.deriver.clone(),
        signature: signature.to_string(),
        created: shared.clock.now(),
        accessed: None,
    };
    let end = nar_file::path(shared, &entry.file_name());
    let unique = data_encoding::HEXLOWER.encode(&random::<8>());
    let new = end.with_file_name(format!("{unique}.new.{}", upload.suffix));
    let (hash, size) = join(shared, id, count, &new).unwrap();
    let refusal = if size != said.file_size {
        Answer::bad(format!("the file has {size} bytes, not cFileSize"))
    } else if hash != said.file_hash {
        Answer::bad(format!(
            "the file has the hash {}, not cFileHash",
            hash.to_hex()
        ))
    } else {
        judge_nar(shared, &new, said);
        return Ok((entry, new));
    };
    std::fs::remove_file(new).unwrap();
    Err(refusal)
}

fn join(shared: &Shared, id: &str, count: u32, into: &Path) -> std::io::Result<(Sha256, u64)> {
    let mut file = File::create(into)?;
    let mut hasher = Hasher::new();
    for number in 1..=count {
        let bytes = std::fs::read(storage::part_path(shared, id, number))?;
        hasher.update(&bytes);
        file.write_all(&bytes)?;
    }
    let size = hasher.len();
    Ok((hasher.finish(), size))
}

/// What the service does not look at: whether the file is the NAR that it is said to be.
fn judge_nar(shared: &Shared, file: &Path, said: &Judged) {
    if !shared.settings.judges_nars {
        return;
    }
    match nar_file::digest(file) {
        Ok(found) if found == (said.nar_hash, said.nar_size) => {}
        Ok((hash, size)) => shared.complain(format!(
            "the NAR of {} is {hash} of {size} bytes, not what was said",
            said.path
        )),
        Err(why) => shared.complain(format!("the file of {} holds no NAR: {why}", said.path)),
    }
}
