//! Reading very many narinfos: several threads, flat columns, the local index.

mod slots;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::{Look, why};
use crate::nix::closure::GraphBuilder;
use crate::nix::narinfo::Brief;
use crate::nix::store_path::{HASH_LEN, HashPart, StorePathRef};
use crate::plan::observed::{CacheContent, Narinfo, Why};
use crate::plan::paths::Paths;
use crate::plan::time::Time;
use crate::provider::binary_cache::index::{Cursor, Entry, Reader, SEGMENTS, Writer};
use crate::provider::binary_cache::{CacheView, Object, SMALL_OBJECT, StoreError, narinfo_key};
use crate::transfer::progress::Progress;
use slots::Slots;

/// Reading threads; more are slower, also where the disk has to be waited for.
const THREADS: usize = 8;

/// No such slot, or one whose narinfo is of no use.
const NONE: u32 = u32::MAX;

/// What reading narinfos gave.
pub(super) struct Narinfos {
    pub(super) rows: Rows,
    pub(super) damages: Vec<String>,
    /// NARs that damaged narinfos seem to name.
    pub(super) named: Vec<String>,
    /// Paths that damaged narinfos seem to refer to.
    pub(super) bound: Vec<HashPart>,
    pub(super) unsure: Option<Why>,
}

/// Rows before their NARs are known. A *slot* is a place in the sorted listing; not every slot
/// becomes a row.
pub(super) struct Rows {
    slots: Slots,
    segments: Vec<Segment>,
    state: RandomState,
}

/// The rows of one segment, in columns.
#[derive(Default)]
struct Segment {
    slots: Vec<u32>,
    names: String,
    name_ends: Vec<u32>,
    nar_sizes: Vec<u64>,
    modified: Vec<Time>,
    /// Hash of the key of the NAR: with keys of a process's own choice, 64 bits tell a million
    /// keys apart, and the text is not kept.
    nars: Vec<u64>,
    /// References as slots; [`NONE`]: the next of `elsewhere`.
    references: Vec<u32>,
    reference_ends: Vec<u32>,
    elsewhere: Vec<HashPart>,
    damages: Vec<String>,
    named: Vec<String>,
    bound: Vec<HashPart>,
    unsure: Option<Why>,
    /// Whether the index has this segment as it is now.
    unchanged: bool,
}

impl Narinfos {
    pub(super) fn read(
        view: &dyn CacheView,
        look: &Look<'_>,
        hashes: Vec<HashPart>,
        progress: &Progress,
    ) -> Self {
        Progress::add(&progress.paths_total, hashes.len() as u64);
        let work = Work {
            view,
            look,
            slots: Slots::new(hashes),
            index: look
                .index
                .and_then(|path| Reader::open(path, &view.identity(), look.store_dir)),
            writer: OnceLock::new(),
            state: RandomState::new(),
            progress,
        };
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Segment)>> = Mutex::new(Vec::with_capacity(SEGMENTS));
        let threads = if look.threads == 0 {
            THREADS
        } else {
            look.threads
        };
        let threads = threads.min(work.slots.hashes.len().div_ceil(64)).max(1);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= SEGMENTS || progress.is_stopped() {
                            return;
                        }
                        let segment = work.segment(number);
                        if let Ok(mut done) = done.lock() {
                            done.push((number, segment));
                        }
                    }
                });
            }
        });
        let mut segments = done.into_inner().unwrap_or_default();
        let whole = segments.len() == SEGMENTS;
        segments.sort_unstable_by_key(|(number, _)| *number);
        let Work {
            slots,
            index,
            writer,
            state,
            ..
        } = work;
        if let Some(writer) = writer.into_inner().flatten()
            && whole
        {
            for number in segments
                .iter()
                .filter(|(_, s)| s.unchanged)
                .map(|(number, _)| *number)
            {
                writer.segment(
                    number,
                    &index
                        .as_ref()
                        .map(|i| i.segment(number))
                        .unwrap_or_default(),
                );
            }
            writer.finish();
        }
        let mut all = Self {
            rows: Rows {
                slots,
                segments: Vec::with_capacity(segments.len()),
                state,
            },
            damages: Vec::new(),
            named: Vec::new(),
            bound: Vec::new(),
            unsure: (!whole).then(|| Why("its narinfos were not all read".to_owned())),
        };
        for (_, mut segment) in segments {
            all.damages.append(&mut segment.damages);
            all.named.append(&mut segment.named);
            all.bound.append(&mut segment.bound);
            all.unsure = all.unsure.or(segment.unsure.take());
            all.rows.segments.push(segment);
        }
        all
    }
}

struct Work<'a> {
    view: &'a dyn CacheView,
    look: &'a Look<'a>,
    slots: Slots,
    index: Option<Reader>,
    /// The new index, once anything in it is not as in the old one.
    writer: OnceLock<Option<Writer>>,
    state: RandomState,
    progress: &'a Progress,
}

impl Work<'_> {
    fn segment(&self, number: usize) -> Segment {
        let old = self
            .index
            .as_ref()
            .map(|index| index.segment(number))
            .unwrap_or_default();
        let mut cursor = Cursor::new(&old);
        let mut new = Vec::with_capacity(old.len());
        let mut segment = Segment::default();
        let (mut kept, mut changed) = (0, false);
        let mut key = String::with_capacity(40);
        for slot in self.slots.segment(number) {
            let hash = self.slots.hashes[slot];
            key.clear();
            key.push_str(&narinfo_key(hash));
            let slot = u32::try_from(slot).unwrap_or(NONE);
            if let Some(entry) = cursor.find(hash) {
                match self.view.head(&key) {
                    Ok(None) => continue,
                    Ok(Some(meta)) if meta.revision == entry.revision => {
                        kept += 1;
                        let (name, url, size) = (entry.name, entry.url, entry.nar_size);
                        segment.begin(slot, name, size, meta.modified, self.state.hash_one(url));
                        entry
                            .references()
                            .for_each(|r| segment.refer(r, &self.slots));
                        segment.end();
                        if self.look.index.is_some() {
                            let references = entry.references();
                            Entry::add(&mut new, hash, meta.revision, size, name, url, references);
                        }
                        continue;
                    }
                    Ok(Some(_)) => {}
                    Err(error) => {
                        segment.unsure = Some(why(&error));
                        continue;
                    }
                }
            }
            if self.progress.is_stopped() {
                segment.unsure = Some(Why("it was interrupted".to_owned()));
                continue;
            }
            match self.view.get(&key, SMALL_OBJECT) {
                Ok(Some(object)) => {
                    changed = true;
                    self.take(slot, hash, &key, &object, &mut segment, &mut new);
                }
                // It went away since it was listed.
                Ok(None) => {}
                // Who reads it all the same relies on what it refers to.
                Err(error @ StoreError::TooLarge { .. }) => {
                    segment.damages.push(format!("`{key}`: {error}"));
                    segment.unsure = Some(why(&error));
                }
                Err(error) => segment.unsure = Some(why(&error)),
            }
        }
        // Entries that are no longer of any object are a change, too.
        let mut entries = Cursor::new(&old);
        changed |= std::iter::from_fn(|| entries.pop()).count() != kept;
        segment.unchanged = !changed;
        if let (true, Some(path)) = (changed, self.look.index) {
            let begin = || Writer::begin(path, &self.view.identity(), self.look.store_dir);
            if let Some(writer) = self.writer.get_or_init(begin) {
                writer.segment(number, &new);
            }
        }
        segment
    }

    fn take(
        &self,
        slot: u32,
        hash: HashPart,
        key: &str,
        object: &Object,
        segment: &mut Segment,
        new: &mut Vec<u8>,
    ) {
        let brief = match Brief::from_bytes(&object.bytes, self.look.store_dir) {
            Ok(brief) => brief,
            Err(error) => {
                segment.damages.push(format!("`{key}`: {error}"));
                segment.spare(&object.bytes);
                return;
            }
        };
        let wrong = if brief.store_path.hash() != hash {
            Some(format!("`{key}`: it is about `{}`", brief.store_path))
        } else if brief.ca.is_some() && !brief.to_nar_info().has_valid_ca(self.look.store_dir) {
            Some(format!(
                "`{key}`: its content address is not that of its path"
            ))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            segment.damages.push(wrong);
            segment.spare(&object.bytes);
            return;
        }
        if brief.malformed_signatures > 0 {
            segment.damages.push(format!(
                "`{key}`: a malformed signature, which stops newer Nix"
            ));
        }
        let (name, url, size) = (brief.store_path.name(), brief.url, brief.nar_size);
        segment.begin(
            slot,
            name,
            size,
            object.meta.modified,
            self.state.hash_one(url),
        );
        brief
            .references()
            .for_each(|r| segment.refer(r.hash(), &self.slots));
        segment.end();
        // What has to be reported again next time is read again.
        if self.look.index.is_some() && brief.malformed_signatures == 0 {
            let references = brief.references().map(StorePathRef::hash);
            Entry::add(new, hash, object.meta.revision, size, name, url, references);
        }
    }
}

/// What looks like keys of NARs in a narinfo that cannot be read.
fn seeming_urls(text: &str) -> impl Iterator<Item = String> {
    let urls = text.lines().filter_map(|line| line.strip_prefix("URL:"));
    urls.map(|url| url.trim().to_owned())
}

/// Whatever in a text may be the hash part of a store path: all that some reader could take for a reference is here.
fn seeming_paths(bytes: &[u8]) -> impl Iterator<Item = HashPart> {
    let words = bytes
        .windows(HASH_LEN + 1)
        .filter(|w| w.last() == Some(&b'-'));
    words.filter_map(|word| {
        std::str::from_utf8(word.get(..HASH_LEN)?)
            .ok()?
            .parse()
            .ok()
    })
}

impl Segment {
    /// Writes down what a narinfo that is of no use to us may hold on to for others.
    fn spare(&mut self, bytes: &[u8]) {
        self.named
            .extend(seeming_urls(&String::from_utf8_lossy(bytes)));
        self.bound.extend(seeming_paths(bytes));
    }

    fn begin(&mut self, slot: u32, name: &str, nar_size: u64, modified: Time, nar: u64) {
        self.slots.push(slot);
        self.names.push_str(name);
        self.name_ends
            .push(u32::try_from(self.names.len()).unwrap_or(NONE));
        self.nar_sizes.push(nar_size);
        self.modified.push(modified);
        self.nars.push(nar);
    }

    fn refer(&mut self, reference: HashPart, slots: &Slots) {
        let slot = slots.find(reference);
        self.references.push(slot.unwrap_or(NONE));
        if slot.is_none() {
            self.elsewhere.push(reference);
        }
    }

    fn end(&mut self) {
        self.reference_ends
            .push(u32::try_from(self.references.len()).unwrap_or(NONE));
    }
}

impl Rows {
    /// Whether any row names this NAR. Slow: for the few that are in doubt.
    pub(super) fn name(&self, key: &str) -> bool {
        let hash = self.state.hash_one(key);
        self.segments
            .iter()
            .any(|segment| segment.nars.contains(&hash))
    }

    /// Puts the rows into `content`, whose NARs are known.
    pub(super) fn fill(self, content: &mut CacheContent) {
        let Self {
            slots,
            segments,
            state,
        } = self;
        let count = segments.iter().map(|segment| segment.slots.len()).sum();
        let mut nars: HashMap<u64, u32, Same> =
            HashMap::with_capacity_and_hasher(content.nars.len(), Same);
        for (at, nar) in content.nars.iter().enumerate() {
            nars.insert(
                state.hash_one(nar.key.as_str()),
                u32::try_from(at).unwrap_or(NONE),
            );
        }
        let mut rows = vec![NONE; slots.hashes.len()];
        let taken = segments.iter().flat_map(|segment| &segment.slots);
        for (row, &slot) in taken.enumerate() {
            rows[slot as usize] = u32::try_from(row).unwrap_or(NONE);
        }
        let mut builder = Paths::builder(count);
        let mut graph = GraphBuilder::with_capacity(count);
        content.narinfos = Vec::with_capacity(count);
        let mut list = Vec::new();
        for segment in segments {
            let (mut name_at, mut reference_at) = (0, 0);
            let mut elsewhere = segment.elsewhere.iter();
            for (at, &slot) in segment.slots.iter().enumerate() {
                let name_end = segment.name_ends[at] as usize;
                let name = &segment.names[name_at..name_end];
                let row = builder.push(slots.hashes[slot as usize], name, segment.nar_sizes[at]);
                name_at = name_end;
                let end = segment.reference_ends[at] as usize;
                list.clear();
                for &reference in &segment.references[reference_at..end] {
                    if reference == NONE {
                        let hash = elsewhere.next().copied();
                        content.elsewhere.extend(hash.map(|hash| (row, hash)));
                        continue;
                    }
                    match rows[reference as usize] {
                        NONE => content
                            .elsewhere
                            .push((row, slots.hashes[reference as usize])),
                        reference => list.push(reference),
                    }
                }
                reference_at = end;
                graph.push_row(list.iter().copied());
                content.narinfos.push(Narinfo {
                    nar: nars.get(&segment.nars[at]).copied(),
                    modified: segment.modified[at],
                });
            }
        }
        content.elsewhere.sort_unstable();
        content.paths = builder
            .index()
            .with_refs(graph.finish().unwrap_or_default());
    }
}

/// Hashes that are hashes already.
#[derive(Clone, Copy, Default)]
struct Same;

struct SameHasher(u64);

impl BuildHasher for Same {
    type Hasher = SameHasher;

    fn build_hasher(&self) -> SameHasher {
        SameHasher(0)
    }
}

impl std::hash::Hasher for SameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
