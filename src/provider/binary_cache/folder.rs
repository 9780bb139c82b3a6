//! A binary cache in a folder.
//!
//! Promises: objects appear by a rename of a file that was fsynced; reading writes nothing, also
//! where there is no folder, and works on folders that may only be read; a record is *gone* as
//! soon as its process is dead, because each process holds a lock (flock) on its records for
//! life. Listings of records are made under a lock of their own, because a folder that changes
//! while it is listed may show a name twice or not at all. Where the file system has no locks, or
//! none that hold between machines, records are judged by their age alone.

mod names;
mod place;
mod records;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::{
    Area, Buffer, CacheStore, CacheView, IfThere, Listed, Meta, Object, Outcome, Put, Revision,
    Seen, Stamp, StoreError,
};
use crate::plan::observed::Capabilities;
use crate::plan::record::FOLDER;
use crate::plan::time::Time;
use crate::sys::clock;
use crate::sys::file::LockKind;
use crate::transfer::sink::Sink;
use names::Names;
use place::{Place, check, folder_of, meta, resolved};

/// Folders that an opening Nix would otherwise create, perhaps as root.
const NIX_FOLDERS: [&str; 3] = ["nar", "log", "realisations"];

/// Threads that wait for the disk.
const SYNC_THREADS: usize = 8;

/// So many files are examined at once.
const BATCH: usize = 8_192;

/// A cache in a folder.
pub struct FolderStore {
    place: Arc<Place>,
    /// The records of this process, open and locked.
    held: Mutex<BTreeMap<String, File>>,
}

impl FolderStore {
    /// The store in this folder, which need not exist yet; nothing is touched.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Arc::new(Place::new(path.into(), None)),
            held: Mutex::default(),
        }
    }

    /// As [`FolderStore::new`], for tests of crashes: `hook` is called before every system call
    /// with its name and key, and an error of it takes the place of the call.
    #[doc(hidden)]
    #[must_use]
    pub fn with_hook(
        path: impl Into<PathBuf>,
        hook: impl Fn(&'static str, &str) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let place = Place::new(path.into(), Some(Arc::new(hook)));
        Self {
            place: Arc::new(place),
            held: Mutex::default(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Lists the files of a folder, and of the folders in it if `nested`.
    fn list_files(
        &self,
        folder: &str,
        nested: bool,
        each: &mut dyn FnMut(Listed<'_>),
    ) -> Result<(), StoreError> {
        let mut folders = Vec::new();
        let mut batch = Names::default();
        let mut result = Ok(());
        self.place.each_entry(folder, &mut |name, is_folder| {
            if is_folder {
                folders.push(name.to_owned());
                return;
            }
            batch.push(&[folder, "/", name]);
            if batch.len() == BATCH && result.is_ok() {
                result = self.examine(folder, &batch, each);
                batch.clear();
            }
        })?;
        result?;
        self.examine(folder, &batch, each)?;
        drop(batch);
        if nested {
            for name in folders {
                self.list_files(&format!("{folder}/{name}"), false, each)?;
            }
        }
        Ok(())
    }

    /// Says of each of these keys what the system says of it, unless it went away meanwhile.
    fn examine(
        &self,
        folder: &str,
        keys: &Names,
        each: &mut dyn FnMut(Listed<'_>),
    ) -> Result<(), StoreError> {
        let halves = if keys.len() < 512 { 1 } else { 2 };
        let share = keys.len().div_ceil(halves).max(1);
        let stat = |half: usize| -> Vec<Result<Option<Meta>, StoreError>> {
            let range = half * share..keys.len().min((half + 1) * share);
            range.map(|at| self.place.stat(keys.get(at))).collect()
        };
        let (first, second) = std::thread::scope(|scope| {
            let second = (halves == 2).then(|| scope.spawn(|| stat(1)));
            let first = stat(0);
            (first, second.map(std::thread::ScopedJoinHandle::join))
        });
        let second = second.unwrap_or_else(|| Ok(Vec::new()));
        let second = second.map_err(|_| StoreError::refused("list", folder, "a thread died"))?;
        for (at, meta) in first.into_iter().chain(second).enumerate() {
            let meta = meta?;
            if meta.is_some() {
                let key = keys.get(at);
                each(Listed { key, meta });
            }
        }
        Ok(())
    }

    fn list_strays(&self, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        let ours = ["", "/intents", "/prunes"].map(|below| format!("{FOLDER}{below}"));
        let others = ["realisations", "log", "debuginfo"].map(str::to_owned);
        for folder in ours.iter().chain(&others) {
            for entry in self.place.entries(folder)? {
                if entry.folder || !entry.name.contains(".tmp.") {
                    continue;
                }
                let key = format!("{folder}/{}", entry.name);
                let meta = self.place.stat(&key)?;
                if meta.is_some() {
                    each(Listed { key: &key, meta });
                }
            }
        }
        Ok(())
    }

    /// Writes a temporary file beside `key`, whole and synced; answers its name.
    fn stage(&self, key: &str, bytes: &[u8]) -> Result<(File, String), StoreError> {
        check(key)?;
        let (mut file, temporary) = self.place.temporary(folder_of(key))?;
        let written = self
            .place
            .write(&mut file, &temporary, bytes)
            .and_then(|()| self.place.sync(&file, &temporary));
        match written {
            Ok(()) => Ok((file, temporary)),
            Err(error) => {
                let _ = self.place.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Publishes staged files in order. Names that are made in one folder become durable in the
    /// order in which they were made, as file systems with a journal have it; that what lies in
    /// other folders is durable before what refers to it, is seen to here.
    fn publish_all(
        &self,
        puts: &[Put],
        staged: Vec<Result<String, StoreError>>,
    ) -> Vec<Result<Outcome, StoreError>> {
        let mut staged = staged.into_iter();
        let mut results = Vec::with_capacity(puts.len());
        // The folder whose newest names may not be durable yet.
        let nars = self.place.nars_changed.swap(false, Ordering::SeqCst);
        let mut open = nars.then_some("nar");
        for (put, file) in puts.iter().zip(staged.by_ref()) {
            let folder = folder_of(&put.key);
            let settled = match open.replace(folder) {
                Some(before) if before != folder => self.place.sync_folder(before),
                _ => Ok(()),
            };
            let result = match (settled, file) {
                (Ok(()), Ok(temporary)) => self.publish(put, &temporary),
                (Err(error), Ok(temporary)) => {
                    let _ = self.place.remove(&temporary);
                    Err(error)
                }
                (_, Err(error)) => Err(error),
            };
            results.push(result);
            if results.last().is_some_and(Result::is_err) {
                break;
            }
        }
        for temporary in staged.flatten() {
            let _ = self.place.remove(&temporary);
        }
        if let Some(last @ Ok(_)) = results.last_mut()
            && let Some(Err(error)) = open.map(|folder| self.place.sync_folder(folder))
        {
            *last = Err(error);
        }
        results
    }

    /// Puts a staged file in the place of an object, if that is still the version `was`.
    fn swap(
        &self,
        key: &str,
        file: &File,
        temporary: &str,
        was: &Meta,
    ) -> Result<Outcome, StoreError> {
        // The time goes with the file, so no reader sees it young, not even for a moment.
        self.place.set_time(file, key, was)?;
        // Two that change one object would lose what the other did.
        let _lock = self.lock_records(LockKind::Exclusive, true)?;
        let now = self.place.stat(key)?;
        if now.is_none_or(|now| now.revision != was.revision) {
            return Ok(Outcome::Kept);
        }
        self.place.rename(temporary, key)?;
        self.place.sync_folder(folder_of(key))?;
        Ok(Outcome::Written)
    }

    fn publish(&self, put: &Put, temporary: &str) -> Result<Outcome, StoreError> {
        let outcome = match put.if_there {
            IfThere::Replace => self.place.rename(temporary, &put.key).map(|()| true),
            IfThere::Keep => self.place.rename_new(temporary, &put.key),
        };
        match outcome {
            Ok(true) => Ok(Outcome::Written),
            Ok(false) => {
                let _ = self.place.remove(temporary);
                Ok(Outcome::Kept)
            }
            Err(error) => {
                let _ = self.place.remove(temporary);
                Err(error)
            }
        }
    }
}

impl CacheView for FolderStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            list: true,
            delete: true,
            records: true,
            sizes: true,
            times: true,
            by_age: !self.place.has_locks(),
            unconditional: false,
            replace: true,
        }
    }

    fn identity(&self) -> String {
        format!("file://{}", resolved(&self.place.path).display())
    }

    fn exists(&self) -> Result<bool, StoreError> {
        self.place.is_there()
    }

    fn list(&self, area: Area, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        match area {
            Area::Top => self.place.each_entry("", &mut |key, is_folder| {
                if !is_folder {
                    each(Listed { key, meta: None });
                }
            }),
            Area::Versions => {
                for entry in self
                    .place
                    .entries("nanna-cache")?
                    .iter()
                    .filter(|e| e.folder)
                {
                    each(Listed {
                        key: &format!("nanna-cache/{}/", entry.name),
                        meta: None,
                    });
                }
                Ok(())
            }
            Area::Nars => self.list_files("nar", false, each),
            Area::Realisations => {
                self.list_files("realisations", false, each)?;
                self.list_files("build-trace-v2", true, each)
            }
            Area::Debug => self.list_files("debuginfo", true, each),
            Area::Strays => self.list_strays(each),
            Area::Roots => self.list_files(&format!("{FOLDER}/roots"), true, each),
            Area::Pins => self.list_files(&format!("{FOLDER}/pins"), true, each),
            Area::Runs => self.list_files(&format!("{FOLDER}/runs"), true, each),
            Area::Intents => self.list_records(&format!("{FOLDER}/intents"), each),
            Area::Prunes => self.list_records(&format!("{FOLDER}/prunes"), each),
        }
    }

    fn head(&self, key: &str) -> Result<Option<Meta>, StoreError> {
        self.place
            .before("head", key)
            .map_err(|e| self.place.error("examine", key, e))?;
        self.place.stat(key)
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>, StoreError> {
        self.place
            .before("get", key)
            .map_err(|e| self.place.error("read", key, e))?;
        let Some(file) = self.place.open(key)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| self.place.error("examine", key, e))?;
        let meta = meta(&stat);
        if meta.size > limit {
            return Err(StoreError::TooLarge {
                key: key.to_owned(),
                limit,
            });
        }
        let capacity = usize::try_from(meta.size).unwrap_or(0);
        let mut bytes = Vec::with_capacity(capacity + 1);
        // Objects never change in place, so a second read for the end is enough.
        (&file)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|e| self.place.error("read", key, e))?;
        Ok(Some(Object { meta, bytes }))
    }

    fn look(
        &self,
        key: &str,
        known: Option<Revision>,
        limit: u64,
        buffer: &mut Buffer,
    ) -> Result<Option<Seen>, StoreError> {
        if let Some(known) = known {
            let Some(meta) = self.head(key)? else {
                return Ok(None);
            };
            if meta.revision == known {
                return Ok(Some(Seen { meta, read: false }));
            }
        }
        self.place
            .before("get", key)
            .map_err(|e| self.place.error("read", key, e))?;
        self.place.read(key, limit, buffer)
    }

    fn stamp(&self, area: Area) -> Result<Option<Stamp>, StoreError> {
        match area {
            Area::Top => self.place.stamp(""),
            Area::Nars => self.place.stamp("nar"),
            // Those lie in folders of folders, or say who lives.
            Area::Roots
            | Area::Pins
            | Area::Runs
            | Area::Realisations
            | Area::Debug
            | Area::Strays
            | Area::Intents
            | Area::Prunes
            | Area::Versions => Ok(None),
        }
    }

    fn open(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        Ok(self
            .place
            .open(key)?
            .map(|file| Box::new(file) as Box<dyn Read + Send>))
    }

    fn now(&self) -> Result<Time, StoreError> {
        Ok(Time(clock::unix()))
    }

    fn has_folders(&self) -> Result<bool, StoreError> {
        for folder in NIX_FOLDERS {
            if self.place.stat(folder)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl CacheStore for FolderStore {
    fn create(&self, info: &str) -> Result<(), StoreError> {
        std::fs::create_dir_all(&self.place.path).map_err(|e| self.place.error("create", "", e))?;
        for folder in NIX_FOLDERS {
            self.place.make_folders(folder)?;
        }
        self.write("nix-cache-info", info.as_bytes().to_vec())
    }

    fn put_in_order(&self, puts: Vec<Put>) -> Vec<Result<Outcome, StoreError>> {
        let threads = SYNC_THREADS.min(puts.len().div_ceil(4)).max(1);
        let stage_all = |chunk: &[Put]| -> Vec<Result<String, StoreError>> {
            chunk
                .iter()
                .map(|p| self.stage(&p.key, &p.bytes).map(|(_, name)| name))
                .collect()
        };
        let staged: Vec<Result<String, StoreError>> = if threads == 1 {
            stage_all(&puts)
        } else {
            std::thread::scope(|scope| {
                let chunks = puts.chunks(puts.len().div_ceil(threads));
                let tasks: Vec<_> = chunks
                    .map(|c| (c.len(), scope.spawn(move || stage_all(c))))
                    .collect();
                let died = || Err(StoreError::refused("write", "", "a thread died"));
                tasks
                    .into_iter()
                    .flat_map(|(len, t)| {
                        t.join()
                            .unwrap_or_else(|_| (0..len).map(|_| died()).collect())
                    })
                    .collect()
            })
        };
        self.publish_all(&puts, staged)
    }

    fn put_record(&self, key: &str, bytes: Vec<u8>) -> Result<Meta, StoreError> {
        self.write_record(key, &bytes)
    }

    fn upload(&self) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(sink::FolderSink::new(Arc::clone(&self.place))?))
    }

    fn replace(&self, key: &str, bytes: Vec<u8>, was: &Meta) -> Result<Outcome, StoreError> {
        let (file, temporary) = self.stage(key, &bytes)?;
        let result = self.swap(key, &file, &temporary, was);
        if !matches!(result, Ok(Outcome::Written)) {
            let _ = self.place.remove(&temporary);
        }
        result
    }

    fn touch(&self, key: &str) -> Result<bool, StoreError> {
        self.place.touch(key)
    }

    fn delete(&self, keys: &[String]) -> Vec<Result<(), StoreError>> {
        let mut changed = BTreeSet::new();
        let mut results: Vec<Result<(), StoreError>> = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(self.place.remove(key).map(|was_there| {
                if was_there {
                    changed.insert(folder_of(key));
                }
            }));
        }
        self.let_go(keys);
        // What goes next may be what these referred to: it must not go first in a power cut.
        for folder in changed {
            if let Err(error) = self.place.sync_folder(folder) {
                let in_it = keys.iter().position(|key| folder_of(key) == folder);
                if let Some(result) = in_it.and_then(|at| results.get_mut(at)) {
                    *result = Err(error);
                }
            }
        }
        results
    }

    fn view(&self) -> &dyn CacheView {
        self
    }
}
