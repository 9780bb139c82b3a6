//! File trees on disk to NARs.
//!
//! Everything is opened relative to its folder and no symlink is followed, so a loop of symlinks
//! is harmless and nothing outside the tree is read. Names need not be UTF-8. What a NAR cannot
//! hold (FIFOs, sockets, devices), and what changes while it is read, is an error that names it.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::gate::Watch;
use super::progress::Progress;
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::nar::{NarError, Writer};

/// Why a tree on disk did not become a NAR.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The operating system refused.
    #[error("read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A kind of file that a NAR cannot hold.
    #[error("read `{}`: it is a {kind}, which a NAR cannot hold", path.display())]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file grew, shrank or changed its kind.
    #[error("read `{}`: it changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The format does not allow it (a name too long, nested too deep).
    #[error("make a NAR of `{}`", path.display())]
    Nar {
        /// The file.
        path: PathBuf,
        /// What is not allowed.
        #[source]
        source: NarError,
    },
    /// What the NAR is written to failed.
    #[error("write the NAR of `{}`", path.display())]
    Output {
        /// The root of the tree.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The work was asked to stop.
    #[error("go on: stopped")]
    Stopped,
}

/// As [`write_nar`], while `watch` looks at the files.
///
/// # Errors
/// As [`write_nar`].
pub fn write_nar_watched<W: Write>(
    root: &Path,
    out: W,
    progress: &Progress,
    watch: Option<&mut (dyn Watch + '_)>,
) -> Result<W, TreeError> {
    let mut walk = Walk {
        writer: Writer::new(out),
        buffer: vec![0; 256 * 1024],
        at: root.to_owned(),
        root,
        progress,
        watch,
    };
    let name = CString::new(root.as_os_str().as_bytes()).map_err(|_| walk.io(Errno::INVAL))?;
    walk.node(CWD, &name)?;
    let Walk { writer, .. } = walk;
    writer.finish().map_err(|source| TreeError::Nar {
        path: root.to_owned(),
        source,
    })
}

/// Writes the NAR of the tree at `root` to `out`, in pieces as they come.
///
/// # Errors
/// Anything in the tree cannot be read or be in a NAR, or `out` fails, or `progress` says stop.
pub fn write_nar<W: Write>(root: &Path, out: W, progress: &Progress) -> Result<W, TreeError> {
    write_nar_watched(root, out, progress, None)
}

/// Hash and size of the NAR of the tree at `root`.
///
/// # Errors
/// As [`write_nar`].
pub fn hash_tree(root: &Path, progress: &Progress) -> Result<(Sha256, u64), TreeError> {
    let hasher = write_nar(root, Hasher::new(), progress)?;
    let size = hasher.len();
    Ok((hasher.finish(), size))
}

/// [`hash_tree`] of many, several at once, in the order of the question.
pub fn hash_trees(roots: &[PathBuf], progress: &Progress) -> Vec<Result<(Sha256, u64), TreeError>> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(roots.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(root) = roots.get(at) else { return };
                    // The receiver lives as long as the scope.
                    let _ = sender.send((at, hash_tree(root, progress)));
                }
            });
        }
    });
    drop(sender);
    let mut results: Vec<_> = receiver.into_iter().collect();
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

struct Walk<'a, 'w, W> {
    writer: Writer<W>,
    buffer: Vec<u8>,
    at: PathBuf,
    root: &'a Path,
    progress: &'a Progress,
    watch: Option<&'a mut (dyn Watch + 'w)>,
}

impl<W: Write> Walk<'_, '_, W> {
    fn io(&self, source: impl Into<io::Error>) -> TreeError {
        TreeError::Io {
            path: self.at.clone(),
            source: source.into(),
        }
    }

    fn nar(&self, source: NarError) -> TreeError {
        match source {
            NarError::Io(source) => TreeError::Output {
                path: self.root.to_owned(),
                source,
            },
            NarError::Size { .. } => TreeError::Changed {
                path: self.at.clone(),
            },
            source => TreeError::Nar {
                path: self.at.clone(),
                source,
            },
        }
    }

    /// Writes the node `name` of `folder`, which [`Walk::at`] names.
    fn node(&mut self, folder: impl AsFd, name: &CStr) -> Result<(), TreeError> {
        if self.progress.is_stopped() {
            return Err(TreeError::Stopped);
        }
        let stat =
            rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.io(e))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.regular(folder, name),
            FileType::Directory => self.directory(folder, name),
            FileType::Symlink => {
                let target =
                    rustix::fs::readlinkat(folder, name, Vec::new()).map_err(|e| self.io(e))?;
                self.writer
                    .symlink(target.as_bytes())
                    .map_err(|e| self.nar(e))
            }
            FileType::Fifo => Err(self.special("FIFO")),
            FileType::Socket => Err(self.special("socket")),
            FileType::CharacterDevice | FileType::BlockDevice => Err(self.special("device")),
            FileType::Unknown => Err(self.special("file of unknown kind")),
        }
    }

    fn special(&self, kind: &'static str) -> TreeError {
        TreeError::Special {
            path: self.at.clone(),
            kind,
        }
    }

    /// Opens what was just found to be of kind `wanted`, and makes sure that it still is.
    fn open(
        &self,
        folder: impl AsFd,
        name: &CStr,
        wanted: FileType,
    ) -> Result<(OwnedFd, Stat), TreeError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::LOOP) => {
                return Err(TreeError::Changed {
                    path: self.at.clone(),
                });
            }
            Err(error) => return Err(self.io(error)),
        };
        let stat = rustix::fs::fstat(&opened).map_err(|e| self.io(e))?;
        if FileType::from_raw_mode(stat.st_mode) != wanted {
            return Err(TreeError::Changed {
                path: self.at.clone(),
            });
        }
        Ok((opened, stat))
    }

    fn regular(&mut self, folder: impl AsFd, name: &CStr) -> Result<(), TreeError> {
        let (opened, stat) = self.open(folder, name, FileType::RegularFile)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let executable = stat.st_mode & 0o100 != 0;
        self.writer
            .regular(executable, size)
            .map_err(|e| self.nar(e))?;
        if let Some(watch) = &mut self.watch {
            let name = self.at.strip_prefix(self.root).unwrap_or(&self.at);
            watch.file(name.as_os_str().as_bytes(), size);
        }
        let mut file = File::from(opened);
        let mut left = size;
        while left > 0 {
            if self.progress.is_stopped() {
                return Err(TreeError::Stopped);
            }
            let read = match file.read(&mut self.buffer) {
                Ok(0) => {
                    return Err(TreeError::Changed {
                        path: self.at.clone(),
                    });
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.io(error)),
            };
            let piece = self.buffer.get(..read).unwrap_or_default();
            if let Some(watch) = &mut self.watch {
                watch.content(piece);
            }
            self.writer.content(piece).map_err(|error| match error {
                NarError::Io(source) => TreeError::Output {
                    path: self.root.to_owned(),
                    source,
                },
                _ => TreeError::Changed {
                    path: self.at.clone(),
                },
            })?;
            left -= read as u64;
            Progress::add(&self.progress.bytes_done, read as u64);
        }
        // A file that grew would otherwise be cut off without a word.
        let after = rustix::fs::fstat(&file).map_err(|e| self.io(e))?;
        if after.st_size != stat.st_size {
            return Err(TreeError::Changed {
                path: self.at.clone(),
            });
        }
        Ok(())
    }

    fn directory(&mut self, folder: impl AsFd, name: &CStr) -> Result<(), TreeError> {
        let (opened, _) = self.open(folder, name, FileType::Directory)?;
        self.writer.directory().map_err(|e| self.nar(e))?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&opened).map_err(|e| self.io(e))? {
            let entry = entry.map_err(|e| self.io(e))?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        for name in names {
            self.at.push(OsStr::from_bytes(name.as_bytes()));
            self.writer
                .entry(name.as_bytes())
                .map_err(|e| self.nar(e))?;
            self.node(&opened, &name)?;
            self.at.pop();
        }
        self.writer.end().map_err(|e| self.nar(e))
    }
}

#[cfg(test)]
mod tests;
