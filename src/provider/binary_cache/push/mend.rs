//! Whether a narinfo that is there and of use can be mended: it lacks our signature, or names a NAR that is
//! compressed by another method.
//!
//! Only one that says of its path what this push would say: the same NAR, the same references. So nothing is
//! vouched for that is not here.

use std::collections::BTreeSet;

use super::{Batch, Item};
use crate::nix::narinfo::{Brief, Compression};
use crate::nix::store_path::{HashPart, StorePath, StorePathRef};
use crate::provider::binary_cache::signers::bears;
use crate::transfer::compress::word;

/// Whether it lacks a signature that this push can add. What is content-addressed needs none.
pub(super) fn lacks_signature(batch: &Batch, item: &Item, bytes: &[u8]) -> bool {
    agreeing(batch, item, bytes).is_some_and(|brief| {
        let lacks = |name: &str| !brief.signatures().any(|text| bears(text, name));
        brief.ca.is_none() && batch.keys.iter().any(|key| lacks(key.public().name()))
    })
}

/// Whether it is to be compressed anew.
pub(super) fn is_otherwise(batch: &Batch, item: &Item, bytes: &[u8]) -> bool {
    item.recompress
        && agreeing(batch, item, bytes).is_some_and(|brief| {
            Compression::from(brief.compression) != word(batch.compression.method)
        })
}

/// A narinfo that says what this push would say.
fn agreeing<'b>(batch: &Batch, item: &Item, bytes: &'b [u8]) -> Option<Brief<'b>> {
    let brief = Brief::from_bytes(bytes, &batch.store_dir).ok()?;
    let references: BTreeSet<HashPart> = brief.references().map(StorePathRef::hash).collect();
    let ours: BTreeSet<HashPart> = item.references.iter().map(StorePath::hash).collect();
    let same = (brief.nar_hash, brief.nar_size) == (item.nar_hash, item.nar_size);
    (same && references == ours).then_some(brief)
}
