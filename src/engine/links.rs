//! Links that keep what was built from the garbage collector until it is pushed.
//!
//! # Guarantees
//! What [`Links::next`] names stays valid while the [`Links`] lives. Nothing of it is left behind: not by a run
//! that ends, and what a run that was killed left is removed by the next one. A run that lives is never
//! touched: it holds a lock for as long as it lives.

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

use crate::sys::file::FileError;

/// How the name of a lock ends; the folder of its links has the name without it.
const LOCK: &str = ".lock";

/// The links of one run.
#[derive(Debug)]
pub struct Links {
    folder: Utf8PathBuf,
    lock: Utf8PathBuf,
    made: AtomicU64,
    /// Held while the run lives.
    _held: File,
}

impl Links {
    /// A folder of our own below `folder`; removes those of runs that died.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn begin(folder: &Utf8Path) -> Result<Self, FileError> {
        let io = |action, path: &Utf8Path| {
            let path = path.as_std_path().to_owned();
            move |source: std::io::Error| FileError::io(action, path, source)
        };
        std::fs::create_dir_all(folder).map_err(io("make the folder", folder))?;
        remove_left(folder);
        loop {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| {
                io("name a folder in", folder)(std::io::Error::other(error.to_string()))
            })?;
            let own = folder.join(data_encoding::HEXLOWER.encode(&random));
            let lock = Utf8PathBuf::from(format!("{own}{LOCK}"));
            let held = File::create_new(&lock).map_err(io("make", &lock))?;
            held.lock().map_err(io("lock", &lock))?;
            // Between the two lines somebody else may have taken it for one that was left.
            if !lock.exists() {
                continue;
            }
            std::fs::create_dir(&own).map_err(io("make the folder", &own))?;
            return Ok(Self {
                folder: own,
                lock,
                made: AtomicU64::new(0),
                _held: held,
            });
        }
    }

    /// Where the next link is to be made; what is there already is never named again.
    #[must_use]
    pub fn next(&self) -> Utf8PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("build-{number}"))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // What cannot be removed now, the next run removes.
        if std::fs::remove_dir_all(&self.folder).is_ok() {
            let _ = std::fs::remove_file(&self.lock);
        }
    }
}

/// Removes the links of runs that died. What cannot be removed stays for the next run.
fn remove_left(folder: &Utf8Path) {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    for entry in entries {
        let lock = entry.path();
        let Some(name) = entry.file_name().strip_suffix(LOCK) else {
            continue;
        };
        let Ok(file) = File::open(lock) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        let links = folder.join(name);
        let gone = match std::fs::remove_dir_all(&links) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if gone {
            let _ = std::fs::remove_file(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Utf8Path) -> Vec<String> {
        let entries = folder.read_dir_utf8().unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect()
    }

    #[test]
    fn links_end_with_their_run_and_those_of_the_dead_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let builds = Utf8Path::from_path(folder.path()).unwrap().join("builds");
        let first = Links::begin(&builds).unwrap();
        let link = first.next();
        symlink("/nowhere", &link).unwrap();
        assert_ne!(first.next(), link);
        let second = Links::begin(&builds).unwrap();
        assert!(link.is_symlink(), "its run lives");
        drop(second);
        // A run that was killed: its lock goes with it, its links stay.
        let Links { folder: own, .. } = &first;
        let (own, lock) = (own.clone(), first.lock.clone());
        std::mem::forget(first);
        assert_eq!(names(&builds).len(), 2);
        let held = File::open(&lock).unwrap();
        assert!(held.try_lock().is_err(), "a forgotten handle holds it");
        let dead = builds.join("dead");
        std::fs::create_dir(&dead).unwrap();
        symlink("/nowhere", dead.join("build-0")).unwrap();
        std::fs::write(builds.join("dead.lock"), "").unwrap();
        std::fs::write(builds.join("notes"), "not ours").unwrap();
        drop(Links::begin(&builds).unwrap());
        let mut left = names(&builds);
        left.sort();
        let mut expected = vec![
            own.file_name().unwrap().to_owned(),
            lock.file_name().unwrap().to_owned(),
            "notes".to_owned(),
        ];
        expected.sort();
        assert_eq!(left, expected);
    }
}
