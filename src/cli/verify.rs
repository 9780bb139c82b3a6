//! `verify`: whether what a cache holds is true.

mod local;
mod mend;

use std::sync::Arc;

use super::args::{AnswerFormat, Verify};
use super::context::Context;
use super::error::Failure;
use super::phases::{desired, tell};
use super::progress::Display;
use super::signals;
use crate::config::model::CacheName;
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::engine::verify::{Question, verify};
use crate::exit::Exit;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::desired::{Desired, Extra};
use crate::plan::observed::{CacheContent, Observation};
use crate::plan::report::Signal;
use crate::plan::time::Time;
use crate::plan::wanted::Wanted;
use crate::provider::nix_store;
use crate::render::units::list;
use crate::render::verify as render;
use crate::transfer::progress::Progress;

pub(super) fn run(context: &Context, args: &Verify) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let options = Options {
        store: args.store.clone(),
        refresh: args.refresh,
        ..Options::default()
    };
    let machine = Machine::new(context.host.clone(), options);
    let (desired, digest) = desired(loaded, &machine, Extra::default());
    if !args.rebuild.is_empty() || args.sources {
        return local::run(context, args, &desired, &machine);
    }
    let name = cache(args, &desired)?;
    if args.repair {
        mend::check(&desired, &name)?;
    }
    let question = question(context, args, &machine, &desired, &name)?;
    let progress = Arc::new(Progress::default());
    let watch = signals::watch(&progress, context.output);
    let terminal = context.host.terminals.stderr;
    let display = Display::of("verify", &progress, context.output, terminal);
    let listener = |event| tell(context, event);
    let found = verify(&desired, &machine, &name, &question, &progress, &listener);
    display.end();
    let report =
        found.map_err(|why| Failure::new(Exit::Failed, format!("verify `{name}`: {why}")))?;
    match args.format {
        AnswerFormat::Text => {
            let text = render::text(&report, args.full, context.output.results());
            context.output.result(&text)?;
        }
        AnswerFormat::Json if args.repair => {}
        AnswerFormat::Json => context.output.result(&render::json(&report))?,
    }
    match watch.caught() {
        Some(Signal::Interrupted) => Ok(Exit::Interrupted),
        Some(Signal::Terminated) => Ok(Exit::Terminated),
        None if args.repair => mend::run(context, args, (desired, &digest), machine, &report),
        None if report.is_sound() => Ok(Exit::Done),
        None => Ok(Exit::Check),
    }
}

/// The cache that is meant: it may be an upstream, too.
fn cache(args: &Verify, desired: &Desired) -> Result<CacheName, Failure> {
    let names = desired.caches.keys().chain(desired.upstreams.keys());
    let known: Vec<String> = names.clone().map(|name| format!("`{name}`")).collect();
    let help = format!("cache.yaml has {}", list(&known));
    let Some(name) = &args.cache else {
        return match desired.caches.keys().collect::<Vec<_>>().as_slice() {
            [only] => Ok((*only).clone()),
            _ => Err(Failure::new(Exit::Usage, "verify: which cache is meant?").help(help)),
        };
    };
    let name = CacheName::new(name.as_str());
    if names.clone().any(|known| *known == name) {
        Ok(name)
    } else {
        let text = format!("verify `{name}`: cache.yaml does not have it");
        Err(Failure::new(Exit::Usage, text).help(help))
    }
}

fn question(
    context: &Context,
    args: &Verify,
    machine: &Machine,
    desired: &Desired,
    name: &CacheName,
) -> Result<Question, Failure> {
    let day = Time(context.host.now()).to_string();
    let day = day.split('T').next().unwrap_or(&day).to_owned();
    let mut question = Question {
        sample: (!args.all && args.path.is_empty()).then_some(args.sample),
        seed: args.seed.clone().unwrap_or(day),
        paths: Vec::new(),
        wanted: false,
    };
    for text in &args.path {
        question.paths.push(path(context, machine, text)?.hash());
    }
    // Services and upstreams list nothing.
    let lists = desired
        .caches
        .get(name)
        .is_some_and(|cache| cache.place.service().is_none());
    if question.paths.is_empty() && !lists {
        let tell = |event| tell(context, event);
        let observed = observe(desired, machine, &Progress::default(), &tell);
        let wanted = Wanted::resolve(desired, &observed, &CacheContent::default());
        question.paths = wanted
            .paths
            .rows()
            .map(|row| wanted.paths.hash(row))
            .collect();
        question.wanted = true;
    }
    question.paths.sort_unstable();
    question.paths.dedup();
    Ok(question)
}

/// The path that is meant: a store path, a base name, or a link; of a hash part, any name will do.
fn path(context: &Context, machine: &Machine, text: &str) -> Result<StorePath, Failure> {
    let fail = |why: String| Failure::new(Exit::Failed, format!("verify `{text}`: {why}"));
    let store_dir = machine
        .store
        .as_ref()
        .map_or_else(|_| StoreDir::default(), |store| store.store.clone());
    if let Ok((path, _)) = store_dir.containing(text) {
        return Ok(path);
    }
    if let Ok(path) = text.parse::<StorePath>() {
        return Ok(path);
    }
    if let Ok(hash) = text.parse::<HashPart>() {
        return StorePath::new(hash, "x").map_err(|error| fail(error.to_string()));
    }
    let location = machine.store.as_ref().map_err(|why| fail(why.clone()))?;
    match nix_store::resolve(location, &context.host.folder.join(text)) {
        Observation::Present(path) => Ok(path),
        Observation::Absent => Err(fail("nothing of that name is known".to_owned())),
        Observation::Unknown(why) | Observation::Error(why) => Err(fail(why.0)),
    }
}
