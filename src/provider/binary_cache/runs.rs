//! Records of runs in a cache: `nanna-cache/v1/runs/START-ID.jsonl.zst`, one for each run.
//!
//! The name begins with the second of the start, so that old ones go without being read, and has the hash of what
//! is in it, so that nobody reads what he has, and two who write the same write the same. No promise of a cache
//! hangs on them: they may come, go and be damaged at any time.

use super::{Area, CacheStore, CacheView, StoreError};
use crate::insight::run::RunId;
use crate::plan::record::FOLDER;
use crate::plan::time::Time;

/// Largest record that is read, as it lies there.
const LARGEST: u64 = 64 << 20;
/// What a name ends with.
const END: &str = ".jsonl.zst";

/// A record as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// When its run began.
    pub start: Time,
    /// Its identity.
    pub id: RunId,
}

/// The key of the record of a run.
#[must_use]
pub fn key(start: Time, id: &RunId) -> String {
    format!("{FOLDER}/runs/{:010}-{id}{END}", start.0.max(0))
}

/// What a key says; none: it is no key of a record.
fn listed(key: &str) -> Option<Listed> {
    let name = key.rsplit('/').next()?.strip_suffix(END)?;
    let (start, id) = name.split_once('-')?;
    let is_number = !start.is_empty() && start.bytes().all(|b| b.is_ascii_digit());
    Some(Listed {
        key: key.to_owned(),
        start: Time(start.parse().ok().filter(|_| is_number)?),
        id: RunId::read(id)?,
    })
}

/// The records of a cache, the oldest first.
///
/// # Errors
/// They cannot be listed.
pub fn list(view: &dyn CacheView) -> Result<Vec<Listed>, StoreError> {
    let mut found = Vec::new();
    view.list(Area::Runs, &mut |object| found.extend(listed(object.key)))?;
    found.sort_unstable_by(|a: &Listed, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The bytes of these records, in their order; none: it went away meanwhile.
#[must_use]
pub fn read(view: &dyn CacheView, records: &[Listed]) -> Vec<Result<Option<Vec<u8>>, StoreError>> {
    let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
    let objects = view.get_many(&keys, LARGEST).into_iter();
    objects
        .map(|object| Ok(object?.map(|object| object.bytes)))
        .collect()
}

/// Writes the record of a run.
///
/// # Errors
/// It cannot be written.
pub fn write(
    store: &dyn CacheStore,
    start: Time,
    id: &RunId,
    bytes: Vec<u8>,
) -> Result<(), StoreError> {
    store.write(&key(start, id), bytes)
}

/// Takes away the records of runs that began before; says how many.
///
/// # Errors
/// They cannot be listed, or one of them not be taken away.
pub fn thin(store: &dyn CacheStore, before: Time) -> Result<u64, StoreError> {
    let old = list(store.view())?.into_iter();
    let old: Vec<String> = old
        .filter(|record| record.start < before)
        .map(|record| record.key)
        .collect();
    for outcome in store.delete(&old) {
        outcome?;
    }
    Ok(old.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when_and_what() {
        let id = RunId::of_line("x");
        let made = key(Time(1_700_000_000), &id);
        assert!(made.starts_with("nanna-cache/v1/runs/1700000000-"));
        let read = listed(&made).unwrap();
        assert_eq!((read.start, read.id), (Time(1_700_000_000), id));
        for odd in [
            "nanna-cache/v1/runs/x.jsonl.zst",
            "nanna-cache/v1/runs/-1-00.jsonl.zst",
            "a/b",
        ] {
            assert_eq!(listed(odd), None, "{odd}");
        }
    }
}
