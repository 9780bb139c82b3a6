//! What changes the folder: files made, published, made young, removed, and all of that made durable.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Place, check, folder_of};
use crate::provider::binary_cache::{Meta, StoreError};
use crate::sys::file;

impl Place {
    /// Creates a temporary file in a folder below, which is made if it is not there.
    pub(in super::super) fn temporary(&self, folder: &str) -> Result<(File, String), StoreError> {
        let root = self.root()?;
        let name = file::temporary_name();
        let key = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let create = || {
            self.before("create", &key)?;
            rustix::fs::openat(root, key.as_str(), flags, mode)
        };
        let opened = match create() {
            Err(Errno::NOENT) if !folder.is_empty() => {
                self.make_folders(folder)?;
                create()
            }
            other => other,
        };
        opened
            .map(|fd| (fd.into(), key.clone()))
            .map_err(|e| self.error("create", &key, e))
    }

    pub(in super::super) fn make_folders(&self, folder: &str) -> Result<(), StoreError> {
        let root = self.root()?;
        let ends = folder
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([folder.len()]);
        for end in ends {
            let part = &folder[..end];
            let made = self
                .before("mkdir", part)
                .and_then(|()| rustix::fs::mkdirat(root, part, Mode::from_raw_mode(0o777)));
            match made {
                // What will lie in it is of no use if its own name is lost.
                Ok(()) => self.sync_folder(folder_of(part))?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.error("create the folder", part, error)),
            }
        }
        Ok(())
    }

    pub(in super::super) fn write(
        &self,
        file: &mut File,
        key: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        use std::io::Write;
        self.before("write", key)
            .map_err(|e| self.error("write", key, e))?;
        file.write_all(bytes)
            .map_err(|e| self.error("write", key, e))
    }

    pub(in super::super) fn sync(&self, file: impl AsFd, key: &str) -> Result<(), StoreError> {
        self.before("sync", key)
            .and_then(|()| rustix::fs::fsync(file))
            .map_err(|e| self.error("sync", key, e))
    }

    pub(in super::super) fn sync_folder(&self, folder: &str) -> Result<(), StoreError> {
        let root = self.root()?;
        if folder.is_empty() {
            return self.sync(root, "");
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(root, folder, flags, Mode::empty()) {
            Ok(opened) => self.sync(opened, folder),
            Err(error) => Err(self.error("open", folder, error)),
        }
    }

    pub(in super::super) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let root = self.root()?;
        self.before("rename", to)
            .and_then(|()| rustix::fs::renameat(root, from, root, to))
            .map_err(|e| self.error("publish", to, e))
    }

    /// As [`Place::rename`], but never over something; `false`: there is something.
    pub(in super::super) fn rename_new(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        let root = self.root()?;
        self.before("rename", to)
            .map_err(|e| self.error("publish", to, e))?;
        let result = match rustix::fs::renameat_with(root, from, root, to, RenameFlags::NOREPLACE) {
            // Some file systems know only hard links for it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(root, from, root, to, AtFlags::empty())
                    .and_then(|()| rustix::fs::unlinkat(root, from, AtFlags::empty()))
            }
            other => other,
        };
        match result {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(self.error("publish", to, error)),
        }
    }

    /// Removes a file; one that is not there counts as removed. Says whether it was there.
    pub(in super::super) fn remove(&self, key: &str) -> Result<bool, StoreError> {
        check(key)?;
        let Some(root) = self.handle()? else {
            return Ok(false);
        };
        let removed = self
            .before("remove", key)
            .and_then(|()| rustix::fs::unlinkat(root, key, AtFlags::empty()));
        match removed {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(self.error("delete", key, error)),
        }
    }

    /// Makes a file as young as a new one; `false`: it is not there.
    pub(in super::super) fn touch(&self, key: &str) -> Result<bool, StoreError> {
        check(key)?;
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        let touched = self.before("touch", key).and_then(|()| {
            let Ok(root) = self.root() else {
                return Err(Errno::NOENT);
            };
            rustix::fs::utimensat(root, key, &times, AtFlags::SYMLINK_NOFOLLOW)
        });
        match touched {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(self.error("refresh", key, error)),
        }
    }

    /// Gives a file the time of another version of the object.
    pub(in super::super) fn set_time(
        &self,
        file: &File,
        key: &str,
        was: &Meta,
    ) -> Result<(), StoreError> {
        let nanoseconds = was.revision.0[2] % 1_000_000_000;
        let time = rustix::fs::Timespec {
            tv_sec: was.modified.0,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(file, &times).map_err(|e| self.error("set the time of", key, e))
    }
}
