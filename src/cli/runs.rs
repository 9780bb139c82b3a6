//! The records that a command works on: of the ledger, of caches, of files.

use camino::Utf8PathBuf;

use super::context::Context;
use super::error::Failure;
use crate::engine::machine::Machine;
use crate::engine::runs::gather;
use crate::exit::Exit;
use crate::insight::run::Run;
use crate::ledger::{Ledger, file};
use crate::plan::desired::Desired;
use crate::sys::file::read_if_there;

/// Where records come from.
pub(super) struct From<'a> {
    /// These files alone, if there are any.
    pub(super) files: &'a [Utf8PathBuf],
    /// Caches are not asked.
    pub(super) offline: bool,
}

/// The runs of the project. What caches have and this machine has not is added to its ledger.
pub(super) fn runs(
    context: &Context,
    desired: &Desired,
    machine: &Machine,
    from: &From<'_>,
) -> Result<Vec<Run>, Failure> {
    if !from.files.is_empty() {
        return of_files(context, from.files, &desired.config.project);
    }
    let mut ledger =
        Ledger::open(&context.host.state_folder()).map_err(|error| Failure::of(&error))?;
    if !from.offline {
        let (added, unseen) = gather(desired, machine, &mut ledger);
        tracing::info!("{} records were new", added.new);
        for text in unseen {
            context.output.must_say(&format!("not seen: {text}\n"));
        }
    }
    ledger
        .runs(&desired.config.project, None)
        .map_err(|error| Failure::of(&error))
}

/// The bytes of a file that must be there.
pub(super) fn bytes(context: &Context, path: &Utf8PathBuf) -> Result<Vec<u8>, Failure> {
    let full = context.host.folder.join(path);
    let bytes =
        read_if_there(full.as_std_path(), file::LARGEST).map_err(|error| Failure::of(&error))?;
    bytes.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("read `{path}`: there is no such file"),
        )
        .help("`nanna-cache run --record FILE -- nix build …` writes one")
    })
}

fn of_files(context: &Context, files: &[Utf8PathBuf], project: &str) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for path in files {
        let text = file::unpack(&bytes(context, path)?)
            .map_err(|why| Failure::new(Exit::Failed, format!("read `{path}`: {why}")))?;
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let run = Run::from_line(line).map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("read `{path}`, line {}: {error}", at + 1),
                )
            })?;
            if run.project == project {
                runs.push(run);
            }
        }
    }
    Ok(runs)
}
