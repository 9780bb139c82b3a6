//! SQLite: the one place that opens a database.
//!
//! Foreign databases ([`read`]) are only ever read. Where the files of the write-ahead log cannot
//! be made (another user's idle database), the file is read as immutable, but only while nobody
//! can be writing it: no log beside it, and size, time and inode the same before and after.
//! Promise: an answer is right for some moment, or there is none. Our own small databases
//! ([`own`]) are memories: one that is damaged is made again.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a lock of somebody else is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// Longer than the steps in which a file system counts time.
const CLOCK_STEP: Duration = Duration::from_millis(20);
/// How often an immutable read is tried again when the file changed meanwhile.
const TRIES: usize = 5;

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// There is no such file.
    #[error("find the database `{0}`")]
    Missing(Utf8PathBuf),
    /// This process may not read it.
    #[error("read the database `{path}`")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Somebody holds a lock on it.
    #[error("read the database `{0}`: it stays locked")]
    Locked(Utf8PathBuf),
    /// It is no database, or a damaged one.
    #[error("read the database `{path}`: it is damaged")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// It can neither be opened normally nor safely without its log.
    #[error("read the database `{0}`: its log cannot be opened, and somebody may be writing")]
    Unsafe(Utf8PathBuf),
    /// Anything else that SQLite says.
    #[error("query the database `{path}`")]
    Query {
        /// The file.
        path: Utf8PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

/// Whether SQLite's own words mean that the log could not be opened or made.
fn no_log(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

fn damaged(path: &Utf8Path, how: &str) -> SqliteError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    let source = rusqlite::Error::SqliteFailure(code, Some(how.to_owned()));
    SqliteError::Damaged {
        path: path.to_owned(),
        source,
    }
}

fn sort(path: &Utf8Path, source: rusqlite::Error) -> SqliteError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqliteError::Locked(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            SqliteError::Damaged { path, source }
        }
        _ => SqliteError::Query { path, source },
    }
}

/// Reads a foreign database. `work` sees one consistent moment; it may be called again after a
/// change, so it must have no effect but its result.
///
/// # Errors
/// See [`SqliteError`]; whatever `work` returns as an error is sorted into those.
pub fn read<T>(
    path: &Utf8Path,
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> Result<T, SqliteError> {
    let Some(first) = stamp(path)? else {
        return Err(SqliteError::Missing(path.to_owned()));
    };
    if first.size == 0 {
        // SQLite takes an empty file for an empty database; nobody keeps one.
        return Err(damaged(path, "the file is empty"));
    }
    // What cannot be read is named as such, not as SQLite's "unable to open".
    std::fs::File::open(path).map_err(|source| SqliteError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut run = |uri: &str| -> rusqlite::Result<(T, u64)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("pragma query_only = on; begin")?;
        // The transaction starts with the first read, and finds out whether the log opens.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        let result = work(&connection)?;
        let page: i64 = connection.query_row("pragma page_size", [], |row| row.get(0))?;
        Ok((result, u64::try_from(page).unwrap_or(0)))
    };
    // SQLite fills up a last page that is cut short with zeros, and says nothing.
    let whole = |(result, page): (T, u64)| -> Result<T, SqliteError> {
        let cut = || Ok(stamp(path)?.is_none_or(|stamp| page == 0 || stamp.size % page != 0));
        if cut()? {
            std::thread::sleep(CLOCK_STEP);
            if cut()? {
                return Err(damaged(path, "the file ends within a page"));
            }
        }
        Ok(result)
    };
    match run(&uri(path, "mode=ro")) {
        Ok(result) => return whole(result),
        Err(error) if no_log(&error) => {}
        Err(error) => return Err(sort(path, error)),
    }
    for _ in 0..TRIES {
        // The times of files go in steps of some milliseconds: what changed a moment ago might
        // change again without showing it.
        let before = stamp(path)?;
        std::thread::sleep(CLOCK_STEP);
        if busy_beside(path)? {
            break;
        }
        if before.is_none() || stamp(path)? != before {
            continue;
        }
        let outcome = run(&uri(path, "mode=ro&immutable=1"));
        if busy_beside(path)? {
            break;
        }
        if stamp(path)? == before {
            return outcome.map_err(|error| sort(path, error)).and_then(whole);
        }
    }
    // Whoever wrote may have left the log, so that the normal way works now.
    let outcome = run(&uri(path, "mode=ro")).map_err(|error| {
        if no_log(&error) {
            SqliteError::Unsafe(path.to_owned())
        } else {
            sort(path, error)
        }
    });
    outcome.and_then(whole)
}

/// Opens a database of our own for reading and writing, making it and its folder if they are
/// missing. `prepare` makes the tables, or fails if those that are there are not as they should
/// be; then, as when the file is damaged, it is thrown away and made again.
///
/// # Errors
/// When the folder or file cannot be made, or somebody holds a lock.
pub fn own(
    path: &Utf8Path,
    prepare: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, SqliteError> {
    let file = |source| SqliteError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file)?;
    }
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // A memory may lose its last words in a crash of the machine, but must not wait for disks.
        connection.execute_batch("pragma journal_mode = wal; pragma synchronous = off")?;
        prepare(&connection)?;
        Ok(connection)
    };
    match open().map_err(|error| sort(path, error)) {
        Ok(connection) => Ok(connection),
        Err(SqliteError::Damaged { .. } | SqliteError::Query { .. }) => {
            for suffix in ["", "-wal", "-shm"] {
                match std::fs::remove_file(format!("{path}{suffix}")) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(file(error));
                    }
                    _ => {}
                }
            }
            open().map_err(|error| sort(path, error))
        }
        Err(error) => Err(error),
    }
}

/// Opens a database of our own that is no memory: what it holds is nowhere else. `prepare` makes the tables, or
/// fails if those that are there are not as they should be; nothing is ever thrown away.
///
/// # Errors
/// When the folder or file cannot be made, somebody holds a lock, or the database is damaged.
pub fn kept(
    path: &Utf8Path,
    prepare: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, SqliteError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| SqliteError::File {
            path: path.to_owned(),
            source,
        })?;
    }
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("pragma journal_mode = wal; pragma synchronous = normal")?;
        prepare(&connection)?;
        Ok(connection)
    };
    open().map_err(|error| sort(path, error))
}

/// What tells that a file has not been written meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

fn stamp(path: &Utf8Path) -> Result<Option<Stamp>, SqliteError> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(Stamp {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SqliteError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether a log with content, an index of one, or a rollback journal stands beside the file:
/// then somebody writes, or died writing. An empty log whose index cannot be opened is one, too.
fn busy_beside(path: &Utf8Path) -> Result<bool, SqliteError> {
    for suffix in ["-wal", "-journal"] {
        let beside = Utf8PathBuf::from(format!("{path}{suffix}"));
        if stamp(&beside)?.is_some_and(|stamp| stamp.size > 0) {
            return Ok(true);
        }
    }
    Ok(stamp(&Utf8PathBuf::from(format!("{path}-shm")))?.is_some())
}

/// A `file:` URI; everything that means something in a URI is escaped.
fn uri(path: &Utf8Path, parameters: &str) -> String {
    let mut text = String::from("file:");
    for byte in path.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    format!("{text}?{parameters}")
}

#[cfg(test)]
mod tests;
