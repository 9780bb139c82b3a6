//! Writing the index: beside the old one, then in its place.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{
    ELSEWHERE, Entry, Extent, FIRST_SEGMENT, FIXED, HASHES, HEADER, MAGIC, OTHERS, PARTS,
    Reference, checksum, identity_of,
};
use crate::nix::hash::Sha256;
use crate::nix::store_path::{HashPart, StoreDir};
use crate::provider::binary_cache::Stamp;
use crate::sys::file::temporary_name;

/// The entries of a segment as they will stand in the file.
#[derive(Debug, Default)]
pub(in super::super) struct Entries {
    pub(in super::super) bytes: Vec<u8>,
}

impl Entries {
    /// Says of the next hash that nothing is known: it is then read again next time.
    pub(in super::super) fn skip(&mut self) {
        self.bytes.push(0);
    }

    /// Says what is known of the next hash; its references follow in place of those of `entry`.
    pub(in super::super) fn add(
        &mut self,
        entry: &Entry<'_>,
        references: impl Iterator<Item = Reference>,
    ) {
        let Ok(name_len) = u8::try_from(entry.name.len()) else {
            return self.skip();
        };
        self.bytes.push(1);
        for number in entry.revision.0 {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes
            .extend_from_slice(&entry.modified.0.to_le_bytes());
        self.bytes.extend_from_slice(&entry.nar_size.to_le_bytes());
        self.bytes.extend_from_slice(entry.nar.as_bytes());
        self.bytes.push(name_len);
        let count_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(entry.name.as_bytes());
        let mut count = 0u32;
        for reference in references {
            match reference {
                Reference::Listed(number) => self.bytes.extend_from_slice(&number.to_le_bytes()),
                Reference::Elsewhere(hash) => {
                    self.bytes.extend_from_slice(&ELSEWHERE.to_le_bytes());
                    self.bytes.extend_from_slice(hash.as_bytes());
                }
            }
            count += 1;
        }
        if let Some(place) = self.bytes.get_mut(count_at..count_at + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }
}

/// An index that is being written beside the old one.
pub(in super::super) struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    identity: Sha256,
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    extents: Vec<Extent>,
    end: u64,
    good: bool,
}

impl Inner {
    fn part(&mut self, number: usize, bytes: &[u8]) {
        self.good &= self.file.write_all_at(bytes, self.end).is_ok();
        let len = bytes.len() as u64;
        if let Some(extent) = self.extents.get_mut(number) {
            *extent = Extent {
                offset: self.end,
                len,
                checksum: checksum(bytes),
            };
        }
        self.end += len;
    }
}

impl Writer {
    /// Begins an index; `None`: it cannot be written, which is no error.
    pub(in super::super) fn begin(
        path: &Path,
        identity: &str,
        store_dir: &StoreDir,
    ) -> Option<Self> {
        let folder = path.parent()?;
        std::fs::create_dir_all(folder).ok()?;
        let temporary = folder.join(temporary_name());
        let file = File::create_new(&temporary).ok()?;
        Some(Self {
            path: path.to_owned(),
            temporary,
            identity: identity_of(identity, store_dir),
            inner: Mutex::new(Inner {
                file,
                extents: vec![Extent::default(); PARTS],
                end: HEADER as u64,
                good: true,
            }),
        })
    }

    /// Writes a segment, in any order.
    pub(in super::super) fn segment(&self, number: usize, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.part(FIRST_SEGMENT + number, bytes);
    }

    /// Puts the index in its place, unless something failed.
    pub(in super::super) fn finish(
        &self,
        hashes: &[HashPart],
        others: &[String],
        stamp: Option<Stamp>,
    ) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let listed: Vec<u8> = hashes
            .iter()
            .flat_map(HashPart::as_bytes)
            .copied()
            .collect();
        inner.part(HASHES, &listed);
        drop(listed);
        // A name with a line break could not be told from two names.
        inner.good &= !others.iter().any(|name| name.contains('\n'));
        let names: String = others.iter().flat_map(|name| [name, "\n"]).collect();
        inner.part(OTHERS, names.as_bytes());
        let mut fixed = Vec::with_capacity(FIXED);
        fixed.extend_from_slice(&self.identity.0);
        let parts = inner.extents.iter();
        let numbers = stamp
            .map_or([0; 4], |stamp| stamp.0)
            .into_iter()
            .chain([hashes.len() as u64])
            .chain(parts.flat_map(|part| [part.offset, part.len, part.checksum]));
        fixed.extend(numbers.flat_map(u64::to_le_bytes));
        let header = [MAGIC, &fixed, &checksum(&fixed).to_le_bytes()].concat();
        let written =
            inner.good && inner.file.write_all_at(&header, 0).is_ok() && inner.file.flush().is_ok();
        drop(inner);
        if written {
            // Not synced: checksums find what a crash may have spoilt.
            let _ = std::fs::rename(&self.temporary, &self.path);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a rename there is no such file any more.
        let _ = std::fs::remove_file(&self.temporary);
    }
}
