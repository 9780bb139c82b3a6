//! What was asked, for tests to look at; no secret is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use jiff::Timestamp;

use super::fault::glob;

/// Which of the three addresses was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The API and the binary caches.
    Service,
    /// The object storage behind it.
    Storage,
    /// A host that has nothing to do with either.
    Stranger,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Who was asked.
    pub place: Place,
    /// The method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query, without what presigned addresses hold.
    pub query: String,
    /// The headers, names in lower case; of `authorization` and `cookie` only that they were there.
    pub headers: BTreeMap<String, String>,
    /// Whether it brought a token that is not empty.
    pub has_token: bool,
    /// The status of the answer; 0 where none was given.
    pub status: u16,
    /// When it came, by the stand-in's clock.
    pub at: Timestamp,
}

/// All requests since the start, in the order of coming. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    all: Vec<Recorded>,
    now: Vec<String>,
    /// How many were forgotten before the first of `all`.
    forgotten: usize,
    most: usize,
    most_of_parts: usize,
}

impl Requests {
    /// Every request.
    pub fn all(&self) -> Vec<Recorded> {
        self.0.lock().unwrap().all.clone()
    }

    /// The requests of this method (`*` for any) whose path fits the pattern (`*` for any text).
    pub fn of(&self, method: &str, path: &str) -> Vec<Recorded> {
        let log = self.0.lock().unwrap();
        let fits =
            |one: &&Recorded| (method == "*" || one.method == method) && glob(path, &one.path);
        log.all.iter().filter(fits).cloned().collect()
    }

    /// How many there were of this method and path.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.of(method, path).len()
    }

    /// The requests that came to one of the three addresses.
    pub fn at(&self, place: Place) -> Vec<Recorded> {
        let log = self.0.lock().unwrap();
        let here = log.all.iter().filter(|one| one.place == place);
        here.cloned().collect()
    }

    /// The greatest number of requests at one time.
    pub fn most_at_once(&self) -> usize {
        self.0.lock().unwrap().most
    }

    /// The greatest number of uploads of parts at one time.
    pub fn most_parts_at_once(&self) -> usize {
        self.0.lock().unwrap().most_of_parts
    }

    /// Forgets everything up to now.
    pub fn clear(&self) {
        let mut log = self.0.lock().unwrap();
        let forgotten = log.forgotten + log.all.len();
        let now = std::mem::take(&mut log.now);
        *log = Log {
            now,
            forgotten,
            ..Log::default()
        };
    }

    /// Notes a request that came; what is given back notes its end.
    pub(super) fn begin(&self, request: Recorded) -> Running {
        let mut log = self.0.lock().unwrap();
        let name = format!("{} {}", request.method, request.path);
        log.now.push(name.clone());
        log.most = log.most.max(log.now.len());
        let is_part = |name: &&String| name.starts_with("PUT /storage/");
        log.most_of_parts = log
            .most_of_parts
            .max(log.now.iter().filter(is_part).count());
        log.all.push(request);
        let index = log.forgotten + log.all.len() - 1;
        Running {
            log: self.clone(),
            name,
            index,
        }
    }
}

/// A request that is being answered.
pub(super) struct Running {
    log: Requests,
    name: String,
    index: usize,
}

impl Running {
    /// Notes the status of its answer.
    pub(super) fn answered(&self, status: u16) {
        let mut log = self.log.0.lock().unwrap();
        let index = self.index.checked_sub(log.forgotten);
        if let Some(one) = index.and_then(|index| log.all.get_mut(index)) {
            one.status = status;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(mut log) = self.log.0.lock()
            && let Some(at) = log.now.iter().position(|name| *name == self.name)
        {
            log.now.swap_remove(at);
        }
    }
}

/// The headers as they are kept.
pub(super) fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in headers {
        let text = match name.as_str() {
            "authorization" => {
                let text = value.to_str().unwrap_or_default();
                let scheme = text.split(' ').next().unwrap_or_default();
                format!("{scheme} (not kept)")
            }
            "cookie" | "proxy-authorization" => "(not kept)".to_owned(),
            _ => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        kept.insert(name.as_str().to_owned(), text);
    }
    kept
}
