//! The local index: what narinfos said when they were last read, so that only changed ones are
//! read again.
//!
//! It says what a narinfo holds, never that there is one. An entry counts only if its revision is
//! that of the object now. The file is a header and 256 segments, by the first byte of the hash
//! part, each with a checksum; a segment that is damaged, or a file that is of another cache,
//! version or length, is thrown away and read anew. Losing it costs time only.
//!
//! Format (all numbers little-endian): `nanna-index 1\n`, identity (32 bytes: SHA-256 of the
//! cache's identity and store directory), 256 × (offset u64, length u64, checksum u64), checksum of
//! all of these u64; then the segments. A segment is entries in ascending order of the hash part:
//! hash part (20), revision (3 × u64), NAR size u64, lengths of name (u8), of URL (u16) and count of
//! references (u32), name, URL, references (20 each).

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Revision;
use crate::nix::hash::{Hasher, Sha256};
use crate::nix::store_path::{HashPart, StoreDir, check_name};
use crate::sys::file::temporary_name;

const MAGIC: &[u8] = b"nanna-index 1\n";
/// Number of segments.
pub(super) const SEGMENTS: usize = 256;
const DIRECTORY: usize = SEGMENTS * 24;
const HEADER: usize = MAGIC.len() + 32 + DIRECTORY + 8;
const FIXED: usize = 20 + 24 + 8 + 1 + 2 + 4;

/// What the index holds of one narinfo, borrowed from its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) hash: HashPart,
    pub(super) revision: Revision,
    pub(super) nar_size: u64,
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    references: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn references(&self) -> impl Iterator<Item = HashPart> + use<'a> {
        self.references
            .as_chunks::<20>()
            .0
            .iter()
            .map(|bytes| HashPart::from_bytes(*bytes))
    }

    /// Adds an entry to a segment. Entries come in ascending order of their hashes. What does not
    /// fit the format is left out: it is then read again next time.
    pub(super) fn add(
        segment: &mut Vec<u8>,
        hash: HashPart,
        revision: Revision,
        nar_size: u64,
        name: &str,
        url: &str,
        references: impl Iterator<Item = HashPart>,
    ) {
        let (Ok(name_len), Ok(url_len)) = (u8::try_from(name.len()), u16::try_from(url.len()))
        else {
            return;
        };
        segment.extend_from_slice(hash.as_bytes());
        for part in revision.0 {
            segment.extend_from_slice(&part.to_le_bytes());
        }
        segment.extend_from_slice(&nar_size.to_le_bytes());
        segment.push(name_len);
        segment.extend_from_slice(&url_len.to_le_bytes());
        let count_at = segment.len();
        segment.extend_from_slice(&[0; 4]);
        segment.extend_from_slice(name.as_bytes());
        segment.extend_from_slice(url.as_bytes());
        let mut count = 0u32;
        for reference in references {
            segment.extend_from_slice(reference.as_bytes());
            count += 1;
        }
        if let Some(place) = segment.get_mut(count_at..count_at + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }

    /// The entry at the beginning of `bytes`, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let hash = HashPart::from_bytes(fixed.get(..20)?.try_into().ok()?);
        let number = |at: usize| {
            let eight = fixed.get(at..at + 8)?;
            Some(u64::from_le_bytes(eight.try_into().ok()?))
        };
        let revision = Revision([number(20)?, number(28)?, number(36)?]);
        let nar_size = number(44)?;
        let name_len = usize::from(*fixed.get(52)?);
        let url_len = usize::from(u16::from_le_bytes(fixed.get(53..55)?.try_into().ok()?));
        let count = u32::from_le_bytes(fixed.get(55..59)?.try_into().ok()?);
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (url, rest) = rest.split_at_checked(url_len)?;
        let references_len = usize::try_from(count).ok()?.checked_mul(20)?;
        let (references, rest) = rest.split_at_checked(references_len)?;
        let name = std::str::from_utf8(name).ok()?;
        check_name(name).ok()?;
        let url = std::str::from_utf8(url).ok()?;
        Some((
            Self {
                hash,
                revision,
                nar_size,
                name,
                url,
                references,
            },
            rest,
        ))
    }
}

/// The entries of a segment in turn, for a caller that asks in ascending order.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    next: Option<Entry<'a>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(segment: &'a [u8]) -> Self {
        let mut cursor = Self {
            rest: segment,
            next: None,
        };
        cursor.step();
        cursor
    }

    fn step(&mut self) {
        self.next = Entry::read(self.rest).map(|(entry, rest)| {
            self.rest = rest;
            entry
        });
    }

    /// The next entry.
    pub(super) fn pop(&mut self) -> Option<Entry<'a>> {
        let entry = self.next;
        self.step();
        entry
    }

    /// The entry of a hash that is not below those asked for before.
    pub(super) fn find(&mut self, hash: HashPart) -> Option<Entry<'a>> {
        while let Some(entry) = self.next {
            if entry.hash >= hash {
                return (entry.hash == hash).then_some(entry);
            }
            self.step();
        }
        None
    }
}

/// Where a segment is.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    offset: u64,
    len: u64,
    checksum: u64,
}

/// An index that is there.
pub(super) struct Reader {
    file: File,
    extents: Vec<Extent>,
    end: u64,
}

fn identity_of(identity: &str, store_dir: &StoreDir) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update(identity.as_bytes());
    hasher.update(b"\n");
    hasher.update(store_dir.as_str().as_bytes());
    hasher.finish()
}

impl Reader {
    /// Opens the index of a cache; `None`: there is none of use.
    pub(super) fn open(path: &Path, identity: &str, store_dir: &StoreDir) -> Option<Self> {
        let file = File::open(path).ok()?;
        let end = file.metadata().ok()?.len();
        let mut header = vec![0; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let rest = header.strip_prefix(MAGIC)?;
        let (found, rest) = rest.split_at_checked(32)?;
        let (directory, sum) = rest.split_at_checked(DIRECTORY)?;
        let sum = u64::from_le_bytes(sum.try_into().ok()?);
        if *found != identity_of(identity, store_dir).0 || checksum(directory) != sum {
            return None;
        }
        let numbers = directory.as_chunks::<8>().0;
        let extents = numbers
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[offset, len, sum]| Extent {
                offset: u64::from_le_bytes(*offset),
                len: u64::from_le_bytes(*len),
                checksum: u64::from_le_bytes(*sum),
            });
        Some(Self {
            file,
            extents: extents.collect(),
            end,
        })
    }

    /// The bytes of a segment; empty if it is damaged.
    pub(super) fn segment(&self, number: usize) -> Vec<u8> {
        let Some(extent) = self.extents.get(number) else {
            return Vec::new();
        };
        let inside = extent
            .offset
            .checked_add(extent.len)
            .is_some_and(|end| end <= self.end);
        let (true, Ok(len)) = (inside, usize::try_from(extent.len)) else {
            return Vec::new();
        };
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, extent.offset).is_ok();
        if read && checksum(&bytes) == extent.checksum {
            bytes
        } else {
            Vec::new()
        }
    }
}

/// An index that is being written beside the old one.
pub(super) struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    identity: Sha256,
    inner: Mutex<(File, Vec<Extent>, u64, bool)>,
}

impl Writer {
    /// Begins an index; `None`: it cannot be written, which is no error.
    pub(super) fn begin(path: &Path, identity: &str, store_dir: &StoreDir) -> Option<Self> {
        let folder = path.parent()?;
        std::fs::create_dir_all(folder).ok()?;
        let temporary = folder.join(temporary_name());
        let file = File::create_new(&temporary).ok()?;
        file.write_all_at(&vec![0; HEADER], 0).ok()?;
        let extents = vec![Extent::default(); SEGMENTS];
        Some(Self {
            path: path.to_owned(),
            temporary,
            identity: identity_of(identity, store_dir),
            inner: Mutex::new((file, extents, HEADER as u64, true)),
        })
    }

    /// Writes a segment, in any order.
    pub(super) fn segment(&self, number: usize, bytes: &[u8]) {
        let sum = checksum(bytes);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, extents, end, good) = &mut *inner;
        let len = bytes.len() as u64;
        *good &= file.write_all_at(bytes, *end).is_ok();
        if let Some(extent) = extents.get_mut(number) {
            *extent = Extent {
                offset: *end,
                len,
                checksum: sum,
            };
        }
        *end += len;
    }

    /// Puts the index in its place, unless something failed.
    pub(super) fn finish(self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, extents, _, good) = &mut *inner;
        let mut directory = Vec::with_capacity(DIRECTORY);
        for extent in extents {
            for number in [extent.offset, extent.len, extent.checksum] {
                directory.extend_from_slice(&number.to_le_bytes());
            }
        }
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&self.identity.0);
        header.extend_from_slice(&directory);
        header.extend_from_slice(&checksum(&directory).to_le_bytes());
        let written = *good && file.write_all_at(&header, 0).is_ok() && file.flush().is_ok();
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

/// Finds accidents, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = FACTOR ^ bytes.len() as u64;
    for word in words {
        sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        sum ^= sum >> 29;
    }
    for &byte in rest {
        sum = (sum ^ u64::from(byte)).wrapping_mul(FACTOR);
        sum ^= sum >> 29;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(first: u8, last: u8) -> HashPart {
        let mut bytes = [0; 20];
        (bytes[0], bytes[19]) = (first, last);
        HashPart::from_bytes(bytes)
    }

    fn write(path: &Path) {
        let writer = Writer::begin(path, "file:///a", &StoreDir::default()).unwrap();
        for segment in [7u8, 0] {
            let mut bytes = Vec::new();
            for last in [1, 3] {
                let references = [hash(1, 1), hash(2, 2)].into_iter().take(usize::from(last));
                let revision = Revision([u64::from(last), 2, 3]);
                Entry::add(
                    &mut bytes,
                    hash(segment, last),
                    revision,
                    9,
                    "name",
                    "nar/x",
                    references,
                );
            }
            writer.segment(usize::from(segment), &bytes);
        }
        writer.finish();
    }

    #[test]
    fn what_was_written_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/index");
        write(&path);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
        let reader = Reader::open(&path, "file:///a", &StoreDir::default()).unwrap();
        for number in [0u8, 7] {
            let segment = reader.segment(usize::from(number));
            let mut cursor = Cursor::new(&segment);
            assert_eq!(cursor.find(hash(number, 0)), None);
            let entry = cursor.find(hash(number, 1)).unwrap();
            assert_eq!(
                (entry.name, entry.url, entry.nar_size),
                ("name", "nar/x", 9)
            );
            assert_eq!(entry.revision, Revision([1, 2, 3]));
            assert_eq!(entry.references().collect::<Vec<_>>(), [hash(1, 1)]);
            assert_eq!(cursor.find(hash(number, 2)), None);
            assert_eq!(
                cursor.find(hash(number, 3)).unwrap().references().count(),
                2
            );
            assert_eq!(cursor.find(hash(number, 4)), None);
        }
        assert!(reader.segment(1).is_empty());
    }

    #[test]
    fn another_cache_and_damage_are_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        write(&path);
        let open = |identity: &str| Reader::open(&path, identity, &StoreDir::default());
        assert!(open("file:///b").is_none());
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(17) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let lost = open("file:///a")
                .is_none_or(|reader| reader.segment(0).is_empty() || reader.segment(7).is_empty());
            assert!(lost, "byte {at}");
        }
        for len in (0..good.len()).step_by(53) {
            std::fs::write(&path, &good[..len]).unwrap();
            let lost = open("file:///a").is_none_or(|reader| reader.segment(0).is_empty());
            assert!(lost, "cut at {len}");
        }
    }
}
