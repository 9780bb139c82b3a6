//! `reconcile` and its single phases: observe, plan, show, ask, apply, report.
//!
//! The order of things is here, the doing is not: observing and applying are passed in, so that
//! this file can be tried without a machine. Nothing is applied that was not shown and approved.

use std::borrow::Cow;
use std::sync::Arc;

use camino::Utf8PathBuf;

use super::args::{Event, Format, PlanArgs};
use super::consent;
use super::error::Failure;
use super::output::Output;
use super::progress::Display;
use super::publish::Job;
use super::signals;
use crate::engine::machine::sentence;
use crate::exit::Exit;
use crate::plan::desired::Desired;
use crate::plan::guard::{self, ApprovedPlan};
use crate::plan::observed::Observed;
use crate::plan::plan::{Plan, Refusal};
use crate::plan::push::unreached::unreached;
use crate::plan::report::{Remaining, Report, Signal};
use crate::plan::select::Selection;
use crate::plan::step::Scope;
use crate::plan::summary::Summary;
use crate::plan::time::Time;
use crate::render::view::{Options, PlanView};
use crate::render::{json, markdown, report, text};
use crate::sys::file;
use crate::sys::host::Host;
use crate::transfer::progress::Progress;

/// The refusal of a plan while another prune is at work.
const PRUNE_BUSY: &str = "prune-busy";

/// Seconds by which the clocks of two machines may differ.
const CLOCKS: i64 = 300;

/// What was asked for.
pub(super) struct Request<'a> {
    /// The flags.
    pub(super) args: &'a PlanArgs,
    /// The part of the plan that is meant.
    pub(super) selection: Selection,
    /// What should be.
    pub(super) desired: &'a Desired,
    /// SHA-256 of `cache.yaml`, in hex.
    pub(super) digest: &'a str,
    /// The machine.
    pub(super) host: &'a Host,
    /// Where to print.
    pub(super) output: Output,
}

/// Plans, and applies if that was asked for.
///
/// `observe` looks at the world, at the time of a saved plan if there is one, and changes nothing;
/// `apply` carries an approved plan out, stops
/// after the current objects when the progress says so, looks again, and reports.
pub(super) fn run(
    request: &Request<'_>,
    observe: impl FnOnce(Option<Time>) -> Result<Observed, Failure>,
    apply: impl FnOnce(ApprovedPlan, Observed, Arc<Progress>) -> Result<Report, Failure>,
) -> Result<Exit, Failure> {
    let job = || Job::new(request.host, request.output, &request.desired.site.base);
    let job = request.args.publish.map(|_| job()).transpose()?;
    let saved = saved(request)?;
    let observed = observe(saved.as_ref().map(|saved| saved.now))?;
    let mut plan = crate::plan::make::plan(request.desired, &observed, request.digest);
    // With the other scope's steps in hand, the view can say in one line what it leaves out.
    let whole = request.selection.scope.map(|_| plan.clone());
    plan = request.selection.apply(plan);
    if request.args.apply && request.args.lock_timeout.0 > 0 {
        // Applying waits for it.
        plan.refusals.retain(|refusal| refusal.code != PRUNE_BUSY);
    }
    plan.refusals = guard::check(request.desired, &plan, &request.args.allowances());
    if request.args.event == Some(Event::Main) {
        plan.refusals = shared_refusals(&plan);
    }
    if let Some(saved) = &saved {
        fresh(saved, &plan)?;
    }
    if let Some(path) = &request.args.out {
        save(request, path, &plan)?;
    }
    if request.args.apply {
        carry_out(request, job.as_ref(), plan, observed, apply)
    } else {
        request.output.result(&drawn(
            request,
            request.args.format,
            whole.as_ref(),
            &plan,
            false,
        ))?;
        if let Some(job) = &job {
            let text = drawn(request, Format::Markdown, whole.as_ref(), &plan, false);
            job.plan(&plan, &text);
        }
        Ok(exit_of_plan(request.args, &plan))
    }
}

/// The refusals of what everybody shares: those of this machine are not shown on its behalf, so they do not count.
fn shared_refusals(plan: &Plan) -> Vec<Refusal> {
    let shared = Selection {
        scope: Some(Scope::Shared),
        ..Selection::default()
    };
    shared.shown(plan.clone()).refusals
}

fn carry_out(
    request: &Request<'_>,
    job: Option<&Job<'_>>,
    plan: Plan,
    observed: Observed,
    apply: impl FnOnce(ApprovedPlan, Observed, Arc<Progress>) -> Result<Report, Failure>,
) -> Result<Exit, Failure> {
    let output = request.output;
    let sum = Summary::of(&plan);
    let is_refused = !plan.refusals.is_empty();
    let has_work = !plan.steps.is_empty();
    let unreached = unreached(request.desired, &observed, &request.selection);
    if request.args.format != Format::Json || is_refused || !has_work {
        output.result(&drawn(request, request.args.format, None, &plan, has_work))?;
    }
    if let Some(job) = job {
        let text = drawn(
            request,
            Format::Markdown,
            None,
            &plan,
            has_work && !is_refused,
        );
        job.plan(&plan, &text);
    }
    if is_refused {
        return Ok(exit_of_plan(request.args, &plan));
    }
    if !has_work {
        for one in &unreached {
            let text = format!(
                "Not applied: {} could not be looked at, and push writes to it.\n",
                one.what
            );
            output.must_say(&text);
        }
        let exit = exit_of_plan(request.args, &plan);
        return Ok(if unreached.is_empty() {
            exit
        } else {
            exit.worst(Exit::Failed)
        });
    }
    let asks = !request.args.yes && request.host.terminals.stdin && request.host.terminals.stderr;
    // A renewal changes nothing, so there is nothing to consent to.
    if asks && !sum.is_empty() && !consent::ask(output, sum.changes) {
        output.must_say("Declined. Nothing has been changed.\n");
        return Ok(exit_of_plan(request.args, &plan).worst(Exit::Refused));
    }
    let is_unsure = !(plan.unknowns.is_empty() && plan.errors.is_empty() && plan.advice.is_empty());
    let approved = match guard::approve(request.desired, plan, &request.args.allowances()) {
        Ok(approved) => approved,
        Err(refusals) => return Ok(exit_of_refusals(&refusals)),
    };
    let progress = Arc::new(Progress::default());
    let watch = signals::watch(&progress, output);
    let display = Display::start(&progress, output, request.host.terminals.stderr);
    let done = apply(approved, observed, Arc::clone(&progress));
    display.end();
    let mut done = done?;
    done.unreached = unreached;
    done.interrupted = done.interrupted.or_else(|| watch.caught());
    output.result(&reported(request.args.format, &done, output))?;
    if let Some(job) = job {
        job.report(&done, &reported(Format::Markdown, &done, output));
    }
    let unseen = done.second_look.as_ref();
    let unsure = is_unsure
        || done.remaining != Remaining::Converged
        || unseen.is_some_and(|look| !look.unknowns.is_empty());
    let strict = if request.args.strict && unsure {
        Exit::Check
    } else {
        Exit::Done
    };
    Ok(exit_of_report(&done).worst(strict))
}

/// The plan in a form. `whole` has the steps of both scopes, if `plan` has not.
fn drawn(
    request: &Request<'_>,
    format: Format,
    whole: Option<&Plan>,
    plan: &Plan,
    applying: bool,
) -> String {
    let args = request.args;
    let scope = match args.event {
        Some(Event::Main) => Some(Scope::Shared),
        None => args.scope.map(Scope::from),
    };
    let shown = whole.map_or(Cow::Borrowed(plan), |whole| {
        let selection = Selection {
            scope: None,
            ..request.selection.clone()
        };
        let mut shown = selection.shown(whole.clone());
        shown.refusals.clone_from(&plan.refusals);
        Cow::Owned(shown)
    });
    let view = || {
        PlanView::new(
            &shown,
            Options {
                detail: args.detail(),
                scope,
                applying,
            },
        )
        .with_home(request.host.home.as_str())
    };
    match format {
        Format::Json => {
            let part = scope.map(|_| {
                let selection = Selection {
                    scope,
                    ..Selection::default()
                };
                selection.shown(plan.clone())
            });
            json::plan(part.as_ref().unwrap_or(plan))
        }
        Format::Markdown => markdown::plan(&view()),
        Format::Text => text::plan(&view(), request.output.results()),
    }
}

fn reported(format: Format, done: &Report, output: Output) -> String {
    match format {
        Format::Json => report::json(done),
        Format::Text => format!("\n{}", report::text(done, output.results())),
        Format::Markdown => {
            let layout = text::Layout::new(None, crate::render::style::Palette::PLAIN);
            format!(
                "\n### applied\n\n````text\n{}````\n",
                report::text(done, layout)
            )
        }
    }
}

/// The plan of `--from`.
fn saved(request: &Request<'_>) -> Result<Option<Plan>, Failure> {
    let Some(path) = &request.args.from else {
        return Ok(None);
    };
    let path = request.host.folder.join(path);
    let fail = |why: String| {
        Failure::new(Exit::Failed, format!("use the plan `{path}`: {why}"))
            .help("`nanna-cache reconcile --out FILE` saves one; `--apply --from FILE` applies it")
    };
    let bytes = match file::read_if_there(path.as_std_path(), 1 << 30) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(fail("there is no such file".to_owned())),
        Err(error) => return Err(fail(sentence(&error))),
    };
    let plan = match std::str::from_utf8(&bytes) {
        Ok("") => return Err(fail("it is empty".to_owned())),
        Ok(text) => json::read(text).map_err(|error| fail(error.to_string()))?,
        Err(_) => return Err(fail("it is no text, let alone a plan".to_owned())),
    };
    if plan.config != request.digest {
        let text = format!("apply the plan `{path}`: cache.yaml has changed since it was made");
        return Err(Failure::new(Exit::Stale, text).help("plan again"));
    }
    // Retention ends by the saved time: a file must not make it later than it is.
    if plan.now.0 > request.host.now().saturating_add(CLOCKS) {
        let text = format!(
            "apply the plan `{path}`: it was made for {}, which is in the future",
            plan.now
        );
        return Err(Failure::new(Exit::Stale, text).help("plan again, or set the clock"));
    }
    Ok(Some(plan))
}

fn save(request: &Request<'_>, path: &Utf8PathBuf, plan: &Plan) -> Result<(), Failure> {
    let path = request.host.folder.join(path);
    file::write(path.as_std_path(), json::plan(plan).as_bytes(), 0o644)
        .map(drop)
        .map_err(|error| {
            let text = format!("save the plan: {}", sentence(&error));
            Failure::new(Exit::Failed, text)
                .help("--out names a file in a folder that is there and may be written")
        })
}

/// Refuses a saved plan that would not be made again.
fn fresh(saved: &Plan, plan: &Plan) -> Result<(), Failure> {
    let differences = differences(saved, plan);
    if differences.is_empty() {
        return Ok(());
    }
    let shown = differences
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    let more = differences.len().saturating_sub(10);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    Err(Failure::new(
        Exit::Stale,
        format!("apply the saved plan, because it is stale: {shown}{more}"),
    )
    .help("plan again, look at it, and apply that (with the same --only, --cache and --scope)"))
}

/// Steps in which two plans differ, each with what is the matter.
#[must_use]
pub fn differences(saved: &Plan, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for step in &saved.steps {
        match plan
            .steps
            .iter()
            .find(|other| other.address == step.address)
        {
            None => found.push(format!("{} is no longer needed", step.address)),
            Some(other) if other != step => {
                found.push(format!("{} would do something else", step.address));
            }
            Some(_) => {}
        }
    }
    let is_new = |address| !saved.steps.iter().any(|step| step.address == address);
    for step in plan
        .steps
        .iter()
        .filter(|step| is_new(step.address.clone()))
    {
        found.push(format!("{} is new", step.address));
    }
    found
}

/// How the program ends after showing a plan.
#[must_use]
pub fn exit_of_plan(args: &PlanArgs, plan: &Plan) -> Exit {
    let mut exit = Exit::Done;
    if !plan.refusals.is_empty() {
        exit = exit.worst(exit_of_refusals(&plan.refusals));
    }
    if !plan.errors.is_empty() {
        exit = exit.worst(Exit::Failed);
    }
    if args.strict && !(plan.unknowns.is_empty() && plan.advice.is_empty()) {
        exit = exit.worst(Exit::Check);
    }
    if args.detailed_exitcode && !args.apply && !Summary::of(plan).is_empty() {
        exit = exit.worst(Exit::Changes);
    }
    exit
}

/// Another prune at work is a refusal of its own kind: waiting helps.
fn exit_of_refusals(refusals: &[Refusal]) -> Exit {
    if refusals.iter().all(|refusal| refusal.code == PRUNE_BUSY) {
        Exit::Busy
    } else {
        Exit::Refused
    }
}

/// How the program ends after an apply.
#[must_use]
pub fn exit_of_report(report: &Report) -> Exit {
    let mut exit = Exit::Done;
    match report.interrupted {
        Some(Signal::Interrupted) => exit = exit.worst(Exit::Interrupted),
        Some(Signal::Terminated) => exit = exit.worst(Exit::Terminated),
        None => {}
    }
    if report.is_whole() {
        return exit;
    }
    if report.did_something() {
        return exit.worst(Exit::Partial);
    }
    let exits = [
        (
            report.has_failed() || report.journal.is_some(),
            Exit::Failed,
        ),
        (report.is_stale(), Exit::Stale),
        (report.busy, Exit::Busy),
    ];
    let mut all = exits
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, exit)| *exit);
    exit.worst(all.next().unwrap_or(Exit::Failed))
}

#[cfg(test)]
mod tests;
