//! `analytics ingest`: records of other machines, and logs of Nix, into the ledger.

use std::io::Read as _;

use crate::cli::args::Ingest;
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::phases::desired;
use crate::cli::runs::bytes;
use crate::engine::machine::{Machine, Options};
use crate::engine::record::{About, record};
use crate::exit::Exit;
use crate::insight::run::{Origin, Outcome};
use crate::ledger::{Added, Ledger, file};
use crate::nix::hash::Sha256;
use crate::nix::log::Log;
use crate::plan::desired::Extra;
use crate::plan::time::Time;
use crate::render::units::things;

/// What a log of Nix has in it.
const LOG: &str = "@nix {";

pub(super) fn run(context: &Context, args: &Ingest) -> Result<Exit, Failure> {
    let mut ledger =
        Ledger::open(&context.host.state_folder()).map_err(|error| Failure::of(&error))?;
    for name in &args.files {
        let failed = |why: String| Failure::new(Exit::Failed, format!("take in `{name}`: {why}"));
        let bytes = if name == "-" {
            let mut bytes = Vec::new();
            let stdin = std::io::stdin().lock();
            let read = stdin.take(file::LARGEST).read_to_end(&mut bytes);
            read.map_err(|error| failed(error.to_string()))?;
            bytes
        } else {
            bytes(context, &name.into())?
        };
        let text = file::unpack(&bytes).map_err(&failed)?;
        let is_log = text.lines().any(|line| line.starts_with(LOG));
        let added = if is_log {
            match of_log(context, args, &text, &ledger)? {
                Some(line) => ledger.add([line.as_str()]),
                None => Ok(Added { new: 0, known: 1 }),
            }
        } else {
            ledger.add(text.lines())
        };
        let added = added.map_err(|error| {
            Failure::of(&error)
                .help("a file of records has one on each line (`run --record FILE` writes it); a log comes from `nix build --log-format internal-json`")
        })?;
        context.output.result(&said(name, added))?;
    }
    Ok(Exit::Done)
}

fn said(name: &str, added: Added) -> String {
    let known = match added.known {
        0 => String::new(),
        known => format!(", {} known already", things(known, "record")),
    };
    format!("{name}: {} new{known}\n", things(added.new, "record"))
}

/// The record of a log; none: the same log was taken in before. Its lines have no times, so nothing in it was timed,
/// and it counts as begun now.
fn of_log(
    context: &Context,
    args: &Ingest,
    text: &str,
    ledger: &Ledger,
) -> Result<Option<String>, Failure> {
    let loaded = context.load_quietly()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    let hash = Sha256::of(text.as_bytes()).to_hex();
    let runs = ledger.runs(&desired.config.project, None);
    let runs = runs.map_err(|error| Failure::of(&error))?;
    if runs
        .iter()
        .any(|run| run.origin.log.as_ref() == Some(&hash))
    {
        return Ok(None);
    }
    let mut log = Log::default();
    let mut failed = false;
    for line in text.lines() {
        let said = log.take(0, line);
        failed |= matches!(said, Some(crate::nix::log::Said::Message(0, _)));
    }
    let about = About {
        what: args.what.clone(),
        start: Time(context.host.now()),
        millis: None,
        outcome: if failed {
            Outcome::Failed
        } else {
            Outcome::Unknown
        },
        origin: Origin {
            log: Some(hash),
            ..Origin::default()
        },
        evaluate: true,
    };
    let run = record(&desired, &machine, &log.end(), about);
    Ok(Some(run.to_line()))
}
