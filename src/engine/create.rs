//! Making a cache, unless somebody has made it otherwise since it was planned.

use super::machine::sentence;
use crate::plan::report::Outcome;
use crate::provider::binary_cache::{CacheStore, SMALL_OBJECT, StoreError};

/// The object that says how Nix is to use the cache.
const INFO: &str = "nix-cache-info";

/// Makes the cache at the place that is `shown` so, if its `nix-cache-info` is as it was planned against, or as
/// it is to be.
pub(super) fn cache(
    store: &dyn CacheStore,
    shown: &str,
    before: Option<&str>,
    info: &str,
) -> Result<(), Outcome> {
    let fail = |error: &StoreError| Outcome::Failed {
        why: sentence(error),
    };
    let now = store
        .get(INFO, SMALL_OBJECT)
        .map_err(|error| fail(&error))?
        .map(|object| String::from_utf8_lossy(&object.bytes).into_owned());
    if now.as_deref() != before && now.as_deref() != Some(info) {
        let why = format!("{shown}/{INFO} has changed since it was planned");
        return Err(Outcome::Stale { why });
    }
    store.create(info).map_err(|error| fail(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::binary_cache::folder::FolderStore;

    const NEW: &str = "StoreDir: /nix/store\nPriority: 30\n";
    const OLD: &str = "StoreDir: /nix/store\nPriority: 5\n";

    #[test]
    fn what_changed_meanwhile_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let file = folder.join(INFO);
        let store = FolderStore::new(&folder);
        let cache = |before, info| super::cache(&store, "the cache", before, info);
        let read = || std::fs::read_to_string(&file).unwrap();
        let is_stale = |before| matches!(cache(before, NEW), Err(Outcome::Stale { .. }));

        assert!(is_stale(Some(OLD)), "it went away");
        assert!(!file.exists());
        cache(None, NEW).unwrap();
        assert_eq!(read(), NEW);
        // Somebody else, or a run before, did it: as wanted.
        cache(None, NEW).unwrap();
        cache(Some(OLD), NEW).unwrap();

        std::fs::write(&file, OLD).unwrap();
        for before in [None, Some(NEW), Some("StoreDir: /nix/store\n")] {
            assert!(is_stale(before), "{before:?}");
            assert_eq!(read(), OLD);
        }
        cache(Some(OLD), NEW).unwrap();
        assert_eq!(read(), NEW);
    }
}
