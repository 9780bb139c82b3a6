//! A NAR file on its way into the bucket.
//!
//! Its name is the hash of its bytes, which is known at their end: until then they are kept, small
//! ones in memory, others in a temporary file without a name, which goes with the process. What is
//! sent of these is in memory, all of it together no more than [`super::line`] allows. So memory is bounded whatever
//! the sizes; the disk needs room for the files that are made and sent at once.

use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectMeta, ObjectStoreExt as _};
use tempfile::{SpooledData, SpooledTempFile};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::{BucketStore, Inner};
use crate::provider::binary_cache::{StoreError, nar_key};
use crate::transfer::sink::{FileFacts, Sink, SinkError};

/// Bytes of a file that are kept in memory. Many files are on their way at once.
const IN_MEMORY: usize = 256 << 10;

/// Larger files are sent in parts.
const WHOLE: u64 = 16 << 20;

/// Bytes of a part, unless the file would have too many of them.
const PART: u64 = 6 << 20;

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
                let (bytes, _room) = inner.all_of(spool, size).await?;
                // Over an equal file too: it is then as young as a new one.
                return inner.write(&owned, &path, bytes).await;
            }
            // The same name is the same bytes: they need not be sent again, if what is there can be
            // made young.
            let before = inner.head(&owned).await?;
            if let Some(before) = before.as_ref().filter(|before| before.size == size)
                && inner.copy_onto_itself(&owned, &path, before).await?
            {
                return Ok(());
            }
            let sent = inner.send_parts(&owned, &path, size, &mut spool, before.as_ref());
            sent.await
        })?;
        Ok(key)
    }
}

impl Inner {
    /// Sends a file in parts, over what was there `before`.
    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        spool: &mut SpooledTempFile,
        before: Option<&ObjectMeta>,
    ) -> Result<(), StoreError> {
        let failed = |error: &object_store::Error| self.write_fault("write", key, error);
        let begun = self.store.put_multipart(path).await;
        let mut upload = begun.map_err(|error| failed(&error))?;
        let mut tasks = JoinSet::new();
        if let Err(why) = self.parts(&mut *upload, &mut tasks, size, spool).await {
            // What is on its way must not arrive behind the end.
            tasks.shutdown().await;
            let _ = upload.abort().await;
            return Err(match why {
                Cut::Storage(error) => failed(&error),
                Cut::Here(error) => error,
            });
        }
        match upload.complete().await {
            Ok(_) => Ok(()),
            // An answer may have been lost after it took effect; the same name is the same bytes. What
            // was there before, and is as old as it was, is no effect.
            Err(error) => match self.head(key).await {
                Ok(Some(there)) if there.size == size && is_new(&there, before) => Ok(()),
                _ => {
                    let _ = upload.abort().await;
                    Err(failed(&error))
                }
            },
        }
    }

    /// Sends all parts of a file, some of them at once.
    async fn parts(
        &self,
        upload: &mut dyn MultipartUpload,
        tasks: &mut JoinSet<object_store::Result<()>>,
        size: u64,
        spool: &mut SpooledTempFile,
    ) -> Result<(), Cut> {
        let part = PART.max(size.div_ceil(PARTS));
        let mut sent = 0;
        while sent < size {
            while tasks.len() >= AT_ONCE {
                ended(tasks.join_next().await)?;
            }
            let len = (size - sent).min(part);
            let room = self.line.room(len).await;
            let bytes = read(spool, len).map_err(Cut::Here)?;
            let sending = upload.put_part(bytes.into());
            tasks.spawn(async move {
                let _room = room;
                sending.await
            });
            sent += len;
        }
        while !tasks.is_empty() {
            ended(tasks.join_next().await)?;
        }
        Ok(())
    }

    /// The bytes of a whole file, and the room that they take up.
    async fn all_of(
        &self,
        spool: SpooledTempFile,
        size: u64,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), StoreError> {
        match spool.into_inner() {
            SpooledData::InMemory(bytes) => Ok((bytes.into_inner(), None)),
            SpooledData::OnDisk(mut file) => {
                let room = self.line.room(size).await;
                Ok((read(&mut file, size)?, room))
            }
        }
    }
}

/// Whether an object was written since it was asked for before.
fn is_new(there: &ObjectMeta, before: Option<&ObjectMeta>) -> bool {
    before.is_none_or(|before| {
        there.last_modified > before.last_modified || there.e_tag != before.e_tag
    })
}

/// Why parts were not all sent.
enum Cut {
    Storage(object_store::Error),
    Here(StoreError),
}

fn ended(one: Option<Result<object_store::Result<()>, tokio::task::JoinError>>) -> Result<(), Cut> {
    match one {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(Cut::Storage(error)),
        Some(Err(_)) => Err(Cut::Here(StoreError::refused(
            "write",
            "a part",
            "a task died",
        ))),
    }
}

/// The next bytes of what was kept.
fn read(spool: &mut impl Read, len: u64) -> Result<Vec<u8>, StoreError> {
    let failed = |error| StoreError::refused("read", "a temporary file", error);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let done = spool.read_exact(&mut bytes);
    done.map(|()| bytes).map_err(failed)
}

/// Writes an object again with its own bytes.
pub(super) async fn again(inner: &Inner, key: &str, path: &Path) -> Result<bool, StoreError> {
    let failed = |error: &object_store::Error| inner.read_fault("read", key, error);
    let found = match inner.store.get_opts(path, GetOptions::default()).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(failed(&error)),
    };
    let before = found.meta.clone();
    let size = before.size;
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
        let (bytes, _room) = inner.all_of(spool, size).await?;
        inner.write(key, path, bytes).await?;
    } else {
        // The answer with the bytes names another tag than one without may.
        let before = ObjectMeta {
            e_tag: inner.head(key).await?.and_then(|it| it.e_tag),
            ..before
        };
        let sent = inner.send_parts(key, path, size, &mut spool, Some(&before));
        sent.await?;
    }
    Ok(true)
}
