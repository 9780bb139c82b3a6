//! A push stage: the uploads to one cache, all classes in one go, then its roots and pins.
//!
//! Promise: whatever ends it early, each step's outcome says how much of it is in the cache.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::batch::{batch, spare};
use super::gate::SecretGate;
use super::machine::sentence;
use super::service;
use super::work::{Applying, Ended, all, failed};
use crate::config::model::{CacheName, ClassName, PinName};
use crate::config::rough::Rough;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::observed::Observed;
use crate::plan::report::Outcome;
use crate::plan::step::{Effect, Op, PathToPush, RootToWrite, Selector, Step};
use crate::provider::binary_cache::push::{PushDone, PushError, push_into};
use crate::provider::binary_cache::{CacheStore, StoreError, narinfo_key, pins};
use crate::sys::clock::SystemClock;
use crate::transfer::gate::Gate;

/// Runs the push steps and pins of one cache; one outcome per step.
pub(super) fn run(
    work: &Applying<'_>,
    observed: &Observed,
    name: &CacheName,
    steps: &[&Step],
) -> Vec<Ended> {
    if let Some(cache) = work.desired.caches.get(name)
        && let Some(service) = cache.place.service()
    {
        return service::run(work, observed, (name, cache, service), steps);
    }
    let (cache, store) = match work.cache(name) {
        Ok(found) => found,
        Err(why) => return all(steps, |step| failed(step, &why)),
    };
    let is_public = cache.place.is_public();
    let gate = SecretGate::new(&work.desired.config.push.secrets, is_public);
    let mut batch = match batch(work, observed, name, cache, steps) {
        Ok(batch) => batch,
        Err(why) => return all(steps, |step| failed(step, &why)),
    };
    batch.gate = gate.clone().map(|gate| gate as Arc<dyn Gate>);
    let mut done = PushDone::default();
    let result = if batch.items.is_empty() && batch.roots.is_empty() {
        Ok(())
    } else {
        push_into(
            &work.machine.terms(),
            store.as_ref(),
            &batch,
            &|lost| spare(work, observed, cache, &batch, lost),
            (&SystemClock::new(), work.progress),
            &mut done,
        )
    };
    let judge = Judge {
        work,
        store: store.as_ref(),
        done: &done,
        early: result.err().map(Early::of),
    };
    all(steps, |step| judge.step(step).having_found(gate.as_deref()))
}

/// Why a push did not come to its end.
enum Early {
    Stopped,
    Stale(String),
    Failed(String),
}

impl Early {
    fn of(error: PushError) -> Self {
        match error {
            PushError::Stopped(_) => Self::Stopped,
            PushError::Moved(hash) => {
                Self::Stale(format!("the cache lost {hash} since it was looked at"))
            }
            error => Self::Failed(sentence(&error)),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Stopped => Outcome::Skipped {
                why: "stopped before it was whole; a rerun finishes".to_owned(),
            },
            Self::Stale(why) => Outcome::Stale { why: why.clone() },
            Self::Failed(why) => Outcome::Failed { why: why.clone() },
        }
    }
}

/// The parts of a push step.
struct Parts<'s> {
    class: &'s ClassName,
    paths: &'s [PathToPush],
    selectors: &'s [Selector],
    roots: &'s [RootToWrite],
}

/// Turns what a push did into outcomes of steps.
struct Judge<'a> {
    work: &'a Applying<'a>,
    store: &'a dyn CacheStore,
    done: &'a PushDone,
    early: Option<Early>,
}

impl Judge<'_> {
    fn step(&self, step: &Step) -> Ended {
        match &step.op {
            Op::Push {
                class,
                paths,
                selectors,
                roots,
                ..
            } => {
                let parts = Parts {
                    class,
                    paths,
                    selectors,
                    roots,
                };
                self.pushed(step, &parts)
            }
            Op::Pin {
                name, add, remove, ..
            } => match &self.early {
                Some(early) => Ended::new(step, early.outcome()),
                None => self.pinned(step, name, add, remove),
            },
            _ => failed(step, "it is no step of a push"),
        }
    }

    fn pinned(
        &self,
        step: &Step,
        name: &PinName,
        add: &[StorePath],
        remove: &[StorePath],
    ) -> Ended {
        let lost = |path: &&StorePath| self.done.failed.iter().any(|failed| failed.path == **path);
        if let Some(path) = add.iter().find(lost) {
            return failed(step, &format!("{path} could not be pushed"));
        }
        // A pin of what is not there would only take the place of one that is.
        let absent = |path: &&StorePath| {
            let there = self.store.head(&narinfo_key(path.hash()));
            !matches!(there, Ok(Some(_)))
        };
        if let Some(path) = add.iter().find(absent) {
            return failed(step, &format!("{path} is not in the cache"));
        }
        match self.write_pins(step, name, add, remove) {
            Ok(()) => Ended::done(step),
            Err(error) => failed(step, &sentence(&error)),
        }
    }

    fn write_pins(
        &self,
        step: &Step,
        name: &PinName,
        add: &[StorePath],
        remove: &[StorePath],
    ) -> Result<(), StoreError> {
        let project = &self.work.desired.config.project;
        let because = Some(step.because.rule.as_str());
        let now = self.work.machine.now();
        for path in add {
            pins::write(self.store, name, project, path, because, now)?;
        }
        for path in remove {
            pins::remove(self.store, name, path.hash())?;
        }
        Ok(())
    }

    fn pushed(&self, step: &Step, parts: &Parts<'_>) -> Ended {
        let done = self.done.classes.get(parts.class);
        self.judged(step, parts)
            .having_sent(done.map_or(0, |done| done.file_bytes))
    }

    fn judged(&self, step: &Step, parts: &Parts<'_>) -> Ended {
        let done = self.done.classes.get(parts.class);
        let did = Effect {
            paths: done.map_or(0, |done| {
                (done.uploaded.len() + done.signed.len() + done.recompressed.len()) as u64
            }),
            bytes: done.map_or(0, |done| done.nar_bytes),
        };
        if let Some(why) = self.lost(parts.paths) {
            return failed(step, &why).having_done(did);
        }
        if let Some(early) = &self.early {
            return Ended::new(step, early.outcome()).having_done(did);
        }
        // What is still only known after a build is so because that build did not succeed.
        if let Some(why) = unbuilt(parts.selectors) {
            let is_idle = parts.paths.is_empty() && parts.roots.iter().all(|root| !root.new);
            let ended = if is_idle {
                Ended::skipped(step, &why)
            } else {
                failed(step, &why).having_done(did)
            };
            return Ended {
                blocks: false,
                ..ended
            };
        }
        let detail = self.detail(parts);
        Ended::new(
            step,
            Outcome::Done {
                effect: did,
                detail,
            },
        )
    }

    /// Why some of these paths are not in the cache, if so.
    fn lost(&self, paths: &[PathToPush]) -> Option<String> {
        let mine: BTreeSet<HashPart> = paths.iter().map(|path| path.path.hash()).collect();
        let failed = &self.done.failed;
        let lost: Vec<_> = failed
            .iter()
            .filter(|failed| mine.contains(&failed.path.hash()))
            .collect();
        let first = lost.first()?;
        Some(format!(
            "{} of {} paths were not pushed; {}: {}",
            lost.len(),
            mine.len(),
            first.path,
            first.why
        ))
    }

    fn detail(&self, parts: &Parts<'_>) -> String {
        let mut detail = Vec::new();
        if let Some(done) = self.done.classes.get(parts.class) {
            if done.file_bytes > 0 {
                detail.push(format!("{} uploaded", Rough(done.file_bytes)));
            }
            if !done.signed.is_empty() {
                detail.push(format!("{} signed", done.signed.len()));
            }
            if !done.recompressed.is_empty() {
                detail.push(format!("{} compressed anew", done.recompressed.len()));
            }
            match done.present.len() - done.signed.len() - done.recompressed.len() {
                0 => {}
                1 => detail.push("1 was there already".to_owned()),
                many => detail.push(format!("{many} were there already")),
            }
        }
        match parts.roots.iter().filter(|root| !root.new).count() {
            0 => {}
            1 => detail.push("1 root renewed".to_owned()),
            many => detail.push(format!("{many} roots renewed")),
        }
        detail.join(", ")
    }
}

/// What a step leaves out because it was not built, if anything.
fn unbuilt(selectors: &[Selector]) -> Option<String> {
    let first = &selectors.first()?.installable;
    Some(match selectors.len() {
        1 => format!("`{first}` was not built, so what it brings is not pushed"),
        many => format!(
            "{many} outputs were not built (`{first}` is one), so what they bring is not pushed"
        ),
    })
}
