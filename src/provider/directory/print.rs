//! The look of a tree without its contents: names, kinds, sizes, times and inodes.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::nix::hash::{Hasher, Sha256};

/// A digest of everything that changes when the content of a tree does, short of reading it.
pub(super) fn fingerprint(root: &Path) -> io::Result<Sha256> {
    let mut hasher = Hasher::new();
    walk(root, &mut hasher)?;
    Ok(hasher.finish())
}

fn walk(path: &Path, hasher: &mut Hasher) -> io::Result<()> {
    let meta = path.symlink_metadata()?;
    for number in [
        u64::from(meta.mode()),
        meta.size(),
        meta.ino(),
        meta.dev(),
        meta.mtime().cast_unsigned(),
        meta.mtime_nsec().cast_unsigned(),
        meta.ctime().cast_unsigned(),
        meta.ctime_nsec().cast_unsigned(),
    ] {
        hasher.update(&number.to_le_bytes());
    }
    if meta.is_dir() {
        let mut names = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            hasher.update(name.as_bytes());
            hasher.update(&[0]);
            walk(&path.join(name), hasher)?;
        }
        hasher.update(&[1]);
    }
    Ok(())
}
