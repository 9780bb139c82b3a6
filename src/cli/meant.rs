//! Which part of a plan a command means, and what it adds to what `cache.yaml` asks for.

use std::io::Read as _;

use super::args::{Command, PlanArgs, Push};
use super::error::Failure;
use crate::config::model::{CacheName, Config};
use crate::config::nearest::nearest;
use crate::exit::Exit;
use crate::plan::address::{Address, Phase};
use crate::plan::desired::{Desired, Extra};
use crate::plan::select::{can_choose, possible};
use crate::render::units::list;

/// More than this on standard input is no list of paths.
const LIMIT: u64 = 64 << 20;

/// What a planning command means.
#[derive(Debug)]
pub(super) struct Meant<'a> {
    /// Its flags.
    pub(super) args: &'a PlanArgs,
    /// Phases or addresses; empty: everything.
    pub(super) only: Vec<String>,
    /// What it pushes besides.
    pub(super) extra: Extra,
}

impl<'a> Meant<'a> {
    /// What `command` means; `None` if it does not plan. Reads standard input where it is told to.
    ///
    /// # Errors
    /// Standard input cannot be read, or an address names no phase.
    pub(super) fn of(command: &'a Command) -> Result<Option<Self>, Failure> {
        let meant = match command {
            Command::Reconcile(it) => {
                it.common.only.iter().try_for_each(|it| check(it))?;
                Self {
                    args: &it.common,
                    only: it.common.only.clone(),
                    extra: Extra::default(),
                }
            }
            Command::Setup(it) => one(&it.common, Phase::Setup, Extra::default())?,
            // What is asked for on the command line is checked before standard input is waited for.
            Command::Push(it) => Self {
                extra: extra(it)?,
                ..one(&it.common, Phase::Push, Extra::default())?
            },
            Command::Optimize(it) => one(&it.common, Phase::Optimize, Extra::default())?,
            Command::Adopt(it) => one(&it.common, Phase::Push, Extra::default())?,
            Command::Prune(it) => one(&it.common, Phase::Prune, Extra::default())?,
            _ => return Ok(None),
        };
        Ok(Some(meant))
    }
}

/// One phase, or a part of it.
fn one(args: &PlanArgs, phase: Phase, extra: Extra) -> Result<Meant<'_>, Failure> {
    for address in &args.only {
        check(address)?;
        if address.split('/').next() != Some(phase.word()) {
            let text = format!("take only `{address}`: it is no part of {phase}");
            let help = format!("`nanna-cache reconcile --only {address}` takes it");
            return Err(Failure::new(Exit::Usage, text).help(help));
        }
    }
    let only = if args.only.is_empty() {
        vec![phase.word().to_owned()]
    } else {
        args.only.clone()
    };
    Ok(Meant { args, only, extra })
}

/// Refuses names of caches that `cache.yaml` does not have, and those of upstreams: nothing is done there.
///
/// # Errors
/// A name is not that of a cache that is written.
pub(super) fn check_names(names: &[String], config: &Config) -> Result<(), Failure> {
    let is_written = |name: &CacheName| {
        let cache = config.caches.get(name);
        cache.is_some_and(|cache| cache.kind.written().is_some())
    };
    let written: Vec<&CacheName> = config
        .caches
        .keys()
        .filter(|name| is_written(name))
        .collect();
    let wrong = names
        .iter()
        .map(|name| CacheName::new(name.as_str()))
        .find(|name| !is_written(name));
    let Some(name) = wrong else {
        return Ok(());
    };
    let why = if config.caches.contains_key(&name) {
        "it is an upstream, which is only read"
    } else {
        "cache.yaml does not have it"
    };
    let known: Vec<String> = written.iter().map(|name| format!("`{name}`")).collect();
    let help = match nearest(name.as_str(), written.iter().map(|name| name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "cache.yaml has no cache that is written".to_owned(),
        None => format!("the caches that are written: {}", list(&known)),
    };
    let text = format!("take only the cache `{name}`: {why}");
    Err(Failure::new(Exit::Usage, text).help(help))
}

/// Refuses selectors that no step can have: they would silently choose nothing.
///
/// # Errors
/// A selector chooses nothing that `cache.yaml` could ask for.
pub(super) fn check_only(only: &[String], desired: &Desired) -> Result<(), Failure> {
    let Some(wrong) = only.iter().find(|one| !can_choose(desired, one)) else {
        return Ok(());
    };
    let all = possible(desired);
    // What may follow the longest part that still chooses something.
    let mut stem = wrong.trim_end_matches('/');
    while !stem.is_empty() && !can_choose(desired, stem) {
        stem = stem.rsplit_once('/').map_or("", |(stem, _)| stem);
    }
    let depth = stem.split('/').filter(|part| !part.is_empty()).count() + 1;
    let mut next: Vec<String> = all
        .iter()
        .filter(|address| stem.is_empty() || address.is_in(stem))
        .map(|address| {
            let parts: Vec<&str> = address.as_str().splitn(3, '/').collect();
            parts[..depth.min(parts.len())].join("/")
        })
        .collect();
    next.dedup();
    let near = nearest(wrong, next.iter().map(String::as_str))
        .or_else(|| nearest(wrong, all.iter().map(Address::as_str)));
    let help = if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else {
        let mut shown: Vec<String> = next.iter().take(12).map(|one| format!("`{one}`")).collect();
        if next.len() > shown.len() {
            shown.push(format!("{} more", next.len() - shown.len()));
        }
        format!("there can be {}", list(&shown))
    };
    let text = format!("take only `{wrong}`: no step of this cache.yaml can have that address");
    Err(Failure::new(Exit::Usage, text).help(help))
}

/// Refuses what cannot be the beginning of an address: it would silently choose nothing.
///
/// # Errors
/// It begins with no phase.
pub(super) fn check(address: &str) -> Result<(), Failure> {
    let phase = address.split('/').next().unwrap_or_default();
    if Phase::ALL.iter().any(|known| known.word() == phase) {
        return Ok(());
    }
    let text = format!("take only `{address}`: `{phase}` is no phase");
    Err(Failure::new(Exit::Usage, text).help("the phases are setup, push, optimize and prune"))
}

fn extra(push: &Push) -> Result<Extra, Failure> {
    let mut paths = push.path.clone();
    if push.stdin {
        let mut text = String::new();
        std::io::stdin()
            .take(LIMIT)
            .read_to_string(&mut text)
            .map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("read paths from standard input: {error}"),
                )
            })?;
        let given = paths.len();
        paths.extend(lines(&text));
        if paths.len() == given {
            // What stands before the bar may have failed.
            tracing::warn!("there is no path on standard input");
        }
    }
    Ok(Extra {
        paths,
        mark: push.since_mark.clone(),
        ..Extra::default()
    })
}

/// One path on each line; blank lines are nothing.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    fn command(words: &[&str]) -> Command {
        let words = ["nanna-cache"].iter().chain(words);
        Cli::try_parse_from(words).unwrap().command
    }

    #[test]
    fn a_phase_is_a_part_of_reconcile() {
        let prune = command(&["prune", "--cache", "a,b"]);
        let meant = Meant::of(&prune).unwrap().unwrap();
        assert_eq!(
            (meant.only.as_slice(), meant.args.cache.len()),
            (&["prune".to_owned()][..], 2)
        );
        let push = command(&["push", "--path", "x", "--path", "y", "--since-mark", "job"]);
        let extra = Meant::of(&push).unwrap().unwrap().extra;
        assert_eq!(
            extra,
            Extra {
                paths: vec!["x".into(), "y".into()],
                mark: Some("job".into()),
                ..Extra::default()
            }
        );
        assert!(Meant::of(&command(&["validate"])).unwrap().is_none());
    }

    #[test]
    fn names_that_choose_nothing_are_refused() {
        let wrong = command(&["reconcile", "--only", "push/dev,pusch"]);
        assert_eq!(Meant::of(&wrong).unwrap_err().exit, Exit::Usage);
        let text = "version: 1\nproject: p\ncaches: { dev: { type: file, path: x } }\nartifacts: { a: { priority: 1, default: true } }\n";
        let Ok((config, _)) = crate::config::read("cache.yaml", text.as_bytes()) else {
            panic!("valid")
        };
        let check = |words: &[&str]| {
            let command = command(words);
            let names = &Meant::of(&command).unwrap().unwrap().args.cache;
            let result = check_names(names, &config);
            result.map_err(|failure| (failure.exit, failure.help.unwrap_or_default()))
        };
        assert_eq!(check(&["push", "--cache", "dev"]), Ok(()));
        assert_eq!(
            check(&["push", "--cache", "de"]),
            Err((Exit::Usage, "did you mean `dev`?".to_owned()))
        );
        assert_eq!(
            check(&["push", "--cache", "elsewhere"]),
            Err((Exit::Usage, "the caches that are written: `dev`".to_owned()))
        );
    }

    #[test]
    fn blank_lines_are_no_paths() {
        assert_eq!(lines("a\n\n  b \r\n").collect::<Vec<_>>(), ["a", "b"]);
    }
}
