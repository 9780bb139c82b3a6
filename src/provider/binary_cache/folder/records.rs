//! Records of living processes in a folder: written and listed under locks, as far as there are any.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::io::Errno;

use super::FolderStore;
use super::place::{Entry, is_unsupported, meta};
use crate::plan::record::FOLDER;
use crate::provider::binary_cache::{Listed, Meta, StoreError};
use crate::sys::file::{self, FileError, LockKind};

/// How long one process waits for others that list or write records, each of which takes moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// So often a folder is listed where there is no lock against its being changed meanwhile, until
/// it looks the same twice.
const LISTINGS: usize = 5;

impl FolderStore {
    fn lock_key() -> String {
        format!("{FOLDER}/lock")
    }

    /// The lock of all records, or `None` where there is none to be had.
    pub(super) fn lock_records(
        &self,
        kind: LockKind,
        create: bool,
    ) -> Result<Option<File>, StoreError> {
        let key = Self::lock_key();
        let file = match self.place.open_to_lock(&key)? {
            Some(file) => file,
            None if !create => return Ok(None),
            None => {
                let (_, temporary) = self.place.temporary(FOLDER)?;
                if !self.place.rename_new(&temporary, &key)? {
                    self.place.remove(&temporary)?;
                }
                match self.place.open_to_lock(&key)? {
                    Some(file) => file,
                    None => return Ok(None),
                }
            }
        };
        Ok(self.take(&file, &key, kind)?.then_some(file))
    }

    /// Takes a lock, and waits for it; `false`: there is none to be had here.
    fn take(&self, file: &File, key: &str, kind: LockKind) -> Result<bool, StoreError> {
        let before = self.place.before("lock", key).map_err(io::Error::from);
        let shown = self.place.path.join(key);
        let taken = before
            .map_err(|error| FileError::io("lock", &shown, error))
            .and_then(|()| file::lock(file, &shown, kind, PATIENCE));
        match taken {
            Ok(()) => Ok(true),
            Err(FileError::Io { source, .. }) if is_unsupported(&source) => Ok(false),
            Err(error) => Err(StoreError::refused("lock", key, error)),
        }
    }

    pub(super) fn list_records(
        &self,
        folder: &str,
        each: &mut dyn FnMut(Listed<'_>),
    ) -> Result<(), StoreError> {
        let lock = self.lock_records(LockKind::Exclusive, false)?;
        for name in self.record_names(folder, lock.is_some())? {
            let key = format!("{folder}/{name}");
            let Some(file) = self.place.open(&key)? else {
                continue;
            };
            let stat =
                rustix::fs::fstat(&file).map_err(|e| self.place.error("examine", &key, e))?;
            let found = meta(&stat);
            let gone = match file.try_lock_shared() {
                // Written again since it was opened: by somebody who lives.
                Ok(())
                    if self.place.stat(&key)?.map(|now| now.revision) != Some(found.revision) =>
                {
                    Some(false)
                }
                // Where locks do not hold between machines, its process may live on another.
                Ok(()) => self.place.has_locks().then_some(true),
                Err(std::fs::TryLockError::WouldBlock) => Some(false),
                Err(std::fs::TryLockError::Error(_)) => None,
            };
            each(Listed {
                key: &key,
                meta: Some(Meta { gone, ..found }),
            });
        }
        Ok(())
    }

    /// The names of the records in a folder. A name that is changed while it is listed may be
    /// missed: without a lock against that, all that is seen until two listings agree counts.
    fn record_names(&self, folder: &str, locked: bool) -> Result<BTreeSet<String>, StoreError> {
        let is_record =
            |entry: &Entry| !entry.folder && file::temporary_owner(&entry.name).is_none();
        let list = || -> Result<BTreeSet<String>, StoreError> {
            let entries = self.place.entries(folder)?.into_iter();
            Ok(entries.filter(is_record).map(|entry| entry.name).collect())
        };
        let mut before = list()?;
        let mut names = before.clone();
        for _ in 1..LISTINGS {
            if locked {
                break;
            }
            let again = list()?;
            names.extend(again.iter().cloned());
            let is_quiet = again == before;
            before = again;
            if is_quiet {
                break;
            }
        }
        Ok(names)
    }

    /// Writes a record of this process, whose lock is held before anybody can see it.
    pub(super) fn write_record(&self, key: &str, bytes: &[u8]) -> Result<Meta, StoreError> {
        let (file, temporary) = self.stage(key, bytes)?;
        let published = self.publish_record(&file, &temporary, key);
        let locked = match published {
            Ok(locked) => locked,
            Err(error) => {
                let _ = self.place.remove(&temporary);
                return Err(error);
            }
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| self.place.error("examine", key, e))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(key.to_owned(), file);
        Ok(Meta {
            gone: locked.then_some(false),
            ..meta(&stat)
        })
    }

    /// Gives a staged record its name; says whether it is locked. Who lists records tries their
    /// locks under the lock of all records, so with that in hand nobody of ours is in the way.
    fn publish_record(&self, file: &File, temporary: &str, key: &str) -> Result<bool, StoreError> {
        let lock = self.lock_records(LockKind::Shared, true)?;
        let locked = self.take(file, temporary, LockKind::Exclusive)?;
        if !locked && self.place.has_locks() {
            // Others would take it for the record of a dead process.
            return Err(self.place.error("lock", key, Errno::NOLCK));
        }
        self.place.rename(temporary, key)?;
        drop(lock);
        Ok(locked)
    }

    /// Forgets that these are records of this process.
    pub(super) fn let_go(&self, keys: &[String]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            held.remove(key);
        }
    }
}
