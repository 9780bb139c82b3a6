//! The NARs that were listed last, with their sizes, in a file beside the index.
//!
//! It counts only while no name in the folder of NARs came, went or was replaced ([`Stamp`]). Times in it
//! may be old, because making a file young does not change its folder: who needs the time of a
//! NAR asks again.
//!
//! Format (little-endian): `nanna-nars 1\n`, identity (32), stamp (4 × u64), count u64, checksum of
//! these u64; then blocks of up to 65,536 files: short keys (33 bytes each), sizes (u64 each), times
//! (u32 each), checksum of the block u64.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::{checksum, identity_of};
use crate::nix::store_path::StoreDir;
use crate::plan::nars::{NarKey, Nars};
use crate::plan::observed::Nar;
use crate::provider::binary_cache::Stamp;
use crate::sys::file::temporary_name;

const MAGIC: &[u8] = b"nanna-nars 1\n";
/// Identity, stamp and count.
const FIXED: usize = 32 + 32 + 8;
const BLOCK: usize = 1 << 16;
/// Bytes of one file in a block.
const EACH: usize = 33 + 8 + 4;

/// The file beside the index.
fn beside(index: &Path) -> PathBuf {
    index.with_extension("nars")
}

/// What is remembered for the folder in this state; `None`: nothing of use.
pub(in super::super) fn load(
    index: &Path,
    identity: &str,
    store_dir: &StoreDir,
    stamp: Stamp,
) -> Option<Nars> {
    let mut file = BufReader::new(File::open(beside(index)).ok()?);
    let mut header = [0; MAGIC.len() + FIXED + 8];
    file.read_exact(&mut header).ok()?;
    let (fixed, sum) = header.strip_prefix(MAGIC)?.split_at_checked(FIXED)?;
    if checksum(fixed) != u64::from_le_bytes(sum.try_into().ok()?) {
        return None;
    }
    let (found, numbers) = fixed.split_at_checked(32)?;
    let numbers = numbers.as_chunks::<8>().0.iter();
    let numbers: Vec<u64> = numbers.map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let (count, was) = numbers.split_last()?;
    if *found != identity_of(identity, store_dir).0 || *was != stamp.0 {
        return None;
    }
    let count = usize::try_from(*count).ok()?;
    let fits = file.get_ref().metadata().ok()?.len() / EACH as u64;
    if count as u64 > fits {
        return None;
    }
    let mut nars = Nars::with_capacity(count);
    let mut bytes = Vec::new();
    while nars.len() < count {
        let len = BLOCK.min(count - nars.len());
        bytes.resize(len * EACH + 8, 0);
        file.read_exact(&mut bytes).ok()?;
        let (block, sum) = bytes.split_at(len * EACH);
        if checksum(block) != u64::from_le_bytes(sum.try_into().ok()?) {
            return None;
        }
        let (keys, block) = block.split_at(len * 33);
        let (sizes, times) = block.split_at(len * 8);
        let sizes = sizes.as_chunks::<8>().0.iter();
        let times = times.as_chunks::<4>().0.iter();
        for ((key, size), time) in keys.as_chunks::<33>().0.iter().zip(sizes).zip(times) {
            let (size, time) = (u64::from_le_bytes(*size), u32::from_le_bytes(*time));
            nars.add_short(NarKey::from_bytes(*key), size, time)
                .then_some(())?;
        }
    }
    Some(nars)
}

/// Remembers what was listed, if [`fits`] says that all of it can be.
pub(in super::super) fn save(
    index: &Path,
    identity: &str,
    store_dir: &StoreDir,
    stamp: Stamp,
    nars: &Nars,
) {
    let path = beside(index);
    let Some(folder) = path.parent() else { return };
    let temporary = folder.join(temporary_name());
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| write(&temporary, &identity_of(identity, store_dir).0, stamp, nars));
    // Not synced: checksums find what a crash may have spoilt. Failing is no error.
    if written
        .and_then(|()| std::fs::rename(&temporary, &path))
        .is_err()
    {
        let _ = std::fs::remove_file(&temporary);
    }
}

fn write(path: &Path, identity: &[u8; 32], stamp: Stamp, nars: &Nars) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create_new(path)?);
    let numbers = stamp.0.into_iter().chain([nars.len() as u64]);
    let fixed: Vec<u8> = identity
        .iter()
        .copied()
        .chain(numbers.flat_map(u64::to_le_bytes))
        .collect();
    file.write_all(MAGIC)?;
    file.write_all(&fixed)?;
    file.write_all(&checksum(&fixed).to_le_bytes())?;
    let numbers: Vec<u32> = nars.numbers().collect();
    let mut bytes = Vec::with_capacity(BLOCK.min(numbers.len()) * EACH);
    for block in numbers.chunks(BLOCK) {
        bytes.clear();
        bytes.extend(block.iter().flat_map(|&at| *nars.short(at).as_bytes()));
        bytes.extend(block.iter().flat_map(|&at| nars.size(at).to_le_bytes()));
        bytes.extend(block.iter().flat_map(|&at| nars.seconds(at).to_le_bytes()));
        file.write_all(&bytes)?;
        file.write_all(&checksum(&bytes).to_le_bytes())?;
    }
    file.flush()
}

/// Whether everything that was listed can be remembered.
pub(in super::super) fn fits(nars: &Nars, leftovers: &[Nar]) -> bool {
    leftovers.is_empty() && nars.are_usual()
}
