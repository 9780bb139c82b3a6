//! A NAR file on its way into the folder.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::place::Place;
use crate::provider::binary_cache::{StoreError, nar_key};
use crate::transfer::sink::{FileFacts, Sink, SinkError};

/// A temporary file that becomes a NAR file.
pub(super) struct FolderSink {
    place: Arc<Place>,
    /// The file and its key, until it is finished.
    open: Option<(File, String)>,
}

impl FolderSink {
    pub(super) fn new(place: Arc<Place>) -> Result<Self, StoreError> {
        let open = Some(place.temporary("nar")?);
        Ok(Self { place, open })
    }
}

impl Sink for FolderSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let Some((file, key)) = &mut self.open else {
            return Ok(());
        };
        Ok(self.place.write(file, key, bytes)?)
    }

    fn finish(mut self: Box<Self>, facts: &FileFacts) -> Result<String, SinkError> {
        let target = nar_key(&facts.hash, facts.suffix);
        if let Some((file, key)) = &self.open {
            self.place.sync(file, key)?;
            // Over an equal file too: it is then as young as a new one.
            self.place.rename(key, &target)?;
            self.place.nars_changed.store(true, Ordering::SeqCst);
        }
        self.open = None;
        Ok(target)
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        if let Some((_, key)) = &self.open {
            // Whatever stays behind is swept by its name.
            let _ = self.place.remove(key);
        }
    }
}
