//! Looking, once for all who ask at about the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::analytics::contents;
use super::super::args::Serve;
use super::super::context::{Context, Loaded};
use super::super::error::Failure;
use super::super::phases;
use super::Problem;
use crate::engine::machine::{Machine, Options, sentence};
use crate::engine::observe::observe;
use crate::engine::runs::gather;
use crate::exit::Exit;
use crate::insight::measure::{self, Filter, Report};
use crate::insight::status::{Status, status};
use crate::ledger::{Ledger, LedgerError};
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::observed::Observed;
use crate::plan::plan::Plan;
use crate::render::problems;
use crate::sys::clock::{Clock as _, SystemClock};
use crate::transfer::progress::Progress;

/// What was seen.
pub(super) struct Seen {
    /// How things stand.
    pub(super) status: Status,
    /// What an apply would do, with what the guards refuse of it.
    pub(super) plan: Plan,
    /// What recorded runs measured; or why the records cannot be read.
    pub(super) report: Result<Report, String>,
}

/// Looks, and remembers the last look for a little while.
pub(super) struct Looks {
    pub(super) context: Context,
    store: Option<String>,
    fresh: Duration,
    clock: SystemClock,
    /// The last look, and when it ended. Locked while somebody looks: the others wait and take the same.
    last: Mutex<Option<(Duration, Arc<Seen>)>>,
    /// What was last said of `cache.yaml`, so as not to say it with each look.
    said: Mutex<String>,
}

impl Looks {
    pub(super) fn new(context: Context, args: &Serve) -> Self {
        Self {
            context,
            store: args.store.clone(),
            fresh: Duration::from_secs(args.fresh.0),
            clock: SystemClock::new(),
            last: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// What is to be seen now, or was a moment ago.
    pub(super) fn look(&self) -> Result<Arc<Seen>, Problem> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, seen)) = &*last
            && self.clock.elapsed().saturating_sub(*when) < self.fresh
        {
            return Ok(Arc::clone(seen));
        }
        let loaded = self.load()?;
        let machine = self.machine();
        let (desired, digest) = phases::desired(loaded, &machine, Extra::default());
        let observed = observe(&desired, &machine, &Progress::default(), &|_| {});
        let mut plan = make::plan(&desired, &observed, &digest);
        plan.refusals = guard::check(&desired, &plan, &Allowances::default());
        let status = status(&desired, &observed, &plan);
        let report = self.report(&desired, &machine, &observed);
        let seen = Arc::new(Seen {
            status,
            plan,
            report,
        });
        *last = Some((self.clock.elapsed(), Arc::clone(&seen)));
        Ok(seen)
    }

    /// What was recorded, here and in caches; `observed` is what is in them.
    fn report(
        &self,
        desired: &Desired,
        machine: &Machine,
        observed: &Observed,
    ) -> Result<Report, String> {
        let failed = |error: LedgerError| sentence(&error);
        let mut ledger = Ledger::open(&self.context.host.state_folder()).map_err(failed)?;
        let (_, unseen) = gather(desired, machine, &mut ledger);
        let runs = ledger.runs(&desired.config.project, None).map_err(failed)?;
        let contents = contents(desired, observed);
        let filter = Filter::default();
        let mut report = measure::report(&runs, &desired.config, &contents, &filter, observed.now);
        let unseen = unseen.into_iter().map(|text| format!("not seen: {text}"));
        report.unknowns.extend(unseen);
        Ok(report)
    }

    /// The next who asks looks again.
    pub(super) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `cache.yaml` as it is now.
    pub(super) fn load(&self) -> Result<Loaded, Problem> {
        self.read().map_err(|failure| failed(&failure))
    }

    /// The same for the one who starts the server. What is wrong with it is said once, not at each look.
    pub(super) fn read(&self) -> Result<Loaded, Failure> {
        self.context.load_telling(|found| {
            let text = problems::text(found, self.context.output.messages());
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if *said != text {
                self.context.output.must_say(&text);
                *said = text;
            }
        })
    }

    /// The machine as it is now.
    pub(super) fn machine(&self) -> Machine {
        let options = Options {
            store: self.store.clone(),
            ..Options::default()
        };
        Machine::new(self.context.host.clone(), options)
    }
}

/// A failure of a command as an answer.
pub(super) fn failed(failure: &Failure) -> Problem {
    let (status, title) = match failure.exit {
        Exit::Usage => (400, "the request is wrong"),
        Exit::Invalid => (500, "cache.yaml is invalid"),
        _ => (500, "it failed"),
    };
    let problem = Problem::new(status, title, format!("failed to {}", failure.text));
    match &failure.help {
        Some(help) => problem.help(help.clone()),
        None => problem,
    }
}
