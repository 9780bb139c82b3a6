//! What Nix reads: `nix-cache-info`, narinfos, NARs, and single files of a path.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use nanna_cache::nix::hash::Sha256;
use serde_json::{Value, json};

use super::access::{self, Right};
use super::answer::{Answer, Outcome};
use super::nar_file;
use super::route;
use super::serve::Asked;
use super::stand_in::Shared;
use super::storage;
use super::world::{Cache, Entry};

/// Answers what lies under the address of a cache.
pub fn answer(shared: &Arc<Shared>, asked: &Asked, name: &str, rest: &[&str]) -> Outcome {
    access::admit(&shared.world(), &asked.headers, name, Right::Read)?;
    match rest {
        ["nix-cache-info"] => reading(asked).map(|()| info(shared, asked, name)),
        ["nar", file] => reading(asked).and_then(|()| nar(shared, name, file)),
        ["serve", hash, inside @ ..] => {
            reading(asked).and_then(|()| serve(shared, name, hash, &inside.join("/")))
        }
        [file] => match file.strip_suffix(".narinfo") {
            Some(hash) => reading(asked).and_then(|()| narinfo(shared, asked, name, hash)),
            None => Err(Answer::not_found("This")),
        },
        _ => Err(Answer::not_found("This")),
    }
}

fn reading(asked: &Asked) -> Result<(), Answer> {
    route::only(asked, &["GET", "HEAD"])
}

fn wants_json(asked: &Asked) -> bool {
    asked.header("accept").starts_with("application/json")
}

fn info(shared: &Shared, asked: &Asked, name: &str) -> Answer {
    let priority = shared.world().caches[name].priority;
    if wants_json(asked) {
        let info = json!({ "storeDir": "/nix/store", "wantMassQuery": 1, "priority": priority });
        return Answer::json(&info);
    }
    let text = format!("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: {priority}\n");
    Answer::bytes(200, "application/octet-stream", text)
}

/// The narinfo of a path, if it is there and everything that it needs is, too.
pub fn narinfo_text(cache: &mut Cache, hash: &str) -> Option<String> {
    let Some(entry) = cache.entries.get(hash).cloned() else {
        return cache.upstream.get(hash).cloned().flatten();
    };
    cache.is_complete(hash).then(|| text_of(&entry))
}

/// The word for a file's suffix.
fn compression(entry: &Entry) -> &'static str {
    if entry.suffix == "xz" { "xz" } else { "zstd" }
}

fn text_of(entry: &Entry) -> String {
    let mut text = format!(
        "StorePath: /nix/store/{}\nURL: nar/{}\nCompression: {}\nFileHash: sha256:{}\nFileSize: {}\nNarHash: {}\nNarSize: {}\n",
        entry.base_name,
        entry.file_name(),
        compression(entry),
        entry.file_hash,
        entry.file_size,
        entry.nar_hash,
        entry.nar_size,
    );
    // Lines without a value are left out.
    if !entry.references.is_empty() {
        let _ = writeln!(text, "References: {}", entry.references.join(" "));
    }
    if let Some(deriver) = &entry.deriver {
        let _ = writeln!(text, "Deriver: {deriver}");
    }
    let _ = writeln!(text, "Sig: {}", entry.signature);
    text
}

fn json_of(entry: &Entry) -> Value {
    json!({
        "storePath": format!("/nix/store/{}", entry.base_name),
        "url": format!("nar/{}", entry.file_name()),
        "compression": compression(entry),
        "fileHash": format!("sha256:{}", entry.file_hash),
        "fileSize": entry.file_size,
        "narHash": entry.nar_hash,
        "narSize": entry.nar_size,
        "references": entry.references,
        "deriver": entry.deriver,
        "sig": entry.signature,
    })
}

fn narinfo(shared: &Shared, asked: &Asked, name: &str, hash: &str) -> Outcome {
    let now = shared.clock.now();
    let mut world = shared.world();
    let cache = world.caches.get_mut(name).unwrap();
    let text = narinfo_text(cache, hash).ok_or_else(|| Answer::not_found("narinfo"))?;
    let entry = cache.entries.get_mut(hash);
    let etag = format!("\"{}\"", &Sha256::of(text.as_bytes()).to_hex()[..32]);
    let answer = match entry {
        Some(entry) => {
            entry.accessed = Some(now);
            if wants_json(asked) {
                Answer::json(&json_of(entry))
            } else {
                Answer::bytes(200, "text/x-nix-narinfo", text)
            }
        }
        None => Answer::bytes(200, "text/x-nix-narinfo", text),
    };
    if asked.header("if-none-match") == etag {
        return Ok(Answer::bytes(304, "text/x-nix-narinfo", "").with("etag", &etag));
    }
    Ok(answer
        .with("etag", &etag)
        .with("cache-control", "public, max-age=14400"))
}

/// The storage's address of `<hash>.nar.<suffix>`; reading it counts as a use.
fn located(shared: &Shared, name: &str, file: &str) -> Result<String, Answer> {
    let words: Vec<&str> = file.split('.').collect();
    let [hash, "nar", suffix] = words.as_slice() else {
        return Err(Answer::not_found("nar"));
    };
    let now = shared.clock.now();
    let mut world = shared.world();
    let cache = world.caches.get_mut(name).unwrap();
    let mut is_here = false;
    for entry in cache.entries.values_mut() {
        if entry.file_hash == *hash && entry.suffix == *suffix {
            entry.accessed = Some(now);
            is_here = true;
        }
    }
    drop(world);
    if is_here {
        Ok(storage::file_url(shared, file))
    } else {
        Err(Answer::not_found("nar"))
    }
}

fn nar(shared: &Shared, name: &str, file: &str) -> Outcome {
    Ok(Answer::redirect(302, &located(shared, name, file)?))
}

/// `GET /cache/{name}/narurl/{file}`: the address as a JSON string.
pub fn nar_url(shared: &Shared, asked: &Asked, name: &str, file: &str) -> Outcome {
    access::admit(&shared.world(), &asked.headers, name, Right::Read)?;
    Ok(Answer::json(&Value::String(located(shared, name, file)?)))
}

fn serve(shared: &Shared, name: &str, hash: &str, inside: &str) -> Outcome {
    let mut world = shared.world();
    let cache = world.caches.get_mut(name).unwrap();
    let entry = cache
        .entries
        .get(hash)
        .cloned()
        .filter(|_| cache.is_complete(hash));
    drop(world);
    let file = entry.map(|entry| nar_file::path(shared, &entry.file_name()));
    let bytes = file.and_then(|file| nar_file::content(&file, inside));
    let bytes = bytes.ok_or_else(|| Answer::not_found("The file"))?;
    Ok(Answer::bytes(200, "application/octet-stream", bytes)
        .with("x-content-type-options", "nosniff")
        .with("cache-control", "public, max-age=14400"))
}

/// A narinfo of another path of the same cache, or of a path that is nowhere.
pub fn other_narinfo(shared: &Shared, path: &str, own: &Bytes) -> Bytes {
    let asked = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".narinfo");
    let mut world = shared.world();
    for cache in world
        .caches
        .values_mut()
        .filter(|cache| cache.entries.contains_key(asked))
    {
        let others: Vec<String> = cache
            .entries
            .keys()
            .filter(|hash| *hash != asked)
            .cloned()
            .collect();
        for other in others {
            if let Some(text) = narinfo_text(cache, &other) {
                return text.into();
            }
        }
    }
    let own = String::from_utf8_lossy(own);
    own.replace(asked, "00000000000000000000000000000000")
        .into()
}
