//! Our records, as they are read: small store paths that are pinned, each named after its content.
//!
//! Promises: nothing of a record is believed before its bytes are those that its name stands for; none is
//! larger than [`LARGEST`], compressed or not; and whatever is wrong with one is said of that one, and hides
//! no other. The token is not sent to where a file is stored.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};

use super::look::never;
use super::{CachixError, Client};
use crate::nix::content_address::path_of_directory;
use crate::nix::hash::Sha256;
use crate::nix::nar::{Event, Reader};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::observed::Why;
use crate::plan::record::{Head, Requirement};
use crate::plan::service::ServicePin;
use crate::plan::service::record::{LARGEST, NAME, Record, RecordBody, Records, is_record};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::http::{Answer, Request};
use crate::transfer::compress::decompress;

/// So many records are read, the newest.
const MOST: usize = 256;
/// So many are read at once.
const AT_ONCE: usize = 8;
/// After this long no other is begun.
const LONGEST: Duration = Duration::from_secs(15);
/// What stands around a file in a NAR, with room to spare.
const FRAME: u64 = 4096;
/// Largest narinfo of a record, in bytes.
const NARINFO: usize = 64 << 10;

/// Why a record tells nothing.
enum Fault {
    /// It cannot be read, or is none.
    Unread(String),
    /// A newer version wrote it.
    Newer(String),
}

impl From<CachixError> for Fault {
    fn from(error: CachixError) -> Self {
        Self::Unread(format!("failed to {error}"))
    }
}

fn strange(why: &str) -> Fault {
    Fault::Unread(why.to_owned())
}

impl Client {
    /// Reads the records among these pins, which come with the oldest first.
    pub(super) fn records(
        &self,
        pins: &[ServicePin],
        store_dir: &StoreDir,
        unseen: &mut Vec<(String, String)>,
    ) -> Records {
        let mut pins: Vec<&ServicePin> = pins.iter().filter(|pin| is_record(&pin.name)).collect();
        let all = pins.len();
        let pins = pins.split_off(all.saturating_sub(MOST));
        if all > pins.len() {
            let why = format!("only the newest {MOST} of {all} are read");
            unseen.push(("records".to_owned(), why));
        }
        let mut records = Records::default();
        let clock = SystemClock::new();
        for some in pins.chunks(AT_ONCE) {
            if clock.elapsed() > LONGEST {
                let why = "reading the records before it took too long";
                let late = some.iter().map(|pin| (pin.name.clone(), why.to_owned()));
                records.unread.extend(late);
                continue;
            }
            let read: Vec<Result<Record, Fault>> = thread::scope(|scope| {
                let begun: Vec<_> = some
                    .iter()
                    .map(|pin| scope.spawn(|| self.record(pin, store_dir)))
                    .collect();
                let broke = |_| Err(strange("its reader broke"));
                begun
                    .into_iter()
                    .map(|one| one.join().unwrap_or_else(broke))
                    .collect()
            });
            for (pin, read) in some.iter().zip(read) {
                match read {
                    Ok(record) => records.read.push(record),
                    Err(Fault::Unread(why)) => records.unread.push((pin.name.clone(), why)),
                    Err(Fault::Newer(why)) => {
                        let name = &pin.name;
                        records.forbidden = Some(Why(format!(
                            "the record `{name}` needs a newer nanna-cache ({why})"
                        )));
                    }
                }
            }
        }
        records
    }

    fn record(&self, pin: &ServicePin, store_dir: &StoreDir) -> Result<Record, Fault> {
        let path = pin.path.as_ref();
        let path = path.filter(|path| path.name() == NAME);
        let path = path.ok_or_else(|| strange("it names no record"))?;
        let bytes = self.content(path, store_dir)?;
        let body = understand(&bytes)?;
        Ok(Record {
            name: pin.name.clone(),
            body,
        })
    }

    /// The bytes of the one file that such a path is.
    fn content(&self, path: &StorePath, store_dir: &StoreDir) -> Result<Vec<u8>, Fault> {
        let what = "read the narinfo of a record";
        let url = self.of_cache(&format!("/{}.narinfo", path.hash()));
        let answer = self.take(what, &url, ("text/x-nix-narinfo", true), NARINFO)?;
        let answer = self.judge(what, answer)?;
        let text = String::from_utf8_lossy(&answer.body);
        let info = NarInfo::parse(&text, store_dir)
            .map_err(|error| strange(&format!("its narinfo cannot be read: {error}")))?;
        if info.store_path != *path {
            return Err(strange("its narinfo is of another path"));
        }
        if path_of_directory(info.nar_hash, NAME, store_dir)
            .ok()
            .as_ref()
            != Some(path)
        {
            return Err(strange("its content is not what its name stands for"));
        }
        if info.nar_size > LARGEST + FRAME || info.file_size.is_some_and(|it| it > LARGEST + FRAME)
        {
            return Err(strange("it is too large"));
        }
        let file = self.file(&info.url)?;
        let mut nar = Vec::new();
        let stream = decompress(&info.compression, file.as_slice());
        let stream = stream.ok().flatten();
        let stream =
            stream.ok_or_else(|| strange("it is compressed by a method that only Nix reads"))?;
        let broken = |_| strange("it cannot be decompressed");
        stream
            .take(info.nar_size + 1)
            .read_to_end(&mut nar)
            .map_err(broken)?;
        if nar.len() as u64 != info.nar_size || Sha256::of(&nar) != info.nar_hash {
            return Err(strange("its content is not what its narinfo says"));
        }
        single_file(&nar).ok_or_else(|| strange("it is not one file"))
    }

    /// A file of the cache, from where the service says that it is stored.
    fn file(&self, url: &str) -> Result<Vec<u8>, Fault> {
        let what = "read a record";
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let name = url.strip_prefix("nar/").unwrap_or_default();
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(strange("its file has a strange name"));
        }
        let limit = usize::try_from(LARGEST + FRAME).unwrap_or(usize::MAX);
        let own = self.of_cache(&format!("/{url}"));
        let answer = self.take(what, &own, ("*/*", true), limit)?;
        if !(300..400).contains(&answer.status) {
            return Ok(self.judge(what, answer)?.body);
        }
        let to = answer.headers.get(LOCATION);
        let to = to.and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| url::Url::parse(&own).ok()?.join(to).ok());
        let to = to.filter(|to| ["http", "https"].contains(&to.scheme()));
        let to = to.ok_or_else(|| strange("the service does not say where its file is stored"))?;
        let answer = self.take(what, to.as_str(), ("*/*", false), limit)?;
        Ok(self.judge(what, answer)?.body)
    }

    /// Asks for something that is not JSON, with the token only where that is meant for it.
    fn take(
        &self,
        what: &'static str,
        url: &str,
        (accept, with_token): (&'static str, bool),
        limit: usize,
    ) -> Result<Answer, CachixError> {
        let mut headers = if with_token {
            self.headers()
        } else {
            HeaderMap::new()
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.remove(CONTENT_TYPE);
        let request = Request {
            method: Method::GET,
            url: url.to_owned(),
            headers,
            body: Vec::new(),
            limit,
        };
        self.exchange(what, request, self.patience, &never)
    }
}

/// The content of a NAR that is one file.
fn single_file(nar: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(nar);
    let Ok(Some(Event::Regular { size, .. })) = reader.next_event() else {
        return None;
    };
    let mut bytes = vec![0; usize::try_from(size.min(LARGEST)).ok()?];
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.content(&mut bytes[filled..]) {
            Ok(0) | Err(_) => return None,
            Ok(more) => filled += more,
        }
    }
    (filled as u64 == size).then_some(bytes)
}

/// What a record says, if this version may act on it.
fn understand(bytes: &[u8]) -> Result<RecordBody, Fault> {
    let malformed = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        Fault::Unread(format!("it is malformed at line {line}, column {column}"))
    };
    let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
    match head.check() {
        Ok(()) => {}
        Err(Requirement::Schema(schema)) => {
            return Err(Fault::Newer(format!("schema {schema}")));
        }
        Err(Requirement::Meaning(name)) => {
            return Err(Fault::Newer(format!(
                "it requires `{}`",
                name.escape_default()
            )));
        }
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

#[cfg(test)]
mod tests;
