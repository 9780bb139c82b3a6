//! `status`: one screen that says how things stand.

use std::time::Duration;

use super::args::{AnswerFormat, Status};
use super::context::Context;
use super::error::Failure;
use super::phases::desired;
use crate::engine::machine::{Machine, Options, sentence};
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::insight::measure::{Point, latest};
use crate::insight::status::status;
use crate::ledger::Ledger;
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::render::status as render;
use crate::transfer::progress::Progress;

/// So many runs are shown.
const RUNS: usize = 5;
/// Moves to the upper left corner and forgets what was below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

pub(super) fn run(context: &Context, args: &Status) -> Result<Exit, Failure> {
    let Some(pause) = args.watch else {
        context.output.result(&look(context, args)?)?;
        return Ok(Exit::Done);
    };
    if !context.host.terminals.stdout {
        let failure = Failure::new(Exit::Usage, "watch: standard output is no terminal");
        return Err(failure.help("leave --watch out: one look is printed"));
    }
    loop {
        let text = look(context, args)?;
        context.output.result(&(CLEAR.to_owned() + &text))?;
        std::thread::sleep(Duration::from_secs(pause.0.max(1)));
    }
}

/// The last runs of the ledger of this machine; none where it cannot be read, which is for `analytics` to say.
fn last_runs(context: &Context, desired: &Desired) -> Vec<Point> {
    let runs = Ledger::open(&context.host.state_folder())
        .and_then(|ledger| ledger.runs(&desired.config.project, None));
    match runs {
        Ok(runs) => latest(&runs, RUNS),
        Err(error) => {
            tracing::warn!("the last runs are not known: {}", sentence(&error));
            Vec::new()
        }
    }
}

fn look(context: &Context, args: &Status) -> Result<String, Failure> {
    let loaded = context.load()?;
    let options = Options {
        refresh: args.refresh,
        store: args.store.clone(),
        now: None,
    };
    let machine = Machine::new(context.host.clone(), options);
    let (desired, digest) = desired(loaded, &machine, Extra::default());
    let observed = observe(&desired, &machine, &Progress::default(), &|_| {});
    let mut plan = make::plan(&desired, &observed, &digest);
    plan.refusals = guard::check(&desired, &plan, &Allowances::default());
    let mut status = status(&desired, &observed, &plan);
    status.runs = last_runs(context, &desired);
    Ok(match args.format {
        AnswerFormat::Text => render::text(&status, context.output.results()),
        AnswerFormat::Json => render::json(&status),
    })
}
