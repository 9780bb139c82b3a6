//! Building outputs again and comparing; each result is a line in a record of this machine.
//!
//! The record is `rebuilds.jsonl` in our folder of state: one JSON document on each line, only ever appended to.
//! Records of several machines are merged by putting them together, in any order.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use super::event::{Event, Listener};
use super::machine::{Machine, sentence};
use crate::insight::verify::{
    Difference, Node, REBUILD_FORMAT, Rebuild, Tally, differences, listing, tally,
};
use crate::nix::hash::Sha256;
use crate::nix::store_path::StorePath;
use crate::plan::desired::Desired;
use crate::plan::time::Time;
use crate::provider::nix_cli::{Built, Rebuilt};
use crate::provider::nix_store;
use crate::sys::file;
use crate::transfer::progress::Progress;
use crate::transfer::tree::write_nar;

/// Largest record that is read.
const LARGEST: u64 = 256 << 20;

/// What became of an output that was built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The output.
    pub output: String,
    /// Its paths: how it went, and what the record now says of each.
    pub paths: Vec<(Rebuild, Tally)>,
    /// Why it was not built again, if so.
    pub failed: Option<String>,
    /// Where the second builds were kept, if they differ.
    pub kept: Vec<String>,
}

/// Builds outputs (again) and compares; what was found is recorded.
///
/// # Errors
/// There is no Nix or no store here, or the record cannot be read or written; as a sentence.
pub fn rebuild(
    desired: &Desired,
    machine: &Machine,
    outputs: &[String],
    progress: &Progress,
    listener: Listener<'_>,
) -> Result<Vec<Compared>, String> {
    let nix = match &machine.nix {
        Ok(Some(nix)) => nix,
        Ok(None) => return Err("there is no Nix here to build with".to_owned()),
        Err(why) => return Err(why.clone()),
    };
    let path = machine.host.state_folder().join("rebuilds.jsonl");
    let mut records = read(path.as_std_path())?;
    let who = who(machine);
    let (flake, base) = (&desired.config.flake, &desired.site.base);
    let stopped = || progress.is_stopped();
    let mut compared = Vec::new();
    for output in outputs {
        let mut one = Compared {
            output: output.clone(),
            paths: Vec::new(),
            failed: None,
            kept: Vec::new(),
        };
        let mut line = |text: &str| listener(Event::Line(text.to_owned()));
        let names = std::slice::from_ref(output);
        let built = nix.build(names, flake, base, None, &stopped, &mut line);
        let again = built.and_then(|built| {
            Ok((
                built,
                nix.rebuild(output, flake, base, &stopped, &mut line)?,
            ))
        });
        match again {
            Err(error) => one.failed = Some(sentence(&error)),
            Ok((built, again)) => {
                let new = compare(machine, output, &built, again, &who, &mut one, progress)?;
                append(path.as_std_path(), &new)?;
                records.extend(new.iter().cloned());
                one.paths = new
                    .into_iter()
                    .map(|it| (tally(&records, &it.path, it.nar_hash), it))
                    .map(|(tally, it)| (it, tally))
                    .collect();
            }
        }
        compared.push(one);
    }
    Ok(compared)
}

/// One result for each path of an output.
fn compare(
    machine: &Machine,
    output: &str,
    built: &[Built],
    again: Rebuilt,
    who: &str,
    one: &mut Compared,
    progress: &Progress,
) -> Result<Vec<Rebuild>, String> {
    let location = machine.store.as_ref().map_err(Clone::clone)?;
    let paths: Vec<StorePath> = built
        .iter()
        .flat_map(|it| it.outputs.values().cloned())
        .collect();
    let details = nix_store::details(location, &paths).map_err(|error| sentence(&error))?;
    let mut results = Vec::new();
    for path in paths {
        let Some(known) = details.get(&path.hash()) else {
            continue;
        };
        let (first, second) = (
            location.on_disk(&path),
            format!("{}.check", location.on_disk(&path)),
        );
        let mut found = Vec::new();
        if again == Rebuilt::Different && Path::new(&second).symlink_metadata().is_ok() {
            found = walk(first.as_std_path(), Path::new(&second), progress)?;
            one.kept.push(second);
        } else if again == Rebuilt::Different
            && built.iter().map(|it| it.outputs.len()).sum::<usize>() > 1
        {
            // Nix keeps only the outputs that differ.
            let kept = |path: &StorePath| {
                let check = format!("{}.check", location.on_disk(path));
                Path::new(&check).symlink_metadata().is_ok()
            };
            let any = built.iter().flat_map(|it| it.outputs.values()).any(kept);
            if any {
                results.push(record(
                    machine,
                    who,
                    output,
                    &path,
                    known.nar_hash,
                    (true, Vec::new()),
                ));
                continue;
            }
        }
        let same = again == Rebuilt::Same;
        results.push(record(
            machine,
            who,
            output,
            &path,
            known.nar_hash,
            (same, found),
        ));
    }
    Ok(results)
}

fn record(
    machine: &Machine,
    who: &str,
    output: &str,
    path: &StorePath,
    nar_hash: Sha256,
    (same, differences): (bool, Vec<Difference>),
) -> Rebuild {
    Rebuild {
        format: REBUILD_FORMAT,
        time: Time(machine.host.now()),
        machine: who.to_owned(),
        output: output.to_owned(),
        path: path.clone(),
        nar_hash,
        same,
        differences,
    }
}

/// In what two trees differ, by the NARs of both.
fn walk(first: &Path, second: &Path, progress: &Progress) -> Result<Vec<Difference>, String> {
    Ok(differences(
        &nodes(first, progress)?,
        &nodes(second, progress)?,
    ))
}

fn nodes(root: &Path, progress: &Progress) -> Result<BTreeMap<String, Node>, String> {
    let (read, write) = std::io::pipe().map_err(|error| error.to_string())?;
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let written = write_nar(root, std::io::BufWriter::new(write), progress);
            written.map(drop).map_err(|error| sentence(&error))
        });
        let mut read = read;
        let found = listing(&mut read).map_err(|error| sentence(&error));
        // A reader that gave up must not leave the writer waiting.
        drop(read);
        let written = writer
            .join()
            .unwrap_or_else(|_| Err("the walk broke".to_owned()));
        written.and(found)
    })
}

/// Stands for this machine without naming it: a hash of its id.
fn who(machine: &Machine) -> String {
    let id = file::read_if_there(Path::new("/etc/machine-id"), 4096);
    let id = id.ok().flatten().filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| machine.host.hostname.clone().into_bytes());
    let digest = Sha256::of(&[b"nanna-cache rebuilds\n".as_slice(), &id].concat());
    digest.to_nix32().chars().take(16).collect()
}

/// The lines that can be read; others are of other versions.
fn read(path: &Path) -> Result<Vec<Rebuild>, String> {
    let bytes = file::read_if_there(path, LARGEST).map_err(|error| sentence(&error))?;
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let records = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Rebuild>(line).ok());
    Ok(records
        .filter(|record| record.format == REBUILD_FORMAT)
        .collect())
}

fn append(path: &Path, records: &[Rebuild]) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| format!("write `{}`: {error}", path.display());
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).map_err(|error| fail(&error))?);
        text.push('\n');
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| fail(&error))?;
    }
    // In one write, so that runs at once do not mix their lines.
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| fail(&error))?;
    file.write_all(text.as_bytes())
        .map_err(|error| fail(&error))?;
    file.sync_all().map_err(|error| fail(&error))
}
