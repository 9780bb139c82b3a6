//! `analytics share`: the records of this machine, to the caches that keep those of all.

use crate::cli::context::Context;
use crate::cli::error::Failure;
use crate::cli::phases::desired;
use crate::engine::machine::{Machine, Options};
use crate::engine::runs::share;
use crate::exit::Exit;
use crate::ledger::Ledger;
use crate::plan::desired::Extra;
use crate::render::units::things;

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let machine = Machine::new(context.host.clone(), Options::default());
    let (desired, _) = desired(loaded, &machine, Extra::default());
    if desired.config.ledger.caches.is_empty() {
        let failure = Failure::new(Exit::Failed, "share records: no cache keeps them");
        return Err(failure.help("`ledger: { caches: [NAME] }` in cache.yaml names some"));
    }
    let mut ledger =
        Ledger::open(&context.host.state_folder()).map_err(|error| Failure::of(&error))?;
    let (written, failed) = share(&desired, &machine, &mut ledger, &|_| true);
    let text = format!("{} written\n", things(written, "record"));
    context.output.result(&text)?;
    match failed.first() {
        Some(why) => Err(Failure::new(Exit::Failed, format!("share records: {why}"))),
        None => Ok(Exit::Done),
    }
}
