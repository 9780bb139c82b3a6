//! `explain`: says of one path what happens to it, and why.

use super::args::{AnswerFormat, Explain};
use super::context::Context;
use super::error::Failure;
use super::meant::check_names;
use super::phases::desired;
use crate::config::model::CacheName;
use crate::engine::machine::{Machine, Options};
use crate::engine::observe::observe;
use crate::exit::Exit;
use crate::nix::store_path::StorePath;
use crate::plan::desired::{Desired, Extra};
use crate::plan::explain::explain;
use crate::plan::guard::{self, Allowances};
use crate::plan::make;
use crate::plan::observed::{Observation, Observed};
use crate::provider::nix_store;
use crate::render::explain as render;
use crate::transfer::progress::Progress;

pub(super) fn run(context: &Context, args: &Explain) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    check_names(&args.cache, &loaded.config)?;
    let options = Options {
        store: args.store.clone(),
        ..Options::default()
    };
    let machine = Machine::new(context.host.clone(), options);
    let (desired, digest) = desired(loaded, &machine, Extra::default());
    let observed = observe(&desired, &machine, &Progress::default(), &|_| {});
    let path = path(context, args, &machine, &desired, &observed)?;
    let mut plan = make::plan(&desired, &observed, &digest);
    plan.refusals = guard::check(&desired, &plan, &Allowances::default());
    let only: Vec<CacheName> = args
        .cache
        .iter()
        .map(|name| CacheName::new(name.as_str()))
        .collect();
    let mut explanation = explain(&desired, &observed, &plan, &path, &only);
    explanation.gc_roots = gc_roots(&machine, &observed, &path);
    context.output.result(&match args.format {
        AnswerFormat::Text => render::text(&explanation, context.output.results()),
        AnswerFormat::Json => render::json(&explanation),
    })?;
    Ok(Exit::Done)
}

/// The links that keep a path in the local store; none where they cannot be seen.
fn gc_roots(machine: &Machine, observed: &Observed, path: &StorePath) -> Vec<String> {
    let (Some(store), Ok(location)) = (observed.store.present(), &machine.store) else {
        return Vec::new();
    };
    let Some(row) = store.paths.row(&path.hash()) else {
        return Vec::new();
    };
    let keeping = store.paths.refs().reversed().reach([row]);
    let roots = nix_store::roots(location);
    let roots = roots.present().into_iter().flatten();
    roots
        .filter(|root| {
            let from = store.paths.row(&root.path.hash());
            from.is_some_and(|from| keeping.contains(from))
        })
        .map(|root| root.link.to_string())
        .collect()
}

/// The path that is meant: a store path, a base name, a hash part that some place knows, a
/// directory of `cache.yaml`, or a link.
fn path(
    context: &Context,
    args: &Explain,
    machine: &Machine,
    desired: &Desired,
    observed: &Observed,
) -> Result<StorePath, Failure> {
    let text = args.path.trim_end_matches('/');
    if let Some(path) = text
        .rsplit('/')
        .next()
        .and_then(|name| name.parse::<StorePath>().ok())
    {
        return Ok(path);
    }
    if let Ok(hash) = text.parse() {
        let mut tables: Vec<_> = observed
            .caches
            .values()
            .filter_map(|cache| Some(&cache.present()?.paths))
            .collect();
        tables.extend(observed.store.present().map(|store| &store.paths));
        let found = tables
            .iter()
            .find_map(|paths| Some(paths.path(paths.row(&hash)?)));
        return found.ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("explain `{text}`: no path with that hash part is known here"),
            )
        });
    }
    let full = crate::plan::desired::resolve(text, &desired.site);
    let directories = observed
        .directories
        .values()
        .filter_map(Observation::present)
        .flat_map(|directories| &directories.found);
    for directory in directories {
        if directory.directory == full.as_str()
            || directory.directory.ends_with(&format!("/{text}"))
        {
            return Ok(directory.path.clone());
        }
    }
    let fail = |why: String| {
        Failure::new(Exit::Failed, format!("explain `{text}`: {why}"))
            .help("name a store path, a link to one, or a directory of cache.yaml")
    };
    let location = machine.store.as_ref().map_err(|why| fail(why.clone()))?;
    match nix_store::resolve(location, &context.host.folder.join(text)) {
        Observation::Present(path) => Ok(path),
        Observation::Absent => Err(fail("there is nothing of that name".to_owned())),
        Observation::Unknown(why) | Observation::Error(why) => Err(fail(why.0)),
    }
}
