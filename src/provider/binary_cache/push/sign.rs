//! Adding our signature to narinfos that are there without it.
//!
//! Only to one that says of its path what this push would say: the same NAR, the same references. So nothing
//! is vouched for that is not here. All else of the narinfo stays, also its time: neither grace nor the
//! retention of foreign content begins anew. It is replaced only if it is still the one that was read;
//! a store that cannot do that keeps it as it is.

use super::{Early, Push};
use crate::nix::narinfo::NarInfo;
use crate::provider::binary_cache::lease::Held;
use crate::provider::binary_cache::{Object, Outcome, narinfo_key};
use crate::transfer::progress::Progress;

/// A narinfo that lacks our signature.
#[derive(Debug)]
pub(super) struct Unsigned {
    /// Place of its item in the batch.
    pub(super) at: usize,
    /// The narinfo as it was read.
    pub(super) object: Object,
}

impl Push<'_> {
    /// Signs what lacks our signature; under the intent, so no prune takes it meanwhile.
    pub(super) fn sign(&mut self, held: &mut Held<'_>, unsigned: &[Unsigned]) -> Result<(), Early> {
        for one in unsigned {
            if self.progress.is_stopped() {
                return Err(Early::stopped());
            }
            held.renew()?;
            held.trusted()?;
            let item = &self.batch.items[one.at];
            let Some(bytes) = self.signed(&one.object.bytes) else {
                continue;
            };
            let key = narinfo_key(item.path.hash());
            let result = self.store.replace(&key, bytes, &one.object.meta);
            if result? == Outcome::Kept {
                // Somebody else changed it, or the store changes nothing: the next plan sees to it.
                continue;
            }
            let class = self.done.classes.entry(item.class.clone()).or_default();
            class.signed.push(item.path.clone());
            Progress::add(&self.progress.paths_done, 1);
        }
        Ok(())
    }

    fn signed(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut info = NarInfo::parse(text, &self.batch.store_dir).ok()?;
        for key in self.batch.keys.iter() {
            info.sign(key, &self.batch.store_dir);
        }
        let text = info.display(&self.batch.store_dir).to_string();
        Some(text.into_bytes())
    }
}
