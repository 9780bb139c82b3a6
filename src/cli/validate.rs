//! `validate`: all problems of `cache.yaml`.

use super::args::{ProblemFormat, Validate};
use super::context::Context;
use super::error::Failure;
use crate::config;
use crate::exit::Exit;
use crate::render::problems;
use crate::render::units::plural;

pub(super) fn run(context: &Context, args: &Validate) -> Result<Exit, Failure> {
    let source = context.source()?;
    let (found, summary) = match config::read(&source.shown, &source.bytes) {
        Ok((config, warnings)) => {
            let caches = plural(config.caches.len() as u64, "cache", "caches");
            let classes = plural(
                config.classes.len() as u64,
                "artifact class",
                "artifact classes",
            );
            (
                warnings,
                Some(format!("{}: valid; {caches}, {classes}\n", source.shown)),
            )
        }
        Err(problems) => (problems, None),
    };
    let layout = context.output.results();
    let text = match args.format {
        ProblemFormat::Json => problems::json(&found),
        ProblemFormat::Github => problems::github(&found),
        ProblemFormat::Text => {
            problems::text(&found, layout) + summary.as_deref().unwrap_or_default()
        }
    };
    context.output.result(&text)?;
    let fails = found.has_errors() || (args.strict && !found.is_empty());
    Ok(if fails { Exit::Invalid } else { Exit::Done })
}
