//! Pushing: one batch of paths into a cache, so that everything visible stays whole.
//!
//! The order is that of the protocol ([`super`]): the intent; a look at what prunes condemn; what
//! is present *now*; NARs, in any order; narinfos, signed, references before referrers; roots; the
//! intent goes. A push that uploads nothing does the same: that renews its roots. It may stop or
//! die anywhere; pushing again finishes.

mod batch;
mod look;
mod mend;
mod recompress;
mod sign;
mod upload;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Map;

use super::lease::{Held, Lapsed, RenewError};
use super::records::{self, bytes, intent_key};
use super::terms::{Rule, Terms};
use super::{CacheStore, IfThere, Put, StoreError};
use crate::config::model::{ClassName, Compression};
use crate::config::units::Span;
use crate::nix::content_address::ContentAddress;
use crate::nix::hash::Sha256;
use crate::nix::key::{SecretKey, Signature};
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::record::{Head, IntentBody, Root, RootBody};
use crate::plan::step::RootToWrite;
use crate::plan::time::Time;
use crate::sys::clock::Clock;
use crate::transfer::gate::Gate;
use crate::transfer::progress::Progress;
use look::Presence;

/// A path to be pushed.
#[derive(Clone, Debug)]
pub struct Item {
    /// The path.
    pub path: StorePath,
    /// Where its tree is on disk.
    pub root: PathBuf,
    /// Hash that its NAR must have.
    pub nar_hash: Sha256,
    /// Bytes that its NAR must have.
    pub nar_size: u64,
    /// What it refers to, itself included where it does.
    pub references: Vec<StorePath>,
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// Signatures that it has already; they are kept.
    pub signatures: Vec<Signature>,
    /// Its content address; the path must follow from it.
    pub ca: Option<ContentAddress>,
    /// Class that it is counted under.
    pub class: ClassName,
    /// Lower is finished first; what it refers to comes as early as it does itself.
    pub rank: u32,
    /// Where it is there by another method, it is compressed anew.
    pub recompress: bool,
    /// Whatever is there of it is broken: it is uploaded anew, and its narinfo replaced.
    pub mend: bool,
}

/// What is to be pushed at once. Cheap to clone: the keys are shared.
#[derive(Clone)]
pub struct Batch {
    /// Directory of the store paths.
    pub store_dir: StoreDir,
    /// The highest class of the batch, for its record.
    pub class: ClassName,
    /// Paths that the cache may lack.
    pub items: Vec<Item>,
    /// Root records to be written once their paths are there.
    pub roots: Vec<RootToWrite>,
    /// Everything that the roots reach, less what only upstreams have. What of it is not among
    /// the items must be in the cache already.
    pub closure: Vec<HashPart>,
    /// References to these are fine though the cache has not got them.
    pub upstream: HashSet<HashPart>,
    /// Keys that sign what is pushed.
    pub keys: Arc<[SecretKey]>,
    /// Method and level.
    pub compression: Compression,
    /// Grace of the cache: unreferenced NARs younger than this are safe.
    pub grace: Span,
    /// Commit that is pushed, for the records.
    pub commit: Option<String>,
    /// Run that pushes, for the records.
    pub run: Option<String>,
    /// Worker threads; 0: one per core.
    pub threads: usize,
    /// Who looks at what is to leave; `None`: nobody.
    pub gate: Option<Arc<dyn Gate>>,
}

/// What a push brings besides, because the cache lost it since it was looked at.
pub struct Spare {
    /// The paths.
    pub items: Vec<Item>,
    /// Keys that sign them, and all else that is pushed.
    pub keys: Arc<[SecretKey]>,
}

/// What was done for one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassDone {
    /// Paths that this push made visible.
    pub uploaded: Vec<StorePath>,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of their files.
    pub file_bytes: u64,
    /// Paths that were there already.
    pub present: Vec<StorePath>,
    /// Those of them that got our signature.
    pub signed: Vec<StorePath>,
    /// Those that were compressed anew; their NAR bytes and file bytes are counted.
    pub recompressed: Vec<StorePath>,
}

/// A path that was not pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The path.
    pub path: StorePath,
    /// Why, as a sentence.
    pub why: String,
}

/// What a push did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "single paths may have failed"]
pub struct PushDone {
    /// By class.
    pub classes: BTreeMap<ClassName, ClassDone>,
    /// Root records that were written.
    pub roots: Vec<RootToWrite>,
    /// Paths that could not be pushed, and those that refer to them. Everything else was.
    pub failed: Vec<Failed>,
}

/// Why a push did not come to its end. What it had published stays, and is whole.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The cache did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What goes into the cache cannot be stored.
    #[error(transparent)]
    Job(#[from] crate::transfer::pipeline::JobError),
    /// Something that the batch relies on is no longer there.
    #[error("push: the cache lost `{0}` since it was looked at; a new plan will push it")]
    Moved(HashPart),
    /// The batch itself cannot be right.
    #[error("push `{path}`: {why}")]
    Batch {
        /// The path.
        path: StorePath,
        /// What is wrong.
        why: String,
    },
    /// The cache changed again and again while we pushed.
    #[error("push: the cache changed too often meanwhile")]
    Restless,
    /// The work was asked to stop; this is what was done.
    #[error("push: stopped")]
    Stopped(Box<PushDone>),
}

/// How an attempt ended before its end.
enum Early {
    /// Our intent was not renewed in time: begin again with a new one.
    Lapsed,
    /// These are relied on, are not brought, and are not there.
    Moved(Vec<HashPart>),
    Error(PushError),
}

impl Early {
    /// Asked to stop; what was done is filled in at the end.
    fn stopped() -> Self {
        Self::Error(PushError::Stopped(Box::default()))
    }
}

impl From<Lapsed> for Early {
    fn from(_: Lapsed) -> Self {
        Self::Lapsed
    }
}

impl From<RenewError> for Early {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Lapsed => Self::Lapsed,
            RenewError::Store(error) => error.into(),
        }
    }
}

impl<E: Into<PushError>> From<E> for Early {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// How often a push begins again before it gives up.
const ATTEMPTS: usize = 20;

/// Pushes a batch.
///
/// Single paths that are damaged on disk do not keep the others from being pushed: they are in
/// [`PushDone::failed`].
///
/// # Errors
/// The cache refuses or fails, something that the batch relies on is gone, or `progress` says stop.
pub fn push(
    store: &dyn CacheStore,
    batch: &Batch,
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<PushDone, PushError> {
    push_by(&Terms::STANDARD, store, batch, clock, progress)
}

/// As [`push`], by other numbers.
///
/// # Errors
/// As [`push`].
pub fn push_by(
    terms: &Terms,
    store: &dyn CacheStore,
    batch: &Batch,
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<PushDone, PushError> {
    let mut done = PushDone::default();
    match push_into(terms, store, batch, &|_| None, (clock, progress), &mut done) {
        Ok(()) => Ok(done),
        Err(PushError::Stopped(_)) => Err(PushError::Stopped(Box::new(done))),
        Err(error) => Err(error),
    }
}

/// As [`push_by`]; what was done is in `done` whatever ends it. Where a prune took something that the
/// push relies on and does not bring, `spare` is asked for it; `None`: it is not at hand.
///
/// # Errors
/// As [`push`]. [`PushError::Stopped`] holds nothing.
pub fn push_into(
    terms: &Terms,
    store: &dyn CacheStore,
    batch: &Batch,
    spare: &dyn Fn(&[HashPart]) -> Option<Spare>,
    (clock, progress): (&dyn Clock, &Progress),
    done: &mut PushDone,
) -> Result<(), PushError> {
    let mut batch = Cow::Borrowed(batch);
    let mut noted = HashSet::new();
    for _ in 0..ATTEMPTS {
        batch::check(&batch)?;
        let mut push = Push {
            terms: *terms,
            store,
            batch: &batch,
            clock,
            progress,
            done: &mut *done,
            noted: &mut noted,
        };
        match push.attempt() {
            Ok(()) => return Ok(()),
            Err(Early::Lapsed) => {
                tracing::info!("the push was held up for too long, it begins again");
            }
            Err(Early::Moved(lost)) => {
                let found = spare(&lost);
                let brings = |hash: &HashPart| {
                    let mut items = found.iter().flat_map(|found| &found.items);
                    items.any(|item| item.path.hash() == *hash)
                };
                if let Some(hash) = lost.iter().find(|hash| !brings(hash)) {
                    return Err(PushError::Moved(*hash));
                }
                if let Some(found) = found {
                    let batch = batch.to_mut();
                    batch.items.extend(found.items);
                    batch.keys = found.keys;
                }
            }
            Err(Early::Error(error)) => return Err(error),
        }
    }
    Err(PushError::Restless)
}

/// One push under way.
struct Push<'a> {
    terms: Terms,
    store: &'a dyn CacheStore,
    batch: &'a Batch,
    clock: &'a dyn Clock,
    progress: &'a Progress,
    done: &'a mut PushDone,
    /// Paths that are counted in `done`.
    noted: &'a mut HashSet<HashPart>,
}

impl Push<'_> {
    fn attempt(&mut self) -> Result<(), Early> {
        let view = self.store.view();
        // What an upstream has and the cache has, too, is relied on in the cache all the same.
        let closure = self.batch.closure.iter().copied();
        let relies: BTreeSet<HashPart> = closure
            .chain(self.batch.items.iter().map(|item| item.path.hash()))
            .collect();
        let mut early = if self.terms.keeps(Rule::IntentFirst) {
            None
        } else {
            Some(look::presence(view, self.batch, &relies)?)
        };
        let mut body = self.intent(&relies);
        let key = intent_key(&(self.terms.new_id)()?);
        let lease = self.terms.intent;
        let mut held = Held::begin(self.store, self.clock, key, lease, bytes(&body))?;
        let looked = self.wait_for_paths(&mut held, &relies);
        let Some(trace) = looked? else {
            // Stopped before anything was done.
            held.remove()?;
            return Err(Early::stopped());
        };
        for _ in 0..ATTEMPTS {
            // What could not be pushed is found anew with each look.
            self.done.failed.clear();
            let seen = if let Some(presence) = early.take() {
                Ok(presence)
            } else {
                // It may take long, and the intent must not lapse over it.
                let batch = self.batch;
                let look = || look::presence(view, batch, &relies);
                let (found, renewed) = held.renew_during(look);
                renewed?;
                found
            };
            let whole = match seen {
                Ok(presence) if presence.moved.is_empty() => Ok(presence),
                Ok(presence) => Err(Early::Moved(presence.moved)),
                Err(error) => Err(error.into()),
            };
            let presence = match whole {
                Ok(presence) => presence,
                Err(early) => {
                    let mut classes = self.done.classes.values();
                    if classes.all(|class| class.uploaded.is_empty())
                        && !self.store.has_unanswered()
                    {
                        held.remove()?;
                    }
                    return Err(early);
                }
            };
            self.note_present(&presence);
            if !presence.absent.is_empty() {
                body.absent =
                    Some(records::list(presence.absent.iter().filter_map(|&at| {
                        self.batch.items.get(at).map(|item| item.path.hash())
                    })));
                held.rewrite(bytes(&body))?;
                self.upload(&mut held, &presence, &trace)?;
            }
            self.recompress(&mut held, presence.otherwise, &trace)?;
            self.sign(&mut held, &presence.unsigned)?;
            // A defence against requests that land very late: look once more if anything was pruned.
            if records::trace(view)? == trace || self.is_whole(&relies)? {
                if !self.terms.keeps(Rule::RootsFirst) {
                    self.store.delete(std::slice::from_ref(&held.key));
                }
                self.write_roots(&mut held)?;
                // What is published without a root record is kept alive by the intent alone. (A push of
                // which a write got no answer does not come here: its intent is left to age.)
                if self.done.failed.is_empty() && !self.store.has_unanswered() {
                    held.remove()?;
                }
                return Ok(());
            }
        }
        Err(PushError::Restless.into())
    }

    fn intent(&self, relies: &BTreeSet<HashPart>) -> IntentBody {
        let mut tops: Vec<StorePath> = self.batch.roots.iter().map(|r| r.path.clone()).collect();
        tops.sort_unstable();
        tops.dedup();
        IntentBody {
            head: Head::ours(),
            class: self.batch.class.clone(),
            tops: tops.clone(),
            paths: if self.terms.keeps(Rule::WholeClosure) {
                records::list(relies.iter().copied())
            } else {
                records::list(tops.iter().map(StorePath::hash))
            },
            absent: None,
            began: Time(self.clock.unix()),
            commit: self.batch.commit.clone(),
            run: self.batch.run.clone(),
            other: Map::new(),
        }
    }

    fn note_present(&mut self, presence: &Presence) {
        for item in presence
            .present
            .iter()
            .filter_map(|&at| self.batch.items.get(at))
        {
            // On a second look, what this push uploaded is present, too.
            if self.noted.insert(item.path.hash()) {
                let class = self.done.classes.entry(item.class.clone()).or_default();
                class.present.push(item.path.clone());
                Progress::add(&self.progress.paths_done, 1);
                Progress::add(&self.progress.bytes_done, item.nar_size);
            }
        }
    }

    /// Whether all that this push relies on is visible, except what it could not push.
    fn is_whole(&self, relies: &BTreeSet<HashPart>) -> Result<bool, StoreError> {
        let failed: HashSet<HashPart> = self.done.failed.iter().map(|f| f.path.hash()).collect();
        let view = self.store.view();
        let asked = relies.iter().filter(|hash| !failed.contains(hash));
        let keys: Vec<String> = asked.map(|hash| super::narinfo_key(*hash)).collect();
        for keys in keys.chunks(look::AT_ONCE) {
            for found in view.head_many(keys) {
                if found?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn write_roots(&mut self, held: &mut Held<'_>) -> Result<(), Early> {
        let failed: HashSet<&StorePath> = self.done.failed.iter().map(|f| &f.path).collect();
        let view = self.store.view();
        let (mut puts, mut written) = (Vec::new(), Vec::new());
        let roots = self.batch.roots.iter();
        let roots: Vec<&RootToWrite> = roots.filter(|root| !failed.contains(&root.path)).collect();
        let key_of = |root: &&RootToWrite| Root::key(&root.class, root.path.hash());
        let keys: Vec<String> = roots.iter().map(key_of).collect();
        let found = view.get_many(&keys, super::SMALL_OBJECT);
        for ((root, key), found) in roots.into_iter().zip(keys).zip(found) {
            // What other versions wrote there is kept.
            let other = found?
                .and_then(|object| records::read::<RootBody>(&key, &object.bytes).ok())
                .map(|body| body.other)
                .unwrap_or_default();
            let body = RootBody {
                head: Head::ours(),
                path: root.path.clone(),
                class: root.class.clone(),
                attr: root.attr.clone(),
                system: None,
                commit: self.batch.commit.clone(),
                run: self.batch.run.clone(),
                pushed: Time(self.clock.unix()),
                other,
            };
            puts.push(Put {
                key,
                bytes: bytes(&body),
                if_there: IfThere::Replace,
            });
            written.push(root.clone());
        }
        for chunk in puts.chunks(256) {
            held.renew()?;
            held.trusted()?;
            let results = self.store.put_levels(vec![chunk.to_vec()]);
            for (put, result) in chunk.iter().zip(results) {
                result?.must_be_written(&put.key)?;
            }
        }
        self.done.roots = written;
        Ok(())
    }
}
