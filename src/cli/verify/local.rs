//! `verify --rebuild` and `verify --sources`: what this machine built and fetched, instead of a cache.

use std::sync::Arc;

use crate::cli::args::{AnswerFormat, Verify};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::phases::tell;
use crate::cli::signals;
use crate::engine::machine::Machine;
use crate::engine::observe::observe;
use crate::engine::rebuild::rebuild;
use crate::engine::sources::sources;
use crate::exit::Exit;
use crate::insight::verify::{Rebuild, Tally};
use crate::plan::desired::Desired;
use crate::plan::report::Signal;
use crate::render::json;
use crate::render::layout::safe;
use crate::render::verify as render;
use crate::transfer::progress::Progress;

pub(super) fn run(
    context: &Context,
    args: &Verify,
    desired: &Desired,
    machine: &Machine,
) -> Result<Exit, Failure> {
    let progress = Arc::new(Progress::default());
    let watch = signals::watch(&progress, context.output);
    let exit = if args.sources {
        check_sources(context, args, desired, machine, &progress)?
    } else {
        build_again(context, args, desired, machine, &progress)?
    };
    Ok(match watch.caught() {
        Some(Signal::Interrupted) => Exit::Interrupted,
        Some(Signal::Terminated) => Exit::Terminated,
        None => exit,
    })
}

fn check_sources(
    context: &Context,
    args: &Verify,
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
) -> Result<Exit, Failure> {
    let tell = |event| tell(context, event);
    let observed = observe(desired, machine, progress, &tell);
    let report = sources(desired, machine, &observed, progress)
        .map_err(|why| Failure::new(Exit::Failed, format!("verify the sources: {why}")))?;
    context.output.result(&match args.format {
        AnswerFormat::Text => render::sources(&report, context.output.results()),
        AnswerFormat::Json => json::pretty(&report),
    })?;
    Ok(if report.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Check
    })
}

/// A path that was built again, with what the record says, for JSON.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    rebuild: &'a Rebuild,
    reproduced: &'a Tally,
}

fn build_again(
    context: &Context,
    args: &Verify,
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
) -> Result<Exit, Failure> {
    let tell = |event| tell(context, event);
    let compared = rebuild(desired, machine, &args.rebuild, progress, &tell)
        .map_err(|why| Failure::new(Exit::Failed, format!("build again: {why}")))?;
    let mut exit = Exit::Done;
    let mut told = Vec::new();
    for one in &compared {
        if let Some(why) = &one.failed {
            let text = format!("Not built again: {}: {why}", one.output);
            context.output.must_say(&format!("{}\n", safe(&text)));
            exit = exit.worst(Exit::Failed);
        }
        for (rebuild, tally) in &one.paths {
            if !rebuild.same {
                exit = exit.worst(Exit::Check);
            }
            if matches!(args.format, AnswerFormat::Text) {
                let layout = context.output.results();
                let text = render::rebuilt(rebuild, tally, &one.kept, args.full, layout);
                context.output.result(&text)?;
            }
            told.push(Told {
                rebuild,
                reproduced: tally,
            });
        }
    }
    if matches!(args.format, AnswerFormat::Json) {
        context.output.result(&json::pretty(&told))?;
    }
    Ok(exit)
}
