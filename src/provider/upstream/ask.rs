//! Asking: a folder by looking, a server by HTTP with many requests at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::Utf8Path;

use super::{Settings, unanswered};
use crate::nix::cache_info::CacheInfo;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::observed::{Observation, Upstream, Why};
use crate::sys::file;
use crate::sys::http::{Answer, Http, Options, block_on};

/// Largest `nix-cache-info`, in bytes.
const MAX_INFO: usize = 64 << 10;
/// After so many requests in a row without an answer, the rest is not asked any more.
const BREAKER: usize = 12;
/// How often a running round looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);
/// Longest time for one request with all its tries.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time for the first question.
const FIRST_PATIENCE: Duration = Duration::from_secs(6);
/// Largest narinfo, in bytes; one with ten thousand references has half of that.
const MAX_NARINFO: usize = 1 << 20;

/// What is said of a server that is too slow.
pub(super) const LATE: &str = "it did not answer in time";

/// What a server said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) present: BTreeSet<HashPart>,
    pub(super) absent: BTreeSet<HashPart>,
    /// Why others are missing here.
    pub(super) why: Option<String>,
}

/// The `nix-cache-info` of a cache. `Absent`: the cache answers and has none.
#[must_use]
pub fn information(url: &str, options: &Options) -> Observation<CacheInfo> {
    let unknown = |text: String| Observation::Unknown(Why(text));
    let url = url.split('?').next().unwrap_or(url).trim_end_matches('/');
    let text = if let Some(folder) = url.strip_prefix("file://") {
        let path = Utf8Path::new(folder).join("nix-cache-info");
        match file::read_if_there(path.as_std_path(), MAX_INFO as u64) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Observation::Absent,
            Err(error) => return unknown(error.to_string()),
        }
    } else {
        let address = format!("{url}/nix-cache-info");
        let asked = Http::new(options).and_then(|http| {
            block_on(async {
                tokio::time::timeout(FIRST_PATIENCE, http.get(&address, MAX_INFO)).await
            })
        });
        match asked {
            Err(error) => return unknown(error.brief()),
            Ok(Err(_)) => return unknown(LATE.to_owned()),
            Ok(Ok(asked)) => match asked {
                Ok(Answer {
                    status: 200, body, ..
                }) => body,
                Ok(Answer {
                    status: 404 | 410, ..
                }) => return Observation::Absent,
                Ok(answer) => return unknown(status(answer.status)),
                Err(error) => return unknown(error.brief()),
            },
        }
    };
    match CacheInfo::parse(&String::from_utf8_lossy(&text)) {
        Ok(info) => Observation::Present(info),
        Err(error) => unknown(format!("its nix-cache-info: {error}")),
    }
}

/// A cache in a folder.
pub(super) fn folder(
    folder: &Utf8Path,
    open: BTreeSet<HashPart>,
    mut upstream: Upstream,
    settings: &Settings,
) -> Upstream {
    let info = information(&format!("file://{folder}"), &settings.http);
    if let Err(why) = usable(&info, &settings.store) {
        return unanswered(upstream, open, format!("{folder}: {why}"));
    }
    for hash in open {
        match std::fs::metadata(folder.join(format!("{hash}.narinfo"))) {
            Ok(meta) if meta.is_file() => {
                upstream.has.insert(hash);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Ok(_) => {
                upstream.unanswered.insert(hash);
                upstream.why = Some(Why(format!("{folder}: {hash}.narinfo is not a file")));
            }
            Err(error) => {
                upstream.unanswered.insert(hash);
                upstream.why = Some(Why(format!("{folder}: {error}")));
            }
        }
    }
    upstream
}

/// Whether paths of our store can come from there at all.
fn usable(info: &Observation<CacheInfo>, store: &StoreDir) -> Result<(), String> {
    match info {
        Observation::Present(info) => match info.store_dir() {
            Some(dir) if dir != store.as_str() => {
                Err(format!("it is a cache of the store {dir}, not of {store}"))
            }
            _ => Ok(()),
        },
        Observation::Absent => Err("it has no nix-cache-info".to_owned()),
        Observation::Unknown(Why(why)) | Observation::Error(Why(why)) => Err(why.clone()),
    }
}

/// A cache behind HTTP: one question first, whether anybody answers; then many at once.
pub(super) fn http(
    http: &Http,
    url: &str,
    open: &BTreeSet<HashPart>,
    settings: &Settings,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Answers {
    let info = information(
        url,
        &Options {
            tries: 2,
            ..settings.http.clone()
        },
    );
    if let Err(why) = usable(&info, &settings.store) {
        return Answers {
            why: Some(why),
            ..Answers::default()
        };
    }
    let round = block_on(ask_all(http, url, open, settings.at_once.max(1), stopped));
    round.unwrap_or_else(|error| Answers {
        why: Some(error.to_string()),
        ..Answers::default()
    })
}

/// What the workers of a round share.
struct Round {
    queue: Mutex<std::vec::IntoIter<HashPart>>,
    answers: Mutex<Answers>,
    /// Reasons with their numbers.
    reasons: Mutex<BTreeMap<String, usize>>,
    failures_in_a_row: AtomicUsize,
}

async fn ask_all(
    http: &Http,
    url: &str,
    open: &BTreeSet<HashPart>,
    at_once: usize,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Answers {
    let round = Arc::new(Round {
        queue: Mutex::new(open.iter().copied().collect::<Vec<_>>().into_iter()),
        answers: Mutex::default(),
        reasons: Mutex::default(),
        failures_in_a_row: AtomicUsize::new(0),
    });
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..at_once.min(open.len()) {
        let (round, http, url) = (Arc::clone(&round), http.clone(), url.to_owned());
        workers.spawn(async move { round.work(&http, &url).await });
    }
    while !workers.is_empty() {
        if stopped() {
            lock(&round.reasons).insert("stopped".to_owned(), usize::MAX);
            break;
        }
        if round.failures_in_a_row.load(Ordering::SeqCst) >= BREAKER {
            break;
        }
        // Either a worker ends, or it is time to look again whether we are to stop.
        drop(tokio::time::timeout(TICK, workers.join_next()).await);
    }
    workers.shutdown().await;
    let mut answers = std::mem::take(&mut *lock(&round.answers));
    // The most frequent reason stands for all.
    let reasons = lock(&round.reasons);
    answers.why = reasons
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(why, _)| why.clone());
    answers
}

impl Round {
    async fn work(&self, http: &Http, url: &str) {
        while self.failures_in_a_row.load(Ordering::SeqCst) < BREAKER {
            let Some(hash) = lock(&self.queue).next() else {
                return;
            };
            let address = format!("{url}/{hash}.narinfo");
            // HEAD would do, but not every server of caches answers it rightly.
            let asked = tokio::time::timeout(PATIENCE, http.get(&address, MAX_NARINFO)).await;
            let failure = match asked {
                Ok(Ok(Answer {
                    status: 200, body, ..
                })) if is_about(&body, &hash) => {
                    lock(&self.answers).present.insert(hash);
                    None
                }
                // A page that says "not found", or wants a login, with status 200.
                Ok(Ok(Answer { status: 200, .. })) => {
                    Some("what it gives for a narinfo is none".to_owned())
                }
                Ok(Ok(Answer {
                    status: 404 | 410, ..
                })) => {
                    lock(&self.answers).absent.insert(hash);
                    None
                }
                Ok(Ok(answer)) => Some(status(answer.status)),
                Ok(Err(error)) => Some(error.brief()),
                Err(_) => Some(LATE.to_owned()),
            };
            match failure {
                None => self.failures_in_a_row.store(0, Ordering::SeqCst),
                Some(why) => {
                    self.failures_in_a_row.fetch_add(1, Ordering::SeqCst);
                    *lock(&self.reasons).entry(why).or_default() += 1;
                }
            }
        }
    }
}

/// Whether a body is the narinfo of this path, as far as presence goes.
fn is_about(body: &[u8], hash: &HashPart) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("StorePath: "));
    let base = path.and_then(|path| path.rsplit('/').next());
    base.and_then(|base| base.parse::<StorePath>().ok())
        .is_some_and(|path| path.hash() == *hash)
}

/// A status that is no answer to "is it there?".
fn status(status: u16) -> String {
    match status {
        // Nix takes these for "not there" without a word; we do not.
        401 | 403 | 407 => {
            format!("it refuses access (HTTP {status}): a token may be missing or over")
        }
        429 => "it asks to slow down (HTTP 429)".to_owned(),
        _ => format!("it answers HTTP {status}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
