//! NARs to file trees on disk.
//!
//! Promises: the tree appears under its name whole and with the right hash, or not at all; no
//! NAR can write outside of it; nothing that is there already is overwritten, except a tree that
//! the caller wants replaced.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::tree::hash_tree;
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::nar::{Event, NarError, Reader};
use crate::sys::file::temporary_name;

/// Why a NAR did not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The NAR is malformed, or cannot be read.
    #[error("read the NAR for `{}`", path.display())]
    Nar {
        /// Where the tree should be.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: NarError,
    },
    /// The NAR is not the expected one.
    #[error("use the NAR for `{}`: it has {found_size} bytes and hash {found}, but should have {wanted_size} bytes and hash {wanted}", path.display())]
    Mismatch {
        /// Where the tree should be.
        path: PathBuf,
        /// Hash that was expected.
        wanted: Sha256,
        /// Bytes that were expected.
        wanted_size: u64,
        /// Hash that was found.
        found: Sha256,
        /// Bytes that were found.
        found_size: u64,
    },
    /// The operating system refused.
    #[error("write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is something else already.
    #[error("write `{}`: there is something else already", path.display())]
    Occupied {
        /// Where the tree should be.
        path: PathBuf,
    },
    /// The work was asked to stop.
    #[error("go on: stopped")]
    Stopped,
}

/// What to do when there is something at the target already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    /// It is an error, unless it is the very tree.
    Refuse,
    /// It is replaced, unless it is the very tree.
    Replace,
}

/// What [`unpack`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// The tree was written.
    Written,
    /// The very tree was there already; the NAR was not read.
    Present,
}

/// Unpacks a NAR to `into`, which is then exactly the tree whose NAR has this hash and size.
///
/// # Errors
/// The NAR is malformed or another one, the disk refuses, or there is something else at `into`.
pub fn unpack(
    nar: impl FnOnce() -> Result<Box<dyn Read + Send>, NarError>,
    into: &Path,
    expected: (Sha256, u64),
    occupied: Occupied,
    progress: &Progress,
) -> Result<Unpacked, UnpackError> {
    let there = into.symlink_metadata().is_ok();
    if there {
        if hash_tree(into, progress).is_ok_and(|found| found == expected) {
            return Ok(Unpacked::Present);
        }
        if occupied == Occupied::Refuse {
            return Err(UnpackError::Occupied {
                path: into.to_owned(),
            });
        }
    }
    let nar_error = |source| UnpackError::Nar {
        path: into.to_owned(),
        source,
    };
    let folder = into
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| UnpackError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io_error(folder))?;
    let temporary = Temporary(folder.join(temporary_name()));
    let input = nar().map_err(nar_error)?;
    let mut hashing = Hashing {
        input,
        hasher: Hasher::new(),
    };
    let mut reader = Reader::new(&mut hashing);
    let mut unpacking = Unpacking {
        into,
        progress,
        buffer: vec![0; 256 * 1024],
    };
    unpacking.tree(&mut reader, &temporary.0)?;
    reader.finish().map_err(nar_error)?;
    let (found_size, found) = (hashing.hasher.len(), hashing.hasher.finish());
    if (found, found_size) != expected {
        let (wanted, wanted_size) = expected;
        let path = into.to_owned();
        return Err(UnpackError::Mismatch {
            path,
            wanted,
            wanted_size,
            found,
            found_size,
        });
    }
    if there {
        // A full folder cannot be renamed over, so the old tree steps aside first.
        let aside = Temporary(folder.join(temporary_name()));
        std::fs::rename(into, &aside.0).map_err(io_error(into))?;
        if let Err(source) = std::fs::rename(&temporary.0, into) {
            let _ = std::fs::rename(&aside.0, into);
            return Err(UnpackError::Io {
                path: into.to_owned(),
                source,
            });
        }
    } else {
        let new = rustix::fs::RenameFlags::NOREPLACE;
        let cwd = rustix::fs::CWD;
        let renamed = match rustix::fs::renameat_with(cwd, &temporary.0, cwd, into, new) {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                std::fs::rename(&temporary.0, into)
            }
            other => other.map_err(io::Error::from),
        };
        renamed.map_err(io_error(into))?;
    }
    crate::sys::file::sync_folder(folder).map_err(|error| UnpackError::Io {
        path: folder.to_owned(),
        source: io::Error::other(error),
    })?;
    Ok(Unpacked::Written)
}

/// Something that is removed when it is dropped, if it is still there.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whatever stays behind has a name that says what it is.
        let _ = match self.0.symlink_metadata() {
            Ok(facts) if facts.is_dir() => std::fs::remove_dir_all(&self.0),
            Ok(_) => std::fs::remove_file(&self.0),
            Err(error) => Err(error),
        };
    }
}

struct Hashing<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

struct Unpacking<'a> {
    into: &'a Path,
    progress: &'a Progress,
    buffer: Vec<u8>,
}

impl Unpacking<'_> {
    fn nar(&self, source: NarError) -> UnpackError {
        UnpackError::Nar {
            path: self.into.to_owned(),
            source,
        }
    }

    /// Writes the tree to `root`, where nothing is yet. Every folder on the way is one that this
    /// made, in a folder of a name that nobody else uses, so no symlink can lead out of it.
    fn tree<R: Read>(&mut self, reader: &mut Reader<R>, root: &Path) -> Result<(), UnpackError> {
        let mut at = root.to_owned();
        let mut open: usize = 0;
        while let Some(event) = reader.next_event().map_err(|e| self.nar(e))? {
            let io_error = |source| UnpackError::Io {
                path: at.clone(),
                source,
            };
            match event {
                Event::Directory => {
                    std::fs::create_dir(&at).map_err(io_error)?;
                    open += 1;
                    continue;
                }
                Event::Entry { name } => {
                    at.push(OsStr::from_bytes(&name));
                    continue;
                }
                Event::End => open -= 1,
                Event::Symlink { target } => {
                    std::os::unix::fs::symlink(OsStr::from_bytes(&target), &at)
                        .map_err(io_error)?;
                }
                Event::Regular { executable, .. } => self.file(reader, &at, executable)?,
            }
            // A node is complete: what comes next is beside it.
            if open > 0 {
                at.pop();
            }
        }
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        at: &Path,
        executable: bool,
    ) -> Result<(), UnpackError> {
        let io_error = |source| UnpackError::Io {
            path: at.to_owned(),
            source,
        };
        let mut file = File::create_new(at).map_err(io_error)?;
        loop {
            if self.progress.is_stopped() {
                return Err(UnpackError::Stopped);
            }
            let read = reader
                .content(&mut self.buffer)
                .map_err(|source| UnpackError::Nar {
                    path: self.into.to_owned(),
                    source,
                })?;
            if read == 0 {
                break;
            }
            file.write_all(self.buffer.get(..read).unwrap_or_default())
                .map_err(io_error)?;
            Progress::add(&self.progress.bytes_done, read as u64);
        }
        if executable {
            let mode = file.metadata().map_err(io_error)?.permissions().mode();
            // Whoever may read it may execute it.
            let mode = mode | (mode & 0o444) >> 2;
            file.set_permissions(Permissions::from_mode(mode))
                .map_err(io_error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
