//! The end of an upload: everything said about the path is judged, the file put together and
//! compared, the narinfo made and signed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use nanna_cache::nix::hash::{Hasher, Sha256};
use nanna_cache::nix::key::Signature;
use nanna_cache::nix::narinfo::fingerprint;
use nanna_cache::nix::store_path::StoreDir;
use serde::Deserialize;

use super::account::key_name;
use super::answer::{Answer, Outcome};
use super::collect;
use super::nar_file;
use super::route;
use super::said::{Judged, NarInfoCreate, judge};
use super::serve::Asked;
use super::stand_in::{Shared, random};
use super::storage;
use super::upload;
use super::world::{Cache, Entry, Signing, Upload};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completion {
    /// Null from clients that got a part back without an `ETag`.
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

/// `POST /cache/{name}/multipart-nar/{id}/complete?uploadId=`.
pub fn complete(shared: &Shared, asked: &Asked, name: &str, id: &str) -> Outcome {
    let mut world = shared.world();
    let upload = upload::find(&mut world, asked, name, id)?;
    let completion: Completion = route::body(asked)?;
    let count = check_parts(shared, upload, completion.parts.as_deref())?;
    let said = judge(&completion.nar_info_create)?;
    upload.completing = true;
    let upload = upload.clone();
    let signature = sign(&world.caches[name], &said);
    drop(world);
    let stored =
        signature.and_then(|signature| store(shared, id, count, &upload, &said, &signature));
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
    signature: &Signature,
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
