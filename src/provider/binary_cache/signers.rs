//! Who has signed a cache so far, as far as one key is concerned.
//!
//! Promises: nothing is written; for a key that is at hand a few narinfos are read, however many
//! there are; for one that is not, each of them, because a single one is enough to know that there
//! was such a key. It must not decide what follows from that.

use std::collections::BTreeSet;

use super::{CacheView, SMALL_OBJECT, StoreError, narinfo_key};
use crate::config::model::Method;
use crate::nix::hash::Sha256;
use crate::nix::key::PublicKey;
use crate::nix::narinfo::{Brief, Compression};
use crate::nix::store_path::{HashPart, StoreDir, StorePathRef};
use crate::plan::observed::{CacheContent, Signed};
use crate::transfer::compress::word;
use crate::transfer::progress::Progress;

/// Narinfos that are read for a key that is at hand.
const SAMPLE: usize = 32;
/// Narinfos that are asked for at once.
const AT_ONCE: usize = 64;
/// Threads that read when each narinfo counts.
const THREADS: usize = 8;

/// Which key is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// One at hand: has it made the signatures that bear its name?
    Key(&'a PublicKey),
    /// One that is not: does any signature bear its name?
    Name(&'a str),
}

impl Question<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Key(key) => key.name(),
            Self::Name(name) => name,
        }
    }
}

/// Looks at the signatures of a cache. A stop ends it early, with what it has found.
///
/// # Errors
/// A narinfo cannot be read; a damaged one is passed over.
pub fn signed(
    view: &dyn CacheView,
    store_dir: &StoreDir,
    content: &CacheContent,
    question: Question<'_>,
    progress: &Progress,
) -> Result<Signed, StoreError> {
    let hashes = match question {
        Question::Key(_) => sample(content),
        Question::Name(_) => content
            .paths
            .rows()
            .map(|row| content.paths.hash(row))
            .collect(),
    };
    let part = |hashes: &[HashPart]| -> Result<Signed, StoreError> {
        let mut found = Signed::of(question.name());
        for hashes in hashes.chunks(AT_ONCE) {
            if progress.is_stopped() {
                break;
            }
            let keys: Vec<String> = hashes.iter().map(|hash| narinfo_key(*hash)).collect();
            for object in view.get_many(&keys, SMALL_OBJECT) {
                if let Some(object) = object? {
                    look(&object.bytes, store_dir, question, &mut found);
                }
            }
        }
        Ok(found)
    };
    let threads = THREADS.min(hashes.len().div_ceil(256)).max(1);
    let chunks = hashes.chunks(hashes.len().div_ceil(threads).max(1));
    std::thread::scope(|scope| {
        let parts: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || part(chunk)))
            .collect();
        let mut all = Signed::of(question.name());
        for part in parts {
            let died = |_| Err(StoreError::refused("read", "", "a thread died"));
            let found = part.join().unwrap_or_else(died)?;
            all.paths += found.paths;
            all.verified += found.verified;
        }
        Ok(all)
    })
}

/// What is known of a path that a cache has.
#[derive(Clone, Debug)]
pub struct Known {
    /// The path.
    pub hash: HashPart,
    /// Hash of its NAR.
    pub nar_hash: Sha256,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to.
    pub references: BTreeSet<HashPart>,
}

/// What is to be so for all paths of a cache that are here, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard<'a> {
    /// The key whose signature each is to bear, by name; not what needs none, because its name follows from
    /// its content.
    pub key: Option<&'a str>,
    /// The method by which each is to be compressed.
    pub method: Option<Method>,
}

/// What is not as it is to be; each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Short {
    /// Paths without the signature.
    pub unsigned: Vec<HashPart>,
    /// Paths that are compressed by another method.
    pub otherwise: Vec<HashPart>,
}

/// Those of the paths whose narinfo says what is known of them and that fall short of a standard. What cannot
/// be read does not.
#[must_use]
pub fn short_of(
    standard: Standard<'_>,
    view: &dyn CacheView,
    store_dir: &StoreDir,
    known: &[Known],
    progress: &Progress,
) -> Short {
    let part = |known: &[Known]| {
        let mut short = Short::default();
        for known in known.chunks(AT_ONCE) {
            if progress.is_stopped() {
                break;
            }
            let keys: Vec<String> = known.iter().map(|path| narinfo_key(path.hash)).collect();
            let objects = view.get_many(&keys, SMALL_OBJECT);
            for (path, object) in known.iter().zip(objects) {
                let Ok(Some(object)) = object else {
                    continue;
                };
                let Ok(brief) = Brief::from_bytes(&object.bytes, store_dir) else {
                    continue;
                };
                if !path.is_said_by(&brief) {
                    continue;
                }
                let lacks = |name| !brief.signatures().any(|text| bears(text, name));
                if brief.ca.is_none() && standard.key.is_some_and(lacks) {
                    short.unsigned.push(path.hash);
                }
                if standard
                    .method
                    .is_some_and(|method| Compression::from(brief.compression) != word(method))
                {
                    short.otherwise.push(path.hash);
                }
            }
        }
        short
    };
    let threads = THREADS.min(known.len().div_ceil(256)).max(1);
    let chunks = known.chunks(known.len().div_ceil(threads).max(1));
    let mut all = std::thread::scope(|scope| {
        let parts: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || part(chunk)))
            .collect();
        let mut all = Short::default();
        for part in parts {
            let part = part.join().unwrap_or_default();
            all.unsigned.extend(part.unsigned);
            all.otherwise.extend(part.otherwise);
        }
        all
    });
    all.unsigned.sort_unstable();
    all.otherwise.sort_unstable();
    all
}

impl Known {
    /// Whether a narinfo says the same of the path.
    fn is_said_by(&self, brief: &Brief<'_>) -> bool {
        let references: BTreeSet<HashPart> = brief.references().map(StorePathRef::hash).collect();
        brief.malformed_signatures == 0
            && (brief.nar_hash, brief.nar_size) == (self.nar_hash, self.nar_size)
            && references == self.references
    }
}

/// Whether the text of a signature bears the name of a key.
pub(super) fn bears(text: &str, name: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(of, _)| of == name)
}

/// Narinfos from all over the cache, and those of our newest roots: those we most likely signed.
fn sample(content: &CacheContent) -> Vec<HashPart> {
    let len = content.paths.len();
    let step = len.div_ceil(SAMPLE).max(1);
    let rows = content.paths.rows().step_by(step);
    let mut hashes: BTreeSet<HashPart> = rows.map(|row| content.paths.hash(row)).collect();
    let mut roots: Vec<_> = content.roots.iter().collect();
    roots.sort_unstable_by_key(|root| std::cmp::Reverse(root.modified));
    hashes.extend(roots.iter().take(SAMPLE / 4).map(|root| root.hash));
    hashes.into_iter().collect()
}

fn look(bytes: &[u8], store_dir: &StoreDir, question: Question<'_>, found: &mut Signed) {
    let Ok(brief) = Brief::from_bytes(bytes, store_dir) else {
        return;
    };
    if !brief.signatures().any(|text| bears(text, question.name())) {
        return;
    }
    found.paths += 1;
    if let Question::Key(key) = question
        && brief.to_nar_info().is_signed_by(key, store_dir)
    {
        found.verified += 1;
    }
}

#[cfg(test)]
mod tests;
