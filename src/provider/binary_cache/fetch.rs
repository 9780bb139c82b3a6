//! Fetching a tree from a cache, without Nix: by the name that it was recorded with.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::records::{self, root_of};
use super::{Area, CacheView, SMALL_OBJECT, StoreError, narinfo_key};
use crate::config::model::ClassName;
use crate::nix::cache_info::CacheInfo;
use crate::nix::content_address::Method;
use crate::nix::hash::Hash;
use crate::nix::key::PublicKey;
use crate::nix::nar::NarError;
use crate::nix::narinfo::{NarInfo, NarInfoError};
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::record::RootBody;
use crate::plan::time::Time;
use crate::transfer::compress::decompress;
use crate::transfer::progress::Progress;
use crate::transfer::unpack::{Occupied, UnpackError, Unpacked, unpack};

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The cache did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache has no such path.
    #[error("fetch `{0}`: the cache has not got it")]
    Missing(StorePath),
    /// The narinfo is malformed.
    #[error("fetch `{path}`: its narinfo cannot be read")]
    Narinfo {
        /// The path.
        path: StorePath,
        /// What is wrong.
        #[source]
        source: NarInfoError,
    },
    /// The narinfo is of another path.
    #[error("fetch `{path}`: the cache answers with `{found}`")]
    Other {
        /// The path.
        path: StorePath,
        /// What the cache has in its place.
        found: StorePath,
    },
    /// No key that we trust vouches for it.
    #[error("fetch `{0}`: no trusted key has signed it")]
    Untrusted(StorePath),
    /// We cannot read this compression.
    #[error("fetch `{path}`: it is compressed with `{compression}`, which only Nix can read")]
    Compression {
        /// The path.
        path: StorePath,
        /// The method.
        compression: String,
    },
    /// The NAR is broken, or the disk refuses.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// A recorded path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recorded {
    /// When it was last pushed, by the clock of the cache.
    pub modified: Time,
    /// The path.
    pub path: StorePath,
    /// Its class.
    pub class: ClassName,
    /// Output or directory that it was pushed for.
    pub attr: Option<String>,
}

/// All recorded paths, the newest first, with what their records say.
///
/// # Errors
/// The records cannot be listed or read.
pub fn recorded(view: &dyn CacheView) -> Result<Vec<Recorded>, StoreError> {
    let mut keys = Vec::new();
    view.list(Area::Roots, &mut |listed| {
        if let (Some((class, _)), Some(meta)) = (root_of(listed.key), listed.meta) {
            keys.push((listed.key.to_owned(), class, meta.modified));
        }
    })?;
    let mut found = Vec::with_capacity(keys.len());
    for (key, class, modified) in keys {
        let Some(object) = view.get(&key, SMALL_OBJECT)? else {
            continue;
        };
        // A record of a newer version is not ours to interpret.
        let Ok(body) = records::read::<RootBody>(&key, &object.bytes) else {
            continue;
        };
        found.push(Recorded {
            modified,
            path: body.path,
            class,
            attr: body.attr,
        });
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The recorded paths that `name` means, the newest first: those whose base name it is, else those
/// that were pushed for an output or directory of this name, else those with this name.
///
/// # Errors
/// The records cannot be listed or read.
pub fn find(view: &dyn CacheView, name: &str) -> Result<Vec<Recorded>, StoreError> {
    let all = recorded(view)?;
    let by = |is: &dyn Fn(&Recorded) -> bool| -> Vec<Recorded> {
        all.iter().filter(|r| is(r)).cloned().collect()
    };
    let mut found = by(&|r| r.path.to_string() == name);
    if found.is_empty() {
        found = by(&|r| r.attr.as_deref() == Some(name));
    }
    if found.is_empty() {
        found = by(&|r| r.path.name() == name);
    }
    Ok(found)
}

/// The directory of the store that a cache is for, as far as it says so.
#[must_use]
pub fn store_dir(view: &dyn CacheView) -> Option<StoreDir> {
    let object = view.get("nix-cache-info", SMALL_OBJECT).ok()??;
    let info = CacheInfo::parse(&String::from_utf8_lossy(&object.bytes)).ok()?;
    StoreDir::new(info.store_dir()?).ok()
}

/// The names of directories and outputs that recorded paths were pushed for.
///
/// # Errors
/// The records cannot be listed or read.
pub fn names(view: &dyn CacheView) -> Result<BTreeSet<String>, StoreError> {
    Ok(recorded(view)?
        .into_iter()
        .filter_map(|one| one.attr)
        .collect())
}

/// The narinfo of a path.
///
/// # Errors
/// It is not there, malformed, or of another path.
pub fn narinfo(
    view: &dyn CacheView,
    path: &StorePath,
    store_dir: &StoreDir,
) -> Result<NarInfo, FetchError> {
    let object = view
        .get(&narinfo_key(path.hash()), SMALL_OBJECT)?
        .ok_or_else(|| FetchError::Missing(path.clone()))?;
    let text = String::from_utf8_lossy(&object.bytes);
    let info = NarInfo::parse(&text, store_dir).map_err(|source| FetchError::Narinfo {
        path: path.clone(),
        source,
    })?;
    if info.store_path != *path {
        return Err(FetchError::Other {
            path: path.clone(),
            found: info.store_path,
        });
    }
    Ok(info)
}

/// Whether a narinfo may be believed: signed by one of the keys, or the path follows from the hash
/// of the content itself.
#[must_use]
pub fn is_trusted(info: &NarInfo, keys: &[PublicKey], store_dir: &StoreDir) -> bool {
    let by_content = info.has_valid_ca(store_dir)
        && !info.refers_to_itself()
        && info
            .ca
            .is_some_and(|ca| ca.method == Method::Nar && ca.hash == Hash::from(info.nar_hash));
    by_content || keys.iter().any(|key| info.is_signed_by(key, store_dir))
}

/// Fetches a path to `into`; hash and size of what arrives are checked before it appears there.
///
/// With `keys`, one of them must have signed it, unless its name follows from its content.
///
/// # Errors
/// It is not there, not trusted or broken, the disk refuses, or there is something else at `into`.
pub fn fetch(
    view: &dyn CacheView,
    path: &StorePath,
    into: &Path,
    keys: &[PublicKey],
    store_dir: &StoreDir,
    occupied: Occupied,
    progress: &Progress,
) -> Result<(NarInfo, Unpacked), FetchError> {
    let found = narinfo(view, path, store_dir)?;
    if !keys.is_empty() && !is_trusted(&found, keys, store_dir) {
        return Err(FetchError::Untrusted(path.clone()));
    }
    // Before anything is written.
    if decompress(&found.compression, io::empty()).is_ok_and(|stream| stream.is_none()) {
        let compression = found.compression.to_string();
        return Err(FetchError::Compression {
            path: path.clone(),
            compression,
        });
    }
    Progress::add(&progress.paths_total, 1);
    Progress::add(&progress.bytes_total, found.nar_size);
    let nar = || {
        let file = view
            .open(&found.url)
            .map_err(|error| NarError::Io(io::Error::other(error)))?
            .ok_or_else(|| {
                NarError::Io(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("no `{}`", found.url),
                ))
            })?;
        decompress(&found.compression, file)?
            .ok_or_else(|| NarError::Io(io::ErrorKind::Unsupported.into()))
    };
    let unpacked = unpack(
        nar,
        into,
        (found.nar_hash, found.nar_size),
        occupied,
        progress,
    )?;
    Progress::add(&progress.paths_done, 1);
    Ok((found, unpacked))
}
