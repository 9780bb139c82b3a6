//! Directories that become content-addressed store paths, without any Nix.
//!
//! Promises: only reads; a directory that cannot be a store path is said with its name and keeps no other from being seen. What a tree
//! hashed to is remembered by the size, time and inode of everything in it, so that gigabytes are read
//! once and not at each plan; a memory that is damaged is made anew.

mod glob;
mod memory;
mod print;

use std::collections::BTreeMap;
use std::path::PathBuf;

use camino::{Utf8Path, Utf8PathBuf};

use crate::nix::content_address::path_of_directory;
use crate::nix::store_path::{StoreDir, check_name};
use crate::plan::observed::{Directories, DirectoryFacts, Observation, Why};
use crate::transfer::progress::Progress;
use crate::transfer::tree::hash_trees;
use glob::Expanded;
use memory::Memory;

/// Looks at everything that `pattern` (absolute; `*` and `?` within a name) means, in the order of
/// names. `Absent`: nothing.
#[must_use]
pub fn observe(
    pattern: &Utf8Path,
    store: &StoreDir,
    memory: Option<&Utf8Path>,
    progress: &Progress,
) -> Observation<Directories> {
    let Expanded { found, unseen } = match glob::expand(pattern) {
        Ok(expanded) => expanded,
        Err(why) => return Observation::Unknown(Why(why)),
    };
    if found.is_empty() && unseen.is_empty() {
        return Observation::Absent;
    }
    let mut seen = facts(&found, store, memory, progress);
    let unseen = unseen.into_iter().map(|(what, why)| (what, Why(why)));
    seen.unseen.extend(unseen);
    Observation::Present(seen)
}

fn facts(
    found: &[Utf8PathBuf],
    store: &StoreDir,
    file: Option<&Utf8Path>,
    progress: &Progress,
) -> Directories {
    let mut unseen = BTreeMap::new();
    let mut fail = |path: &Utf8PathBuf, why: String| unseen.insert(path.to_string(), Why(why));
    let mut prints = Vec::new();
    for path in found {
        let print = check_name(path.file_name().unwrap_or_default())
            .map_err(|error| format!("it cannot become a store path: {error}"))
            .and_then(|()| {
                print::fingerprint(path.as_std_path()).map_err(|error| sentence(path, &error))
            });
        match print {
            Ok(print) => prints.push((path, print)),
            Err(why) => {
                fail(path, why);
            }
        }
    }
    let mut memory = file.map(Memory::load).unwrap_or_default();
    let fresh: Vec<_> = prints
        .iter()
        .filter(|(path, print)| memory.recall(path, *print).is_none())
        .copied()
        .collect();
    let roots: Vec<PathBuf> = fresh
        .iter()
        .map(|(path, _)| PathBuf::from(path.as_std_path()))
        .collect();
    for ((path, print), hashed) in fresh.into_iter().zip(hash_trees(&roots, progress)) {
        match hashed {
            Err(error) => {
                fail(path, sentence(path, &error));
            }
            // What changed while it was read is not remembered under its new look.
            Ok((hash, size)) => {
                if print::fingerprint(path.as_std_path()).is_ok_and(|now| now == print) {
                    memory.remember(path, print, hash, size);
                } else {
                    fail(path, "it changed while it was read".to_owned());
                }
            }
        }
    }
    let facts = prints
        .iter()
        .filter_map(|(path, print)| {
            let (nar_hash, nar_size) = memory.recall(path, *print)?;
            let store_path = path_of_directory(nar_hash, path.file_name()?, store).ok()?;
            Some(DirectoryFacts {
                directory: path.to_string(),
                path: store_path,
                nar_hash,
                nar_size,
            })
        })
        .collect();
    if let Some(file) = file {
        memory.save(file);
    }
    Directories {
        found: facts,
        unseen,
    }
}

/// An error with its causes, for the plan.
fn sentence(path: &Utf8Path, error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    if text.contains(path.as_str()) {
        text
    } else {
        format!("`{path}`: {text}")
    }
}
