//! `reconcile`, and its phases one by one: the same engine, from what was meant to the exit code.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;

use super::adopt;
use super::args::Command;
use super::context::{Context, Loaded};
use super::error::Failure;
use super::meant::{Meant, check_names, check_only};
use super::reconcile::{self, Request};
use crate::engine::apply::{Applied, apply};
use crate::engine::confirm::confirm;
use crate::engine::event::{Event, Listener};
use crate::engine::journal::{Entry, Journal};
use crate::engine::links::Links;
use crate::engine::machine::{Machine, Options, sentence};
use crate::engine::observe::observe;
use crate::engine::runs;
use crate::engine::work::Applying;
use crate::exit::Exit;
use crate::nix::hash::Sha256;
use crate::nix::store_path::StorePath;
use crate::plan::desired::{Desired, Extra, resolve};
use crate::plan::guard::{Allowances, ApprovedPlan};
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::CacheBudget;
use crate::plan::report::{FORMAT, PhaseOutcome, Remaining, Report, SecondLook};
use crate::plan::select::Selection;
use crate::plan::step::Op;
use crate::plan::time::Time;
use crate::provider::nix_store::MarkError;
use crate::render::json;
use crate::render::layout::safe;
use crate::render::units::list;
use crate::render::view::home::tilde;
use crate::sys::clock::{Clock as _, SystemClock};
use crate::transfer::progress::Progress;

/// What mends a folder of state that cannot be written.
const STATE: &str = "nothing is applied that is not written down first; XDG_STATE_HOME can name another \
                     folder, which must be writable";

/// Runs a command that plans; `None` if it is no such command.
pub(super) fn run(context: &Context, command: &Command) -> Result<Option<Exit>, Failure> {
    let Some(Meant { args, only, extra }) = Meant::of(command)? else {
        return Ok(None);
    };
    let loaded = context.load()?;
    check_names(&args.cache, &loaded.config)?;
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
    check_only(&only, &desired)?;
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
                selection: &request.selection,
                allowed: &args.allowances(),
            };
            work.carry_out(&approved, observed, &progress)
        },
    )?;
    Ok(Some(exit))
}

/// A mark that nobody made is a mistake; without it, nothing would be new.
fn check_mark(machine: &Machine, extra: &Extra) -> Result<(), Failure> {
    if let (Some(mark), Ok(store)) = (&extra.mark, &machine.store) {
        let marks = machine.marks();
        marks.load(mark, store).map_err(|error| {
            let failure = Failure::of(&error);
            let names: Vec<String> = marks.names().iter().map(|it| format!("`{it}`")).collect();
            match error {
                MarkError::Missing(_) if !names.is_empty() => {
                    failure.help(format!("the marks here: {}", list(&names)))
                }
                _ => failure,
            }
        })?;
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
    let wrong = desired.extra.paths.iter().find_map(|path| {
        let resolved = resolve(path, &desired.site);
        Some((path, wrong_with(observed, &resolved)?))
    });
    match wrong {
        None => Ok(()),
        Some((path, why)) => Err(Failure::new(
            Exit::Failed,
            format!("push `{path}`: {why}"),
        )
        .help("name a store path that was built or fetched here, or a link to one such as ./result")),
    }
}

/// What keeps a path that was typed from being pushed, if anything does.
fn wrong_with(observed: &Observed, path: &Utf8Path) -> Option<String> {
    if observed.store.unknown().is_some() {
        // Then it is not the path that is wrong, and the plan says so.
        return None;
    }
    match observed.given.get(path.as_str())? {
        Observation::Absent if path.is_symlink() => {
            Some("the link leads to nothing, or to a path that was collected".to_owned())
        }
        Observation::Absent => Some("there is no such path".to_owned()),
        Observation::Unknown(why) | Observation::Error(why) => Some(why.0.clone()),
        Observation::Present(paths) => {
            let store = observed.store.present();
            let has = |path: &StorePath| {
                let mut caches = observed.caches.values().filter_map(Observation::present);
                let hash = path.hash();
                store.is_some_and(|store| store.paths.row(&hash).is_some())
                    || caches.any(|cache| cache.paths.row(&hash).is_some())
            };
            let gone = paths.iter().find(|path| !has(path))?;
            Some(format!(
                "{gone} is neither valid in the Nix store nor in a cache"
            ))
        }
    }
}

pub(super) fn tell(context: &Context, event: Event) {
    let say = |text: &str, end: &str| {
        let text = tilde(text, context.host.home.as_str());
        context.output.note(&format!("{}{end}\n", safe(&text)));
    };
    match event {
        Event::Looking(what) => tracing::info!("looking at {what}"),
        Event::Began { what, .. } => say(&what, "…"),
        Event::Ended { step, outcome } => tracing::debug!(%step, ?outcome, "step ended"),
        Event::Line(line) => context.output.note(&format!("{}\n", safe(&line))),
        Event::Note(text) => say(&text, ""),
    }
}

/// Carrying out an approved plan.
pub(super) struct Work<'a> {
    pub(super) desired: &'a Desired,
    pub(super) machine: &'a Machine,
    pub(super) listener: Listener<'a>,
    pub(super) patience: Duration,
    pub(super) selection: &'a Selection,
    pub(super) allowed: &'a Allowances,
}

impl Work<'_> {
    pub(super) fn carry_out(
        &self,
        approved: &ApprovedPlan,
        observed: Observed,
        progress: &Arc<Progress>,
    ) -> Result<Report, Failure> {
        let plan = approved.plan();
        let (began, clock) = (Time(self.machine.host.now()), SystemClock::new());
        // Before the journal begins: an error after that would leave it open.
        let builds = plan
            .steps
            .iter()
            .any(|step| matches!(step.op, Op::Build { .. }));
        let links = builds
            .then(|| Links::begin(&self.machine.host.state_folder().join("builds")))
            .transpose()
            .map_err(|error| Failure::of(&error).help(STATE))?;
        let path = self.machine.journal(&self.desired.config);
        let (journal, left) =
            Journal::begin(&path, began).map_err(|error| Failure::of(&error).help(STATE))?;
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
            links: links.as_ref(),
            desired: self.desired,
            machine: self.machine,
            digest: &digest,
            run: observed.environment.run.clone(),
            progress,
            journal: &journal,
            listener: self.listener,
            patience: self.patience,
            selection: self.selection,
            allowed: self.allowed,
        };
        let mut applied = apply(&applying, approved, observed);
        let (remaining, second_look, caches) = self.confirm(&mut applied, &plan.config, progress);
        let ended = Time(self.machine.host.now());
        let written = journal.write(ended, None, Entry::End { result: None });
        let unwritten = written.err().map(|error| sentence(&error));
        let report = Report {
            format: FORMAT,
            writer: plan.writer.clone(),
            project: plan.project.clone(),
            config: plan.config.clone(),
            began,
            duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            phases: PhaseOutcome::of(&applied.outcomes),
            steps: applied.outcomes,
            remaining,
            caches,
            second_look,
            busy: applied.busy,
            journal: applied.unwritten.or(unwritten),
            errors: plan.errors.clone(),
            unreached: Vec::new(),
            interrupted: None,
        };
        for failed in runs::close(self.desired, self.machine, &report) {
            (self.listener)(Event::Note(failed));
        }
        Ok(report)
    }

    /// Only what was applied is looked at again; where that changed nothing, there is no need to.
    fn confirm(
        &self,
        applied: &mut Applied,
        config: &str,
        progress: &Progress,
    ) -> (Remaining, Option<SecondLook>, Vec<CacheBudget>) {
        if applied.steps.iter().all(|step| !step.is_change()) {
            return (Remaining::Converged, None, Vec::new());
        }
        let (desired, machine) = (self.desired, self.machine);
        match confirm(desired, machine, applied, config, progress, self.listener) {
            Ok(confirmation) => {
                for (outcome, seen) in applied.outcomes.iter_mut().zip(confirmation.seen) {
                    outcome.seen = Some(seen);
                }
                (
                    confirmation.remaining,
                    Some(confirmation.look),
                    confirmation.caches,
                )
            }
            Err(why) => (Remaining::Unconfirmed { why }, None, Vec::new()),
        }
    }
}
