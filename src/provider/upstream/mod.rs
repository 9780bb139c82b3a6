//! Upstreams: which of these paths does a cache that we only read have?
//!
//! Promises: read only; an upstream that cannot be asked costs a few seconds and no more, and
//! what it did not answer is said with the reason, never taken for "not there"; answers are
//! remembered for as long as Nix would. It must not decide what follows from an answer.

mod ask;
mod distance;
mod look;
mod memory;
mod offline;

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

pub use ask::information;
pub use distance::distances;
pub use look::{Login, Look, look, remembered};
pub use offline::{Local, signed};

use self::memory::Memory;
use crate::nix::store_path::{HashPart, StoreDir};
use crate::plan::observed::{Upstream, Why};
use crate::sys::http::{Http, Options};

/// How long answers are believed, in seconds: Nix's `narinfo-cache-positive-ttl` and
/// `narinfo-cache-negative-ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of "it is there".
    pub positive: u64,
    /// Of "it is not there".
    pub negative: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            positive: 30 * 24 * 3600,
            negative: 3600,
        }
    }
}

/// How upstreams are asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How HTTP is spoken.
    pub http: Options,
    /// Requests at a time.
    pub at_once: usize,
    /// How long answers are believed.
    pub lifetimes: Lifetimes,
    /// The file that remembers answers; `None`: nothing is remembered.
    pub memory: Option<Utf8PathBuf>,
    /// Do not believe what is remembered (but remember the new answers).
    pub refresh: bool,
    /// Now, in seconds since 1970-01-01 UTC.
    pub now: i64,
    /// Directory of the store that the paths are of.
    pub store: StoreDir,
}

impl Settings {
    /// Settings with defaults for everything that is not about this machine: 48 requests at a
    /// time, three tries each, and Nix's own lifetimes.
    #[must_use]
    pub fn new(http: Options, store: StoreDir, memory: Option<Utf8PathBuf>, now: i64) -> Self {
        let http = Options {
            connect_timeout: std::time::Duration::from_secs(3),
            idle_timeout: std::time::Duration::from_secs(5),
            tries: 3,
            ..http
        };
        Self {
            http,
            at_once: 48,
            lifetimes: Lifetimes::default(),
            memory,
            refresh: false,
            now,
            store,
        }
    }
}

/// Asks the upstream at `url` (`http:`, `https:` or `file:`) which of `wanted` it has. `known` are
/// those that are known to be there already ([`signed`]): they are not asked for.
///
/// Blocks; call it from a thread. Stops early, leaving the rest unanswered, when told to.
#[must_use]
pub fn observe(
    url: &str,
    wanted: &BTreeSet<HashPart>,
    known: &BTreeSet<HashPart>,
    settings: &Settings,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Upstream {
    let mut upstream = Upstream {
        has: wanted.intersection(known).copied().collect(),
        ..Upstream::default()
    };
    let mut open: BTreeSet<HashPart> = wanted.difference(known).copied().collect();
    if open.is_empty() {
        return upstream;
    }
    let url = url.split('?').next().unwrap_or(url).trim_end_matches('/');
    if let Some(folder) = url.strip_prefix("file://") {
        return ask::folder(folder.into(), open, upstream, settings);
    }
    // A memory that cannot be opened makes us slower, not wrong.
    let mut memory = settings
        .memory
        .as_deref()
        .and_then(|path| Memory::open(path, url).ok());
    if let Some(memory) = memory.as_ref().filter(|_| !settings.refresh) {
        for (hash, present) in memory.recall(settings.lifetimes, settings.now) {
            if open.remove(&hash) && present {
                upstream.has.insert(hash);
            }
        }
    }
    if open.is_empty() {
        return upstream;
    }
    let http = match Http::new(&settings.http) {
        Ok(http) => http,
        Err(error) => return unanswered(upstream, open, error.to_string()),
    };
    let answers = ask::http(&http, url, &open, settings, stopped);
    if let Some(memory) = &mut memory {
        memory.remember(&answers.present, &answers.absent, settings.now);
    }
    for hash in answers.present.iter().chain(&answers.absent) {
        open.remove(hash);
    }
    upstream.has.extend(answers.present);
    if open.is_empty() {
        return upstream;
    }
    unanswered(
        upstream,
        open,
        answers
            .why
            .unwrap_or_else(|| "not every answer came".to_owned()),
    )
}

fn unanswered(mut upstream: Upstream, open: BTreeSet<HashPart>, why: String) -> Upstream {
    upstream.unanswered.extend(open);
    upstream.why = Some(Why(why));
    upstream
}

/// The number by which Nix sorts each of these caches: `?priority=` in the URL, else what its
/// `nix-cache-info` says, 0 where that says nothing. `None`: it could not be asked. All are asked
/// at once.
#[must_use]
pub fn priorities(
    urls: &[String],
    http: &Options,
) -> std::collections::BTreeMap<String, Option<i64>> {
    let one = |url: &str| {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let stated = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("priority=")?.parse().ok());
        stated.or_else(|| {
            let info = ask::information(
                url,
                &Options {
                    tries: 1,
                    ..http.clone()
                },
            );
            info.present()
                .map(|info| i64::from(info.priority().unwrap_or(0)))
        })
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = urls
            .iter()
            .map(|url| (url, scope.spawn(move || one(url))))
            .collect();
        asked
            .into_iter()
            .map(|(url, thread)| (url.clone(), thread.join().unwrap_or(None)))
            .collect()
    })
}
