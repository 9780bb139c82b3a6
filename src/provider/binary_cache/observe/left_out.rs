//! Whether a listing leaves out what is there.
//!
//! The NAR of a narinfo that a listing skips looks like one that no narinfo names, and would go. So, where a
//! storage's look shows such NARs, the narinfos that should be there by what was seen (the tops of roots and
//! pins, and what visible narinfos refer to) are asked for by name: one that answers shows that the listing
//! cannot be relied on. Whatever a root keeps is found so, for the topmost narinfo that was left out is a top
//! itself, or is referred to by a visible one. Costs nothing where every NAR is named.

use std::collections::BTreeSet;

use super::unsure;
use crate::config::units::Span;
use crate::plan::observed::{CacheContent, Narinfo};
use crate::provider::binary_cache::{CacheView, SMALL_OBJECT, StoreError, narinfo_key};

/// So many narinfos are asked for at most: an upstream has the rest.
const MOST: usize = 1000;

/// NARs younger than this are those of pushes under way, and never go.
const YOUNG: Span = Span(3600);

/// Makes a look that contradicts itself partial.
pub(super) fn look(view: &dyn CacheView, content: &mut CacheContent) -> Result<(), StoreError> {
    if !content.capabilities.by_age || !has_unnamed(content) {
        return Ok(());
    }
    let tops = content.roots.iter().map(|root| root.hash);
    let pinned = content.pins.iter().map(|pin| pin.hash);
    let missing = tops
        .chain(pinned)
        .filter(|hash| content.paths.row(hash).is_none());
    let mut keys: Vec<String> = Vec::new();
    let mut asked = BTreeSet::new();
    for hash in missing.chain(content.elsewhere.iter().map(|(_, hash)| *hash)) {
        if keys.len() < MOST && asked.insert(hash) {
            keys.push(narinfo_key(hash));
        }
    }
    for (key, found) in keys.iter().zip(view.get_many(&keys, SMALL_OBJECT)) {
        if found?.is_some() {
            // A push may have published it since: then the next look lists it.
            unsure(
                content,
                &format!(
                    "its listing leaves out `{key}`, which is there; what it lists cannot be relied on"
                ),
            );
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a NAR that is not young is named by no narinfo that was seen.
fn has_unnamed(content: &CacheContent) -> bool {
    let mut named = vec![false; content.nars.len()];
    for nar in content.narinfos.iter().filter_map(Narinfo::nar) {
        if let Some(named) = named.get_mut(nar as usize) {
            *named = true;
        }
    }
    let mut numbers = content.nars.numbers().zip(named);
    numbers
        .any(|(number, named)| !named && content.now.since(content.nars.modified(number)) >= YOUNG)
}
