//! `fetch`: brings a directory that was pushed to this machine, without any Nix.

use super::args::Fetch;
use super::context::Context;
use super::error::Failure;
use super::meant::check_names;
use super::phases::desired;
use crate::config::model::CacheName;
use crate::engine::fetch::{FetchFailure, Fetched, fetch};
use crate::engine::machine::{Machine, Options};
use crate::exit::Exit;
use crate::plan::desired::Extra;
use crate::render::layout::safe;
use crate::render::units;
use crate::transfer::progress::Progress;

pub(super) fn run(context: &Context, args: &Fetch) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    check_names(args.cache.as_slice(), &loaded.config)?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    let only = args
        .cache
        .as_ref()
        .map(|name| CacheName::new(name.as_str()));
    let into = context.host.folder.join(&args.into);
    match fetch(
        &desired,
        &machine,
        &args.name,
        only.as_ref(),
        &into,
        &Progress::default(),
    ) {
        Ok(Fetched {
            cache,
            path,
            bytes,
            fresh: true,
        }) => {
            let text = format!(
                "Fetched {path} ({}) from {cache} into {into}.",
                units::size(bytes)
            );
            context.output.note(&format!("{}\n", safe(&text)));
            Ok(Exit::Done)
        }
        Ok(Fetched { path, .. }) => {
            let text = format!("{into} is {path} already: nothing to do.");
            context.output.note(&format!("{}\n", safe(&text)));
            Ok(Exit::Done)
        }
        Err(FetchFailure { why, help }) => {
            let failure = Failure::new(Exit::Failed, format!("fetch `{}`: {why}", args.name));
            Err(match help {
                Some(help) => failure.help(help),
                None => failure,
            })
        }
    }
}
