//! The smallest client that can push: what the stand-in's own tests upload with.

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest as _, Md5};
use nanna_cache::nix::hash::Sha256;
use serde_json::{Value, json};

use super::http::{Reply, send};

/// A path to push.
#[derive(Clone, Debug)]
pub struct Thing {
    pub hash: String,
    pub name: String,
    pub nar: Vec<u8>,
    /// Base names, sorted.
    pub references: Vec<String>,
    pub deriver: Option<String>,
}

impl Thing {
    /// A made-up path with one regular file in it.
    pub fn new(digit: char, content: &str, references: &[&Self]) -> Self {
        let mut nar = nanna_cache::nix::nar::Writer::new(Vec::new());
        nar.regular(false, content.len() as u64).unwrap();
        nar.content(content.as_bytes()).unwrap();
        let mut references: Vec<String> = references.iter().map(|one| one.base_name()).collect();
        references.sort();
        Self {
            hash: digit.to_string().repeat(32),
            name: format!("thing-{digit}"),
            nar: nar.finish().unwrap(),
            references,
            deriver: None,
        }
    }

    pub fn base_name(&self) -> String {
        format!("{}-{}", self.hash, self.name)
    }

    pub fn full(&self) -> String {
        format!("/nix/store/{}", self.base_name())
    }

    pub fn file(&self, method: &str) -> Vec<u8> {
        use std::io::Write;
        if method == "xz" {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(&self.nar).unwrap();
            return encoder.finish().unwrap();
        }
        zstd::encode_all(&*self.nar, 3).unwrap()
    }

    /// What is said of it at the end of an upload.
    pub fn said(&self, file: &[u8]) -> Value {
        json!({
            "cStoreHash": self.hash,
            "cStoreSuffix": self.name,
            "cNarHash": Sha256::of(&self.nar).to_string(),
            "cNarSize": self.nar.len(),
            "cFileHash": Sha256::of(file).to_hex(),
            "cFileSize": file.len(),
            "cReferences": self.references,
            "cDeriver": self.deriver.as_deref().unwrap_or("unknown-deriver"),
            "cSig": null,
        })
    }
}

/// Speaks to one cache.
#[derive(Clone)]
pub struct Client {
    pub api: String,
    pub cache: String,
    pub token: String,
}

/// An upload that was begun.
pub struct Begun {
    pub id: String,
    pub query: String,
}

pub fn md5(bytes: &[u8]) -> String {
    BASE64.encode(&Md5::digest(bytes))
}

impl Client {
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Reply> {
        let url = format!("{}{path}", self.api);
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        let body = body.map(ToString::to_string);
        if body.is_some() {
            headers.push(("Content-Type", "application/json;charset=utf-8"));
            headers.push(("Accept", "application/json;charset=utf-8, application/json"));
        }
        let body = body.unwrap_or_default();
        send(method, &url, &headers, Some(body.as_bytes()))
    }

    /// Asks under the address of the cache in the API.
    pub fn at(&self, method: &str, rest: &str, body: Option<&Value>) -> Reply {
        self.ask(method, &format!("/cache/{}{rest}", self.cache), body)
            .unwrap()
    }

    pub fn begin(&self, method: &str) -> Begun {
        let reply = self.at(
            "POST",
            &format!("/multipart-nar?compression={method}"),
            None,
        );
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = reply.json();
        let upload: String =
            url::form_urlencoded::byte_serialize(reply["uploadId"].as_str().unwrap().as_bytes())
                .collect();
        Begun {
            id: reply["narId"].as_str().unwrap().to_owned(),
            query: format!("uploadId={upload}"),
        }
    }

    /// The address of a part.
    pub fn part_url(&self, begun: &Begun, number: u32, md5: &str) -> Reply {
        let rest = format!(
            "/multipart-nar/{}?{}&partNumber={number}",
            begun.id, begun.query
        );
        self.at("POST", &rest, Some(&json!({ "contentMD5": md5 })))
    }

    /// Uploads a part and gives its `ETag`.
    pub fn part(&self, begun: &Begun, number: u32, bytes: &[u8]) -> std::io::Result<String> {
        let digest = md5(bytes);
        let url = self.part_url(begun, number, &digest).json();
        let url = url["uploadUrl"].as_str().unwrap();
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-MD5", digest.as_str()),
        ];
        let reply = send("PUT", url, &headers, Some(bytes))?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let raw = HEXLOWER.encode(&BASE64.decode(digest.as_bytes()).unwrap());
        let etag = reply.header("etag").to_owned();
        assert!(etag.is_empty() || etag == format!("\"{raw}\""), "{etag}");
        Ok(etag)
    }

    pub fn complete(
        &self,
        begun: &Begun,
        etags: &[String],
        said: &Value,
    ) -> std::io::Result<Reply> {
        let parts = etags.iter().zip(1..);
        let parts: Vec<Value> = parts
            .map(|(etag, number)| json!({ "partNumber": number, "eTag": etag }))
            .collect();
        let body = json!({ "parts": parts, "narInfoCreate": said });
        let path = format!(
            "/cache/{}/multipart-nar/{}/complete?{}",
            self.cache, begun.id, begun.query
        );
        self.ask("POST", &path, Some(&body))
    }

    /// Pushes a path in parts of this size, with what `change` makes of the words said about it.
    pub fn push_with(
        &self,
        thing: &Thing,
        method: &str,
        part_size: usize,
        change: impl FnOnce(&mut Value),
    ) -> Reply {
        let file = thing.file(method);
        let begun = self.begin(method);
        let etags: Vec<String> = file
            .chunks(part_size)
            .zip(1..)
            .map(|(bytes, number)| self.part(&begun, number, bytes).unwrap())
            .collect();
        let mut said = thing.said(&file);
        change(&mut said);
        self.complete(&begun, &etags, &said).unwrap()
    }

    /// Pushes a path in one part.
    #[track_caller]
    pub fn push(&self, thing: &Thing) {
        let reply = self.push_with(thing, "zst", usize::MAX, |_| ());
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, ""),
            "{thing:?}"
        );
    }
}
