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
use crate::plan::paths::Paths;
use crate::provider::nix_store;
use crate::render::explain as render;
use crate::render::units::{list, things};
use crate::transfer::progress::Progress;

/// Paths of a similar name that are named.
const SIMILAR: usize = 5;

/// What names a path.
const NAMES: &str = "name a store path, its base name or hash part, an output such as .#x, a link such as ./result, \
                     or a directory of cache.yaml";

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

/// The path that is meant: a store path (or a file in one), a base name, a hash part that some place
/// knows, an output, a directory of `cache.yaml`, or a link.
fn path(
    context: &Context,
    args: &Explain,
    machine: &Machine,
    desired: &Desired,
    observed: &Observed,
) -> Result<StorePath, Failure> {
    let text = match args.path.trim_end_matches('/') {
        "" => args.path.as_str(),
        text => text,
    };
    if text.is_empty() {
        let text = "explain ``: it names nothing";
        return Err(Failure::new(Exit::Usage, text).help(NAMES));
    }
    if let Ok((path, _)) = observed.store_dir.containing(text) {
        return Ok(path);
    }
    if let Ok(path) = text.parse::<StorePath>() {
        return Ok(path);
    }
    if let Some(found) = text.parse().ok().and_then(|hash| {
        let mut tables = tables(observed);
        tables.find_map(|(_, paths)| Some(paths.path(paths.row(&hash)?)))
    }) {
        return Ok(found);
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
    if text.contains('#') || text == "." || observed.outputs.contains_key(text) {
        return output(machine, desired, observed, text);
    }
    let file = context.host.folder.join(text);
    let why = match &machine.store {
        Err(why) => why.clone(),
        Ok(location) => match nix_store::resolve(location, &file) {
            Observation::Present(path) => return Ok(path),
            Observation::Absent if file.is_symlink() => {
                "the link leads to nothing, or to a path that was collected".to_owned()
            }
            Observation::Absent => "nothing of that name is known".to_owned(),
            Observation::Unknown(why) | Observation::Error(why) => why.0,
        },
    };
    Err(Failure::new(Exit::Failed, format!("explain `{text}`: {why}")).help(places(observed, text)))
}

/// The path of an output: as it was observed, else evaluated.
fn output(
    machine: &Machine,
    desired: &Desired,
    observed: &Observed,
    name: &str,
) -> Result<StorePath, Failure> {
    let fail = |why: String| Failure::new(Exit::Failed, format!("explain `{name}`: {why}"));
    let evaluated;
    let seen = if let Some(seen) = observed.outputs.get(name) {
        seen
    } else {
        let nix = match &machine.nix {
            Ok(Some(nix)) => nix,
            Ok(None) => return Err(fail("there is no Nix here to evaluate it".to_owned())),
            Err(why) => return Err(fail(why.clone())),
        };
        let names = [name.to_owned()];
        let (flake, base) = (&desired.config.flake, &desired.site.base);
        evaluated = nix.evaluate(&names, flake, base, &|| false);
        match evaluated.get(name) {
            Some(seen) => seen,
            None => return Err(fail("it was not evaluated".to_owned())),
        }
    };
    let facts = match seen {
        Observation::Present(facts) => facts,
        Observation::Absent => return Err(fail("the flake has no such output".to_owned())),
        Observation::Unknown(why) | Observation::Error(why) => return Err(fail(why.0.clone())),
    };
    let path = facts.outputs.get("out").or(facts.outputs.values().next());
    path.cloned().ok_or_else(|| {
        fail("its path is known only after a build (a content-addressed derivation)".to_owned())
    })
}

/// Everything that knows paths: its name, and the paths.
fn tables(observed: &Observed) -> impl Iterator<Item = (String, &Paths)> {
    let store = observed.store.present();
    let caches = observed.caches.iter().filter_map(|(name, cache)| {
        let content = cache.present()?;
        Some((format!("the cache {name}"), &*content.paths))
    });
    store
        .map(|store| ("the Nix store".to_owned(), &store.paths))
        .into_iter()
        .chain(caches)
}

/// Where was looked for a name, and what has a similar one.
fn places(observed: &Observed, text: &str) -> String {
    let looked: Vec<String> = tables(observed)
        .map(|(name, paths)| format!("{name} ({})", things(paths.len() as u64, "path")))
        .chain(["the directories of cache.yaml".to_owned()])
        .chain(["a file or link of that name".to_owned()])
        .collect();
    let mut similar: Vec<String> = tables(observed)
        .flat_map(|(_, paths)| paths.rows().map(move |row| (paths, row)))
        .filter(|(paths, row)| !text.is_empty() && paths.name(*row).contains(text))
        .map(|(paths, row)| paths.base_name(row))
        .filter(|name| !name.as_bytes().ends_with(b".drv"))
        .take(SIMILAR)
        .collect();
    similar.sort();
    similar.dedup();
    let similar = if similar.is_empty() {
        NAMES.to_owned()
    } else {
        format!("its name is in {}", list(&similar))
    };
    format!("looked at {}; {similar}", list(&looked))
}
