//! A binary cache in a bucket of an object storage: S3 and what speaks like it, Google Cloud
//! Storage, Azure Blob Storage.
//!
//! Promises: an object appears whole, by one request or by the completion of a multipart upload;
//! nothing is sent again that may still take effect later without [`CacheStore::has_unanswered`]
//! saying so; times are the server's; no credential is in an error. Records are judged by their
//! age: a storage does not know whose process lives. Whether the storage honours "only if it is
//! not there" is tried out before anything relies on it ([`conditions`]).
//!
//! NARs are named by the hash of their compressed bytes, so these are held back, in a temporary
//! file, until all of them are there. Naming by the hash of the NAR itself would save the file, but
//! then two pushers that compress differently would replace each other's bytes under one name, and
//! a narinfo would state another's size and hash.

mod conditions;
mod credentials;
mod fault;
mod lender;
mod line;
mod list;
mod object;
mod open;
mod read;
mod upload;
mod wire;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use object_store::ObjectStore;
use object_store::list::PaginatedListStore;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use super::{
    Area, CacheStore, CacheView, Listed, Meta, Object, Outcome, Put, SMALL_OBJECT, StoreError,
};
use crate::plan::observed::{Capabilities, Requests as Sent};
use crate::plan::time::Time;
use crate::sys::clock;
use crate::sys::http;
use crate::transfer::sink::Sink;
use object::meta_of;
pub use wire::{Patience, Requests};

/// So many requests about small objects are under way at once.
const AT_ONCE: usize = 64;

/// So many NAR files are sent at once.
const NARS_AT_ONCE: usize = 32;

/// So many keys are deleted by one request at most, where a storage can.
const KEYS_AT_ONCE: usize = 1000;

/// A cache in a bucket. Cheap to clone.
#[derive(Clone)]
pub struct BucketStore {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// The same, for copies of objects onto themselves.
    copying: Arc<dyn ObjectStore>,
    /// The same, for deletes of one object by one request; `None`: it knows no others.
    deleting_plainly: Option<Arc<dyn ObjectStore>>,
    /// A request that deletes many objects was refused.
    has_no_bulk: AtomicBool,
    /// The same, for listings page by page; `None`: it has no pages.
    pages: Option<Arc<dyn PaginatedListStore>>,
    /// Whether its listings can be asked for what comes after a key.
    goes_on_after_a_key: bool,
    /// Empty, or ending in `/`.
    prefix: String,
    /// Name of the bucket.
    bucket: String,
    identity: String,
    has_credentials: bool,
    facts: Arc<wire::Facts>,
    /// Time for a small answer as a whole.
    whole: std::time::Duration,
    /// Whether conditions are honoured, once it was tried.
    conditions: OnceCell<bool>,
    at_once: Arc<Semaphore>,
    /// The way of the bytes of NAR files.
    line: Arc<line::Line>,
}

impl BucketStore {
    /// A cache in memory that ends with the process, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn in_memory(prefix: &str) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let parts = open::Parts {
            copying: Arc::clone(&store),
            deleting_plainly: None,
            store,
            pages: None,
            goes_on_after_a_key: false,
            line: line::Line::of_process(),
            has_credentials: true,
            facts: Arc::default(),
            whole: Patience::default().whole(),
        };
        Self::new(parts, prefix, "memory", "memory://".to_owned())
    }

    fn new(parts: open::Parts, prefix: &str, bucket: &str, identity: String) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                copying: parts.copying,
                deleting_plainly: parts.deleting_plainly,
                has_no_bulk: AtomicBool::new(false),
                pages: parts.pages,
                goes_on_after_a_key: parts.goes_on_after_a_key,
                prefix,
                bucket: bucket.to_owned(),
                identity,
                has_credentials: parts.has_credentials,
                facts: parts.facts,
                conditions: OnceCell::new(),
                whole: parts.whole,
                at_once: Arc::new(Semaphore::new(AT_ONCE)),
                line: parts.line,
            }),
        }
    }

    /// How many requests this store has sent.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.inner.facts.requests()
    }

    /// Runs work for `key` on the threads of the network.
    fn run<T: Send + 'static>(
        action: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        http::run(work).map_err(|error| StoreError::refused(action, key, error))?
    }

    /// Does the same for many keys, many at once; the answers are in the order of the keys.
    fn each<T, F>(
        &self,
        action: &'static str,
        keys: impl IntoIterator<Item = F>,
    ) -> Vec<Result<T, StoreError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        let at_once = Arc::clone(&self.inner.at_once);
        let work: Vec<F> = keys.into_iter().collect();
        let count = work.len();
        let all = async move {
            for (at, one) in work.into_iter().enumerate() {
                let at_once = Arc::clone(&at_once);
                tasks.spawn(async move {
                    // It is never closed.
                    let _permit = at_once.acquire_owned().await;
                    (at, one.await)
                });
            }
            let mut answers: Vec<Option<Result<T, StoreError>>> = Vec::new();
            answers.resize_with(count, || None);
            while let Some(done) = tasks.join_next().await {
                match done {
                    Ok((at, answer)) => {
                        if let Some(place) = answers.get_mut(at) {
                            *place = Some(answer);
                        }
                    }
                    // A failure of the program, which is no answer of the storage.
                    Err(broken) => {
                        if let Ok(panic) = broken.try_into_panic() {
                            std::panic::resume_unwind(panic);
                        }
                    }
                }
            }
            answers
        };
        let lost = || Err(StoreError::refused(action, "", "a task died"));
        match http::run(all) {
            Ok(answers) => answers
                .into_iter()
                .map(|answer| answer.unwrap_or_else(lost))
                .collect(),
            Err(error) => {
                let text = error.to_string();
                (0..count)
                    .map(|_| Err(StoreError::refused(action, "", text.clone())))
                    .collect()
            }
        }
    }
}

impl CacheView for BucketStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            list: true,
            delete: true,
            records: true,
            sizes: true,
            times: true,
            by_age: true,
            // What takes the place of an object is new.
            replace: false,
            unconditional: self.is_known_unconditional(),
        }
    }

    fn identity(&self) -> String {
        self.inner.identity.clone()
    }

    fn exists(&self) -> Result<bool, StoreError> {
        let inner = Arc::clone(&self.inner);
        let is_there = Self::run("read", "nix-cache-info", async move {
            // With the body, because a refusal without one does not say its cause.
            let found = inner.get("nix-cache-info", SMALL_OBJECT).await;
            Ok(found?.is_some())
        })?;
        // An answer about an object may hide that the whole bucket is not there.
        Ok(is_there || self.has_any()?)
    }

    fn list(&self, area: Area, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        self.list_area(area, each)
    }

    fn head(&self, key: &str) -> Result<Option<Meta>, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        Self::run("examine", key, async move {
            Ok(inner.head(&owned).await?.as_ref().map(meta_of))
        })
    }

    fn head_many(&self, keys: &[String]) -> Vec<Result<Option<Meta>, StoreError>> {
        let one = |key: &String| {
            let (inner, key) = (Arc::clone(&self.inner), key.clone());
            async move { Ok(inner.head(&key).await?.as_ref().map(meta_of)) }
        };
        self.each("examine", keys.iter().map(one))
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        Self::run("read", key, async move { inner.get(&owned, limit).await })
    }

    fn get_many(&self, keys: &[String], limit: u64) -> Vec<Result<Option<Object>, StoreError>> {
        let one = |key: &String| {
            let (inner, key) = (Arc::clone(&self.inner), key.clone());
            async move { inner.get(&key, limit).await }
        };
        self.each("read", keys.iter().map(one))
    }

    fn readers(&self, objects: usize) -> usize {
        AT_ONCE.min(objects)
    }

    fn open(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        read::open(self, key)
    }

    fn now(&self) -> Result<Time, StoreError> {
        if self.inner.facts.now().is_none() {
            // Any answer has the server's time.
            self.head("nix-cache-info")?;
        }
        Ok(self.inner.facts.now().unwrap_or(Time(clock::unix())))
    }

    fn sent(&self) -> Option<Sent> {
        let Requests { lists, reads, .. } = self.requests();
        Some(Sent { lists, reads })
    }

    fn has_folders(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}

impl CacheStore for BucketStore {
    fn create(&self, info: &str) -> Result<(), StoreError> {
        self.write("nix-cache-info", info.as_bytes().to_vec())?;
        let inner = Arc::clone(&self.inner);
        Self::run("write", conditions::KEY, async move {
            inner.are_conditions_honoured().await.map(drop)
        })
    }

    fn put(&self, put: Put) -> Result<Outcome, StoreError> {
        let (inner, key) = (Arc::clone(&self.inner), put.key.clone());
        Self::run("write", &key, async move { inner.put(put).await })
    }

    fn put_in_order(&self, puts: Vec<Put>) -> Vec<Result<Outcome, StoreError>> {
        self.put_levels(puts.into_iter().map(|put| vec![put]).collect())
    }

    fn put_levels(&self, levels: Vec<Vec<Put>>) -> Vec<Result<Outcome, StoreError>> {
        let mut results = Vec::new();
        for level in levels {
            let one = |put: Put| {
                let inner = Arc::clone(&self.inner);
                async move { inner.put(put).await }
            };
            for result in self.each("write", level.into_iter().map(one)) {
                let is_error = result.is_err();
                results.push(result);
                if is_error {
                    return results;
                }
            }
        }
        results
    }

    fn put_record(&self, key: &str, bytes: Vec<u8>) -> Result<Meta, StoreError> {
        self.write(key, bytes)?;
        let meta = self.head(key)?;
        meta.ok_or_else(|| {
            StoreError::refused("write", key, "it was not there right after it was written")
        })
    }

    fn writers(&self) -> usize {
        NARS_AT_ONCE
    }

    fn upload(&self) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(upload::BucketSink::new(self.clone())))
    }

    fn touch(&self, key: &str) -> Result<bool, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        Self::run("refresh", key, async move { inner.touch(&owned).await })
    }

    fn delete(&self, keys: &[String]) -> Vec<Result<(), StoreError>> {
        let chunk = |keys: &[String]| {
            let (inner, keys) = (Arc::clone(&self.inner), keys.to_vec());
            async move { Ok(inner.delete(&keys).await) }
        };
        let chunks: Vec<&[String]> = keys.chunks(KEYS_AT_ONCE).collect();
        let answers = self.each("delete", chunks.iter().map(|keys| chunk(keys)));
        let mut all = Vec::with_capacity(keys.len());
        for (keys, answer) in chunks.iter().zip(answers) {
            match answer {
                Ok(answers) => all.extend(answers),
                // Whether it was sent is not known.
                Err(_) => all.extend(keys.iter().map(|key| {
                    Err(StoreError::Unanswered {
                        action: "delete",
                        key: key.clone(),
                    })
                })),
            }
        }
        all
    }

    fn has_unanswered(&self) -> bool {
        self.inner.facts.has_unanswered()
    }

    fn view(&self) -> &dyn CacheView {
        self
    }
}

#[cfg(test)]
mod tests;
