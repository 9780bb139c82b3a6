//! Records of runs in a cache: `nanna-cache/v1/runs/PROJECT/START-ID.jsonl.zst`, one for each run.
//!
//! A project reads and takes away its own alone. The name begins with the second of the start, so that old ones go without being read, and has the hash of what
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
pub fn key(project: &str, start: Time, id: &RunId) -> String {
    format!("{FOLDER}/runs/{project}/{:010}-{id}{END}", start.0.max(0))
}

/// What a key says; none: it is no key of a record of this project.
fn listed(project: &str, key: &str) -> Option<Listed> {
    let own = key.strip_prefix(FOLDER)?.strip_prefix("/runs/")?;
    let name = own
        .strip_prefix(project)?
        .strip_prefix('/')?
        .strip_suffix(END)?;
    let (start, id) = name.split_once('-')?;
    let is_number = !start.is_empty() && start.bytes().all(|b| b.is_ascii_digit());
    Some(Listed {
        key: key.to_owned(),
        start: Time(start.parse().ok().filter(|_| is_number)?),
        id: RunId::read(id)?,
    })
}

/// The records of a project in a cache, the oldest first.
///
/// # Errors
/// They cannot be listed.
pub fn list(view: &dyn CacheView, project: &str) -> Result<Vec<Listed>, StoreError> {
    let mut found = Vec::new();
    view.list(Area::Runs, &mut |object| {
        found.extend(listed(project, object.key));
    })?;
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
    project: &str,
    start: Time,
    id: &RunId,
    bytes: Vec<u8>,
) -> Result<(), StoreError> {
    store.write(&key(project, start, id), bytes)
}

/// Takes away the records of a project's runs that began before; says how many.
///
/// # Errors
/// They cannot be listed, or one of them not be taken away.
pub fn thin(store: &dyn CacheStore, project: &str, before: Time) -> Result<u64, StoreError> {
    let old = list(store.view(), project)?.into_iter();
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
    use crate::provider::binary_cache::folder::FolderStore;

    #[test]
    fn names_say_when_and_what() {
        let id = RunId::of_line("x");
        let made = key("p", Time(1_700_000_000), &id);
        assert!(made.starts_with("nanna-cache/v1/runs/p/1700000000-"));
        let read = listed("p", &made).unwrap();
        assert_eq!((read.start, read.id), (Time(1_700_000_000), id));
        assert_eq!(listed("other", &made), None, "it is somebody else's");
        assert_eq!(listed("", &made), None);
        for odd in [
            "x.jsonl.zst",
            "-1-00.jsonl.zst",
            "1-00.json",
            "a/1-00.jsonl.zst",
        ] {
            let key = format!("nanna-cache/v1/runs/p/{odd}");
            assert_eq!(listed("p", &key), None, "{odd}");
        }
    }

    #[test]
    fn a_project_takes_away_its_own_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        store.create("StoreDir: /nix/store\n").unwrap();
        let id = RunId::of_line("x");
        for project in ["a", "b"] {
            for start in [100, 200] {
                write(&store, project, Time(start), &id, b"record".to_vec()).unwrap();
            }
        }
        let starts = |project: &str| -> Vec<i64> {
            let found = list(&store, project).unwrap();
            found.iter().map(|record| record.start.0).collect()
        };
        assert_eq!(thin(&store, "a", Time(200)).unwrap(), 1);
        assert_eq!(thin(&store, "a", Time(200)).unwrap(), 0);
        assert_eq!((starts("a"), starts("b")), (vec![200], vec![100, 200]));
        let records = list(&store, "b").unwrap();
        let bytes: Vec<_> = read(&store, &records)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(bytes, [Some(b"record".to_vec()), Some(b"record".to_vec())]);
    }
}
