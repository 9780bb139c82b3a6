//! `reconcile`, and its phases one by one: the same engine, from flags to exit code.

use std::cell::RefCell;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Phase, PlanArgs, Push, Reconcile};
use super::context::{Context, Loaded};
use super::error::Failure;
use super::reconcile::{self, Request};
use crate::engine::apply::{Applying, apply};
use crate::engine::confirm::confirm;
use crate::engine::event::{Event, Listener};
use crate::engine::journal::{Entry, Journal};
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::nix::hash::Sha256;
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::ApprovedPlan;
use crate::plan::observed::{Observed, Why};
use crate::plan::plan::Plan;
use crate::plan::report::{FORMAT, Remaining, Report};
use crate::plan::select::Selection;
use crate::plan::time::Time;
use crate::render::json;
use crate::render::layout::safe;
use crate::transfer::progress::Progress;

/// Largest list of paths on standard input, in bytes.
const MAX_STDIN: u64 = 256 << 20;

/// `reconcile`.
pub(super) fn reconcile(context: &Context, args: &Reconcile) -> Result<Exit, Failure> {
    run(context, &args.common, args.only.clone(), Extra::default())
}

/// `setup`, `optimize` or `prune`.
pub(super) fn single(context: &Context, phase: &str, args: &Phase) -> Result<Exit, Failure> {
    run(context, &args.common, vec![phase.to_owned()], Extra::default())
}

/// `push`.
pub(super) fn push(context: &Context, args: &Push) -> Result<Exit, Failure> {
    let here = |path: &String| context.host.folder.join(path).into_string();
    let mut paths: Vec<String> = args.path.iter().map(here).collect();
    if args.stdin {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MAX_STDIN).read_to_string(&mut text);
        read.map_err(|error| Failure::new(Exit::Failed, format!("read standard input: {error}")))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        paths.extend(lines.map(|line| context.host.folder.join(line).into_string()));
    }
    let extra = Extra { paths, mark: args.since_mark.clone() };
    run(context, &args.common, vec!["push".to_owned()], extra)
}

fn run(
    context: &Context,
    args: &PlanArgs,
    only: Vec<String>,
    extra: Extra,
) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let options = Options { refresh: args.refresh, store: args.store.clone(), now: None };
    let machine = Machine::new(context.host.clone(), options);
    let (desired, digest) = desired(loaded, &machine, extra);
    let selection = args.selection(only);
    check(&selection, &desired)?;
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
    reconcile::run(
        &request,
        |now: Option<Time>| {
            machine.borrow_mut().options.now = now;
            Ok(observe(&desired, &machine.borrow(), &Progress::default(), &tell))
        },
        |approved, observed, progress| {
            let patience = Duration::from_secs(args.lock_timeout.0);
            let work = Work { desired: &desired, machine: &machine.borrow(), listener: &tell, patience };
            work.carry_out(&approved, observed, &progress)
        },
    )
}

/// Resolves a configuration for a machine; also gives its digest.
pub(super) fn desired(loaded: Loaded, machine: &Machine, extra: Extra) -> (Desired, String) {
    let site = machine.site(&loaded.base);
    (Desired::new(loaded.config, site, extra), loaded.digest)
}

/// Names that mean nothing are said at once, instead of planning nothing.
fn check(selection: &Selection, desired: &Desired) -> Result<(), Failure> {
    use crate::plan::address::Phase;
    let caches: Vec<&str> = desired.config.caches.keys().map(|name| name.as_str()).collect();
    if let Some(name) = selection.caches.iter().find(|name| !caches.contains(&name.as_str())) {
        let text = format!("use --cache {name}: cache.yaml has no such cache");
        return Err(Failure::new(Exit::Usage, text).help(format!("it has {}", caches.join(", "))));
    }
    let phases = Phase::ALL.map(Phase::word);
    let is_known = |part: &String| phases.contains(&part.split('/').next().unwrap_or_default());
    if let Some(part) = selection.only.iter().find(|part| !is_known(part)) {
        let text = format!("use --only {part}: it names no phase");
        return Err(Failure::new(Exit::Usage, text).help(format!("phases are {}", phases.join(", "))));
    }
    Ok(())
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
        let (journal, left) = Journal::begin(&path, began).map_err(|error| Failure::of(&error))?;
        if let Some(left) = left {
            let steps: Vec<String> = left.steps.iter().map(ToString::to_string).collect();
            let doing = if steps.is_empty() { String::new() } else { format!(" in {}", steps.join(", ")) };
            let text = format!("An earlier run ended{doing} at {} without finishing; this one goes on.", left.time);
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
            Remaining::Unconfirmed { why: Why("another prune is at work".to_owned()) }
        } else {
            self.confirm(plan, progress)
        };
        let ended = Time(self.machine.host.now());
        journal.write(ended, None, Entry::End { result: None }).map_err(|error| Failure::of(&error))?;
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
