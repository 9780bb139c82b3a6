//! Pruning: taking what nothing needs out of a cache, so that everything visible stays whole.
//!
//! The order is that of the protocol ([`super`]): a record of everything that may go; a second look
//! at the cache; what is dead in that look too, closed so that nothing visible loses a reference;
//! narinfos, referrers before references; ended roots; then files that no narinfo names and that
//! are older than grace, after looking once more. A plan only ever gives candidates: what may go
//! is decided on the second look, so an old plan is safe. It may stop or die anywhere.

mod beside;
mod files;
mod paths;

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::lease::{Held, Lapsed, RenewError};
use super::observe::{Look, observe_at};
use super::records::{self, KEPT, PRUNE, bytes, id_of, prune_key};
use super::terms::{Rule, Terms};
use super::{CacheStore, StoreError, narinfo_key};
use crate::config::units::Span;
use crate::nix::store_path::HashPart;
use crate::plan::observed::{CacheContent, Why};
use crate::plan::record::{Head, PruneBody, PrunePhase, PruneRecord};
use crate::plan::time::Time;
use crate::sys::clock::Clock;
use crate::transfer::progress::Progress;
use paths::Round;

/// What a plan would delete. Nothing else is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Paths; where there are very many, referrers before references.
    pub paths: Vec<HashPart>,
    /// Keys of root records.
    pub roots: Vec<String>,
    /// Keys of files that no narinfo names, of left-overs, and of records of dead pushes.
    pub objects: Vec<String>,
    /// Digest of the plan, for the record.
    pub plan: String,
    /// Run that prunes, for the record.
    pub run: Option<String>,
}

/// What is to go by the rules, on a fresh look. More than the candidates is no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Paths that nothing needs.
    pub dead: Vec<HashPart>,
    /// Keys of root records that ended.
    pub ended: Vec<String>,
}

/// What a prune did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneDone {
    /// Paths that are no longer visible.
    pub paths: Vec<HashPart>,
    /// Candidates that were spared: they are needed again, or something that stays refers to them.
    pub spared: Vec<HashPart>,
    /// Keys of root records that went.
    pub roots: Vec<String>,
    /// Keys of files and left-overs that went.
    pub objects: Vec<String>,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Why a prune did not come to its end. What it left is whole.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The cache did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another prune is under way.
    #[error("prune: another prune has been running since {since}")]
    Busy {
        /// When it last gave a sign of life, by the cache's clock.
        since: Time,
    },
    /// The cache could not be seen whole, so nothing may be deleted.
    #[error("prune: the cache could not be seen whole: {}", why.0)]
    Unsure {
        /// Why.
        why: Why,
    },
    /// Our record was not renewed in time.
    #[error("prune: it was held up for too long, so others may no longer expect it")]
    Lapsed,
    /// The work was asked to stop; this is what was done.
    #[error("prune: stopped")]
    Stopped(Box<PruneDone>),
}

impl From<Lapsed> for PruneError {
    fn from(_: Lapsed) -> Self {
        Self::Lapsed
    }
}

impl From<RenewError> for PruneError {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Lapsed => Self::Lapsed,
            RenewError::Store(error) => Self::Store(error),
        }
    }
}

/// So many objects are deleted between two looks at the clock.
const CHUNK: usize = 4_000;

/// Deletes what a plan would delete, as far as `decide` says on a fresh look that it may go.
///
/// # Errors
/// Another prune is under way, the cache cannot be seen whole or refuses, or `progress` says stop.
pub fn prune(
    store: &dyn CacheStore,
    candidates: &Candidates,
    look: &Look<'_>,
    grace: Span,
    decide: &mut (dyn FnMut(&CacheContent) -> Decision + Send),
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<PruneDone, PruneError> {
    let terms = &Terms::STANDARD;
    prune_by(
        terms, store, candidates, look, grace, decide, clock, progress,
    )
}

/// As [`prune`], by other numbers.
///
/// # Errors
/// As [`prune`].
#[expect(
    clippy::too_many_arguments,
    reason = "each is another part of the world"
)]
pub fn prune_by(
    terms: &Terms,
    store: &dyn CacheStore,
    candidates: &Candidates,
    look: &Look<'_>,
    grace: Span,
    decide: &mut (dyn FnMut(&CacheContent) -> Decision + Send),
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<PruneDone, PruneError> {
    let mut done = PruneDone::default();
    let with = (clock, progress);
    match prune_into(
        terms, store, candidates, look, grace, decide, with, &mut done,
    ) {
        Ok(()) => Ok(done),
        Err(PruneError::Stopped(_)) => Err(PruneError::Stopped(Box::new(done))),
        Err(error) => Err(error),
    }
}

/// As [`prune_by`]; what was done is in `done` whatever ends it.
///
/// # Errors
/// As [`prune`]. [`PruneError::Stopped`] holds nothing.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another part of the world"
)]
pub fn prune_into(
    terms: &Terms,
    store: &dyn CacheStore,
    candidates: &Candidates,
    look: &Look<'_>,
    grace: Span,
    decide: &mut (dyn FnMut(&CacheContent) -> Decision + Send),
    (clock, progress): (&dyn Clock, &Progress),
    done: &mut PruneDone,
) -> Result<(), PruneError> {
    *done = PruneDone::default();
    if let Some(since) = active(store, None)? {
        return Err(PruneError::Busy { since });
    }
    let id = (terms.new_id)()?;
    let first = candidates.paths.chunks(terms.round.max(1)).next();
    let first = first.unwrap_or_default();
    let is_last = first.len() == candidates.paths.len();
    let keeps = terms.keeps(Rule::RecordFirst);
    let roots: &[String] = if is_last && keeps {
        &candidates.roots
    } else {
        &[]
    };
    let body = PruneBody {
        head: Head::ours(),
        phase: PrunePhase::Paths,
        paths: records::list(first.iter().copied().filter(|_| keeps)),
        later: String::new(),
        roots: roots.join(" "),
        nars: String::new(),
        plan: candidates.plan.clone(),
        began: Time(clock.unix()),
        run: candidates.run.clone(),
        other: Map::new(),
    };
    let held = Held::begin(store, clock, prune_key(&id), terms.prune, bytes(&body))?;
    let mut prune = Prune {
        terms: *terms,
        store,
        candidates,
        look,
        grace,
        progress,
        held,
        body,
        done,
        condemned: None,
        unanswered: false,
    };
    let result = match active(store, Some(&id)) {
        // Of two that began at once, the smaller one goes on.
        Ok(Some(since)) => Err(PruneError::Busy { since }),
        Ok(None) => prune.run(decide),
        Err(error) => Err(error.into()),
    };
    prune.end(result)
}

/// Since when another prune is under way; with our own id: one that goes first.
fn active(store: &dyn CacheStore, ours: Option<&str>) -> Result<Option<Time>, StoreError> {
    let view = store.view();
    let now = view.now()?;
    let prunes = records::prunes(view)?;
    let is_active = |prune: &&records::Found<PruneBody>| {
        let ended = prune
            .body
            .as_ref()
            .is_ok_and(|body| body.phase == PrunePhase::Ended);
        !ended
            && !PRUNE.is_gone(&prune.meta, now)
            && ours.is_none_or(|ours| prune.id.as_str() < ours)
    };
    Ok(prunes
        .iter()
        .find(is_active)
        .map(|prune| prune.meta.modified))
}

/// A prune under way.
struct Prune<'a> {
    terms: Terms,
    store: &'a dyn CacheStore,
    candidates: &'a Candidates,
    look: &'a Look<'a>,
    grace: Span,
    progress: &'a Progress,
    held: Held<'a>,
    body: PruneBody,
    done: &'a mut PruneDone,
    /// What the first round found dead of all candidates, where there are more rounds.
    condemned: Option<PruneRecord>,
    /// Whether a delete got no answer: the record then has to age instead of being ended.
    unanswered: bool,
}

impl Prune<'_> {
    fn run(
        &mut self,
        decide: &mut (dyn FnMut(&CacheContent) -> Decision + Send),
    ) -> Result<(), PruneError> {
        let candidates = self.candidates;
        let mut files: BTreeSet<String> = candidates.objects.iter().cloned().collect();
        let mut rounds = candidates.paths.chunks(self.terms.round.max(1)).peekable();
        let mut later = candidates.paths.as_slice();
        while let Some(paths) = rounds.next() {
            later = later.get(paths.len()..).unwrap_or_default();
            let roots = match rounds.peek() {
                Some(_) => &[][..],
                None => &candidates.roots,
            };
            let round = Round {
                paths,
                later,
                roots,
            };
            files.extend(self.round(round, decide)?);
        }
        if candidates.paths.is_empty() && !candidates.roots.is_empty() {
            let round = Round {
                paths: &[],
                later: &[],
                roots: &candidates.roots,
            };
            files.extend(self.round(round, decide)?);
        }
        self.delete_files(&files)
    }

    fn look_again(&mut self) -> Result<CacheContent, PruneError> {
        // What is deleted is decided here, so each object is asked for its revision.
        let look = &Look {
            thorough: true,
            ..self.look.clone()
        };
        let view = self.store.view();
        let quiet = Progress::default();
        // The cache's own now, not that of a reader.
        let now = self.held.now();
        let (content, renewed) = self
            .held
            .renew_during(|| observe_at(view, look, &quiet, now));
        renewed?;
        let mut content = content?;
        if let Some(why) = content.partial.take() {
            return Err(PruneError::Unsure { why });
        }
        let ours = id_of(&self.held.key).unwrap_or_default();
        content.prunes.retain(|prune| prune.id != ours);
        // The tops went first, so no root reaches what is left of them; it is ours nevertheless.
        content.prunes.extend(self.condemned.clone());
        Ok(content)
    }

    fn delete_all(
        &mut self,
        keys: &[String],
        mut count: impl FnMut(&mut PruneDone, String),
    ) -> Result<(), PruneError> {
        for keys in keys.chunks(CHUNK) {
            self.before_request()?;
            for (key, answer) in keys.iter().zip(self.store.delete(keys)) {
                self.note(answer)?;
                count(self.done, key.clone());
            }
        }
        Ok(())
    }

    fn before_request(&mut self) -> Result<(), PruneError> {
        if self.progress.is_stopped() {
            return Err(PruneError::Stopped(Box::default()));
        }
        self.held.renew()?;
        Ok(self.held.trusted()?)
    }

    fn rewrite(&mut self) -> Result<(), PruneError> {
        Ok(self.held.rewrite(bytes(&self.body))?)
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.unanswered |= matches!(result, Err(StoreError::Unanswered { .. }));
        result
    }

    /// Says that the prune is over, unless something that was sent may still take effect.
    fn end(mut self, result: Result<(), PruneError>) -> Result<(), PruneError> {
        // Who lapsed may be thought dead: what others did since then is not ours to speak of.
        if matches!(result, Err(PruneError::Lapsed)) {
            return result;
        }
        let unanswered = self.unanswered || self.store.has_unanswered();
        if !unanswered || !self.terms.keeps(Rule::PruneAges) {
            self.body.phase = PrunePhase::Ended;
            self.body.paths = self.left();
            (self.body.later, self.body.roots, self.body.nars) = Default::default();
            let numbers = [
                ("deleted-paths", self.done.paths.len() as u64),
                ("deleted-objects", self.done.objects.len() as u64),
                ("deleted-bytes", self.done.bytes),
            ];
            for (name, number) in numbers {
                self.body.other.insert(name.to_owned(), Value::from(number));
            }
            let ended = self
                .held
                .rewrite(bytes(&self.body))
                .map_err(PruneError::from)
                .and_then(|()| Ok(self.tidy()?));
            if let (Ok(()), Err(error)) = (&result, ended) {
                return Err(error);
            }
        }
        result
    }

    /// What was to go and did not, after some of it went: the next prune has to know that it is no
    /// foreign content, though the paths by whose records it could be told are gone.
    fn left(&self) -> String {
        let gone: HashSet<HashPart> = self.done.paths.iter().copied().collect();
        if gone.is_empty() {
            return String::new();
        }
        let all = records::named(&self.body);
        records::list(all.into_iter().filter(|hash| !gone.contains(hash)))
    }

    /// Removes records of prunes that were over long ago.
    fn tidy(&mut self) -> Result<(), StoreError> {
        let now = self.held.now();
        let old = |prune: &records::Found<PruneBody>| {
            let over = PRUNE.is_gone(&prune.meta, now)
                || prune
                    .body
                    .as_ref()
                    .is_ok_and(|body| body.phase == PrunePhase::Ended);
            let known = prune.body.is_ok();
            over && known && now.since(prune.meta.modified).0 > KEPT.as_secs()
        };
        let prunes = records::prunes(self.store.view())?;
        let mut keys = Vec::new();
        for prune in prunes.into_iter().filter(old) {
            let paths = prune.body.as_ref().map(records::named);
            // While some of what it left is there, only this record tells whose it is.
            let mut holds = false;
            for hash in paths.unwrap_or_default() {
                holds = holds || self.store.view().head(&narinfo_key(hash))?.is_some();
            }
            if !holds {
                keys.push(prune.key);
            }
        }
        self.store.delete(&keys).into_iter().collect()
    }
}
