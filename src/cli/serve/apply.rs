//! Applying what somebody with the token asks for: one at a time, as the command would, with nothing allowed beyond
//! `cache.yaml`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::meant::{check, check_names, check_only};
use super::super::phases::{self, Work};
use super::super::reconcile::exit_of_report;
use super::look::{Looks, failed};
use super::{Asked, Problem};
use crate::config::model::CacheName;
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::plan::desired::Extra;
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::plan::Refusal;
use crate::plan::push::unreached::unreached;
use crate::plan::report::{Report, Signal};
use crate::plan::select::Selection;
use crate::plan::summary::Summary;
use crate::render::api::{Applied, ApplyRequest, ApplyState, FORMAT};
use crate::transfer::progress::Progress;

/// Reads what is to be applied.
pub(super) fn read(asked: &Asked) -> Result<ApplyRequest, Problem> {
    if asked.body.is_empty() {
        return Ok(ApplyRequest::default());
    }
    let media = asked.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let why = "the body is not said to be application/json";
        return Err(Problem::new(415, "the body is no JSON", why));
    }
    let wrong = |why: String| Problem::new(400, "the body is not as described", why);
    // A list would be read as the fields one after the other, and an empty one as everything.
    if asked.body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(wrong("it is no object".to_owned()));
    }
    serde_json::from_slice(&asked.body).map_err(|error| wrong(error.to_string()))
}

/// The applies of a server.
#[derive(Default)]
pub(super) struct Applies {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// That which is at work.
    current: Option<Arc<Progress>>,
    /// What came of the last.
    last: Option<Applied>,
    /// Whether no other may begin.
    is_stopped: bool,
    /// How one that was cut short ended.
    cut: Option<Exit>,
}

impl Applies {
    /// Whether one is at work, and what came of the last.
    pub(super) fn state(&self) -> ApplyState {
        let state = self.lock();
        ApplyState {
            format: FORMAT,
            applying: state.current.is_some(),
            last: state.last.clone(),
        }
    }

    /// Lets no other begin, and tells that which is at work to stop; whether there is one.
    pub(super) fn stop(&self) -> bool {
        let mut state = self.lock();
        state.is_stopped = true;
        if let Some(progress) = &state.current {
            progress.stop();
        }
        state.current.is_some()
    }

    /// How the program ends: well, unless it cut an apply short.
    pub(super) fn exit(&self) -> Exit {
        self.lock().cut.unwrap_or(Exit::Done)
    }

    /// Plans and applies.
    pub(super) fn apply(&self, looks: &Looks, request: &ApplyRequest) -> Result<Applied, Problem> {
        let turn = self.begin()?;
        let applied = carry_out(looks, request, &turn.progress);
        looks.forget();
        let applied = applied?;
        let mut state = self.lock();
        state.last = Some(applied.clone());
        if state.is_stopped && applied.exit != Exit::Done.code() {
            state.cut = Exit::ALL
                .into_iter()
                .find(|exit| exit.code() == applied.exit);
        }
        drop(state);
        Ok(applied)
    }

    fn begin(&self) -> Result<Turn<'_>, Problem> {
        let mut state = self.lock();
        if state.is_stopped {
            let why = "the server was told to end";
            return Err(Problem::new(503, "the server is stopping", why));
        }
        if state.current.is_some() {
            let why = "an apply that was asked for before is not done yet";
            return Err(Problem::new(409, "another apply is at work", why)
                .help("GET /api/v1/apply tells when it is done"));
        }
        let progress = Arc::new(Progress::default());
        state.current = Some(Arc::clone(&progress));
        Ok(Turn {
            applies: self,
            progress,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one apply; it ends with it, however that ends.
struct Turn<'a> {
    applies: &'a Applies,
    progress: Arc<Progress>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.applies.lock().current = None;
    }
}

fn carry_out(
    looks: &Looks,
    request: &ApplyRequest,
    progress: &Arc<Progress>,
) -> Result<Applied, Problem> {
    let failed = |failure| failed(&failure);
    let loaded = looks.load()?;
    check_names(&request.caches, &loaded.config).map_err(failed)?;
    for address in &request.only {
        check(address).map_err(failed)?;
    }
    let machine = looks.machine();
    let (desired, digest) = phases::desired(loaded, &machine, Extra::default());
    check_only(&request.only, &desired).map_err(failed)?;
    let desired = desired.only(&request.only);
    let name = |name: &String| CacheName::new(name.as_str());
    let selection = Selection {
        only: request.only.clone(),
        caches: request.caches.iter().map(name).collect(),
        scope: None,
    };
    let allowed = Allowances::default();
    let tell = |event| phases::tell(&looks.context, event);
    let observed = observe(&desired, &machine, progress, &tell);
    let plan = selection.apply(make::plan(&desired, &observed, &digest));
    let planned = Summary::of(&plan);
    let unreached = unreached(&desired, &observed, &selection);
    let refused = |refusals: Vec<Refusal>| {
        let what = match refusals.as_slice() {
            [one] => one.text.clone(),
            all => format!("{} things", all.len()),
        };
        let why = format!("nothing was changed; refused: {what}");
        Problem {
            refusals,
            ..Problem::new(422, "the guards refuse", why)
        }
    };
    let has_work = !plan.steps.is_empty();
    let is_wrong = !plan.errors.is_empty() || !unreached.is_empty();
    let approved = guard::approve(&desired, plan, &allowed).map_err(refused)?;
    if !has_work {
        let exit = if is_wrong { Exit::Failed } else { Exit::Done };
        return Ok(applied(exit, planned, None));
    }
    let work = Work {
        desired: &desired,
        machine: &machine,
        listener: &tell,
        patience: Duration::ZERO,
        selection: &selection,
        allowed: &allowed,
    };
    let mut report = work
        .carry_out(&approved, observed, progress)
        .map_err(failed)?;
    report.unreached = unreached;
    if progress.is_stopped() && !report.is_whole() {
        report.interrupted = report.interrupted.or(Some(Signal::Terminated));
    }
    Ok(applied(exit_of_report(&report), planned, Some(report)))
}

fn applied(exit: Exit, planned: Summary, report: Option<Report>) -> Applied {
    Applied {
        format: FORMAT,
        exit: exit.code(),
        meaning: exit.meaning().to_owned(),
        planned,
        report,
    }
}
