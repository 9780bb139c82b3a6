//! `analytics`: how well the caches serve, by what was recorded.

mod ingest;

use std::collections::BTreeMap;

use super::args::{Analytics, AnalyticsCommand, Figures, FiguresFormat};
use super::context::Context;
use super::error::Failure;
use super::phases::desired;
use super::runs::{From, runs};
use crate::config::model::CacheName;
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::engine::runs::share;
use crate::exit::Exit;
use crate::insight::measure::{Content, Filter, Report, StoredPath, report};
use crate::ledger::Ledger;
use crate::plan::desired::{Desired, Extra};
use crate::plan::observed::{Narinfo, Observation, Observed};
use crate::plan::time::Time;
use crate::plan::wanted::classifier;
use crate::render::analytics as render;
use crate::render::units::things;
use crate::transfer::progress::Progress;

pub(super) fn run(context: &Context, args: &Analytics) -> Result<Exit, Failure> {
    match &args.command {
        Some(AnalyticsCommand::Ingest(args)) => ingest::run(context, args),
        Some(AnalyticsCommand::Share) => carry(context),
        None => figures(context, &args.figures),
    }
}

/// Writes the records of this machine to the caches that keep those of all.
fn carry(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    if desired.config.ledger.caches.is_empty() {
        let failure = Failure::new(Exit::Failed, "share records: no cache keeps them");
        return Err(failure.help("`ledger: { caches: [NAME] }` in cache.yaml names some"));
    }
    let mut ledger =
        Ledger::open(&context.host.state_folder()).map_err(|error| Failure::of(&error))?;
    let (written, failed) = share(&desired, &machine, &mut ledger);
    let text = format!("{} written\n", things(written, "record"));
    context.output.result(&text)?;
    match failed.first() {
        Some(why) => Err(Failure::new(Exit::Failed, format!("share records: {why}"))),
        None => Ok(Exit::Done),
    }
}

fn figures(context: &Context, args: &Figures) -> Result<Exit, Failure> {
    let report = measured(context, args)?;
    context.output.result(&match args.format {
        FiguresFormat::Text => render::text(&report, context.output.results()),
        FiguresFormat::Markdown => render::markdown(&report),
        FiguresFormat::Json => render::json(&report),
    })?;
    let is_missed = |met: Option<bool>| match met {
        Some(met) => !met,
        None => args.strict,
    };
    let missed = report.targets.iter().any(|target| is_missed(target.met));
    Ok(if args.check && missed {
        Exit::Check
    } else {
        Exit::Done
    })
}

/// The figures that these arguments ask for.
pub(super) fn measured(context: &Context, args: &Figures) -> Result<Report, Failure> {
    let loaded = context.load()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    let from = From {
        files: &args.from,
        offline: args.offline,
    };
    let runs = runs(context, &desired, &machine, &from)?;
    let now = machine.now();
    let contents = if args.look {
        let observed = observe(&desired, &machine, &Progress::default(), &|_| {});
        contents(&desired, &observed)
    } else {
        BTreeMap::new()
    };
    let since = args.since.map(|since| {
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        Time(now.0.saturating_sub(since))
    });
    let filter = Filter {
        since,
        branch: args.branch.clone(),
        event: args.event.clone(),
    };
    Ok(report(&runs, &desired.config, &contents, &filter, now))
}

/// What is in the caches that could be seen whole.
fn contents(desired: &Desired, observed: &Observed) -> BTreeMap<CacheName, Content> {
    let classes = classifier(desired, observed);
    let mut found = BTreeMap::new();
    for (name, cache) in &observed.caches {
        let Observation::Present(cache) = cache else {
            continue;
        };
        if cache.partial.is_some() || cache.service.is_some() {
            continue;
        }
        let paths = cache.paths.rows().map(|row| {
            let base = cache.paths.base_name(row);
            let nar = cache.narinfos.get(row as usize).and_then(Narinfo::nar);
            let class = classes.class(cache.paths.hash(row), &base);
            StoredPath {
                class: Some(classes.name_of(class).clone()),
                bytes: nar.map_or(0, |nar| cache.nars.size(nar)),
                file: nar.map_or_else(|| base.clone(), |nar| nar.to_string()),
                path: base,
            }
        });
        let paths = paths.collect();
        found.insert(name.clone(), Content { paths });
    }
    found
}
