//! Pin records: what is kept for ever.

use serde_json::Map;

use super::records::bytes;
use super::{CacheStore, StoreError};
use crate::config::model::PinName;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::record::{Head, PinBody, PinRecord};
use crate::plan::time::Time;

/// Writes the pin record of a path for a project; the newest record of a name is its newest
/// revision.
///
/// # Errors
/// It cannot be written.
pub fn write(
    store: &dyn CacheStore,
    name: &PinName,
    project: &str,
    path: &StorePath,
    because: Option<&str>,
    now: Time,
) -> Result<(), StoreError> {
    let body = PinBody {
        head: Head::ours(),
        path: path.clone(),
        name: name.clone(),
        project: Some(project.to_owned()),
        pinned: now,
        because: because.map(str::to_owned),
        other: Map::new(),
    };
    let key = PinRecord::key(name, path.hash());
    store.write(&key, bytes(&body))
}

/// Removes the pin record of a path; one that is not there counts as removed.
///
/// # Errors
/// It cannot be removed.
pub fn remove(store: &dyn CacheStore, name: &PinName, hash: HashPart) -> Result<(), StoreError> {
    store
        .delete(&[PinRecord::key(name, hash)])
        .into_iter()
        .collect()
}
