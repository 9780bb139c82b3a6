//! What trees hashed to, by their look.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::nix::hash::Sha256;
use crate::sys::file;

/// Format of the file; another one is not read.
const VERSION: u32 = 1;
/// Largest file that is read, in bytes.
const MAX: u64 = 64 << 20;

/// The memory. One that cannot be read is empty: that is slower, not wrong.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    version: u32,
    trees: BTreeMap<Utf8PathBuf, Tree>,
    #[serde(skip)]
    changed: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tree {
    print: Sha256,
    nar_hash: Sha256,
    nar_size: u64,
}

impl Memory {
    pub(super) fn load(path: &Utf8Path) -> Self {
        let bytes = file::read_if_there(path.as_std_path(), MAX).ok().flatten();
        bytes
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|memory| memory.version == VERSION)
            .unwrap_or_default()
    }

    pub(super) fn recall(&self, path: &Utf8Path, print: Sha256) -> Option<(Sha256, u64)> {
        let tree = self.trees.get(path).filter(|tree| tree.print == print)?;
        Some((tree.nar_hash, tree.nar_size))
    }

    pub(super) fn remember(
        &mut self,
        path: &Utf8Path,
        print: Sha256,
        nar_hash: Sha256,
        nar_size: u64,
    ) {
        self.trees.insert(
            path.to_owned(),
            Tree {
                print,
                nar_hash,
                nar_size,
            },
        );
        self.changed = true;
    }

    /// Keeps it; a disk that does not want it makes the next plan slower and nothing else.
    pub(super) fn save(mut self, path: &Utf8Path) {
        if !self.changed {
            return;
        }
        self.version = VERSION;
        self.trees.retain(|path, _| path.symlink_metadata().is_ok());
        let Ok(bytes) = serde_json::to_vec(&self) else {
            return;
        };
        if let Some(folder) = path.parent()
            && std::fs::create_dir_all(folder).is_ok()
            && let Err(error) = file::write(path.as_std_path(), &bytes, 0o600)
        {
            tracing::debug!(%error, "hashes of directories are not remembered");
        }
    }
}
