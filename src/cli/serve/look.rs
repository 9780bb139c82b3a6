//! Looking, once for all who ask at about the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::args::Serve;
use super::super::context::{Context, Loaded};
use super::super::error::Failure;
use super::super::phases;
use super::Problem;
use crate::config::model::Config;
use crate::engine::machine::{Machine, Options, sentence};
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::insight::measure::{self, Filter, Report};
use crate::insight::status::{Status, status};
use crate::ledger::Ledger;
use crate::plan::desired::Extra;
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::plan::Plan;
use crate::plan::time::Time;
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
        let report = self.report(&desired.config, status.now);
        let seen = Arc::new(Seen {
            status,
            plan,
            report,
        });
        *last = Some((self.clock.elapsed(), Arc::clone(&seen)));
        Ok(seen)
    }

    fn report(&self, config: &Config, now: Time) -> Result<Report, String> {
        let folder = self.context.host.state_folder();
        let runs = Ledger::open(&folder).and_then(|ledger| ledger.runs(&config.project, None));
        let runs = runs.map_err(|error| sentence(&error))?;
        let contents = BTreeMap::new();
        Ok(measure::report(
            &runs,
            config,
            &contents,
            &Filter::default(),
            now,
        ))
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
