//! Reading very many narinfos: several threads, flat columns, the local index.

mod segment;
mod slots;
mod table;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::{Look, why};
use crate::nix::narinfo::Brief;
use crate::nix::store_path::HashPart;
use crate::plan::nars::NarKey;
use crate::plan::observed::Why;
use crate::plan::time::Time;
use crate::provider::binary_cache::index::{
    Cursor, Entries, Entry, Index, Reference, SEGMENTS, Writer,
};
use crate::provider::binary_cache::{
    Area, Buffer, CacheView, Meta, Revision, SMALL_OBJECT, Seen, Stamp, StoreError,
};
use crate::transfer::progress::Progress;
use segment::Segment;
use slots::Slots;
pub(super) use slots::Starts;
pub(super) use table::Table;

/// No such slot, or one whose narinfo is of no use.
const NONE: u32 = u32::MAX;

/// What was listed at the top of a cache.
pub(super) struct Listing {
    /// The narinfos, ascending.
    pub(super) hashes: Vec<HashPart>,
    /// What the listing says of each of them; empty: it does not.
    pub(super) states: Vec<(Revision, Time)>,
    /// Whatever lies beside them.
    pub(super) others: Vec<String>,
    /// The index as it is.
    pub(super) index: Option<Index>,
    /// The state of the names before they were listed.
    pub(super) stamp: Option<Stamp>,
    /// Whether the listing is that of the index, and no object was replaced since.
    pub(super) same: bool,
}

/// What reading narinfos gave.
pub(super) struct Narinfos {
    pub(super) table: Table,
    pub(super) damages: Vec<String>,
    /// NARs that damaged narinfos seem to name.
    pub(super) named: Vec<String>,
    /// Paths that damaged narinfos seem to refer to.
    pub(super) bound: Vec<HashPart>,
    pub(super) unsure: Option<Why>,
}

impl Narinfos {
    pub(super) fn read(
        view: &dyn CacheView,
        look: &Look<'_>,
        listing: Listing,
        progress: &Progress,
    ) -> Self {
        Progress::add(&progress.paths_total, listing.hashes.len() as u64);
        let slots = Slots::new(listing.hashes);
        let old = listing
            .index
            .map(|index| Old::new(index, &slots, listing.same));
        let work = Work {
            view,
            look,
            slots,
            old,
            states: listing.states,
            same: listing.same,
            writer: OnceLock::new(),
            progress,
        };
        let next = AtomicUsize::new(0);
        let threads = match look.threads {
            // What is remembered needs no waiting for the disk.
            0 if listing.same => 2,
            0 => view.readers(work.slots.hashes.len()),
            threads => threads,
        };
        let threads = threads.clamp(1, SEGMENTS);
        let mut all = Self {
            table: Table::new(work.slots.hashes.len()),
            damages: Vec::new(),
            named: Vec::new(),
            bound: Vec::new(),
            unsure: None,
        };
        let mut unchanged = Vec::new();
        let mut taken = 0;
        // Whoever reads too far ahead waits.
        let (send, receive) = mpsc::sync_channel::<(usize, Segment)>(1);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let send = send.clone();
                let (work, next) = (&work, &next);
                scope.spawn(move || {
                    let mut buffer = Buffer::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= SEGMENTS || progress.is_stopped() {
                            return;
                        }
                        let segment = work.segment(number, &mut buffer);
                        if send.send((number, segment)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            // They come in nearly the right order.
            let mut early = BTreeMap::new();
            while let Ok((number, segment)) = receive.recv() {
                early.insert(number, segment);
                while let Some(mut segment) = early.remove(&taken) {
                    all.damages.append(&mut segment.damages);
                    all.named.append(&mut segment.named);
                    all.bound.append(&mut segment.bound);
                    all.unsure = all.unsure.take().or(segment.unsure.take());
                    if segment.unchanged {
                        unchanged.push(taken);
                    }
                    all.table.append(segment);
                    taken += 1;
                }
            }
        });
        if taken == SEGMENTS {
            work.remember(&unchanged, &listing.others, listing.stamp);
        } else {
            all.unsure = Some(Why("its narinfos were not all read".to_owned()));
        }
        all.table.listed(work.slots.hashes);
        all
    }
}

/// The index that is there, as seen from the listing.
struct Old {
    index: Index,
    starts: Starts,
    /// By number in the index: the slot, or [`NONE`]. Empty: they are the same.
    slots: Vec<u32>,
}

impl Old {
    /// `same`: the listing is that of the index, which has given its hashes away.
    fn new(index: Index, slots: &Slots, same: bool) -> Self {
        let hashes = if same { &slots.hashes } else { &index.hashes };
        let starts = Starts::new(hashes.iter().map(HashPart::as_bytes));
        let mut map = Vec::new();
        if *hashes != slots.hashes {
            map.reserve_exact(index.hashes.len());
            let mut at = 0;
            for hash in &index.hashes {
                while slots.hashes.get(at).is_some_and(|slot| slot < hash) {
                    at += 1;
                }
                let found = slots.hashes.get(at) == Some(hash);
                let slot = u32::try_from(at).ok().filter(|_| found);
                map.push(slot.unwrap_or(NONE));
            }
        }
        Self {
            index,
            starts,
            slots: map,
        }
    }

    fn is_listing(&self) -> bool {
        self.slots.is_empty()
    }

    /// The number in the index of the hash of a slot, which is not below `from`.
    fn number(&self, hash: HashPart, slot: usize, from: &mut usize) -> Option<usize> {
        if self.is_listing() {
            return Some(slot);
        }
        let hashes = &self.index.hashes;
        while hashes.get(*from).is_some_and(|old| *old < hash) {
            *from += 1;
        }
        (hashes.get(*from) == Some(&hash)).then_some(*from)
    }

    /// A reference of the index as one of the listing.
    fn reference(&self, reference: Reference, slots: &Slots) -> Option<Reference> {
        let hash = match reference {
            Reference::Elsewhere(_) | Reference::Listed(_) if self.is_listing() => {
                let known = |number| (number as usize) < slots.hashes.len();
                let fits = !matches!(reference, Reference::Listed(number) if !known(number));
                return fits.then_some(reference);
            }
            Reference::Elsewhere(hash) => hash,
            Reference::Listed(number) => match *self.slots.get(number as usize)? {
                NONE => *self.index.hashes.get(number as usize)?,
                slot => return Some(Reference::Listed(slot)),
            },
        };
        Some(slots.reference(hash))
    }
}

/// What the index knows of an object and when the object was written; or that it had to be read.
type Found<'e> = Result<(Entry<'e>, Time), Seen>;

struct Work<'a> {
    view: &'a dyn CacheView,
    look: &'a Look<'a>,
    slots: Slots,
    old: Option<Old>,
    /// By slot, what the listing says of it; empty: it does not.
    states: Vec<(Revision, Time)>,
    /// Whether what the index has counts without asking for its revision.
    same: bool,
    /// The new index, once anything in it is not as in the old one.
    writer: OnceLock<Option<Writer>>,
    progress: &'a Progress,
}

impl Work<'_> {
    fn segment(&self, number: usize, buffer: &mut Buffer) -> Segment {
        let old = self.old.as_ref();
        let bytes = old.map(|old| old.index.segment(number)).unwrap_or_default();
        let range = old
            .map(|old| old.starts.segment(number))
            .unwrap_or_default();
        let mut from = range.start;
        let mut cursor = Cursor::new(&bytes, range);
        let mut new = Entries::default();
        let mut segment = Segment::default();
        let mut changed = old.is_none_or(|old| !old.is_listing());
        let remembers = self.look.index.is_some() && !self.same;
        let mut key = String::with_capacity(40);
        for slot in self.slots.starts.segment(number) {
            let hash = self.slots.hashes[slot];
            let slot_number = u32::try_from(slot).unwrap_or(NONE);
            let known = old
                .and_then(|old| old.number(hash, slot, &mut from))
                .and_then(|number| cursor.find(number));
            let seen = match known {
                Some(entry) if self.same => Ok(Some(Ok((entry, entry.modified)))),
                _ => {
                    set_key(&mut key, hash);
                    match (known, self.states.get(slot)) {
                        // The listing is as good as a question: it is no older than the look.
                        (Some(entry), Some((revision, modified)))
                            if entry.revision == *revision =>
                        {
                            Ok(Some(Ok((entry, *modified))))
                        }
                        (_, Some(state)) => self.read(&key, *state, buffer),
                        (known, None) => self.look(&key, known, buffer),
                    }
                }
            };
            match seen {
                Ok(Some(Ok((entry, modified)))) => {
                    segment.begin(slot_number, &entry, modified);
                    for reference in entry.references() {
                        let found = old.and_then(|old| old.reference(reference, &self.slots));
                        if let Some(found) = found {
                            segment.refer(found);
                        }
                    }
                    segment.end();
                    if remembers {
                        new.add(&entry, segment.last());
                    }
                }
                Ok(Some(Err(seen))) => {
                    // What could not be remembered is read each time, and is no change.
                    let kept = self.take(
                        slot_number,
                        hash,
                        &key,
                        seen,
                        buffer,
                        &mut segment,
                        &mut new,
                    );
                    changed |= kept || known.is_some();
                }
                // It went away since it was listed.
                Ok(None) => {
                    changed = true;
                    new.skip();
                }
                Err(error) => {
                    new.skip();
                    changed |= known.is_some();
                    if matches!(error, StoreError::TooLarge { .. }) {
                        // Who reads it all the same relies on what it refers to.
                        segment.damages.push(format!("`{key}`: {error}"));
                    }
                    segment.unsure = Some(why(&error));
                }
            }
            if self.progress.is_stopped() {
                segment.unsure = Some(Why("it was interrupted".to_owned()));
                break;
            }
        }
        segment.unchanged = !changed;
        if let (true, false, Some(path)) = (changed, self.same, self.look.index) {
            let begin = || Writer::begin(path, &self.view.identity(), self.look.store_dir);
            if let Some(writer) = self.writer.get_or_init(begin) {
                writer.segment(number, &new.bytes);
            }
        }
        segment
    }

    /// Asks for an object: inner `Ok` if it is still what is known of it.
    fn look<'e>(
        &self,
        key: &str,
        known: Option<Entry<'e>>,
        buffer: &mut Buffer,
    ) -> Result<Option<Found<'e>>, StoreError> {
        let revision = known.map(|entry| entry.revision);
        let seen = self.view.look(key, revision, SMALL_OBJECT, buffer)?;
        Ok(seen.map(|seen| match known {
            Some(entry) if !seen.read => Ok((entry, seen.meta.modified)),
            _ => Err(seen),
        }))
    }

    /// Reads an object of which the listing said this. It is remembered as what the listing said, for
    /// the next listing is compared with it; what changed since then is so read again.
    fn read<'e>(
        &self,
        key: &str,
        (revision, modified): (Revision, Time),
        buffer: &mut Buffer,
    ) -> Result<Option<Found<'e>>, StoreError> {
        let seen = self.view.look(key, None, SMALL_OBJECT, buffer)?;
        Ok(seen.map(|seen| {
            Err(Seen {
                meta: Meta {
                    modified,
                    revision,
                    ..seen.meta
                },
                read: true,
            })
        }))
    }

    /// Takes in a narinfo that was read; says whether the index has to be told of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "places to read from and write to"
    )]
    fn take(
        &self,
        slot: u32,
        hash: HashPart,
        key: &str,
        seen: Seen,
        buffer: &Buffer,
        segment: &mut Segment,
        new: &mut Entries,
    ) -> bool {
        let dir = self.look.store_dir;
        let brief = match Brief::from_bytes(buffer.bytes(), dir) {
            Ok(brief) => brief,
            Err(error) => {
                segment.damages.push(format!("`{key}`: {error}"));
                segment.spare(buffer.bytes());
                new.skip();
                return false;
            }
        };
        let wrong = if brief.store_path.hash() != hash {
            Some(format!("`{key}`: it is about `{}`", brief.store_path))
        } else if brief.ca.is_some() && !brief.to_nar_info().has_valid_ca(dir) {
            Some(format!(
                "`{key}`: its content address is not that of its path"
            ))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            segment.damages.push(wrong);
            segment.spare(buffer.bytes());
            new.skip();
            return false;
        }
        if brief.malformed_signatures > 0 {
            segment.damages.push(format!(
                "`{key}`: a malformed signature, which stops newer Nix"
            ));
        }
        let modified = seen.meta.modified;
        let entry = Entry::of(
            seen.meta.revision,
            modified,
            brief.nar_size,
            NarKey::of(brief.url),
            brief.store_path.name(),
        );
        segment.begin(slot, &entry, modified);
        self.slots
            .references(brief.reference_hashes(), |reference| {
                segment.refer(reference);
            });
        segment.end();
        // What has to be reported again next time is read again.
        if self.look.index.is_none() || brief.malformed_signatures > 0 {
            new.skip();
            return false;
        }
        new.add(&entry, segment.last());
        true
    }

    /// Writes down what is known now, as far as that is not written down already.
    fn remember(&self, unchanged: &[usize], others: &[String], stamp: Option<Stamp>) {
        let Some(path) = self.look.index else {
            return;
        };
        if self.same {
            if let Some(old) = self.old.as_ref().filter(|_| unchanged.len() < SEGMENTS) {
                // Something in it is damaged: next time everything is looked at again.
                old.index.renew(Stamp::default());
            }
            return;
        }
        // The names must have been in one state all the while.
        let after = self.view.stamp(Area::Top).ok().flatten();
        let stamp = stamp.filter(|stamp| after == Some(*stamp));
        let is_begun = self.writer.get().is_some();
        let same = |old: &Old| old.is_listing() && old.index.others == others;
        if !is_begun && let Some(old) = self.old.as_ref().filter(|old| same(old)) {
            if let Some(stamp) = stamp.filter(|stamp| old.index.stamp != Some(*stamp)) {
                old.index.renew(stamp);
            }
            return;
        }
        let begin = || Writer::begin(path, &self.view.identity(), self.look.store_dir);
        self.writer.get_or_init(begin);
        if let Some(writer) = self.writer.get().and_then(Option::as_ref) {
            for &number in unchanged {
                let old = self.old.as_ref();
                let bytes = old.map(|old| old.index.segment(number));
                writer.segment(number, &bytes.unwrap_or_default());
            }
            writer.finish(&self.slots.hashes, others, stamp);
        }
    }
}

fn set_key(key: &mut String, hash: HashPart) {
    use std::fmt::Write as _;
    key.clear();
    // Writing to a String does not fail.
    let _ = write!(key, "{hash}.narinfo");
}
