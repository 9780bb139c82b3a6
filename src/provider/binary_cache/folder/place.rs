//! The folder itself: a handle, names below it, and the system calls of the store.
//!
//! Everything goes by `openat` from one handle, so that a folder which is moved or replaced
//! while we work is never half of one and half of another.

mod remote;
mod write;

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::plan::time::Time;
use crate::provider::binary_cache::{Buffer, Meta, Revision, Seen, Stamp, StoreError};
use crate::sys::{clock, file};
use remote::is_remote;

/// Room for most narinfos, in bytes.
const SMALL: usize = 16 << 10;

/// Seconds in which a folder that changes twice might look as if it had changed once: some file
/// systems count time in steps of two.
const TICK: i64 = 3;

/// Called before each system call with its name and the key; an error takes the place of the call.
pub(super) type Hook = Arc<dyn Fn(&'static str, &str) -> io::Result<()> + Send + Sync>;

/// The folder of a cache.
pub(super) struct Place {
    pub(super) path: PathBuf,
    handle: OnceLock<OwnedFd>,
    /// Whether a lock tells that a process lives.
    locks: OnceLock<bool>,
    hook: Option<Hook>,
    /// Whether names in `nar/` were changed since the folder was last synced.
    pub(super) nars_changed: AtomicBool,
}

/// What kind of thing a listing saw.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) folder: bool,
}

impl Place {
    pub(super) fn new(path: PathBuf, hook: Option<Hook>) -> Self {
        Self {
            path,
            handle: OnceLock::new(),
            locks: OnceLock::new(),
            hook,
            nars_changed: AtomicBool::new(false),
        }
    }

    pub(super) fn before(&self, call: &'static str, key: &str) -> Result<(), Errno> {
        let Some(hook) = &self.hook else {
            return Ok(());
        };
        hook(call, key).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    /// An error with what was tried on which key.
    pub(super) fn error(
        &self,
        action: &'static str,
        key: &str,
        source: impl Into<io::Error>,
    ) -> StoreError {
        let shown = self.path.join(key);
        StoreError::refused(action, shown.display().to_string(), source.into())
    }

    /// The handle; `None`: there is no such folder.
    pub(super) fn handle(&self) -> Result<Option<&OwnedFd>, StoreError> {
        if let Some(handle) = self.handle.get() {
            return Ok(Some(handle));
        }
        match file::open_folder(&self.path) {
            Ok(handle) => Ok(Some(self.handle.get_or_init(|| handle))),
            Err(error) if error.kind() == Some(io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(StoreError::refused(
                "open",
                self.path.display().to_string(),
                error,
            )),
        }
    }

    /// The handle, for something that needs the folder.
    pub(super) fn root(&self) -> Result<&OwnedFd, StoreError> {
        self.handle()?
            .ok_or_else(|| self.error("open", "", Errno::NOENT))
    }

    /// Whether the folder is there, and still the one that the handle is for.
    pub(super) fn is_there(&self) -> Result<bool, StoreError> {
        let Some(handle) = self.handle()? else {
            return Ok(false);
        };
        let ours = rustix::fs::fstat(handle).map_err(|e| self.error("examine", "", e))?;
        match rustix::fs::stat(&self.path) {
            Ok(now) if (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino) => Ok(true),
            Ok(_) => Err(self.error(
                "read",
                "",
                io::Error::other("the folder was replaced meanwhile"),
            )),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error("examine", "", error)),
        }
    }

    pub(super) fn open(&self, key: &str) -> Result<Option<File>, StoreError> {
        check(key)?;
        let Some(root) = self.handle()? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(root, key, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.error("open", key, error)),
        }
    }

    /// Opens a file whose lock is to be taken. Where locks (flock) are made of others (fcntl), as in NFS,
    /// to hold one alone needs a file that is open for writing.
    pub(super) fn open_to_lock(&self, key: &str) -> Result<Option<File>, StoreError> {
        check(key)?;
        let Some(root) = self.handle()? else {
            return Ok(None);
        };
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(root, key, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            // Who may only read still keeps others from changing it, where that works.
            Err(_) => self.open(key),
        }
    }

    /// Whether that somebody holds a lock tells that he lives, and that nobody does, that he is
    /// dead: there are locks, and they hold for all who can reach the folder.
    pub(super) fn has_locks(&self) -> bool {
        if let Some(known) = self.locks.get() {
            return *known;
        }
        let Ok(Some(handle)) = self.handle() else {
            return true;
        };
        let probe = || -> Result<bool, Errno> {
            self.before("probe", "")?;
            if is_remote(handle) {
                return Ok(false);
            }
            // A folder has a lock, too, and nobody uses it.
            rustix::fs::flock(handle, FlockOperation::NonBlockingLockShared)?;
            rustix::fs::flock(handle, FlockOperation::Unlock)?;
            Ok(true)
        };
        let found = match probe() {
            Ok(found) => found,
            Err(error) => !is_unsupported(&error.into()),
        };
        *self.locks.get_or_init(|| found)
    }

    pub(super) fn stat(&self, key: &str) -> Result<Option<Meta>, StoreError> {
        check(key)?;
        let Some(root) = self.handle()? else {
            return Ok(None);
        };
        match rustix::fs::statat(root, key, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(meta(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.error("examine", key, error)),
        }
    }

    /// The names in a folder below; none if it is not there.
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.each_entry(folder, &mut |name, folder| {
            let name = name.to_owned();
            entries.push(Entry { name, folder });
        })?;
        Ok(entries)
    }

    /// Calls `each` with every name in a folder below, and whether it is a folder.
    pub(super) fn each_entry(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, bool),
    ) -> Result<(), StoreError> {
        let Some(root) = self.handle()? else {
            return Ok(());
        };
        self.before("list", folder)
            .map_err(|e| self.error("list", folder, e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = if folder.is_empty() { "." } else { folder };
        let opened = match rustix::fs::openat(root, at, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.error("list", folder, error)),
        };
        let fail = |error: Errno| self.error("list", folder, error);
        for entry in rustix::fs::Dir::new(opened).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name: &CStr = entry.file_name();
            // No object of a cache has a name that is not UTF-8; whatever it is, it is not ours.
            let Ok(name) = name.to_str() else { continue };
            if name != "." && name != ".." {
                each(name, entry.file_type() == FileType::Directory);
            }
        }
        Ok(())
    }

    /// The state of the names in a folder below ([`Stamp`]).
    ///
    /// Whoever makes, removes or renames a name in a folder changes its times. Times tick, so a
    /// folder that changed just now may change again and look the same.
    pub(super) fn stamp(&self, folder: &str) -> Result<Option<Stamp>, StoreError> {
        let Some(root) = self.handle()? else {
            return Ok(None);
        };
        let at = if folder.is_empty() { "." } else { folder };
        let stat = match rustix::fs::statat(root, at, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(self.error("examine", folder, error)),
        };
        Ok(stamp(&stat, clock::unix()))
    }

    /// Reads an object of at most `limit` bytes into `buffer`.
    pub(super) fn read(
        &self,
        key: &str,
        limit: u64,
        buffer: &mut Buffer,
    ) -> Result<Option<Seen>, StoreError> {
        let Some(file) = self.open(key)? else {
            return Ok(None);
        };
        let fail = |e: Errno| self.error("read", key, e);
        let stat = rustix::fs::fstat(&file).map_err(|e| self.error("examine", key, e))?;
        let meta = meta(&stat);
        let size = match usize::try_from(meta.size) {
            Ok(size) if meta.size <= limit => size,
            _ => {
                let key = key.to_owned();
                return Err(StoreError::TooLarge { key, limit });
            }
        };
        if buffer.room.len() <= size {
            buffer
                .room
                .resize(size.next_power_of_two().max(SMALL) * 2, 0);
        }
        buffer.len = 0;
        // One byte more than there are shows that there are no more.
        while buffer.len <= size {
            let wanted = size + 1 - buffer.len;
            match rustix::io::read(&file, &mut buffer.room[buffer.len..=size]) {
                // A file gives fewer bytes than asked for at its end only.
                Ok(read) if read < wanted => {
                    buffer.len += read;
                    break;
                }
                Ok(read) => buffer.len += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(fail(error)),
            }
        }
        if buffer.len != size {
            let changed = io::Error::other("it changed while it was read");
            return Err(self.error("read", key, changed));
        }
        Ok(Some(Seen { meta, read: true }))
    }
}

/// What a store says of a file, from what the system says.
#[expect(clippy::cast_sign_loss, reason = "bits are compared, not numbers")]
#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "types differ by platform"
)]
pub(super) fn meta(stat: &Stat) -> Meta {
    let nanoseconds = (stat.st_mtime as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(stat.st_mtime_nsec as u64);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Meta {
        size,
        modified: Time(stat.st_mtime as i64),
        revision: Revision([stat.st_ino as u64, size, nanoseconds]),
        gone: None,
    }
}

/// The stamp of a folder, unless it changed within the last moments.
#[expect(clippy::cast_sign_loss, reason = "bits are compared, not numbers")]
#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "types differ by platform"
)]
fn stamp(stat: &Stat, now: i64) -> Option<Stamp> {
    let (modified, changed) = (stat.st_mtime as i64, stat.st_ctime as i64);
    if modified.max(changed) > now.saturating_sub(TICK) {
        return None;
    }
    let nanoseconds = |seconds: i64, rest: u64| {
        (seconds as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(rest)
    };
    Some(Stamp([
        stat.st_dev as u64,
        stat.st_ino as u64,
        nanoseconds(modified, stat.st_mtime_nsec as u64),
        nanoseconds(changed, stat.st_ctime_nsec as u64),
    ]))
}

/// Refuses keys that lead out of the cache.
pub(super) fn check(key: &str) -> Result<(), StoreError> {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
    if key.split('/').any(bad) {
        return Err(StoreError::BadKey(key.escape_debug().to_string()));
    }
    Ok(())
}

/// The folder part of a key; empty for a key at the top.
pub(super) fn folder_of(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether an error says that there are no locks here, or none for a file that is open like this.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::BADF | Errno::INVAL | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP)
    )
}

/// Whether the path leads to the same folder as another path would, for identities.
pub(super) fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
