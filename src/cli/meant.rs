//! Which part of a plan a command means, and what it adds to what `cache.yaml` asks for.

use std::io::Read as _;

use super::args::{Command, PlanArgs, Push};
use super::error::Failure;
use crate::config::model::{CacheName, Config};
use crate::exit::Exit;
use crate::plan::address::Phase;
use crate::plan::desired::Extra;
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
        let one = |args, phase: Phase, extra| Self {
            args,
            only: vec![phase.word().to_owned()],
            extra,
        };
        let meant = match command {
            Command::Reconcile(it) => {
                it.only.iter().try_for_each(|address| check(address))?;
                Self {
                    args: &it.common,
                    only: it.only.clone(),
                    extra: Extra::default(),
                }
            }
            Command::Setup(it) => one(&it.common, Phase::Setup, Extra::default()),
            Command::Push(it) => one(&it.common, Phase::Push, extra(it)?),
            Command::Optimize(it) => one(&it.common, Phase::Optimize, Extra::default()),
            Command::Adopt(it) => one(&it.common, Phase::Push, Extra::default()),
            Command::Prune(it) => one(&it.common, Phase::Prune, Extra::default()),
            _ => return Ok(None),
        };
        Ok(Some(meant))
    }
}

/// Refuses names of caches that `cache.yaml` does not have.
///
/// # Errors
/// A name of `--cache` is not declared.
pub(super) fn check_caches(args: &PlanArgs, config: &Config) -> Result<(), Failure> {
    check_names(&args.cache, config)
}

/// The same for any list of names.
///
/// # Errors
/// A name is not declared.
pub(super) fn check_names(names: &[String], config: &Config) -> Result<(), Failure> {
    let is_unknown = |name: &&String| !config.caches.contains_key(&CacheName::new(name.as_str()));
    let Some(name) = names.iter().find(is_unknown) else {
        return Ok(());
    };
    let known: Vec<String> = config
        .caches
        .keys()
        .map(|name| format!("`{name}`"))
        .collect();
    let text = format!("take only the cache `{name}`: cache.yaml does not have it");
    Err(Failure::new(Exit::Usage, text).help(format!("it has {}", list(&known))))
}

/// Refuses what cannot be the beginning of an address: it would silently choose nothing.
fn check(address: &str) -> Result<(), Failure> {
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
        paths.extend(lines(&text));
    }
    Ok(Extra {
        paths,
        mark: push.since_mark.clone(),
        adopt: None,
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
                adopt: None,
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
            let result = check_caches(Meant::of(&command).unwrap().unwrap().args, &config);
            result.map_err(|failure| (failure.exit, failure.help.unwrap_or_default()))
        };
        assert_eq!(check(&["push", "--cache", "dev"]), Ok(()));
        assert_eq!(
            check(&["push", "--cache", "de"]),
            Err((Exit::Usage, "it has `dev`".to_owned()))
        );
    }

    #[test]
    fn blank_lines_are_no_paths() {
        assert_eq!(lines("a\n\n  b \r\n").collect::<Vec<_>>(), ["a", "b"]);
    }
}
