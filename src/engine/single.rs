//! The steps that stand for themselves: files, keys, cache folders, variables, and what is fetched.
//!
//! Each is one deed. What has moved on since it was looked at is stale and stays as it is.

use camino::Utf8Path;

use super::create;
use super::event::Event;
use super::machine::sentence;
use super::service;
use super::work::{Applying, Ended};
use crate::config::secret::SecretRef;
use crate::nix::key::SecretKey;
use crate::plan::report::Outcome;
use crate::plan::step::{Op, Step};
use crate::provider::nix_conf::{self, ApplyError};
use crate::sys::file;

/// Runs a step.
pub(super) fn run(work: &Applying<'_>, step: &Step) -> Ended {
    match attempt(work, step) {
        Ok(()) => Ended::done(step),
        Err(outcome) => Ended::new(step, outcome),
    }
}

fn attempt(work: &Applying<'_>, step: &Step) -> Result<(), Outcome> {
    let host = &work.machine.host;
    if let Some((path, before, after)) = step.op.file() {
        return nix_conf::write(host, Utf8Path::new(path), before, after)
            .map_err(|error| from_conf(&error));
    }
    match &step.op {
        Op::ExportVariable {
            file,
            name,
            before,
            after,
        } => nix_conf::export(host, Utf8Path::new(file), name, before, after)
            .map_err(|error| from_conf(&error)),
        Op::WriteLogin { cache, path, .. } => match work.desired.caches.get(cache) {
            Some(declared) => service::login(work, declared, path),
            None => Err(Outcome::Failed {
                why: "cache.yaml does not have this cache".to_owned(),
            }),
        },
        Op::GenerateKey { path, name, .. } => generate_key(work, path, name),
        Op::CreateCache {
            cache,
            folder,
            before,
            info,
        } => {
            if let Some(declared) = work.desired.caches.get(cache)
                && let Some(service) = declared.place.service()
            {
                return service::create(work, (declared, service), before.is_some());
            }
            let found = work.cache(cache);
            let (_, store) = found.map_err(|why| Outcome::Failed { why })?;
            create::cache(store.as_ref(), folder, before.as_deref(), info)
        }
        Op::Warm { paths, .. } => warm(work, paths),
        Op::WriteFile { .. }
        | Op::EditFile { .. }
        | Op::Build { .. }
        | Op::Push { .. }
        | Op::Pin { .. }
        | Op::Record { .. }
        | Op::Unpin { .. }
        | Op::Prune { .. }
        | Op::Sweep { .. } => Err(Outcome::Failed {
            why: "it does not run by itself".to_owned(),
        }),
    }
}

fn from_conf(error: &ApplyError) -> Outcome {
    let why = sentence(error);
    if error.is_stale() {
        Outcome::Stale { why }
    } else {
        Outcome::Failed { why }
    }
}

fn generate_key(work: &Applying<'_>, path: &str, name: &str) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| fail(format!("there is no randomness: {error}")))?;
    let key = SecretKey::generate(name, seed).map_err(|error| fail(sentence(&error)))?;
    let path = Utf8Path::new(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| fail(format!("the folder {folder} cannot be made: {error}")))?;
    }
    match file::create_private(path.as_std_path(), key.to_file_text().as_bytes()) {
        Ok(()) => {
            let text = format!(
                "made the signing key {path}; its public key is {}",
                key.public()
            );
            (work.listener)(Event::Note(text));
            Ok(())
        }
        Err(error) => Err(match error.kind() {
            Some(std::io::ErrorKind::AlreadyExists) => Outcome::Stale {
                why: format!("there is a {} by now", SecretRef::File(path.to_string())),
            },
            _ => fail(sentence(&error)),
        }),
    }
}

fn warm(work: &Applying<'_>, paths: &[crate::nix::store_path::StorePath]) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let nix = match &work.machine.nix {
        Ok(Some(nix)) => nix,
        Ok(None) => return Err(fail("there is no Nix here".to_owned())),
        Err(why) => return Err(fail(why.clone())),
    };
    let stopped = || work.progress.is_stopped();
    let mut line = |line: &str| (work.listener)(Event::Line(line.to_owned()));
    nix.substitute(paths, &stopped, &mut line).map_err(|error| {
        if error.is_stopped() {
            Outcome::Skipped {
                why: "stopped".to_owned(),
            }
        } else {
            fail(sentence(&error))
        }
    })
}
