//! Whether the sources of what is wanted are what they are said to be: content-addressed paths below the
//! derivations of the wanted outputs, and the inputs that `flake.lock` names, as they are in the local store.

use std::path::PathBuf;

use super::machine::{Machine, sentence};
use crate::insight::verify::{Code, Finding, Sources, locked};
use crate::nix::content_address::{ContentAddress, Method, path_of_directory};
use crate::nix::hash::{Algorithm, Hash, Hasher};
use crate::nix::store_path::StorePath;
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Observed};
use crate::provider::nix_store;
use crate::sys::file;
use crate::transfer::progress::Progress;
use crate::transfer::tree::hash_trees;

/// Largest `flake.lock` that is read.
const LOCK: u64 = 16 << 20;

/// Checks the sources of everything that is wanted.
///
/// # Errors
/// The local store cannot be seen; as a sentence.
pub fn sources(
    desired: &Desired,
    machine: &Machine,
    observed: &Observed,
    progress: &Progress,
) -> Result<Sources, String> {
    let mut report = Sources::default();
    let location = machine.store.as_ref().map_err(Clone::clone)?;
    let store = observed
        .store
        .present()
        .ok_or("the local Nix store could not be seen")?;
    let mut tops = Vec::new();
    for (output, facts) in &observed.outputs {
        match facts {
            Observation::Present(facts) => match &facts.drv {
                Some(drv) => match store.paths.row(&drv.hash()) {
                    Some(row) => tops.push(row),
                    None => report
                        .unknowns
                        .push(format!("{output}: its derivation is not in the store")),
                },
                None => report
                    .unknowns
                    .push(format!("{output}: its derivation is not known")),
            },
            Observation::Absent => {}
            Observation::Unknown(why) | Observation::Error(why) => {
                report.unknowns.push(format!("{output}: {}", why.0));
            }
        }
    }
    let below = store.paths.refs().reach(tops);
    let mut rows = Vec::new();
    for row in below.iter() {
        let outputs = store.outputs.get(&row).into_iter().flatten().copied();
        rows.extend(outputs.chain([row]));
    }
    rows.sort_unstable();
    rows.dedup();
    let paths: Vec<StorePath> = rows
        .into_iter()
        .map(|row| store.paths.path(row))
        .filter(|path| !path.is_derivation())
        .collect();
    let details = nix_store::details(location, &paths).map_err(|error| sentence(&error))?;
    let fixed: Vec<_> = details
        .values()
        .filter_map(|it| Some((it, it.ca.as_ref()?.parse::<ContentAddress>().ok()?)))
        .collect();
    let roots: Vec<PathBuf> = fixed
        .iter()
        .map(|(it, _)| location.on_disk(&it.path).into_std_path_buf())
        .collect();
    for (((known, ca), root), found) in fixed.iter().zip(&roots).zip(hash_trees(&roots, progress)) {
        let key = location.store.display(&known.path).to_string();
        let mut find = |text: String| {
            let finding = Finding::new(Code::SourceHash, Some(&known.path), &key, text);
            report.findings.push(finding);
        };
        match found {
            Err(error) => report
                .unknowns
                .push(format!("{}: {}", known.path, sentence(&error))),
            Ok((hash, _)) => {
                report.derived += 1;
                if hash != known.nar_hash {
                    find(format!(
                        "it is {hash}, and the store says {}",
                        known.nar_hash
                    ));
                } else if ca.hash.algorithm() == Algorithm::Sha256 {
                    let by_content = match ca.method {
                        Method::Nar if !known.references.contains(&known.path) => Some(hash.into()),
                        Method::Flat | Method::Text => flat(root),
                        Method::Nar | Method::Git => None,
                    };
                    if by_content.is_some_and(|hash: Hash| hash != ca.hash) {
                        find(format!("its content is not that of `{ca}`"));
                    }
                }
            }
        }
    }
    lock(desired, machine, progress, &mut report)?;
    report.settle();
    Ok(report)
}

/// The hash of a regular file; `None`: it is none, or cannot be read.
fn flat(path: &std::path::Path) -> Option<Hash> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut file = std::fs::File::open(path).ok()?;
    let mut hasher = Hasher::new();
    std::io::copy(&mut file, &mut hasher).ok()?;
    Some(hasher.finish().into())
}

/// The inputs of `flake.lock` that are here.
fn lock(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
    report: &mut Sources,
) -> Result<(), String> {
    let location = machine.store.as_ref().map_err(Clone::clone)?;
    let path = desired.site.base.join("flake.lock");
    let bytes = file::read_if_there(path.as_std_path(), LOCK).map_err(|error| sentence(&error))?;
    let Some(bytes) = bytes else { return Ok(()) };
    let inputs = match locked(&bytes) {
        Ok(inputs) => inputs,
        Err(why) => {
            report.unknowns.push(format!("flake.lock: {why}"));
            return Ok(());
        }
    };
    let named: Vec<_> = inputs
        .iter()
        .filter_map(|(name, hash)| {
            let path = path_of_directory(*hash, "source", &location.store).ok()?;
            Some((name, hash, path))
        })
        .collect();
    let paths: Vec<StorePath> = named.iter().map(|(_, _, path)| path.clone()).collect();
    let valid = nix_store::details(location, &paths).map_err(|error| sentence(&error))?;
    let (here, elsewhere): (Vec<_>, Vec<_>) = named
        .into_iter()
        .partition(|(_, _, path)| valid.contains_key(&path.hash()));
    report.not_here += elsewhere.len() as u64;
    let roots: Vec<PathBuf> = here
        .iter()
        .map(|(_, _, path)| location.on_disk(path).into_std_path_buf())
        .collect();
    for ((name, hash, path), found) in here.iter().zip(hash_trees(&roots, progress)) {
        match found {
            Err(error) => report
                .unknowns
                .push(format!("{path}: {}", sentence(&error))),
            Ok((found, _)) => {
                report.locked += 1;
                if found != **hash {
                    let text = format!("the input `{name}` is {found}, and flake.lock says {hash}");
                    let key = location.store.display(path).to_string();
                    report
                        .findings
                        .push(Finding::new(Code::LockHash, Some(path), &key, text));
                }
            }
        }
    }
    Ok(())
}
