//! `advise`: what of `cache.yaml` should be otherwise, by what recorded runs needed.

use super::args::{AdviceFormat, Advise};
use super::context::Context;
use super::error::Failure;
use super::phases::desired;
use super::runs::{From, runs};
use crate::engine::machine::{Machine, Options};
use crate::exit::Exit;
use crate::insight::advise::advise;
use crate::insight::dependencies::{critical_path, invalidated, root_causes};
use crate::insight::warming::warming;
use crate::plan::desired::Extra;
use crate::plan::time::Time;
use crate::render::advise::{self as render, Findings};

pub(super) fn run(context: &Context, args: &Advise) -> Result<Exit, Failure> {
    let source = context.source()?;
    let loaded = context.load()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    let from = From {
        files: &args.from,
        offline: args.offline,
    };
    let mut runs = runs(context, &desired, &machine, &from)?;
    if let Some(since) = args.since {
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        let since = Time(machine.now().0.saturating_sub(since));
        runs.retain(|run| run.start >= since);
    }
    let text = String::from_utf8_lossy(&source.bytes);
    let slowest = runs
        .iter()
        .filter_map(critical_path)
        .max_by_key(|path| (path.total_millis, path.start));
    let findings = Findings {
        advice: advise(&runs, &desired.config, &text),
        warming: warming(&runs, &desired.config, args.warm_size),
        causes: root_causes(&runs),
        slowest,
        needs: args
            .needs
            .iter()
            .map(|name| invalidated(&runs, name))
            .collect(),
    };
    context.output.result(&match args.format {
        AdviceFormat::Text => {
            render::text(&findings, &source.shown, &text, context.output.results())
        }
        AdviceFormat::Json => render::json(&findings),
        AdviceFormat::Diff => render::diff(&findings.advice, &source.shown, &text),
    })?;
    Ok(Exit::Done)
}
