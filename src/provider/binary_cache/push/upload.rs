//! NARs and narinfos: steps 4 to 6 of the protocol, for many paths at once.
//!
//! NARs are made in any order, those that are wanted first in front. A narinfo is ready when its
//! NAR is in its place and all that it refers to is visible or goes before it; what is ready is
//! published in waves, so that looking at prunes and syncing folders is done once for many.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::batch::Order;
use super::look::Presence;
use super::{Early, Failed, Item, Push, PushError};
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{HashPart, StorePath};
use crate::provider::binary_cache::lease::Held;
use crate::provider::binary_cache::records::Trace;
use crate::provider::binary_cache::terms::Rule;
use crate::provider::binary_cache::{IfThere, Outcome, Put, narinfo_key};
use crate::transfer::compress::word;
use crate::transfer::pipeline::{Job, JobError, Pipeline, Settings, Stored, with_pipeline};
use crate::transfer::progress::Progress;

/// So many narinfos are published at once at most.
const WAVE: usize = 256;

/// So long a narinfo that is ready waits for others.
const GATHER: Duration = Duration::from_millis(400);

/// How far an item is.
#[derive(Clone, Debug)]
enum State {
    /// Its NAR is being made, or waits to be.
    Making,
    /// Its NAR is there; what it refers to is not yet.
    Made(Stored),
    /// It is in the next wave.
    Ready(Stored),
    /// It is visible (or was from the beginning).
    Visible,
    /// It cannot be pushed.
    Failed,
}

pub(super) struct Uploads {
    order: Order,
    /// By item.
    states: Vec<State>,
    /// When the making of its NAR was asked for, by our clock.
    asked: Vec<Duration>,
    /// Ready items, references before referrers.
    wave: VecDeque<usize>,
    /// Items that are neither visible nor failed.
    left: usize,
}

impl Push<'_> {
    pub(super) fn upload(
        &mut self,
        held: &mut Held<'_>,
        presence: &Presence,
        trace: &Trace,
    ) -> Result<(), Early> {
        let items = &self.batch.items;
        let mut uploads = Uploads {
            order: if presence.otherwise.is_empty() {
                Order::of(items)
            } else {
                // All of them are visible already.
                Order::free(items)
            },
            states: vec![State::Visible; items.len()],
            asked: vec![Duration::ZERO; items.len()],
            wave: VecDeque::new(),
            left: presence.absent.len(),
        };
        for &at in &presence.absent {
            uploads.states[at] = State::Making;
        }
        let hashes: HashSet<HashPart> = items.iter().map(|item| item.path.hash()).collect();
        for (at, why) in self.obstacles(held, presence, &hashes)? {
            self.fail(&mut uploads, at, &why);
        }
        let jobs: Vec<Job> = items
            .iter()
            .map(|item| Job {
                path: item.path.clone(),
                root: item.root.clone(),
                nar_hash: item.nar_hash,
                nar_size: item.nar_size,
            })
            .collect();
        let store = self.store;
        let open = || store.upload().map_err(Into::into);
        let settings = Settings {
            compression: self.batch.compression,
            threads: self.batch.threads,
            finishers: self.store.writers(),
            is_alone: self.clock.is_alone(),
            open: &open,
            gate: self.batch.gate.as_deref(),
            // Folders write what has no name yet, buckets keep it until it is whole.
            withhold: false,
            progress: self.progress,
        };
        with_pipeline(&jobs, &settings, |pipeline| {
            for at in uploads.order.nars.clone() {
                if matches!(uploads.states[at], State::Making) {
                    self.ask(&mut uploads, pipeline, at);
                }
            }
            self.collect(held, &mut uploads, pipeline, presence, trace)
        })
    }

    /// The items that cannot be pushed whatever their NARs are, and why.
    fn obstacles(
        &self,
        held: &mut Held<'_>,
        presence: &Presence,
        hashes: &HashSet<HashPart>,
    ) -> Result<Vec<(usize, String)>, Early> {
        let is_asked = |reference: &&StorePath| {
            let hash = reference.hash();
            // What was there in the look under the intent stays.
            !hashes.contains(&hash)
                && !self.batch.upstream.contains(&hash)
                && !presence.there.contains(&hash)
        };
        let items = &self.batch.items;
        let absent = &presence.absent;
        let references = absent.iter().flat_map(|&at| &items[at].references);
        let asked: BTreeSet<HashPart> = references.filter(is_asked).map(StorePath::hash).collect();
        let asked: Vec<HashPart> = asked.into_iter().collect();
        let keys: Vec<String> = asked.iter().map(|hash| narinfo_key(*hash)).collect();
        let mut missing = HashSet::new();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // It may take long, and the intent must not lapse over it.
        let view = self.store.view();
        let (found, renewed) = held.renew_during(|| view.head_many(&keys));
        renewed?;
        for (hash, found) in asked.iter().zip(found) {
            if found?.is_none() {
                missing.insert(*hash);
            }
        }
        let why = |&at: &usize| {
            let mut references = items[at].references.iter();
            let first = references.find(|reference| missing.contains(&reference.hash()))?;
            let why =
                format!("it refers to `{first}`, which is neither in the cache nor pushed with it");
            Some((at, why))
        };
        Ok(absent.iter().filter_map(why).collect())
    }

    fn ask(&self, uploads: &mut Uploads, pipeline: &Pipeline<'_>, at: usize) {
        uploads.states[at] = State::Making;
        uploads.asked[at] = self.clock.elapsed();
        pipeline.submit(at);
    }

    /// Marks an item, and all that refer to it, as failed.
    fn fail(&mut self, uploads: &mut Uploads, at: usize, why: &str) {
        let mut open = vec![(at, why.to_owned())];
        while let Some((at, why)) = open.pop() {
            if matches!(uploads.states[at], State::Visible | State::Failed) {
                continue;
            }
            uploads.states[at] = State::Failed;
            uploads.left -= 1;
            let path = self.batch.items[at].path.clone();
            for &referrer in &uploads.order.referrers[at] {
                open.push((
                    referrer,
                    format!("it refers to `{path}`, which was not pushed"),
                ));
            }
            self.done.failed.push(Failed { path, why });
        }
        uploads
            .wave
            .retain(|&at| matches!(uploads.states[at], State::Ready(_)));
    }

    fn collect(
        &mut self,
        held: &mut Held<'_>,
        uploads: &mut Uploads,
        pipeline: &Pipeline<'_>,
        presence: &Presence,
        trace: &Trace,
    ) -> Result<(), Early> {
        let mut gathered = self.clock.elapsed();
        while uploads.left > 0 {
            if self.progress.is_stopped() {
                // What is ready is worth keeping; nothing else is begun.
                self.publish(held, uploads, pipeline, presence, trace)?;
                return Err(Early::stopped());
            }
            held.renew()?;
            let patience = if uploads.wave.is_empty() {
                GATHER
            } else {
                GATHER / 8
            };
            match pipeline.next(patience) {
                Some((at, result)) => self.take(uploads, at, result)?,
                // Nothing came: do not keep what is ready waiting.
                None if uploads.wave.is_empty() => continue,
                None => gathered = Duration::ZERO,
            }
            let all = uploads.wave.len() == uploads.left;
            let late = self.clock.elapsed().saturating_sub(gathered) > GATHER;
            if !uploads.wave.is_empty() && (all || late || uploads.wave.len() >= WAVE) {
                self.publish(held, uploads, pipeline, presence, trace)?;
                gathered = self.clock.elapsed();
            }
        }
        Ok(())
    }

    /// Takes the result of making a NAR.
    fn take(
        &mut self,
        uploads: &mut Uploads,
        at: usize,
        result: Result<Stored, JobError>,
    ) -> Result<(), Early> {
        match result {
            Ok(stored) => {
                if matches!(uploads.states[at], State::Making) {
                    uploads.states[at] = State::Made(stored);
                    uploads.settle(at);
                }
                Ok(())
            }
            Err(JobError::Tree(crate::transfer::tree::TreeError::Stopped)) => Ok(()),
            Err(error) if error.is_of_source() => {
                self.fail(uploads, at, &chain(&error));
                Ok(())
            }
            Err(error) => Err(PushError::Job(error).into()),
        }
    }

    /// Makes all that is ready visible.
    fn publish(
        &mut self,
        held: &mut Held<'_>,
        uploads: &mut Uploads,
        pipeline: &Pipeline<'_>,
        presence: &Presence,
        trace: &Trace,
    ) -> Result<(), Early> {
        while !uploads.wave.is_empty() {
            let count = uploads.wave.len().min(WAVE);
            let wave: Vec<usize> = uploads.wave.iter().take(count).copied().collect();
            if !self.nars_are_safe(held, uploads, pipeline, &wave, trace)? {
                // Some NARs are made again, so the wave is another now.
                continue;
            }
            if !presence.otherwise.is_empty() {
                self.publish_anew(held, uploads, presence, &wave)?;
                continue;
            }
            let (mut puts, mut bytes) = (Vec::with_capacity(count), Vec::with_capacity(count));
            for &at in &wave {
                let State::Ready(stored) = &uploads.states[at] else {
                    continue;
                };
                bytes.push(stored.file.size);
                puts.push(self.narinfo(
                    &self.batch.items[at],
                    stored,
                    presence.broken.contains(&at),
                ));
            }
            let levels = if self.terms.keeps(Rule::ReferencesFirst) {
                uploads.levels(&wave)
            } else {
                puts.reverse();
                (0..puts.len()).collect()
            };
            // In the order of the levels, those of one beside one another.
            let mut order: Vec<usize> = (0..puts.len()).collect();
            order.sort_by_key(|at| levels[*at]);
            let mut puts: Vec<Option<Put>> = puts.into_iter().map(Some).collect();
            let mut by_level: Vec<Vec<Put>> = Vec::new();
            for &at in &order {
                by_level.resize_with((levels[at] + 1).max(by_level.len()), Vec::new);
                by_level[levels[at]].extend(puts[at].take());
            }
            held.renew()?;
            held.trusted()?;
            let results = self.store.put_levels(by_level);
            let in_order = order.into_iter().map(|at| (wave[at], bytes[at]));
            let mut failed = None;
            for ((at, bytes), result) in in_order.zip(results) {
                match result {
                    Ok(outcome) => {
                        uploads.states[at] = State::Visible;
                        uploads.left -= 1;
                        self.count(at, bytes, outcome);
                    }
                    Err(error) => failed = Some(error),
                }
            }
            let states = &uploads.states;
            let is_open = |at: &usize| matches!(states[*at], State::Ready(_));
            uploads.wave.retain(is_open);
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn count(&mut self, at: usize, file_bytes: u64, outcome: Outcome) {
        let item = &self.batch.items[at];
        if !self.noted.insert(item.path.hash()) {
            return;
        }
        let class = self.done.classes.entry(item.class.clone()).or_default();
        match outcome {
            Outcome::Written => {
                class.uploaded.push(item.path.clone());
                class.nar_bytes += item.nar_size;
                class.file_bytes += file_bytes;
            }
            // Somebody else published it while we made its NAR.
            Outcome::Kept => class.present.push(item.path.clone()),
        }
        Progress::add(&self.progress.paths_done, 1);
    }

    /// Makes sure that the NARs of a wave are there and will stay: no prune is about to delete
    /// them, and they are young enough not to be thought of as left over. `false`: some had to be
    /// made again.
    fn nars_are_safe(
        &mut self,
        held: &mut Held<'_>,
        uploads: &mut Uploads,
        pipeline: &Pipeline<'_>,
        wave: &[usize],
        trace: &Trace,
    ) -> Result<bool, Early> {
        let key = |at: usize, uploads: &Uploads| match &uploads.states[at] {
            State::Ready(stored) => stored.key.clone(),
            _ => String::new(),
        };
        let keys: Vec<String> = wave.iter().map(|&at| key(at, uploads)).collect();
        let wanted: HashSet<&str> = keys.iter().map(String::as_str).collect();
        // Before the look at prunes: one that did not see it young has its record there by then.
        let mut lost = Vec::new();
        for (&at, key) in wave.iter().zip(&keys) {
            if self.is_ageing(uploads, at) {
                let now = self.clock.elapsed();
                if self.store.touch(key)? {
                    uploads.asked[at] = now;
                } else {
                    lost.push(at);
                }
            }
        }
        let Some((now, unended)) = self.wait_for_nars(held, &wanted)? else {
            return Err(Early::stopped());
        };
        if (unended || now != *trace) && self.terms.keeps(Rule::NarsOnceMore) {
            for (&at, found) in wave.iter().zip(self.store.view().head_many(&keys)) {
                if found?.is_none() && !lost.contains(&at) {
                    lost.push(at);
                }
            }
        }
        for &at in &lost {
            self.ask(uploads, pipeline, at);
        }
        if !lost.is_empty() {
            uploads.unready();
        }
        // It may have been a long wait.
        let late = wave.iter().any(|&at| self.is_ageing(uploads, at));
        Ok(lost.is_empty() && !late)
    }

    /// Whether the NAR of an item may be so old that it has to be refreshed before it is named.
    fn is_ageing(&self, uploads: &Uploads, at: usize) -> bool {
        let age = self.clock.elapsed().saturating_sub(uploads.asked[at]);
        age >= Duration::from_secs(self.batch.grace.0 / 2)
    }

    fn narinfo(&self, item: &Item, stored: &Stored, replace: bool) -> Put {
        let batch = self.batch;
        let mut references = item.references.clone();
        references.sort_unstable();
        references.dedup();
        let mut info = NarInfo {
            store_path: item.path.clone(),
            url: stored.key.clone(),
            compression: word(batch.compression.method),
            file_hash: Some(stored.file.hash),
            file_size: Some(stored.file.size),
            nar_hash: item.nar_hash,
            nar_size: item.nar_size,
            references,
            deriver: item.deriver.clone(),
            signatures: item.signatures.clone(),
            ca: item.ca,
            unknown: Vec::new(),
            malformed_signatures: 0,
        };
        // A content address that does not match makes every reader stop at once.
        if !info.has_valid_ca(&batch.store_dir) {
            info.ca = None;
        }
        for key in batch.keys.iter() {
            info.sign(key, &batch.store_dir);
        }
        Put {
            key: narinfo_key(item.path.hash()),
            bytes: info.display(&batch.store_dir).to_string().into_bytes(),
            if_there: if replace {
                IfThere::Replace
            } else {
                IfThere::Keep
            },
        }
    }
}

impl Uploads {
    /// The NAR file of an item of the wave.
    pub(super) fn ready(&self, at: usize) -> Option<Stored> {
        match self.states.get(at)? {
            State::Ready(stored) => Some(stored.clone()),
            _ => None,
        }
    }

    /// The first item of the wave is done.
    pub(super) fn published(&mut self, at: usize) {
        self.wave.pop_front();
        self.states[at] = State::Visible;
        self.left -= 1;
    }

    /// Moves an item whose NAR is made into the wave, and then those that waited only for it.
    fn settle(&mut self, at: usize) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let State::Made(stored) = &self.states[at] else {
                continue;
            };
            let is_before = |&r: &usize| matches!(self.states[r], State::Ready(_) | State::Visible);
            if !self.order.references[at].iter().all(is_before) {
                continue;
            }
            self.states[at] = State::Ready(stored.clone());
            self.wave.push_back(at);
            open.extend(&self.order.referrers[at]);
        }
    }

    /// For each item of a wave how many others of it, one referring to the next, must be visible first.
    fn levels(&self, wave: &[usize]) -> Vec<usize> {
        let mut of: HashMap<usize, usize> = HashMap::with_capacity(wave.len());
        // References come before referrers in it.
        for &at in wave {
            let below = self.order.references[at].iter();
            let level = below.filter_map(|to| of.get(to)).max();
            let level = level.map_or(0, |level| level + 1);
            of.insert(at, level);
        }
        wave.iter().map(|at| of[at]).collect()
    }

    /// Forms the wave anew after some of its items turned out not to be ready.
    fn unready(&mut self) {
        let wave: Vec<usize> = self.wave.drain(..).collect();
        for &at in &wave {
            if let State::Ready(stored) = &self.states[at] {
                self.states[at] = State::Made(stored.clone());
            }
        }
        for at in wave {
            self.settle(at);
        }
    }
}

/// An error with all its causes, as one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
