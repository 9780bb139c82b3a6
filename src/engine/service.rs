//! Caches that a service keeps: looking at them, making them, pushing to them.
//!
//! Promise: the token is read when it is needed, goes to the service alone, and is in nothing that is said.

mod login;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::batch::batch;
use super::gate::SecretGate;
use super::machine::{Machine, sentence};
use super::secret;
use super::work::{Applying, Ended, all, failed};
use crate::config::model::{CacheName, OnError, Visibility};
use crate::nix::store_path::{HashPart, StoreDir, StorePath};
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{CacheContent, Observation, Observed, Upstream, Why};
use crate::plan::pins::service::wanted as wanted_pin;
use crate::plan::push::questions_of;
use crate::plan::push::service::with_present;
use crate::plan::report::Outcome;
use crate::plan::service::Service;
use crate::plan::step::{Effect, Op, PathToPush, Step};
use crate::provider::cachix::push::{Batch, Done, Item, bare_key, push};
use crate::provider::cachix::{CachixError, Client, Use};
use crate::provider::upstream;
use crate::sys::http;
use crate::sys::token::Token;
use crate::transfer::gate::Gate;
use crate::transfer::progress::Progress;

pub(super) use login::{login, logins};

/// A client; and why there is no token, where it should be there and cannot be read.
fn client(
    machine: &Machine,
    desired: &Desired,
    service: &Service,
    (purpose, progress): (Use, &Progress),
) -> Result<(Client, Option<String>), CachixError> {
    let (token, why): (Option<Token>, Option<String>) =
        match secret::token(&machine.host, &desired.site.base, service, progress) {
            Ok(token) => (token, None),
            Err(why) => (None, Some(why)),
        };
    let mut options = http::Options::of(&machine.host);
    let patience = machine.host.test_patience();
    if let Some(patience) = patience {
        options.idle_timeout = options.idle_timeout.min(patience);
        options.timeout = Some(patience.saturating_mul(3));
    }
    let address = (&*service.api, &*service.url, &*service.name);
    let client = Client::new(address, token, &options, purpose)?;
    let client = match patience {
        Some(patience) => client.no_longer_than(patience),
        None => client,
    };
    Ok((client, why))
}

/// What a service says of a cache, apart from which paths are there.
pub(super) fn observe(
    machine: &Machine,
    desired: &Desired,
    service: &Service,
    store_dir: &StoreDir,
    progress: &Progress,
) -> Observation<CacheContent> {
    let (client, no_token) = match client(machine, desired, service, (Use::Look, progress)) {
        Ok(client) => client,
        Err(error) => return Observation::Unknown(Why(format!("failed to {error}"))),
    };
    match client.observe(service.records.then_some(store_dir)) {
        Observation::Present(mut content) => {
            content.now = machine.now();
            if let (Some(facts), Some(why)) = (&mut content.service, no_token) {
                facts.unseen.push(("token".to_owned(), why));
            }
            Observation::Present(content)
        }
        Observation::Absent if !service.create => Observation::Error(Why(format!(
            "the service has no cache {}: make it there, or set `create: true`",
            service.name
        ))),
        Observation::Unknown(why) => Observation::Unknown(with_token(why, no_token)),
        Observation::Error(why) => Observation::Error(with_token(why, no_token)),
        Observation::Absent => Observation::Absent,
    }
}

/// Why something could not be seen, and why there was no token to ask with.
fn with_token(why: Why, no_token: Option<String>) -> Why {
    match no_token {
        Some(token) => Why(format!("{}; {token}", why.0)),
        None => why,
    }
}

/// Asks each service which of the paths that are wanted in its cache are there.
pub(super) fn fill(
    desired: &Desired,
    machine: &Machine,
    observed: &mut Observed,
    progress: &Progress,
) {
    for (name, cache) in &desired.caches {
        let Some(service) = cache.place.service() else {
            continue;
        };
        let wanted = questions_of(desired, observed, name);
        let Some(Observation::Present(content)) = observed.caches.get(name) else {
            continue;
        };
        if wanted.is_empty() {
            continue;
        }
        let is_public = content
            .service
            .as_ref()
            .is_some_and(|facts| facts.is_public);
        let seen = match missing(machine, desired, service, &wanted, (is_public, progress)) {
            Ok(missing) => {
                let present = wanted
                    .into_iter()
                    .filter(|(hash, _)| !missing.contains(hash));
                let present = present.map(|(_, path)| path);
                Observation::Present(with_present(content.clone(), present))
            }
            Err(why) => Observation::Unknown(Why(why)),
        };
        observed.caches.insert(name.clone(), seen);
    }
}

/// Which of the paths a cache lacks. Whom the service does not answer this in one question, a public
/// cache answers it path by path, as it answers Nix.
fn missing(
    machine: &Machine,
    desired: &Desired,
    service: &Service,
    wanted: &BTreeMap<HashPart, (StorePath, u64)>,
    (is_public, progress): (bool, &Progress),
) -> Result<BTreeSet<HashPart>, String> {
    let stopped = || progress.is_stopped();
    let hashes: BTreeSet<HashPart> = wanted.keys().copied().collect();
    let fail = |error: CachixError| format!("failed to {error}");
    let (client, _) = client(machine, desired, service, (Use::Look, progress)).map_err(fail)?;
    match client.missing(&hashes, &stopped) {
        Err(CachixError::Refused { .. }) if is_public => {}
        answer => return answer.map_err(fail),
    }
    let settings = upstream::Settings::new(
        http::Options::of(&machine.host),
        machine
            .store
            .as_ref()
            .map(|at| at.store.clone())
            .unwrap_or_default(),
        None,
        machine.host.now(),
    );
    let known = BTreeSet::new();
    let Upstream {
        has,
        unanswered,
        why,
    } = upstream::observe(&service.url, &hashes, &known, &settings, &stopped);
    if unanswered.is_empty() {
        return Ok(hashes.difference(&has).copied().collect());
    }
    let why = why.map_or_else(|| "it did not answer".to_owned(), |why| why.0);
    Err(format!(
        "which of {} paths are missing could not be seen: {why}",
        unanswered.len()
    ))
}

/// Makes a cache where there is none, and registers the key of one that does not sign by itself.
pub(super) fn create(
    work: &Applying<'_>,
    (cache, service): (&Cache, &Service),
    is_there: bool,
) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let (host, base) = (&work.machine.host, &work.desired.site.base);
    let key = cache
        .signing
        .as_ref()
        .map(|signing| secret::signing_key(host, base, signing, work.progress))
        .transpose();
    let key = key.map_err(|_| fail("the signing key cannot be read".to_owned()))?;
    let how = (Use::Write, work.progress);
    let (client, _) = client(work.machine, work.desired, service, how)
        .map_err(|error| fail(format!("failed to {error}")))?;
    let made = if is_there {
        Ok(())
    } else {
        client.create(service.visibility == Visibility::Public, key.is_none())
    };
    let whole = made.and_then(|()| match &key {
        Some(key) => client.register_key(&bare_key(&key.public())),
        None => Ok(()),
    });
    whole.map_err(|error| outcome(service, &error))
}

/// Runs the push steps and pins of a cache that a service keeps; one outcome per step.
pub(super) fn run(
    work: &Applying<'_>,
    observed: &Observed,
    (name, cache, service): (&CacheName, &Cache, &Service),
    steps: &[&Step],
) -> Vec<Ended> {
    let whole = match batch(work, observed, name, cache, steps) {
        Ok(batch) => batch,
        Err(why) => return all(steps, |step| failed(step, &why)),
    };
    let client = match client(
        work.machine,
        work.desired,
        service,
        (Use::Write, work.progress),
    ) {
        Ok((client, None)) => client,
        Ok((_, Some(why))) => return all(steps, |step| failed(step, &why)),
        Err(error) => return all(steps, |step| failed(step, &sentence(&error))),
    };
    let gate = SecretGate::new(
        &work.desired.config.push.secrets,
        is_public(observed, name, cache),
    );
    let mut items = whole.items;
    items.sort_by_key(|item| item.rank);
    let items = items.into_iter().map(|item| Item {
        path: item.path,
        root: item.root,
        nar_hash: item.nar_hash,
        nar_size: item.nar_size,
        references: item.references,
        deriver: item.deriver,
    });
    let batch = Batch {
        store_dir: whole.store_dir,
        items: items.collect(),
        key: cache.signing.as_ref().map(|_| whole.keys),
        compression: whole.compression,
        gate: gate.clone().map(|gate| gate as Arc<dyn Gate>),
    };
    let mut done = Done::default();
    let early = if batch.items.is_empty() {
        None
    } else {
        push(&client, &batch, work.progress, &mut done).err()
    };
    let mut judge = Judge {
        work,
        client: &client,
        service,
        batch: &batch,
        done: &done,
        early,
        recorded: None,
    };
    judge.recorded = judge.record(observed, steps);
    all(steps, |step| judge.step(step).having_found(gate.as_deref()))
}

/// Whether everybody can read a cache: by `cache.yaml`, or because the service says so.
fn is_public(observed: &Observed, name: &CacheName, cache: &Cache) -> bool {
    let seen = observed.caches.get(name).and_then(Observation::present);
    let facts = seen.and_then(|content| content.service.as_ref());
    cache.place.is_public() || facts.is_some_and(|facts| facts.is_public)
}

/// Deletes pins of a cache that a service keeps; one outcome per step.
pub(super) fn prune(work: &Applying<'_>, service: &Service, steps: &[&Step]) -> Vec<Ended> {
    match client(
        work.machine,
        work.desired,
        service,
        (Use::Write, work.progress),
    ) {
        Ok((client, None)) => all(steps, |step| record::unpin(work, service, &client, step)),
        Ok((_, Some(why))) => all(steps, |step| failed(step, &why)),
        Err(error) => all(steps, |step| failed(step, &sentence(&error))),
    }
}

/// Turns what a push did into outcomes of steps.
struct Judge<'a> {
    work: &'a Applying<'a>,
    client: &'a Client,
    service: &'a Service,
    batch: &'a Batch,
    done: &'a Done,
    early: Option<CachixError>,
    /// What became of the record; `None`: there was nothing to write down, or it is not to be.
    recorded: Option<Result<String, Outcome>>,
}

impl Judge<'_> {
    fn step(&self, step: &Step) -> Ended {
        match &step.op {
            Op::Push { paths, .. } => self.pushed(step, paths),
            Op::Record { .. } => match (&self.recorded, &self.early) {
                (Some(Ok(detail)), _) => Ended::new(
                    step,
                    Outcome::Done {
                        effect: Effect::default(),
                        detail: detail.clone(),
                    },
                ),
                (Some(Err(outcome)), _) => Ended::new(step, outcome.clone()),
                (None, Some(early)) => Ended::new(step, self.outcome(early)),
                (None, None) => Ended::new(step, Outcome::Unchanged),
            },
            Op::Pin { name, add, .. } => {
                if let Some(early) = &self.early {
                    return Ended::new(step, self.outcome(early));
                }
                if let Some(path) = self.lost(add) {
                    return failed(step, &format!("{path} could not be pushed"));
                }
                // A pin that nobody wrote down would not be ours later.
                if let Some(Err(outcome)) = &self.recorded {
                    return Ended::new(step, outcome.clone());
                }
                let stopped = || self.work.progress.is_stopped();
                for path in add {
                    let Some(pin) = wanted_pin(self.work.desired, name, path) else {
                        return failed(step, "cache.yaml does not have this pin");
                    };
                    let full = self.batch.store_dir.display(path).to_string();
                    if let Err(error) = self.client.pin(&pin, &full, &stopped) {
                        return Ended::new(step, self.outcome(&error));
                    }
                }
                Ended::done(step)
            }
            _ => failed(step, "it is no step of a push"),
        }
    }

    /// The first of these that could not be pushed.
    fn lost<'p>(&self, paths: &'p [StorePath]) -> Option<&'p StorePath> {
        let is_lost = |path: &&StorePath| self.done.failed.contains_key(&path.hash());
        paths.iter().find(is_lost)
    }

    fn pushed(&self, step: &Step, paths: &[PathToPush]) -> Ended {
        let is_done = |path: &&PathToPush| self.done.pushed.contains_key(&path.path.hash());
        let pushed: Vec<&PathToPush> = paths.iter().filter(is_done).collect();
        let did = Effect {
            paths: pushed.len() as u64,
            bytes: pushed.iter().map(|path| path.nar_size).sum(),
        };
        let why = paths.iter().find_map(|path| {
            let why = self.done.failed.get(&path.path.hash())?;
            Some(format!("{}: {why}", path.path))
        });
        let bytes: u64 = pushed
            .iter()
            .filter_map(|path| self.done.pushed.get(&path.path.hash()))
            .sum();
        let outcome = match (why, &self.early) {
            _ if pushed.len() == paths.len() => {
                let size = crate::config::rough::Rough(bytes);
                Outcome::Done {
                    effect: did,
                    detail: if paths.is_empty() {
                        String::new()
                    } else {
                        format!("uploaded {size}")
                    },
                }
            }
            (Some(why), _) => Outcome::Failed { why },
            (None, Some(early)) => self.outcome(early),
            (None, None) => Outcome::Failed {
                why: "it was not pushed".to_owned(),
            },
        };
        Ended::new(step, outcome)
            .having_done(did)
            .having_sent(bytes)
    }

    fn outcome(&self, error: &CachixError) -> Outcome {
        outcome(self.service, error)
    }
}

/// What an error of the service is for a step.
fn outcome(service: &Service, error: &CachixError) -> Outcome {
    let why = format!("failed to {error}");
    match error {
        CachixError::Stopped { .. } => Outcome::Skipped {
            why: "stopped before it was whole; a rerun finishes".to_owned(),
        },
        error if error.is_outage() && service.on_error == OnError::Warn => {
            Outcome::Tolerated { why }
        }
        _ => Outcome::Failed { why },
    }
}
