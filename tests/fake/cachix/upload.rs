//! The question for missing paths, and uploads in parts up to their completion.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use nanna_cache::nix::store_path::HashPart;
use serde::Deserialize;
use serde_json::json;

use super::access::{self, Right};
use super::answer::{Answer, Outcome};
use super::route;
use super::serve::Asked;
use super::stand_in::{Shared, random};
use super::storage;
use super::world::{Upload, World};

/// The most parts that an object storage takes.
pub const MAX_PARTS: u32 = 10_000;

/// `POST /cache/{name}/narinfo`: which of these hash parts are missing here and in the upstreams.
pub fn missing(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Read)?;
    if access::token_of(&asked.headers).is_none() && !shared.settings.anonymous_missing {
        return Err(Answer::unauthorized(Some(name)));
    }
    let hashes: Vec<String> = route::body(asked)?;
    if hashes.len() > shared.settings.hashes_limit {
        return Err(Answer::text(413, "too many hashes at once"));
    }
    if let Some(wrong) = hashes
        .iter()
        .find(|hash| HashPart::parse(hash.as_bytes()).is_err())
    {
        return Err(Answer::bad(format!(
            "{wrong} is not the hash of a store path"
        )));
    }
    let cache = &world.caches[name];
    let is_missing =
        |hash: &&String| !cache.entries.contains_key(*hash) && !cache.upstream.contains_key(*hash);
    let missing: Vec<&String> = hashes.iter().filter(is_missing).collect();
    Ok(Answer::json(&json!(missing)))
}

/// `POST /cache/{name}/multipart-nar?compression=`.
pub fn begin(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let mut world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Write)?;
    route::takes_json(asked)?;
    let suffix = match asked.value("compression") {
        Some(method @ ("xz" | "zst")) => method.to_owned(),
        Some(other) => return Err(Answer::bad(format!("unknown compression {other}"))),
        None => return Err(Answer::bad("compression is missing")),
    };
    let id = uuid();
    // What real ids hold, and what must be encoded in a query.
    let upload_id = format!("{}+/={}", BASE64.encode(&random::<24>()), "&x");
    let upload = Upload {
        cache: name.to_owned(),
        secret_id: upload_id.clone(),
        suffix,
        announced: BTreeMap::new(),
        parts: BTreeMap::new(),
        completing: false,
    };
    world.uploads.insert(id.clone(), upload);
    Ok(Answer::json(&json!({ "narId": id, "uploadId": upload_id })))
}

fn uuid() -> String {
    let mut bytes: [u8; 16] = random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = HEXLOWER.encode(&bytes);
    let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
    format!("{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
}

/// The upload that the path and the query name, for a caller that may write.
pub fn find<'a>(
    world: &'a mut World,
    asked: &Asked,
    name: &str,
    id: &str,
) -> Result<&'a mut Upload, Answer> {
    access::admit(world, &asked.headers, name, Right::Write)?;
    let upload = world.uploads.get_mut(id);
    upload
        .filter(|upload| {
            upload.cache == name
                && !upload.completing
                && asked.value("uploadId") == Some(upload.secret_id.as_str())
        })
        .ok_or_else(|| Answer::not_found("The upload"))
}

#[derive(Deserialize)]
struct PartDigest {
    #[serde(rename = "contentMD5")]
    content_md5: String,
}

/// `POST /cache/{name}/multipart-nar/{id}?uploadId=&partNumber=`: the address for one part.
pub fn part(shared: &Shared, asked: &Asked, name: &str, id: &str) -> Outcome {
    let mut world = shared.world();
    let upload = find(&mut world, asked, name, id)?;
    let digest: PartDigest = route::body(asked)?;
    let number = asked
        .value("partNumber")
        .and_then(|text| text.parse::<u32>().ok());
    let number = number
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| Answer::bad("partNumber must be a number from 1 to 10000"))?;
    let bytes = BASE64.decode(digest.content_md5.as_bytes()).ok();
    if bytes.is_none_or(|bytes| bytes.len() != 16) {
        return Err(Answer::bad("contentMD5 must be the base64 of 16 bytes"));
    }
    upload.announced.insert(number, digest.content_md5.clone());
    drop(world);
    let url = storage::part_url(shared, id, number, &digest.content_md5);
    Ok(Answer::json(&json!({ "uploadUrl": url })))
}

/// `POST /cache/{name}/multipart-nar/{id}/abort?uploadId=`.
pub fn abort(shared: &Shared, asked: &Asked, name: &str, id: &str) -> Outcome {
    let mut world = shared.world();
    let parts = find(&mut world, asked, name, id)?.parts.clone();
    world.uploads.remove(id);
    drop(world);
    storage::drop_parts(shared, id, parts.keys());
    Ok(Answer::empty())
}
