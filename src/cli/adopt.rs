//! `adopt`: takes content that others wrote into a cache as ours.

use super::args::Adopt as Args;
use super::context::Context;
use super::error::Failure;
use crate::config::model::{CacheName, Config};
use crate::engine::machine::Machine;
use crate::exit::Exit;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::desired::Adopt;
use crate::plan::observed::Observation;
use crate::provider::nix_store;
use crate::render::units::list;

/// What `adopt` means for this `cache.yaml`.
pub(super) fn meant(
    context: &Context,
    args: &Args,
    config: &Config,
    machine: &Machine,
) -> Result<Adopt, Failure> {
    if args.all != args.paths.is_empty() {
        let text = "adopt: name the paths, or pass --all for all that no record covers";
        return Err(Failure::new(Exit::Usage, text));
    }
    let paths = if args.all {
        None
    } else {
        let one = |text: &String| path(context, machine, text);
        Some(args.paths.iter().map(one).collect::<Result<Vec<_>, _>>()?)
    };
    let cache = cache(&args.common.cache, config)?;
    Ok(Adopt { cache, paths })
}

/// The cache that is meant: the one that is named, or the only one that is written.
fn cache(named: &[String], config: &Config) -> Result<CacheName, Failure> {
    let written: Vec<&CacheName> = config
        .caches
        .iter()
        .filter(|(_, cache)| cache.kind.written().is_some())
        .map(|(name, _)| name)
        .collect();
    let known = || {
        let quoted: Vec<String> = written.iter().map(|name| format!("`{name}`")).collect();
        format!("it has {}", list(&quoted))
    };
    let wrong = |text: &str| Failure::new(Exit::Usage, format!("adopt: {text}")).help(known());
    match (named, written.as_slice()) {
        ([name], _) => written
            .iter()
            .find(|known| known.as_str() == name)
            .map(|name| (*name).clone())
            .ok_or_else(|| wrong("that cache is only read")),
        ([], [only]) => Ok((*only).clone()),
        ([], _) => Err(wrong(
            "say with --cache which of the caches that cache.yaml writes",
        )),
        _ => Err(wrong("take one cache at a time")),
    }
}

/// The hash part of a store path, of a base name, of itself, or of what a link leads to.
fn path(context: &Context, machine: &Machine, text: &str) -> Result<HashPart, Failure> {
    let word = text
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if let Ok(path) = word.parse::<StorePath>() {
        return Ok(path.hash());
    }
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let fail = |why: String| {
        Failure::new(Exit::Failed, format!("adopt `{text}`: {why}"))
            .help("name a store path, its hash part, or a link to one")
    };
    let location = machine.store.as_ref().map_err(|why| fail(why.clone()))?;
    match nix_store::resolve(location, &context.host.folder.join(text)) {
        Observation::Present(path) => Ok(path.hash()),
        Observation::Absent => Err(fail("there is nothing of that name".to_owned())),
        Observation::Unknown(why) | Observation::Error(why) => Err(fail(why.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(caches: &str) -> Config {
        let text = format!(
            "version: 1\nproject: p\ncaches: {{ {caches} }}\nartifacts: {{ a: {{ priority: 1, default: true }} }}\n"
        );
        match crate::config::read("cache.yaml", text.as_bytes()) {
            Ok((config, _)) => config,
            Err(problems) => panic!("{problems}"),
        }
    }

    const UP: &str = "up: { type: upstream, url: 'https://up.example', public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }";

    #[test]
    fn the_cache_is_the_one_that_is_named_or_the_only_one_that_is_written() {
        let take = |named: &[&str], caches: &str| {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            cache(&named, &config(caches))
                .map(|name| name.to_string())
                .map_err(|failure| failure.exit)
        };
        let one = format!("dev: {{ type: file, path: x }}, {UP}");
        let two = format!("{one}, ci: {{ type: file, path: y }}");
        assert_eq!(take(&[], &one), Ok("dev".to_owned()));
        assert_eq!(take(&["ci"], &two), Ok("ci".to_owned()));
        assert_eq!(take(&[], &two), Err(Exit::Usage));
        assert_eq!(take(&["up"], &two), Err(Exit::Usage));
        assert_eq!(take(&["dev", "ci"], &two), Err(Exit::Usage));
    }
}
