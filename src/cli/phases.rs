//! `reconcile`, and its phases one by one: the same engine, from what was meant to the exit code.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::adopt;
use super::args::Command;
use super::context::{Context, Loaded};
use super::error::Failure;
use super::meant::{Meant, check_caches};
use super::reconcile::{self, Request};
use crate::engine::apply::apply;
use crate::engine::confirm::confirm;
use crate::engine::event::{Event, Listener};
use crate::engine::journal::{Entry, Journal};
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::engine::work::Applying;
use crate::exit::Exit;
use crate::nix::hash::Sha256;
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::ApprovedPlan;
use crate::plan::observed::{Observation, Observed, Why};
use crate::plan::plan::Plan;
use crate::plan::report::{FORMAT, Remaining, Report};
use crate::plan::time::Time;
use crate::render::json;
use crate::render::layout::safe;
use crate::transfer::progress::Progress;

/// Runs a command that plans; `None` if it is no such command.
pub(super) fn run(context: &Context, command: &Command) -> Result<Option<Exit>, Failure> {
    let Some(Meant { args, only, extra }) = Meant::of(command)? else {
        return Ok(None);
    };
    let loaded = context.load()?;
    check_caches(args, &loaded.config)?;
    let here = |path: &String| context.host.folder.join(path).into_string();
    let mut extra = Extra {
        paths: extra.paths.iter().map(here).collect(),
        ..extra
    };
    let options = Options {
        refresh: args.refresh,
        store: args.store.clone(),
        now: None,
    };
    let machine = Machine::new(context.host.clone(), options);
    check_mark(&machine, &extra)?;
    if let Command::Adopt(args) = command {
        extra.adopt = Some(adopt::meant(context, args, &loaded.config, &machine)?);
    }
    let (desired, digest) = desired(loaded, &machine, extra);
    let desired = desired.only(&only);
    let selection = args.selection(only);
    let machine = RefCell::new(machine);
    let tell = |event: Event| tell(context, event);
    let request = Request {
        args,
        selection,
        desired: &desired,
        digest: &digest,
        host: &context.host,
        output: context.output,
    };
    let exit = reconcile::run(
        &request,
        |now: Option<Time>| {
            machine.borrow_mut().options.now = now;
            let observed = observe(&desired, &machine.borrow(), &Progress::default(), &tell);
            check_typed(&desired, &observed)?;
            Ok(observed)
        },
        |approved, observed, progress| {
            let patience = Duration::from_secs(args.lock_timeout.0);
            let work = Work {
                desired: &desired,
                machine: &machine.borrow(),
                listener: &tell,
                patience,
            };
            work.carry_out(&approved, observed, &progress)
        },
    )?;
    Ok(Some(exit))
}

/// A mark that nobody made is a mistake; without it, nothing would be new.
fn check_mark(machine: &Machine, extra: &Extra) -> Result<(), Failure> {
    if let (Some(mark), Ok(store)) = (&extra.mark, &machine.store) {
        let found = machine.marks().load(mark, store);
        found.map_err(|error| Failure::of(&error))?;
    }
    Ok(())
}

/// Resolves a configuration for a machine; also gives its digest.
pub(super) fn desired(loaded: Loaded, machine: &Machine, extra: Extra) -> (Desired, String) {
    let site = machine.site(&loaded.base);
    (Desired::new(loaded.config, site, extra), loaded.digest)
}

/// In `cache.yaml` a path that is not there (yet) is an unknown; what was just typed is a slip.
fn check_typed(desired: &Desired, observed: &Observed) -> Result<(), Failure> {
    let is_absent = |path: &&String| observed.given.get(*path) == Some(&Observation::Absent);
    match desired.extra.paths.iter().find(is_absent) {
        None => Ok(()),
        Some(path) => {
            let text = format!("push `{path}`: there is no such path");
            Err(Failure::new(Exit::Failed, text))
        }
    }
}

fn tell(context: &Context, event: Event) {
    match event {
        Event::Looking(what) => tracing::info!("looking at {what}"),
        Event::Began { what, .. } => context.output.note(&format!("{}…\n", safe(&what))),
        Event::Ended { step, outcome } => tracing::debug!(%step, ?outcome, "step ended"),
        Event::Line(line) => context.output.note(&format!("{}\n", safe(&line))),
        Event::Note(text) => context.output.note(&format!("{}\n", safe(&text))),
    }
}

struct Work<'a> {
    desired: &'a Desired,
    machine: &'a Machine,
    listener: Listener<'a>,
    patience: Duration,
}

impl Work<'_> {
    fn carry_out(
        &self,
        approved: &ApprovedPlan,
        observed: Observed,
        progress: &Arc<Progress>,
    ) -> Result<Report, Failure> {
        let plan = approved.plan();
        let began = Time(self.machine.host.now());
        let path = self.machine.journal(&self.desired.config);
        let (journal, left) = Journal::begin(&path, began).map_err(|error| {
            Failure::of(&error).help(
                "nothing is applied that is not written down first; XDG_STATE_HOME can name \
                 another folder, which must be writable",
            )
        })?;
        if let Some(left) = left {
            let steps: Vec<String> = left.steps.iter().map(ToString::to_string).collect();
            let doing = if steps.is_empty() {
                String::new()
            } else {
                format!(" in {}", steps.join(", "))
            };
            let text = format!(
                "An earlier run ended{doing} at {} without finishing; this one goes on.",
                left.time
            );
            (self.listener)(Event::Note(text));
        }
        let digest = Sha256::of(json::plan(plan).as_bytes()).to_hex();
        let applying = Applying {
            desired: self.desired,
            machine: self.machine,
            digest: &digest,
            run: observed.environment.run.clone(),
            progress,
            journal: &journal,
            listener: self.listener,
            patience: self.patience,
        };
        let applied = apply(&applying, approved, observed).map_err(|error| Failure::of(&error))?;
        let remaining = if applied.busy {
            Remaining::Unconfirmed {
                why: Why("another prune is at work".to_owned()),
            }
        } else {
            self.confirm(plan, progress)
        };
        let ended = Time(self.machine.host.now());
        journal
            .write(ended, None, Entry::End { result: None })
            .map_err(|error| Failure::of(&error))?;
        Ok(Report {
            format: FORMAT,
            writer: plan.writer.clone(),
            project: plan.project.clone(),
            config: plan.config.clone(),
            began,
            duration_ms: ended.since(began).0.saturating_mul(1000),
            steps: applied.steps,
            remaining,
            interrupted: None,
        })
    }

    /// Only what was applied is looked at again; where that changed nothing, there is no need to.
    fn confirm(&self, plan: &Plan, progress: &Progress) -> Remaining {
        if plan.steps.iter().all(|step| !step.is_change()) {
            return Remaining::Converged;
        }
        confirm(self.desired, self.machine, plan, progress, self.listener)
    }
}
