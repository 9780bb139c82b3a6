//! Compressing anew what lies in the cache by another method than it is to be.
//!
//! Only what the cache and the local store agree on: the same NAR, the same references. The new NAR file is
//! in its place, and safe from prunes, before its narinfo names it; the narinfo keeps its signatures and its
//! time, so neither grace nor the retention of foreign content begins anew. The old file is made young
//! first: who has read the old narinfo may still fetch it until grace is over. A narinfo that is another by
//! now stays as it is.

use std::collections::HashMap;

use super::look::Presence;
use super::upload::Uploads;
use super::{Early, Push};
use crate::nix::narinfo::NarInfo;
use crate::provider::binary_cache::lease::Held;
use crate::provider::binary_cache::records::Trace;
use crate::provider::binary_cache::{Object, Outcome, StoreError, narinfo_key};
use crate::transfer::compress::word;
use crate::transfer::pipeline::Stored;

impl Push<'_> {
    /// Compresses these items anew, by their places in the batch; under the intent, so no prune takes
    /// their paths meanwhile.
    pub(super) fn recompress(
        &mut self,
        held: &mut Held<'_>,
        otherwise: HashMap<usize, Object>,
        trace: &Trace,
    ) -> Result<(), Early> {
        if otherwise.is_empty() {
            return Ok(());
        }
        let mut absent: Vec<usize> = otherwise.keys().copied().collect();
        absent.sort_unstable();
        let presence = Presence {
            absent,
            otherwise,
            ..Presence::default()
        };
        self.upload(held, &presence, trace)
    }

    /// Lets the narinfos of a wave name their new NAR files.
    pub(super) fn publish_anew(
        &mut self,
        held: &mut Held<'_>,
        uploads: &mut Uploads,
        presence: &Presence,
        wave: &[usize],
    ) -> Result<(), Early> {
        for &at in wave {
            held.renew()?;
            held.trusted()?;
            if let (Some(stored), Some(object)) = (uploads.ready(at), presence.otherwise.get(&at)) {
                self.name_anew(at, &stored, object)?;
            }
            uploads.published(at);
        }
        Ok(())
    }

    fn name_anew(&mut self, at: usize, stored: &Stored, was: &Object) -> Result<(), StoreError> {
        let batch = self.batch;
        let item = &batch.items[at];
        let text = String::from_utf8_lossy(&was.bytes);
        let Ok(mut info) = NarInfo::parse(&text, &batch.store_dir) else {
            return Ok(());
        };
        let old = std::mem::replace(&mut info.url, stored.key.clone());
        info.compression = word(batch.compression.method);
        info.file_hash = Some(stored.file.hash);
        info.file_size = Some(stored.file.size);
        for key in batch.keys.iter() {
            info.sign(key, &batch.store_dir);
        }
        if old != stored.key && !old.contains("://") {
            match self.store.touch(&old) {
                Ok(_) | Err(StoreError::BadKey(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = info.display(&batch.store_dir).to_string().into_bytes();
        let key = narinfo_key(item.path.hash());
        if self.store.replace(&key, bytes, &was.meta)? == Outcome::Written {
            let class = self.done.classes.entry(item.class.clone()).or_default();
            class.recompressed.push(item.path.clone());
            class.nar_bytes += item.nar_size;
            class.file_bytes += stored.file.size;
        }
        Ok(())
    }
}
