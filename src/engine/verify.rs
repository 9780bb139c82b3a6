//! Verifying a cache: looking at everything in it, and having it judged.
//!
//! Reads only. Memory grows with the number of objects and with what is found, not with their sizes; all cores
//! read. Promises: what went away while it was looked at is no damage, and what could not be read is unknown.

mod inspect;
mod nars;
mod references;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

pub(super) use repair::{again, still_broken};

use super::event::{Event, Listener};
use super::machine::{Machine, sentence};
use super::secret;
use crate::config::model::CacheName;
use crate::insight::verify::{Checked, Code, Finding, Verification, Weight, judge_narinfo};
use crate::nix::cache_info::CacheInfo;
use crate::nix::hash::Sha256;
use crate::nix::key::PublicKey;
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::desired::Desired;
use crate::plan::observed::Observation;
use crate::provider::binary_cache::fetch::store_dir;
use crate::provider::binary_cache::remote::RemoteView;
use crate::provider::binary_cache::{
    Area, CacheView, SMALL_OBJECT, StoreError, narinfo_key, records,
};
use crate::sys::http;
use crate::transfer::progress::Progress;

/// So many narinfos are read at once by one thread.
const AT_ONCE: usize = 64;

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct Question {
    /// So many NARs are read; `None`: all.
    pub sample: Option<usize>,
    /// What chooses them.
    pub seed: String,
    /// Only these paths; empty: all that the cache lists.
    pub paths: Vec<HashPart>,
    /// Whether `paths` are merely wanted: one that is not there is no finding.
    pub wanted: bool,
}

/// Verifies a cache, or an upstream.
///
/// # Errors
/// There is no cache of this name, it cannot be reached, or it cannot be listed; as a sentence.
pub fn verify(
    desired: &Desired,
    machine: &Machine,
    name: &CacheName,
    question: &Question,
    progress: &Progress,
    listener: Listener<'_>,
) -> Result<Verification, String> {
    let (view, place) = open(desired, machine, name)?;
    let view = view.as_ref();
    let said = |error: &StoreError| sentence(error);
    if !view.exists().map_err(|error| said(&error))? {
        return Err(format!("there is no cache at `{place}`"));
    }
    let mut report = Verification {
        cache: name.to_string(),
        place,
        checked: Checked {
            listed: view.capabilities().list,
            ..Checked::default()
        },
        ..Verification::default()
    };
    let keys = keys(desired, machine, name, progress, &mut report);
    for key in &keys {
        report.coverage.by_key.insert(key.name().to_owned(), 0);
    }
    info(view, &mut report);
    let here = machine
        .store
        .as_ref()
        .map_or_else(|_| StoreDir::default(), |store| store.store.clone());
    let store_dir = store_dir(view).unwrap_or(here);
    let listing = if report.checked.listed {
        Listing::read(view, &mut report).map_err(|error| said(&error))?
    } else {
        Listing {
            hashes: question.paths.iter().copied().collect(),
            others: Vec::new(),
        }
    };
    let chosen: Vec<HashPart> = if question.paths.is_empty() {
        listing.hashes.iter().copied().collect()
    } else {
        question.paths.clone()
    };
    report.checked.of_narinfos = listing.hashes.len() as u64;
    progress
        .paths_total
        .store(chosen.len() as u64, Ordering::Relaxed);
    listener(Event::Looking("narinfos"));
    let look = Look {
        view,
        store_dir: &store_dir,
        keys: &keys,
        progress,
    };
    let read = look.narinfos(&chosen, &listing.hashes, question);
    let read = count(read, &mut report);
    references::judge(
        desired,
        machine,
        name,
        (&store_dir, &read.elsewhere),
        progress,
        &mut report,
    );
    if question.wanted {
        let text = format!(
            "the place lists nothing: of {} paths that are wanted, {} are there, and nothing else was seen",
            chosen.len(),
            read.judged
        );
        report.unknowns.push(text);
    }
    let whole = question.paths.is_empty() && report.checked.listed;
    let mut wanted: HashSet<HashPart> = listing.hashes.iter().copied().collect();
    wanted.extend(read.elsewhere.keys());
    nars::judge(
        &look,
        (&read.named, &read.spared, &wanted),
        question,
        (&listing, whole),
        &mut report,
    );
    if whole {
        roots(view, &listing.hashes, &mut report);
    }
    say_hashes(&read.named, &mut report);
    if progress.is_stopped() {
        report
            .unknowns
            .push("it was stopped before everything was looked at".to_owned());
    }
    report.settle();
    Ok(report)
}

/// Takes what the narinfos gave into the report; what is left is for the NARs and references.
fn count(mut read: Read, report: &mut Verification) -> Read {
    report.findings.extend(std::mem::take(&mut read.findings));
    report.checked.narinfos = read.judged;
    report.coverage.paths = read.judged;
    report.coverage.signed = read.signed;
    report.coverage.content_addressed = read.content_addressed;
    for (key, count) in std::mem::take(&mut read.by_key) {
        report.coverage.by_key.insert(key, count);
    }
    read
}

/// Says in each damage which NAR hash its narinfo has: what takes its place must have the same.
fn say_hashes(named: &[Named], report: &mut Verification) {
    let hashes: HashMap<HashPart, Sha256> =
        named.iter().map(|one| (one.hash, one.nar_hash)).collect();
    let damages = report
        .findings
        .iter_mut()
        .filter(|one| one.weight == Weight::Damage);
    for finding in damages {
        let path = finding.path.as_ref();
        finding.nar_hash = path.and_then(|path| hashes.get(&path.hash()).copied());
    }
}

/// A cache for reading, by its name; and where it is.
fn open(
    desired: &Desired,
    machine: &Machine,
    name: &CacheName,
) -> Result<(Box<dyn CacheView>, String), String> {
    let remote = |url: &str| {
        let options = http::Options::of(&machine.host);
        RemoteView::new(url, &options).map_err(|error| sentence(&error))
    };
    if let Some(cache) = desired.caches.get(name) {
        let place = cache.place.shown();
        let view: Box<dyn CacheView> = match cache.place.service() {
            Some(service) => Box::new(remote(&service.url)?),
            None => machine.view(cache).map_err(|error| sentence(&error))?,
        };
        return Ok((view, place));
    }
    let upstream = desired
        .upstreams
        .get(name)
        .ok_or_else(|| format!("cache.yaml has no cache `{name}`"))?;
    let view: Box<dyn CacheView> = Box::new(remote(&upstream.url)?);
    Ok((view, upstream.url.clone()))
}

/// The keys that are declared for it.
fn keys(
    desired: &Desired,
    machine: &Machine,
    name: &CacheName,
    progress: &Progress,
    report: &mut Verification,
) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = match (desired.caches.get(name), desired.upstreams.get(name)) {
        (Some(cache), _) => cache.public_keys.clone(),
        (None, Some(upstream)) => upstream.public_keys.clone(),
        (None, None) => Vec::new(),
    };
    if let Some(signing) = desired
        .caches
        .get(name)
        .and_then(|cache| cache.signing.as_ref())
    {
        match secret::public_key(&machine.host, &desired.site.base, signing, progress) {
            Observation::Present(key) => keys.push(key),
            Observation::Absent => report.unknowns.push(
                "its signing key is not here, so what that key signed was not judged".to_owned(),
            ),
            Observation::Unknown(why) | Observation::Error(why) => report.unknowns.push(format!(
                "its signing key could not be read, so what that key signed was not judged: {}",
                why.0
            )),
        }
    }
    let mut seen = BTreeSet::new();
    keys.retain(|key| seen.insert(key.to_string()));
    if keys.is_empty() {
        report
            .unknowns
            .push("no public key is at hand for it, so signatures were not judged".to_owned());
    }
    keys
}

fn info(view: &dyn CacheView, report: &mut Verification) {
    const KEY: &str = "nix-cache-info";
    match view.get(KEY, SMALL_OBJECT) {
        Ok(Some(object)) => {
            let text = String::from_utf8_lossy(&object.bytes);
            if let Err(error) = CacheInfo::parse(&text) {
                report
                    .findings
                    .push(Finding::new(Code::Info, None, KEY, error.to_string()));
            }
        }
        Ok(None) => report
            .findings
            .push(Finding::new(Code::Info, None, KEY, "there is none")),
        Err(StoreError::TooLarge { .. }) => {
            report
                .findings
                .push(Finding::new(Code::Info, None, KEY, "it is far too large"));
        }
        Err(error) => report.findings.push(unread(KEY, &error)),
    }
}

fn unread(key: &str, error: &StoreError) -> Finding {
    Finding::new(Code::ObjectUnread, None, key, sentence(error))
}

/// What lies at the top of a cache.
struct Listing {
    hashes: BTreeSet<HashPart>,
    /// Everything else there.
    others: Vec<String>,
}

impl Listing {
    fn read(view: &dyn CacheView, report: &mut Verification) -> Result<Self, StoreError> {
        let (mut hashes, mut others) = (BTreeSet::new(), Vec::new());
        view.list(Area::Top, &mut |listed| match listed
            .key
            .strip_suffix(".narinfo")
            .map(str::parse::<HashPart>)
        {
            Some(Ok(hash)) => {
                hashes.insert(hash);
            }
            Some(Err(_)) => {
                let text = "its name is not the hash part of any path";
                let finding = Finding::new(Code::NarinfoMisplaced, None, listed.key, text);
                report.findings.push(finding);
            }
            None => others.push(listed.key.to_owned()),
        })?;
        Ok(Self { hashes, others })
    }
}

/// What reading needs.
struct Look<'a> {
    view: &'a dyn CacheView,
    store_dir: &'a StoreDir,
    keys: &'a [PublicKey],
    progress: &'a Progress,
}

/// A narinfo as far as its NAR is concerned.
#[derive(Clone, Debug)]
struct Named {
    hash: HashPart,
    url: String,
    file_size: Option<u64>,
    nar_hash: Sha256,
    nar_size: u64,
}

/// References that are not listed here: by whom, to what.
type Elsewhere = HashMap<HashPart, Vec<(StorePath, StorePath)>>;

/// What the narinfos gave.
#[derive(Default)]
struct Read {
    findings: Vec<Finding>,
    judged: u64,
    signed: u64,
    content_addressed: u64,
    by_key: BTreeMap<String, u64>,
    named: Vec<Named>,
    /// What narinfos that are of no use seem to name: nobody may call it orphaned.
    spared: Vec<String>,
    /// References that are not listed here: by whom.
    elsewhere: Elsewhere,
}

impl Look<'_> {
    /// Reads and judges narinfos, on all cores.
    fn narinfos(
        &self,
        chosen: &[HashPart],
        there: &BTreeSet<HashPart>,
        question: &Question,
    ) -> Read {
        let read = Mutex::new(Read::default());
        let chunks: Vec<&[HashPart]> = chosen.chunks(AT_ONCE).collect();
        let asked_for = !question.paths.is_empty() && !question.wanted;
        each(&chunks, self.progress, |chunk| {
            let keys: Vec<String> = chunk.iter().map(|hash| narinfo_key(*hash)).collect();
            let found = self.view.get_many(&keys, SMALL_OBJECT);
            let mut part = Read::default();
            for ((hash, key), object) in chunk.iter().zip(&keys).zip(found) {
                match object {
                    Ok(Some(object)) => self.narinfo(&mut part, *hash, key, &object.bytes, there),
                    // Who lists it and then does not find it saw a prune at work.
                    Ok(None) if !asked_for => {}
                    Ok(None) => part.findings.push(Finding::new(
                        Code::ObjectUnread,
                        None,
                        key,
                        "it is not there: the cache has not got this path",
                    )),
                    Err(StoreError::TooLarge { limit, .. }) => part.findings.push(Finding::new(
                        Code::NarinfoMalformed,
                        None,
                        key,
                        format!("it has more than {limit} bytes"),
                    )),
                    Err(error) => part.findings.push(unread(key, &error)),
                }
            }
            Progress::add(&self.progress.paths_done, chunk.len() as u64);
            read.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(part);
        });
        let mut read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        read.named
            .sort_by(|a, b| (&a.url, a.hash).cmp(&(&b.url, b.hash)));
        read
    }

    fn narinfo(
        &self,
        part: &mut Read,
        hash: HashPart,
        key: &str,
        bytes: &[u8],
        there: &BTreeSet<HashPart>,
    ) {
        part.judged += 1;
        let judged = judge_narinfo(key, bytes, self.store_dir, self.keys);
        part.findings.extend(judged.findings);
        let Some(info) = judged.info else {
            let text = String::from_utf8_lossy(bytes);
            let urls = text.lines().filter_map(|line| line.strip_prefix("URL: "));
            part.spared.extend(urls.map(str::to_owned));
            return;
        };
        if !judged.signing.by.is_empty() {
            part.signed += 1;
        } else if judged.signing.content_addressed {
            part.content_addressed += 1;
        }
        for name in judged.signing.by {
            *part.by_key.entry(name).or_default() += 1;
        }
        for reference in &info.references {
            if !there.contains(&reference.hash()) {
                let by = (info.store_path.clone(), reference.clone());
                part.elsewhere.entry(reference.hash()).or_default().push(by);
            }
        }
        part.named.push(Named {
            hash,
            url: info.url,
            file_size: info.file_size,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
        });
    }

    /// The narinfo of a path as it is now; `None`: it is gone, or of no use.
    fn again(&self, hash: HashPart) -> Result<Option<NarInfo>, StoreError> {
        let object = self.view.get(&narinfo_key(hash), SMALL_OBJECT)?;
        let text = object.and_then(|object| String::from_utf8(object.bytes).ok());
        Ok(text.and_then(|text| NarInfo::parse(&text, self.store_dir).ok()))
    }
}

impl Read {
    fn take(&mut self, part: Self) {
        self.findings.extend(part.findings);
        self.judged += part.judged;
        self.signed += part.signed;
        self.content_addressed += part.content_addressed;
        for (name, count) in part.by_key {
            *self.by_key.entry(name).or_default() += count;
        }
        self.named.extend(part.named);
        self.spared.extend(part.spared);
        for (hash, by) in part.elsewhere {
            self.elsewhere.entry(hash).or_default().extend(by);
        }
    }
}

/// Does work on each of these, on all cores, until it is told to stop.
fn each<T: Sync>(all: &[T], progress: &Progress, work: impl Fn(&T) + Sync) {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..cores.min(all.len()) {
            scope.spawn(|| {
                while !progress.is_stopped()
                    && let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    work(one);
                }
            });
        }
    });
}

/// Root records of paths that are not there.
fn roots(view: &dyn CacheView, there: &BTreeSet<HashPart>, report: &mut Verification) {
    if !view.capabilities().records {
        return;
    }
    let mut dangling = HashSet::new();
    let listed = view.list(Area::Roots, &mut |listed| {
        if let Some((_, hash)) = records::root_of(listed.key)
            && !there.contains(&hash)
        {
            dangling.insert(listed.key.to_owned());
        }
    });
    if let Err(error) = listed {
        report.findings.push(unread("nanna-cache/v1/roots", &error));
    }
    for key in dangling {
        // It may have come after the listing.
        let hash = records::root_of(&key).map(|(_, hash)| hash);
        let there = hash.map(|hash| view.head(&narinfo_key(hash)));
        if let Some(Ok(None)) = there {
            let text = "the path that it keeps is not in the cache";
            report
                .findings
                .push(Finding::new(Code::RootDangling, None, &key, text));
        }
    }
}
