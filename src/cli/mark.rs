//! `mark`: remembers what is in the Nix store, for `push --since-mark`.

use super::args::Mark;
use super::context::Context;
use super::error::Failure;
use crate::exit::Exit;
use crate::provider::nix_store::{Location, Marks, mark_here};

pub(super) fn run(context: &Context, args: &Mark) -> Result<Exit, Failure> {
    let host = &context.host;
    let location =
        Location::of(host, args.store.as_deref()).map_err(|error| Failure::of(&error))?;
    let mark = mark_here(&location, &args.name, host.now()).map_err(|error| Failure::of(&error))?;
    Marks::new(&host.state_folder())
        .save(&mark)
        .map_err(|error| Failure::of(&error))?;
    context.output.note(&format!(
        "Marked {} as `{}`; push what comes later with: nanna-cache push --apply --since-mark {}\n",
        location.store, args.name, args.name
    ));
    Ok(Exit::Done)
}
