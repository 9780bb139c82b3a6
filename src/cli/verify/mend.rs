//! `verify --repair`: what was found becomes a plan, with the usual consent.

use std::cell::RefCell;
use std::time::Duration;

use crate::cli::args::{AnswerFormat, Format, PlanArgs, Verify};
use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::phases::{Work, tell};
use crate::cli::reconcile::{self, Request};
use crate::config::model::CacheName;
use crate::config::units::Span;
use crate::engine::machine::Machine;
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::insight::verify::{Verification, repair};
use crate::plan::desired::Desired;
use crate::transfer::progress::Progress;

/// Refuses a repair of what is not ours to write object by object.
pub(super) fn check(desired: &Desired, name: &CacheName) -> Result<(), Failure> {
    let why = match desired.caches.get(name) {
        None => "it is an upstream, which is only read",
        Some(cache) if cache.place.service().is_some() => {
            "a service keeps it, which lets nobody replace what is there"
        }
        Some(_) => return Ok(()),
    };
    let text = format!("repair `{name}`: {why}");
    Err(Failure::new(Exit::Usage, text))
}

/// Plans the repair, and applies it if that was asked for. Damage that stays is 7.
pub(super) fn run(
    context: &Context,
    args: &Verify,
    (mut desired, digest): (Desired, &str),
    machine: Machine,
    report: &Verification,
) -> Result<Exit, Failure> {
    if report.is_sound() {
        context.output.note("Nothing is to be mended.\n");
        return Ok(Exit::Done);
    }
    let repair = repair(report);
    let stays = !repair.by_hand.is_empty();
    desired.extra.repair = Some(repair);
    let plan_args = plan_args(args, &report.cache);
    let tell = |event| tell(context, event);
    let machine = RefCell::new(machine);
    let request = Request {
        args: &plan_args,
        selection: plan_args.selection(Vec::new()),
        desired: &desired,
        digest,
        host: &context.host,
        output: context.output,
    };
    let exit = reconcile::run(
        &request,
        |now| {
            machine.borrow_mut().options.now = now;
            Ok(observe(
                &desired,
                &machine.borrow(),
                &Progress::default(),
                &tell,
            ))
        },
        |approved, observed, progress| {
            let work = Work {
                desired: &desired,
                machine: &machine.borrow(),
                listener: &tell,
                patience: Duration::ZERO,
                selection: &request.selection,
                allowed: &plan_args.allowances(),
            };
            work.carry_out(&approved, observed, &progress)
        },
    )?;
    // Strict: advice is damage that stays.
    let rest = if stays || !args.apply {
        Exit::Check
    } else {
        Exit::Done
    };
    Ok(exit.worst(rest))
}

fn plan_args(args: &Verify, cache: &str) -> PlanArgs {
    PlanArgs {
        apply: args.apply,
        yes: args.yes,
        only: Vec::new(),
        cache: vec![cache.to_owned()],
        scope: None,
        event: None,
        allow: args.allow.clone(),
        format: match args.format {
            AnswerFormat::Text => Format::Text,
            AnswerFormat::Json => Format::Json,
        },
        concise: false,
        full: args.full,
        out: None,
        from: None,
        detailed_exitcode: false,
        publish: None,
        strict: true,
        refresh: args.refresh,
        lock_timeout: Span(0),
        store: args.store.clone(),
    }
}
