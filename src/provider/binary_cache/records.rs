//! Our records in a cache: reading, writing, and what they say of one another.
//!
//! The formats are those of [`crate::plan::record`]; times of records are the cache's own.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Area, CacheView, LARGEST_RECORD, Meta, Revision, StoreError};
use crate::config::model::{ClassName, PinName};
use crate::nix::base32;
use crate::nix::store_path::HashPart;
use crate::plan::observed::Why;
use crate::plan::record::{FOLDER, Head, IntentBody, PruneBody, PrunePhase, Requirement};
use crate::plan::time::Time;

/// A record whose process may be stopped: how often it is written again, how long after the start
/// of the last writing its own process still acts on it, and from which age others ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process writes it again after this time.
    pub renewal: Duration,
    /// The process sends nothing that the record protects later than this.
    pub trust: Duration,
    /// Others count it as gone from this age on.
    pub gone: Duration,
}

/// How long intents live.
pub const INTENT: Lease = Lease {
    renewal: Duration::from_mins(10),
    trust: Duration::from_hours(1),
    gone: Duration::from_hours(24),
};

/// How long prune records live.
pub const PRUNE: Lease = Lease {
    renewal: Duration::from_mins(1),
    trust: Duration::from_mins(5),
    gone: Duration::from_mins(30),
};

/// After this, records that ended or are gone are removed by a prune.
pub const KEPT: Duration = Duration::from_hours(24);

impl Lease {
    /// Whether a record is to be counted as gone.
    #[must_use]
    pub fn is_gone(&self, meta: &Meta, now: Time) -> bool {
        match meta.gone {
            Some(gone) => gone,
            // Equal times, and the seconds that clocks round away, count as younger.
            None => now.since(meta.modified).0 > self.gone.as_secs().saturating_add(5),
        }
    }
}

/// A new identity of a record: 128 random bits in base 32, never used twice.
///
/// # Errors
/// The system has no random numbers.
pub fn new_id() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        StoreError::refused("get random numbers for", "a record", error.to_string())
    })?;
    Ok(base32::encode(&bytes))
}

/// The key of an intent.
#[must_use]
pub fn intent_key(id: &str) -> String {
    format!("{FOLDER}/intents/{id}.json")
}

/// The key of a prune record.
#[must_use]
pub fn prune_key(id: &str) -> String {
    format!("{FOLDER}/prunes/{id}.json")
}

/// The identity in the key of an intent or prune record; `None`: no such key.
#[must_use]
pub fn id_of(key: &str) -> Option<&str> {
    let name = key.rsplit('/').next()?.strip_suffix(".json")?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(name)
}

/// Class or pin name, and hash part, of the key of a root or pin record; `None`: no such key.
fn parts_of(key: &str) -> Option<(&str, HashPart)> {
    let (rest, file) = key.rsplit_once('/')?;
    let (_, name) = rest.rsplit_once('/')?;
    Some((name, file.strip_suffix(".json")?.parse().ok()?))
}

/// Class and hash part of the key of a root record; `None`: no such key.
#[must_use]
pub fn root_of(key: &str) -> Option<(ClassName, HashPart)> {
    parts_of(key).map(|(class, hash)| (ClassName::new(class), hash))
}

/// Name and hash part of the key of a pin record; `None`: no such key.
#[must_use]
pub fn pin_of(key: &str) -> Option<(PinName, HashPart)> {
    parts_of(key).map(|(name, hash)| (PinName::new(name), hash))
}

/// Hash parts as records list them: ascending, each once, one space between.
#[must_use]
pub fn list(hashes: impl IntoIterator<Item = HashPart>) -> String {
    let mut hashes: Vec<HashPart> = hashes.into_iter().collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut text = String::with_capacity(hashes.len() * 33);
    for hash in hashes {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&hash.to_string());
    }
    text
}

/// Reads a list of hash parts; `None`: one of the words is none.
#[must_use]
pub fn unlist(text: &str) -> Option<Vec<HashPart>> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().ok())
        .collect()
}

/// A record as bytes.
#[must_use]
pub fn bytes(body: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(body).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Why a record cannot be acted upon by this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not the JSON that it should be.
    #[error("the record `{key}` cannot be read: {why}")]
    Malformed {
        /// Its key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// It needs a newer version of this program.
    #[error("the record `{key}` needs a newer nanna-cache ({what})")]
    Newer {
        /// Its key.
        key: String,
        /// What it needs.
        what: String,
    },
}

/// Reads the body of a record.
///
/// # Errors
/// It is malformed, or says that this version must not act on it.
pub fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    let malformed = |error: serde_json::Error| RecordError::Malformed {
        key: key.to_owned(),
        why: error.to_string(),
    };
    // The head first: a newer format may have another body.
    let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
    head.check().map_err(|requirement| RecordError::Newer {
        key: key.to_owned(),
        what: match requirement {
            Requirement::Schema(schema) => format!("schema {schema}"),
            Requirement::Meaning(name) => format!("requires `{name}`"),
        },
    })?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// An intent or prune record as it was found.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Identity from the key.
    pub id: String,
    /// Key.
    pub key: String,
    /// What the store says of it, as it was when its body was read.
    pub meta: Meta,
    /// Its body, if this version can act on it.
    pub body: Result<T, RecordError>,
}

/// Lists intents or prune records without their bodies: key and what the store says.
///
/// # Errors
/// The listing is not whole.
pub fn listing(view: &dyn CacheView, area: Area) -> Result<Vec<(String, Meta)>, StoreError> {
    let mut keys = Vec::new();
    view.list(area, &mut |listed| {
        if let (Some(_), Some(meta)) = (id_of(listed.key), listed.meta) {
            keys.push((listed.key.to_owned(), meta));
        }
    })?;
    keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(keys)
}

/// Reads the bodies of listed records; those that went away meanwhile are left out.
fn found<T: DeserializeOwned>(
    view: &dyn CacheView,
    keys: Vec<(String, Meta)>,
) -> Result<Vec<Found<T>>, StoreError> {
    let mut all = Vec::with_capacity(keys.len());
    for (key, meta) in keys {
        let Some(object) = view.get(&key, LARGEST_RECORD)? else {
            continue;
        };
        let id = id_of(&key).unwrap_or_default().to_owned();
        let body = read(&key, &object.bytes);
        // It may have been written again since it was listed: the revision has to be that of the body.
        let meta = Meta {
            gone: meta.gone,
            ..object.meta
        };
        all.push(Found {
            id,
            key,
            meta,
            body,
        });
    }
    Ok(all)
}

/// All intents.
///
/// # Errors
/// They cannot be listed or read.
pub fn intents(view: &dyn CacheView) -> Result<Vec<Found<IntentBody>>, StoreError> {
    found(view, listing(view, Area::Intents)?)
}

/// All prune records.
///
/// # Errors
/// They cannot be listed or read.
pub fn prunes(view: &dyn CacheView) -> Result<Vec<Found<PruneBody>>, StoreError> {
    found(view, listing(view, Area::Prunes)?)
}

/// Keys and revisions of all prune records: equal before and after means that none was touched.
pub type Trace = Vec<(String, Revision)>;

/// The revisions of prune records whose bodies were read. What happens to a record after that is a
/// change against this, and what was read is no older.
#[must_use]
pub fn trace_of(prunes: &[Found<PruneBody>]) -> Trace {
    let all = prunes.iter();
    all.map(|prune| (prune.key.clone(), prune.meta.revision))
        .collect()
}

/// The state of all prune records now, without their bodies.
///
/// # Errors
/// They cannot be listed.
pub fn trace(view: &dyn CacheView) -> Result<Trace, StoreError> {
    let listing = listing(view, Area::Prunes)?;
    Ok(listing
        .into_iter()
        .map(|(key, meta)| (key, meta.revision))
        .collect())
}

/// All paths that a prune record names: those that it deletes now, and those of later rounds.
#[must_use]
pub fn named(body: &PruneBody) -> Vec<HashPart> {
    let lists = [&body.paths, &body.later];
    let lists = lists.into_iter().filter_map(|list| unlist(list));
    lists.flatten().collect()
}

/// What a prune that others must wait for is about to delete.
pub enum Condemned {
    /// It deletes nothing that others could rely on (it ended, or is gone).
    Nothing,
    /// Everything: the record cannot be understood.
    Everything,
    /// These paths.
    Paths(HashSet<HashPart>),
    /// These keys under `nar/`.
    Nars(HashSet<String>),
}

/// What a prune record condemns, at `now` of the cache.
#[must_use]
pub fn condemned(record: &Found<PruneBody>, now: Time) -> Condemned {
    if PRUNE.is_gone(&record.meta, now) {
        return Condemned::Nothing;
    }
    let Ok(body) = &record.body else {
        return Condemned::Everything;
    };
    match body.phase {
        PrunePhase::Ended => Condemned::Nothing,
        PrunePhase::Paths => match unlist(&body.paths) {
            Some(paths) => {
                // A root that it will delete must not be written by a push meanwhile.
                let roots = body.roots.split(' ').filter_map(root_of);
                Condemned::Paths(
                    paths
                        .into_iter()
                        .chain(roots.map(|(_, hash)| hash))
                        .collect(),
                )
            }
            None => Condemned::Everything,
        },
        PrunePhase::Nars => Condemned::Nars(
            body.nars
                .split(' ')
                .filter(|k| !k.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
    }
}

/// Why the versions of the record folder that are there keep this version from deleting anything.
///
/// # Errors
/// They cannot be listed.
pub fn foreign_version(view: &dyn CacheView) -> Result<Option<Why>, StoreError> {
    let mut foreign = Vec::new();
    view.list(Area::Versions, &mut |listed| {
        let name = listed
            .key
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        let version = name
            .strip_prefix('v')
            .is_some_and(|n| n.parse::<u64>().is_ok());
        if version && name != "v1" {
            foreign.push(listed.key.trim_end_matches('/').to_owned());
        }
    })?;
    foreign.sort();
    Ok(foreign
        .first()
        .map(|key| Why(format!("`{key}` needs a newer nanna-cache"))))
}

#[cfg(test)]
mod tests;
