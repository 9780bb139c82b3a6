//! Single objects: asked for, read, written, made young, deleted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
};

use super::fault::{Asked, Refusal, fault, late, refusal};
use super::{Inner, upload};
use crate::nix::hash::Sha256;
use crate::plan::time::Time;
use crate::provider::binary_cache::{IfThere, Meta, Object, Outcome, Put, Revision, StoreError};

/// How often an object is read whose bytes broke off.
const READS: usize = 3;

impl Inner {
    pub(super) fn path(&self, key: &str) -> Result<Path, StoreError> {
        let bad = || StoreError::BadKey(key.to_owned());
        if key.is_empty() || key.starts_with('/') || key.split('/').any(|part| part == "..") {
            return Err(bad());
        }
        Path::parse(format!("{}{key}", self.prefix)).map_err(|_| bad())
    }

    pub(super) fn read_fault(&self, action: &'static str, key: &str, error: &Error) -> StoreError {
        self.fault(action, key, false, error)
    }

    pub(super) fn write_fault(&self, action: &'static str, key: &str, error: &Error) -> StoreError {
        self.fault(action, key, true, error)
    }

    fn fault(&self, action: &'static str, key: &str, writes: bool, error: &Error) -> StoreError {
        let asked = Asked {
            action,
            key: if key.is_empty() { &self.bucket } else { key },
            bucket: &self.bucket,
            writes,
            has_credentials: self.has_credentials,
        };
        fault(error, &asked)
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, StoreError> {
        match self.store.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.read_fault("examine", key, &error)),
        }
    }

    pub(super) async fn get(&self, key: &str, limit: u64) -> Result<Option<Object>, StoreError> {
        let path = self.path(key)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let found = match self.store.get_opts(&path, GetOptions::default()).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(self.read_fault("read", key, &error)),
            };
            let meta = meta_of(&found.meta);
            if meta.size > limit {
                return Err(StoreError::TooLarge {
                    key: key.to_owned(),
                    limit,
                });
            }
            match tokio::time::timeout(self.whole, found.bytes()).await {
                Ok(Ok(bytes)) => {
                    return Ok(Some(Object {
                        meta,
                        bytes: bytes.into(),
                    }));
                }
                Ok(Err(_)) if tries < READS => {}
                Ok(Err(error)) => return Err(self.read_fault("read", key, &error)),
                Err(_) => return Err(StoreError::refused("read", key, late())),
            }
        }
    }

    pub(super) async fn put(&self, put: Put) -> Result<Outcome, StoreError> {
        let path = self.path(&put.key)?;
        if put.if_there == IfThere::Keep {
            if self.are_conditions_honoured().await? {
                let created = self.create(&path, put.bytes).await;
                return created.map_err(|error| self.write_fault("write", &put.key, &error));
            }
            if self.head(&put.key).await?.is_some() {
                return Ok(Outcome::Kept);
            }
        }
        self.write(&put.key, &path, put.bytes).await?;
        Ok(Outcome::Written)
    }

    /// Writes an object, whatever is there. Nothing but a yes of the storage is success: it may say
    /// for reasons of its own (another writer, a lease, a rule) that something is there already.
    pub(super) async fn write(
        &self,
        key: &str,
        path: &Path,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let options = PutOptions::from(PutMode::Overwrite);
        let written = self.store.put_opts(path, bytes.into(), options).await;
        let failed = |error| self.write_fault("write", key, &error);
        written.map(drop).map_err(failed)
    }

    /// Writes an object if there is none, by a condition.
    pub(super) async fn create(
        &self,
        path: &Path,
        bytes: Vec<u8>,
    ) -> object_store::Result<Outcome> {
        let options = PutOptions::from(PutMode::Create);
        let Err(error) = self.store.put_opts(path, bytes.into(), options).await else {
            return Ok(Outcome::Written);
        };
        let by_condition = match &error {
            Error::Precondition { .. } => true,
            // Any conflict is called so, and not each is that the object is there.
            Error::AlreadyExists { source, .. } => {
                matches!(
                    source.downcast_ref(),
                    Some(Error::Precondition { .. } | Error::NotModified { .. })
                ) || self.store.head(path).await.is_ok()
            }
            _ => false,
        };
        if by_condition {
            Ok(Outcome::Kept)
        } else {
            Err(error)
        }
    }

    /// Makes an object young: copied onto itself, or, where that changes nothing, written again.
    pub(super) async fn touch(&self, key: &str) -> Result<bool, StoreError> {
        let path = self.path(key)?;
        let Some(before) = self.head(key).await? else {
            return Ok(false);
        };
        if self.copy_onto_itself(key, &path, &before).await? {
            return Ok(true);
        }
        upload::again(self, key, &path).await
    }

    /// Makes an object young without its bytes; `false`: it is as old as it was, or gone.
    pub(super) async fn copy_onto_itself(
        &self,
        key: &str,
        path: &Path,
        before: &ObjectMeta,
    ) -> Result<bool, StoreError> {
        // Some storages refuse this, some answer well and do nothing: only the time tells.
        if self.copying.copy(path, path).await.is_err() {
            return Ok(false);
        }
        let after = self.head(key).await?;
        Ok(after.is_some_and(|after| {
            after.last_modified.timestamp() > before.last_modified.timestamp()
        }))
    }

    /// Deletes at most as many keys as one request takes; one answer for each.
    pub(super) async fn delete(&self, keys: &[String]) -> Vec<Result<(), StoreError>> {
        let mut paths = Vec::with_capacity(keys.len());
        for key in keys {
            match self.path(key) {
                Ok(path) => paths.push(path),
                Err(_) => return bad_keys(self, keys),
            }
        }
        let answers = self.delete_paths(paths).await;
        let answer = |key: &String, answer: &object_store::Result<Path>| match answer {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.write_fault("delete", key, error)),
        };
        if answers.len() == keys.len() {
            let pairs = keys.iter().zip(&answers);
            return pairs.map(|(key, one)| answer(key, one)).collect();
        }
        // The whole request failed: that is the answer for each.
        let failed = answers.iter().find(|answer| answer.is_err());
        let missing = || StoreError::refused("delete", "objects", "an answer is missing");
        keys.iter()
            .map(|key| match failed {
                Some(failed) => answer(key, failed).and(Err(missing())),
                None => Err(missing()),
            })
            .collect()
    }
}

impl Inner {
    async fn delete_paths(&self, paths: Vec<Path>) -> Vec<object_store::Result<Path>> {
        let Some(plainly) = &self.deleting_plainly else {
            return deleted(&self.store, paths).await;
        };
        if paths.len() == 1 || self.has_no_bulk.load(Ordering::Relaxed) {
            return deleted(plainly, paths).await;
        }
        let answers = deleted(&self.store, paths.clone()).await;
        let whole = match answers.as_slice() {
            [Err(error)] => refusal(error).is_some_and(Refusal::is_of_request),
            _ => false,
        };
        if !whole {
            return answers;
        }
        // Some storages have no request that deletes many. It was refused, so nothing was deleted.
        self.has_no_bulk.store(true, Ordering::Relaxed);
        deleted(plainly, paths).await
    }
}

async fn deleted(
    store: &Arc<dyn ObjectStore>,
    paths: Vec<Path>,
) -> Vec<object_store::Result<Path>> {
    let asked = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
    store.delete_stream(asked).collect().await
}

/// Answers for keys of which some are none: nothing is deleted.
fn bad_keys(inner: &Inner, keys: &[String]) -> Vec<Result<(), StoreError>> {
    let answer = |key: &String| match inner.path(key) {
        Ok(_) => Err(StoreError::refused(
            "delete",
            key.clone(),
            "another key of the request is bad",
        )),
        Err(error) => Err(error),
    };
    keys.iter().map(answer).collect()
}

/// What a storage says of an object. The revision is of its `ETag` without quotes, its size and its
/// time: an `ETag` alone is of the bytes, and the same in a listing and in an answer only where the
/// storage is careful; who compares, compares what came from the same call.
pub(super) fn meta_of(meta: &ObjectMeta) -> Meta {
    let modified = meta.last_modified.timestamp();
    let tag = meta.e_tag.as_deref().unwrap_or_default();
    let tag = tag.trim_start_matches("W/").trim_matches('"');
    let hash = Sha256::of(format!("{tag} {}", meta.size).as_bytes());
    let mut words = hash.0.chunks_exact(8).map(|word| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        u64::from_le_bytes(bytes)
    });
    let (first, second) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    // Without an ETag the time is all there is: as fine as it comes.
    let time = if tag.is_empty() {
        meta.last_modified.timestamp_millis()
    } else {
        modified
    };
    Meta {
        size: meta.size,
        modified: Time(modified),
        revision: Revision([first, second, time.unsigned_abs()]),
        gone: None,
    }
}
