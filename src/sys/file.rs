//! Files: whole or not at all, and every error names its path.
//!
//! Promises: a file that this module writes is seen either as it was or as it shall be, also
//! after a crash; permissions, owner and symlinks of an existing file stay. It must not decide
//! what to write, and knows none of our formats.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

/// How the names of our temporary files begin; process id and a number follow.
pub const TEMPORARY_PREFIX: &str = ".nanna-cache.tmp.";

/// Why something with a file did not work.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the reader allows.
    #[error("read `{}`: it has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that were allowed.
        limit: u64,
    },
    /// Somebody else kept the lock for longer than we wait.
    #[error("lock `{}`: another process holds it", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// An error of the system with what was tried on which file.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source: source.into(),
        }
    }

    /// The kind of the system's error, if it is one.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::TooLarge { .. } | Self::Locked { .. } => None,
        }
    }

    /// Whether the file, or a folder on the way to it, does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.kind(),
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        )
    }
}

/// A new name for a temporary file of ours, unique among living processes of this machine.
#[must_use]
pub fn temporary_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{TEMPORARY_PREFIX}{}.{number}", std::process::id())
}

/// The process that made a temporary file of ours, by the file's name; `None`: not such a name.
#[must_use]
pub fn temporary_owner(name: &str) -> Option<u32> {
    name.strip_prefix(TEMPORARY_PREFIX)?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Whether a process with this id runs on this machine (or cannot be asked about).
#[must_use]
pub fn is_running(process: u32) -> bool {
    let pid = i32::try_from(process)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // A process of somebody else may not be signalled, but it is there.
    pid.is_some_and(|pid| {
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    })
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    if waits_for_a_writer(path) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is a FIFO, not a file");
        return Err(FileError::io("open", path, error));
    }
    let file = File::open(path).map_err(|e| FileError::io("open", path, e))?;
    read_open(&file, path, limit)
}

/// Opening a FIFO waits until somebody writes, perhaps for ever. The pipes that a shell hands in
/// under `/dev/fd` have their writer.
fn waits_for_a_writer(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let handed_in = path.starts_with("/dev") || path.starts_with("/proc");
    !handed_in && path.metadata().is_ok_and(|meta| meta.file_type().is_fifo())
}

/// As [`read`], but no file is no error.
///
/// # Errors
/// It is there and cannot be read, or is larger.
pub fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    match read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Appends to a file, which is made if there is none; on the disk when it returns. One append: what others write there
/// stays.
///
/// # Errors
/// It cannot be opened or written.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let io = |source| FileError::io("append to", path, source);
    let mut open = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(io)?;
    open.write_all(bytes)
        .and_then(|()| open.sync_all())
        .map_err(io)
}

/// Reads the rest of an open file of at most `limit` bytes; `path` is for errors.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read_open(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| FileError::io("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// What [`write`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file holds the bytes now, and did not before.
    Changed,
    /// The file held these bytes already; nothing was written.
    Same,
}

/// Makes `path` hold `bytes`, whole or not at all, and on disk when this returns.
///
/// Follows symlinks; keeps mode and owner of an existing file; writes nothing if the bytes are
/// equal. A new file gets `mode` (less the umask); folders on the way must exist.
///
/// # Errors
/// Anything that the system refuses; the file is then as it was.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<Written, FileError> {
    let path = follow(path)?;
    let before = match File::open(&path) {
        Ok(file) => {
            let facts = file
                .metadata()
                .map_err(|e| FileError::io("examine", &path, e))?;
            if facts.len() == bytes.len() as u64
                && read_open(&file, &path, facts.len())?.as_slice() == bytes
            {
                return Ok(Written::Same);
            }
            Some(facts)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // Unreadable, but perhaps replaceable: mode and owner can still be asked for.
        Err(error) => match std::fs::metadata(&path) {
            Ok(facts) => Some(facts),
            Err(_) => return Err(FileError::io("open", &path, error)),
        },
    };
    let folder = parent(&path);
    let temporary = folder.join(temporary_name());
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if before.is_some() { 0o600 } else { mode })
            .open(&temporary)?;
        file.write_all(bytes)?;
        if let Some(facts) = &before {
            keep_owner(&file, facts)?;
            file.set_permissions(std::fs::Permissions::from_mode(facts.mode() & 0o7777))?;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    })();
    if let Err(error) = result {
        // The error above is what matters; a left-over is recognisable by its name.
        let _ = std::fs::remove_file(&temporary);
        return Err(FileError::io("write", &path, error));
    }
    sync_folder(folder)?;
    Ok(Written::Changed)
}

/// Creates a file that only its owner may read and write; fails if there is one.
///
/// # Errors
/// There is such a file already, or it cannot be written; then there is none.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = parent(path);
    let temporary = folder.join(temporary_name());
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A hard link, unlike a rename, never replaces what is there.
        std::fs::hard_link(&temporary, path)
    })();
    let _ = std::fs::remove_file(&temporary);
    result.map_err(|error| FileError::io("create", path, error))?;
    sync_folder(folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|e| FileError::io("sync", folder, e))
}

/// The folder that a file is in; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Where symlinks lead from `path`, also if the last of them leads to nothing yet.
fn follow(path: &Path) -> Result<PathBuf, FileError> {
    let mut at = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match std::fs::read_link(&at) {
            Ok(target) => at = parent(&at).join(target),
            Err(_) => return Ok(at),
        }
    }
    Err(FileError::io(
        "follow the links of",
        path,
        io::Error::from(rustix::io::Errno::LOOP),
    ))
}

fn keep_owner(file: &File, facts: &std::fs::Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (facts.uid(), facts.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(facts.uid()), Some(facts.gid()))
}

/// Opens a folder as a handle for [`open_at`].
///
/// # Errors
/// It does not exist, is no folder, or may not be read.
pub fn open_folder(path: &Path) -> Result<OwnedFd, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|e| FileError::io("open", path, e))
}

/// Opens `name` below a folder for reading; `shown` names the folder in errors. A symlink as the
/// last part is not followed, and a FIFO does not block.
///
/// # Errors
/// It does not exist, is a symlink, or may not be read.
pub fn open_at(folder: impl AsFd, name: &str, shown: &Path) -> Result<File, FileError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(error) => Err(FileError::io("open", shown.join(name), error)),
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Beside other shared ones.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes the lock (flock) of an open file, waiting at most `patience`. It ends when the file is
/// dropped, or its process dies.
///
/// # Errors
/// Somebody else keeps it for longer, or the file system has no locks.
pub fn lock(file: &File, path: &Path, kind: LockKind, patience: Duration) -> Result<(), FileError> {
    let start = Instant::now();
    loop {
        let taken = match kind {
            LockKind::Shared => file.try_lock_shared(),
            LockKind::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", path, error)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                return Err(FileError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[cfg(test)]
mod tests;
