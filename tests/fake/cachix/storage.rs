//! The object storage behind the service: presigned addresses, parts, and files to fetch.
//!
//! An address holds only for what it was signed for: the method, the key, the time and, for a part,
//! its `Content-MD5`. It takes no `Authorization` beside.

use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER};
use jiff::SignedDuration;
use md5::{Digest as _, Md5};
use nanna_cache::nix::hash::Sha256;

use super::answer::{Answer, Outcome};
use super::nar_file;
use super::serve::Asked;
use super::stand_in::Shared;

/// The file of one part.
pub fn part_path(shared: &Shared, id: &str, number: u32) -> PathBuf {
    shared.folder.join("parts").join(format!("{id}-{number}"))
}

/// Removes the files of parts.
pub fn drop_parts<'a>(shared: &Shared, id: &str, numbers: impl IntoIterator<Item = &'a u32>) {
    for &number in numbers {
        let _ = std::fs::remove_file(part_path(shared, id, number));
    }
}

fn signature(shared: &Shared, method: &str, path: &str, until: i64, md5: &str) -> String {
    let secret = HEXLOWER.encode(&shared.secret);
    Sha256::of(format!("{secret}\n{method}\n{path}\n{until}\n{md5}\n{secret}").as_bytes()).to_hex()
}

fn presigned(shared: &Shared, method: &str, path: &str, md5: &str) -> String {
    let life = SignedDuration::try_from(shared.settings.url_life).unwrap();
    let until = shared.clock.now().saturating_add(life).unwrap().as_second();
    let signature = signature(shared, method, path, until, md5);
    format!(
        "{}{path}?X-Amz-Expires={until}&X-Amz-Signature={signature}",
        shared.storage
    )
}

/// The address that takes one part.
pub fn part_url(shared: &Shared, id: &str, number: u32, md5: &str) -> String {
    presigned(shared, "PUT", &format!("/storage/parts/{id}/{number}"), md5)
}

/// The address that a file is fetched from.
pub fn file_url(shared: &Shared, file: &str) -> String {
    presigned(shared, "GET", &format!("/storage/nar/{file}"), "")
}

/// Answers a request to the storage.
pub fn answer(shared: &Shared, asked: &Asked) -> Outcome {
    if asked.headers.contains_key("authorization") {
        let message = "Only one auth mechanism allowed";
        return Err(Answer::storage(400, "InvalidArgument", message));
    }
    let denied = || Answer::storage(403, "SignatureDoesNotMatch", "The signature does not match");
    // HEAD is signed as GET is, unlike at the real ones: Nix asks so after a redirect.
    let method = if asked.method == "HEAD" {
        "GET"
    } else {
        &asked.method
    };
    let until: i64 = asked
        .value("X-Amz-Expires")
        .and_then(|text| text.parse().ok())
        .ok_or_else(denied)?;
    let md5 = asked.header("content-md5");
    let expected = signature(shared, method, &asked.path, until, md5);
    if asked.value("X-Amz-Signature") != Some(expected.as_str()) {
        return Err(denied());
    }
    if shared.clock.now().as_second() > until {
        return Err(Answer::storage(403, "AccessDenied", "Request has expired"));
    }
    let segments: Vec<&str> = asked.path.split('/').skip(1).collect();
    match (method, segments.as_slice()) {
        ("PUT", ["storage", "parts", id, number]) => put(shared, asked, id, number),
        ("GET", ["storage", "nar", file]) => get(shared, file),
        _ => Err(Answer::storage(
            405,
            "MethodNotAllowed",
            "The method is not allowed here",
        )),
    }
}

fn put(shared: &Shared, asked: &Asked, id: &str, number: &str) -> Outcome {
    if asked.header("content-length").is_empty() {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(Answer::storage(411, "MissingContentLength", message));
    }
    let digest = Md5::digest(&asked.body);
    if BASE64.encode(&digest) != asked.header("content-md5") {
        let message = "The Content-MD5 you specified did not match what we received.";
        return Err(Answer::storage(400, "BadDigest", message));
    }
    let gone = || Answer::storage(404, "NoSuchUpload", "The specified upload does not exist.");
    let number: u32 = number.parse().map_err(|_| gone())?;
    let etag = format!("\"{}\"", HEXLOWER.encode(&digest));
    if !shared.world().uploads.contains_key(id) {
        return Err(gone());
    }
    let path = part_path(shared, id, number);
    let new = path.with_extension(HEXLOWER.encode(&super::stand_in::random::<8>()));
    std::fs::write(&new, &asked.body).unwrap();
    let mut world = shared.world();
    let upload = world
        .uploads
        .get_mut(id)
        .filter(|upload| !upload.completing);
    let Some(upload) = upload else {
        let _ = std::fs::remove_file(new);
        return Err(gone());
    };
    std::fs::rename(new, path).unwrap();
    upload
        .parts
        .insert(number, (etag.clone(), asked.body.len() as u64));
    drop(world);
    if asked.header("content-type") != "application/octet-stream" {
        shared.complain("a part was not uploaded as application/octet-stream");
    }
    Ok(Answer::bytes(200, "application/xml", "").with("etag", &etag))
}

fn get(shared: &Shared, file: &str) -> Outcome {
    match std::fs::read(nar_file::path(shared, file)) {
        Ok(bytes) => Ok(Answer::bytes(200, "application/octet-stream", bytes)),
        Err(_) => Err(Answer::storage(
            404,
            "NoSuchKey",
            "The specified key does not exist.",
        )),
    }
}
