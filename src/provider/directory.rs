//! Directories that become content-addressed store paths, without any Nix.
//!
//! Promises: only reads; a directory that cannot be a store path is said with its name. What a tree
//! hashed to is remembered by the size, time and inode of everything in it, so that gigabytes are read
//! once and not at each plan; a memory that is damaged is made anew.

mod glob;
mod memory;
mod print;

use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};

use crate::nix::content_address::path_of_directory;
use crate::nix::store_path::{StoreDir, check_name};
use crate::plan::observed::{DirectoryFacts, Observation, Why};
use crate::transfer::progress::Progress;
use crate::transfer::tree::hash_trees;
use memory::Memory;

/// Looks at everything that `pattern` (absolute; `*` and `?` within a name) means, in the order of
/// names. `Absent`: nothing.
#[must_use]
pub fn observe(
    pattern: &Utf8Path,
    store: &StoreDir,
    memory: Option<&Utf8Path>,
    progress: &Progress,
) -> Observation<Vec<DirectoryFacts>> {
    let found = match glob::expand(pattern) {
        Ok(found) if found.is_empty() => return Observation::Absent,
        Ok(found) => found,
        Err(why) => return Observation::Unknown(Why(why)),
    };
    match facts(&found, store, memory, progress) {
        Ok(facts) => Observation::Present(facts),
        Err(why) => Observation::Unknown(Why(why)),
    }
}

fn facts(
    found: &[Utf8PathBuf],
    store: &StoreDir,
    file: Option<&Utf8Path>,
    progress: &Progress,
) -> Result<Vec<DirectoryFacts>, String> {
    for path in found {
        let name = path.file_name().unwrap_or_default();
        check_name(name)
            .map_err(|error| format!("`{path}` cannot become a store path: {error}"))?;
    }
    let mut memory = file.map(Memory::load).unwrap_or_default();
    let prints = found
        .iter()
        .map(|path| print::fingerprint(path.as_std_path()).map_err(|error| sentence(path, &error)))
        .collect::<Result<Vec<_>, _>>()?;
    let unknown: Vec<usize> = (0..found.len())
        .filter(|at| memory.recall(&found[*at], prints[*at]).is_none())
        .collect();
    let roots: Vec<PathBuf> = unknown.iter().map(|at| found[*at].clone().into()).collect();
    for (at, hashed) in unknown.iter().zip(hash_trees(&roots, progress)) {
        let path = &found[*at];
        let (hash, size) = hashed.map_err(|error| sentence(path, &error))?;
        // What changed while it was read is not remembered under its new look.
        if print::fingerprint(Path::new(path)).is_ok_and(|print| print == prints[*at]) {
            memory.remember(path, prints[*at], hash, size);
        } else {
            return Err(format!("`{path}` changed while it was read"));
        }
    }
    let facts = found
        .iter()
        .zip(&prints)
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
    Ok(facts)
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
