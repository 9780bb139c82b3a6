//! What the cache holds now, and what a prune is about to take away.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::mend;
use super::sign::Unsigned;
use super::{Batch, Early, Item, Push};
use crate::nix::narinfo::Brief;
use crate::nix::store_path::HashPart;
use crate::plan::record::{PruneBody, PrunePhase};
use crate::provider::binary_cache::lease::Held;
use crate::provider::binary_cache::records::{self, Condemned, Found, Trace};
use crate::provider::binary_cache::terms::Rule;
use crate::provider::binary_cache::{CacheView, Object, SMALL_OBJECT, StoreError, narinfo_key};

/// So many objects are asked for at once.
pub(super) const AT_ONCE: usize = 256;

/// How long to wait before prunes are looked at again.
const PAUSE: Duration = Duration::from_millis(500);

/// Which items of a batch are in the cache, by their place in it.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whole.
    pub(super) present: Vec<usize>,
    /// Not there, or broken.
    pub(super) absent: Vec<usize>,
    /// What the push relies on, does not bring, and is not there.
    pub(super) moved: Vec<HashPart>,
    /// What the push relies on, does not bring, and is there.
    pub(super) there: HashSet<HashPart>,
    /// Those of `absent` whose narinfo is there but of no use: it is replaced.
    pub(super) broken: HashSet<usize>,
    /// Those of `present` whose narinfo lacks a signature that this push can add.
    pub(super) unsigned: Vec<Unsigned>,
    /// Those of `present` that are to be compressed anew, with their narinfos as they were read.
    pub(super) otherwise: HashMap<usize, Object>,
}

/// Looks, now, which items are present, and that all else that the push relies on is.
pub(super) fn presence(
    view: &dyn CacheView,
    batch: &Batch,
    relies: &BTreeSet<HashPart>,
) -> Result<Presence, StoreError> {
    let mut presence = Presence::default();
    let mut items = HashSet::with_capacity(batch.items.len());
    for (chunk, some) in batch.items.chunks(AT_ONCE).enumerate() {
        let keys: Vec<String> = some
            .iter()
            .map(|item| narinfo_key(item.path.hash()))
            .collect();
        let mut found = Vec::with_capacity(some.len());
        let (mut asked, mut nars) = (Vec::new(), Vec::new());
        for (at, (item, object)) in some
            .iter()
            .zip(view.get_many(&keys, SMALL_OBJECT))
            .enumerate()
        {
            items.insert(item.path.hash());
            let state = match object {
                Ok(None) => State::Absent,
                Err(StoreError::TooLarge { .. }) => State::Broken,
                Err(error) => return Err(error),
                Ok(Some(_)) if item.mend => State::Broken,
                Ok(Some(object)) => match nar_of(batch, item, &object.bytes) {
                    None => State::Broken,
                    Some(Place::Elsewhere) => State::Whole(object),
                    Some(Place::Here(key)) => {
                        asked.push(at);
                        nars.push(key);
                        State::Whole(object)
                    }
                },
            };
            found.push(state);
        }
        for (at, nar) in asked.into_iter().zip(view.head_many(&nars)) {
            match nar {
                Ok(Some(_)) => {}
                Ok(None) | Err(StoreError::BadKey(_)) => found[at] = State::Broken,
                Err(error) => return Err(error),
            }
        }
        for (at, (item, state)) in some.iter().zip(found).enumerate() {
            let at = chunk * AT_ONCE + at;
            match state {
                State::Whole(object) => {
                    if mend::is_otherwise(batch, item, &object.bytes) {
                        presence.otherwise.insert(at, object);
                    } else if mend::lacks_signature(batch, item, &object.bytes) {
                        presence.unsigned.push(Unsigned { at, object });
                    }
                    presence.present.push(at);
                }
                State::Broken => {
                    presence.broken.insert(at);
                    presence.absent.push(at);
                }
                State::Absent => presence.absent.push(at),
            }
        }
    }
    let others: Vec<HashPart> = relies
        .iter()
        .filter(|hash| !items.contains(hash))
        .copied()
        .collect();
    for some in others.chunks(AT_ONCE) {
        let keys: Vec<String> = some.iter().map(|hash| narinfo_key(*hash)).collect();
        for (hash, found) in some.iter().zip(view.head_many(&keys)) {
            if found?.is_none() {
                presence.moved.push(*hash);
            } else {
                presence.there.insert(*hash);
            }
        }
    }
    Ok(presence)
}

/// What a look at a narinfo found.
enum State {
    Absent,
    Broken,
    Whole(Object),
}

/// Where the NAR of a narinfo is.
enum Place {
    Here(String),
    /// Elsewhere on the net: not ours to judge.
    Elsewhere,
}

/// Where the NAR of a narinfo is that every Nix can read and that is of this path; `None`: it is not so.
fn nar_of(batch: &Batch, item: &Item, bytes: &[u8]) -> Option<Place> {
    let brief = Brief::from_bytes(bytes, &batch.store_dir).ok()?;
    if brief.store_path != item.path.as_ref() || brief.malformed_signatures > 0 {
        return None;
    }
    if brief.ca.is_some() && !brief.to_nar_info().has_valid_ca(&batch.store_dir) {
        return None;
    }
    Some(if brief.url.contains("://") || brief.url.contains('?') {
        Place::Elsewhere
    } else {
        Place::Here(brief.url.to_owned())
    })
}

impl Push<'_> {
    /// Waits until no prune is about to delete anything that this push relies on; answers the
    /// state of all prune records in the last look, or `None` if asked to stop.
    pub(super) fn wait_for_paths(
        &self,
        held: &mut Held<'_>,
        relies: &BTreeSet<HashPart>,
    ) -> Result<Option<Trace>, Early> {
        let keeps = self.terms.keeps(Rule::WaitForPaths);
        self.wait(held, |condemned, _| match condemned {
            _ if !keeps => false,
            Condemned::Nothing | Condemned::Nars(_) => false,
            Condemned::Everything => true,
            Condemned::Paths(paths) => paths.iter().any(|path| relies.contains(path)),
        })
    }

    /// Waits until no prune is about to delete one of these NARs; answers the state of all prune
    /// records in the last look, and whether a prune may have deleted some without its
    /// record having changed since: because it was waited for, or died.
    pub(super) fn wait_for_nars(
        &self,
        held: &mut Held<'_>,
        keys: &HashSet<&str>,
    ) -> Result<Option<(Trace, bool)>, Early> {
        let mut unended = false;
        let trace = self.wait(held, |condemned, prune| {
            unended |= prune
                .body
                .as_ref()
                .is_ok_and(|body| body.phase != PrunePhase::Ended)
                || prune.body.is_err();
            match condemned {
                _ if !self.terms.keeps(Rule::WaitForNars) => false,
                Condemned::Nothing | Condemned::Paths(_) => false,
                Condemned::Everything => true,
                Condemned::Nars(nars) => nars.iter().any(|nar| keys.contains(nar.as_str())),
            }
        })?;
        Ok(trace.map(|trace| (trace, unended)))
    }

    fn wait(
        &self,
        held: &mut Held<'_>,
        mut concerns: impl FnMut(&Condemned, &Found<PruneBody>) -> bool,
    ) -> Result<Option<Trace>, Early> {
        let view = self.store.view();
        let mut told = false;
        loop {
            let prunes = records::prunes(view)?;
            let now = held.now();
            // All of them are looked at, also behind the first that is waited for.
            let mut waits_for = None;
            for prune in &prunes {
                if concerns(&records::condemned(prune, now), prune) {
                    waits_for = waits_for.or(Some(prune));
                }
            }
            let Some(prune) = waits_for else {
                return Ok(Some(records::trace_of(&prunes)));
            };
            if self.progress.is_stopped() {
                return Ok(None);
            }
            if !told {
                tracing::info!(
                    "waiting for the prune `{}`, for {} minutes at most after its last sign of life",
                    prune.id,
                    records::PRUNE.gone.as_secs() / 60
                );
                told = true;
            }
            self.clock.sleep(PAUSE);
            held.renew()?;
        }
    }
}
