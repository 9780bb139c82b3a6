//! A NAR file on its way into the bucket.
//!
//! Its name is the hash of its bytes, which is known at their end: until then they are kept, small
//! ones in memory, others in a temporary file without a name, which goes with the process. So
//! memory is bounded whatever the size; the disk needs room for the files that are made at once.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStoreExt as _, PutMode, WriteMultipart};
use tempfile::SpooledTempFile;

use super::{BucketStore, Inner};
use crate::provider::binary_cache::{StoreError, nar_key};
use crate::transfer::sink::{FileFacts, Sink, SinkError};

/// Bytes of a file that are kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// Larger files are sent in parts.
const WHOLE: u64 = 16 << 20;

/// Bytes of a part, unless the file would have too many of them.
const PART: u64 = 8 << 20;

/// A storage takes 10,000 parts (50,000 on Azure).
const PARTS: u64 = 9_000;

/// So many parts of one file are on their way at once.
const AT_ONCE: usize = 4;

pub(super) struct BucketSink {
    store: BucketStore,
    spool: SpooledTempFile,
}

impl BucketSink {
    pub(super) fn new(store: BucketStore) -> Self {
        Self {
            store,
            spool: SpooledTempFile::new(IN_MEMORY),
        }
    }
}

impl Sink for BucketSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let kept = self.spool.write_all(bytes);
        Ok(kept.map_err(|error| {
            StoreError::refused("keep what is compressed in", "a temporary file", error)
        })?)
    }

    fn finish(mut self: Box<Self>, facts: &FileFacts) -> Result<String, SinkError> {
        let key = nar_key(&facts.hash, facts.suffix);
        self.spool.seek(SeekFrom::Start(0))?;
        let inner = Arc::clone(&self.store.inner);
        let (size, owned) = (facts.size, key.clone());
        let mut spool = self.spool;
        BucketStore::run("write", &key, async move {
            let path = inner.path(&owned)?;
            if size <= WHOLE {
                let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                spool
                    .read_to_end(&mut bytes)
                    .map_err(|error| StoreError::refused("read", "a temporary file", error))?;
                // Over an equal file too: it is then as young as a new one.
                inner
                    .put_as(&owned, &path, bytes, PutMode::Overwrite)
                    .await?;
                return Ok(());
            }
            // The same name is the same bytes: they need not be sent again.
            if inner.head(&owned).await?.is_some_and(|it| it.size == size)
                && inner.touch(&owned).await?
            {
                return Ok(());
            }
            inner.send_parts(&owned, &path, size, &mut spool).await
        })?;
        Ok(key)
    }
}

impl Inner {
    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        spool: &mut SpooledTempFile,
    ) -> Result<(), StoreError> {
        let part = PART.max(size.div_ceil(PARTS));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        let failed = |error: &object_store::Error| self.write_fault("write", key, error);
        let begun = self.store.put_multipart(path).await;
        let upload = begun.map_err(|error| failed(&error))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, part);
        let mut sent = 0;
        while sent < size {
            let mut bytes = Vec::new();
            let limit = (size - sent).min(part as u64);
            if let Err(error) = spool.take(limit).read_to_end(&mut bytes) {
                let _ = writer.abort().await;
                return Err(StoreError::refused("read", "a temporary file", error));
            }
            if bytes.is_empty() {
                let _ = writer.abort().await;
                return Err(StoreError::refused(
                    "read",
                    "a temporary file",
                    "it is short",
                ));
            }
            if let Err(error) = writer.wait_for_capacity(AT_ONCE).await {
                let _ = writer.abort().await;
                return Err(failed(&error));
            }
            sent += bytes.len() as u64;
            writer.put(bytes.into());
        }
        match writer.finish().await {
            Ok(_) => Ok(()),
            // An answer may have been lost after it took effect; the same name is the same bytes.
            Err(error) => match self.head(key).await {
                Ok(Some(there)) if there.size == size => Ok(()),
                _ => Err(failed(&error)),
            },
        }
    }
}

/// Writes an object again with its own bytes.
pub(super) async fn again(inner: &Inner, key: &str, path: &Path) -> Result<bool, StoreError> {
    let failed = |error: &object_store::Error| inner.read_fault("read", key, error);
    let found = match inner.store.get_opts(path, GetOptions::default()).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(failed(&error)),
    };
    let size = found.meta.size;
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    let kept = |error| StoreError::refused("keep", "a temporary file", error);
    let mut stream = found.into_stream();
    let mut got = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| failed(&error))?;
        got += piece.len() as u64;
        spool.write_all(&piece).map_err(kept)?;
    }
    if got != size {
        return Err(StoreError::refused("read", key, "it broke off"));
    }
    spool.seek(SeekFrom::Start(0)).map_err(kept)?;
    if size <= WHOLE {
        let mut bytes = Vec::new();
        spool.read_to_end(&mut bytes).map_err(kept)?;
        inner.put_as(key, path, bytes, PutMode::Overwrite).await?;
    } else {
        inner.send_parts(key, path, size, &mut spool).await?;
    }
    Ok(true)
}
