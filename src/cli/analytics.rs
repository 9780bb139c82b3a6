//! `analytics`: how well the caches serve, by what was recorded.

mod ingest;
mod share;

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::args::{Analytics, AnalyticsCommand, Figures, FiguresFormat};
use super::context::Context;
use super::error::Failure;
use super::phases::desired;
use super::runs::{From, runs};
use crate::config::model::CacheName;
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::insight::measure::{Content, Filter, Report, StoredPath, report};
use crate::insight::status::{Status, status};
use crate::plan::desired::{Desired, Extra};
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::observed::{Narinfo, Observation, Observed};
use crate::plan::plan::Plan;
use crate::plan::time::Time;
use crate::plan::wanted::classifier;
use crate::render::analytics as render;
use crate::render::html;
use crate::render::overview::{self, Overview};
use crate::render::prometheus::{self, Exposition};
use crate::sys::file::{self, FileError};
use crate::transfer::progress::Progress;

pub(super) fn run(context: &Context, args: &Analytics) -> Result<Exit, Failure> {
    match &args.command {
        Some(AnalyticsCommand::Ingest(args)) => ingest::run(context, args),
        Some(AnalyticsCommand::Share) => share::run(context),
        None => figures(context, &args.figures),
    }
}

fn figures(context: &Context, args: &Figures) -> Result<Exit, Failure> {
    let (report, seen) = measured(context, args)?;
    if let Some(path) = &args.html {
        write_page(context, path, &report, seen.as_ref())?;
    } else {
        context.output.result(&match args.format {
            FiguresFormat::Text => render::text(&report, context.output.results()),
            FiguresFormat::Markdown => render::markdown(&report),
            FiguresFormat::Json => render::json(&report),
            FiguresFormat::Prometheus => {
                let mut all = Exposition::default();
                if let Some(seen) = &seen {
                    prometheus::status(&seen.status, &mut all);
                }
                prometheus::report(&report, &mut all);
                all.into_text()
            }
        })?;
    }
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

/// What was seen, where somebody looked.
struct Seen {
    status: Status,
    plan: Plan,
}

/// Writes the page, whole or not at all.
fn write_page(
    context: &Context,
    path: &Utf8Path,
    report: &Report,
    seen: Option<&Seen>,
) -> Result<(), Failure> {
    let page = overview::page(&Overview {
        status: seen.map(|seen| &seen.status),
        report: Some(report),
        plan: seen.map(|seen| &seen.plan),
        home: context.host.home.as_str(),
        ..Overview::default()
    });
    let full = context.host.folder.join(path);
    let failed = |error: FileError| {
        Failure::of(&error).help("--html names a file in a folder that is there and may be written")
    };
    file::write(full.as_std_path(), html::page(&page).as_bytes(), 0o644).map_err(failed)?;
    context.output.note(&format!("wrote {path}\n"));
    Ok(())
}

/// The figures that these arguments ask for.
fn measured(context: &Context, args: &Figures) -> Result<(Report, Option<Seen>), Failure> {
    let loaded = context.load()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, digest) = desired(loaded, &machine, Extra::default());
    let from = From {
        files: &args.from,
        offline: args.offline,
    };
    let runs = runs(context, &desired, &machine, &from)?;
    let now = machine.now();
    let (contents, seen) = if args.look {
        let observed = observe(&desired, &machine, &Progress::default(), &|_| {});
        let mut plan = make::plan(&desired, &observed, &digest);
        plan.refusals = guard::check(&desired, &plan, &Allowances::default());
        let status = status(&desired, &observed, &plan);
        (contents(&desired, &observed), Some(Seen { status, plan }))
    } else {
        (BTreeMap::new(), None)
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
    let report = report(&runs, &desired.config, &contents, &filter, now);
    Ok((report, seen))
}

/// What is in the caches that could be seen whole.
pub(super) fn contents(desired: &Desired, observed: &Observed) -> BTreeMap<CacheName, Content> {
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
