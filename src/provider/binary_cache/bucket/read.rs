//! An object as a stream.

use std::io::{self, Read};
use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::{Error, GetOptions};
use tokio::sync::mpsc;

use super::BucketStore;
use crate::provider::binary_cache::StoreError;
use crate::sys::http;

/// Pieces that wait to be read; a piece is what came in one go.
const AHEAD: usize = 16;

/// The bytes of an object as they come. What breaks off is an error, never an end.
struct Body {
    pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
    piece: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Body {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => {
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    (self.piece, self.at) = (piece, 0);
                }
                Some(Err(why)) => return Err(io::Error::other(why)),
                None if self.left > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => return Ok(0),
            }
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let count = rest.len().min(room.len());
        room[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

pub(super) fn open(
    store: &BucketStore,
    key: &str,
) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
    let (inner, owned) = (Arc::clone(&store.inner), key.to_owned());
    let path = inner.path(key)?;
    let found = BucketStore::run("read", key, async move {
        match inner.store.get_opts(&path, GetOptions::default()).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(inner.read_fault("read", &owned, &error)),
        }
    })?;
    let Some(found) = found else {
        return Ok(None);
    };
    let left = found.meta.size;
    let (send, pieces) = mpsc::channel(AHEAD);
    let (inner, owned) = (Arc::clone(&store.inner), key.to_owned());
    let work = async move {
        let mut stream = found.into_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece
                .map(Vec::from)
                .map_err(|error| inner.read_fault("read", &owned, &error).to_string());
            let is_end = piece.is_err();
            // Nobody reads any more: the rest is not fetched.
            if send.send(piece).await.is_err() || is_end {
                return;
            }
        }
    };
    http::spawn(work).map_err(|error| StoreError::refused("read", key, error))?;
    Ok(Some(Box::new(Body {
        pieces,
        piece: Vec::new(),
        at: 0,
        left,
    })))
}
