//! Writing down in a cache of a service what a run does there, and ending pins that are ours.
//!
//! The order is: what is pushed is there, the record lists it and the pins that come, the pins are set. So a
//! pin of ours is always in a record, and a record may list a pin that never came, which whoever reads it sees.

use std::collections::BTreeMap;

use super::{Judge, outcome};
use crate::engine::machine::sentence;
use crate::engine::work::{Applying, Ended, failed};
use crate::nix::content_address::path_of_directory;
use crate::nix::hash::Sha256;
use crate::nix::nar::Writer;
use crate::nix::store_path::StorePath;
use crate::plan::observed::Observed;
use crate::plan::record::Head;
use crate::plan::report::Outcome;
use crate::plan::service::record::{Claim, KEPT_DAYS, LARGEST, NAME, PIN, Pushed, RecordBody};
use crate::plan::service::{Keep, Service, ServicePin};
use crate::plan::step::{Op, Step};
use crate::provider::cachix::pins::Unpinned;
use crate::provider::cachix::push::{Batch, Done, Item, push};
use crate::provider::cachix::{CachixError, Client};
use crate::sys::file;

impl Judge<'_> {
    /// Writes the record of these steps, if one of them is to; what it was called, or what went wrong. `None`:
    /// nothing was done that could be told.
    pub(super) fn record(
        &self,
        observed: &Observed,
        steps: &[&Step],
    ) -> Option<Result<String, Outcome>> {
        let (pins, renews) = steps.iter().find_map(|step| match &step.op {
            Op::Record { pins, renews, .. } => Some((pins, *renews)),
            _ => None,
        })?;
        let now = self.work.machine.now();
        let run = observed.environment.run.clone();
        let mut all: BTreeMap<String, Claim> = pins
            .iter()
            .map(|pin| (pin.name.clone(), pin.claim.clone()))
            .collect();
        let mut new = false;
        for step in steps {
            if let Op::Pin { name, add, .. } = &step.op
                && self.early.is_none()
                && self.lost(add).is_none()
                && let Some(path) = add.last()
            {
                let claim = Claim {
                    path: path.clone(),
                    pinned: now,
                    run: run.clone(),
                };
                all.insert(name.to_string(), claim);
                new = true;
            }
        }
        let classes: BTreeMap<_, _> = steps
            .iter()
            .filter_map(|step| match &step.op {
                Op::Push { class, paths, .. } => {
                    let size = |path: &StorePath| self.done.pushed.get(&path.hash()).copied();
                    let sizes = paths
                        .iter()
                        .filter_map(|it| Some((it.path.clone(), size(&it.path)?)));
                    let pushed: Vec<(StorePath, u64)> = sizes.collect();
                    (!pushed.is_empty()).then(|| (class.clone(), Pushed::of(pushed)))
                }
                _ => None,
            })
            .collect();
        if !new && !renews && classes.is_empty() {
            return None;
        }
        let body = RecordBody {
            head: Head::ours(),
            project: self.work.desired.config.project.clone(),
            pins: all,
            classes,
            written: now,
            commit: observed.environment.commit.clone(),
            run,
            other: serde_json::Map::new(),
        };
        Some(self.write(&body))
    }

    fn write(&self, body: &RecordBody) -> Result<String, Outcome> {
        let fail = |why: String| Outcome::Failed {
            why: format!("the record cannot be written: {why}"),
        };
        let mut bytes = serde_json::to_vec_pretty(body).map_err(|error| fail(error.to_string()))?;
        bytes.push(b'\n');
        if bytes.len() as u64 > LARGEST {
            return Err(fail("it is too large".to_owned()));
        }
        let nar = nar_of(&bytes).map_err(fail)?;
        let nar_hash = Sha256::of(&nar);
        let store_dir = self.batch.store_dir.clone();
        let path = path_of_directory(nar_hash, NAME, &store_dir);
        let path = path.map_err(|error| fail(sentence(&error)))?;
        // A push takes what it sends from the disk.
        let folder = self.work.machine.host.state_folder().join("records");
        let file = folder.join(path.to_string());
        std::fs::create_dir_all(&folder)
            .map_err(|error| fail(format!("the folder {folder} cannot be made: {error}")))?;
        file::write(file.as_std_path(), &bytes, 0o644).map_err(|error| fail(sentence(&error)))?;
        let batch = Batch {
            store_dir,
            items: vec![Item {
                path: path.clone(),
                root: file.clone().into(),
                nar_hash,
                nar_size: nar.len() as u64,
                references: Vec::new(),
                deriver: None,
            }],
            key: self.batch.key.clone(),
            compression: self.batch.compression,
            gate: None,
        };
        let mut done = Done::default();
        let pushed = push(self.client, &batch, &self.work.progress.unseen(), &mut done);
        // It is of no use any more, and in nobody's way.
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, "a record is left on the disk");
        }
        let refused = |error: CachixError| outcome(self.service, &error);
        pushed.map_err(refused)?;
        if let Some(why) = done.failed.get(&path.hash()) {
            return Err(fail(why.clone()));
        }
        let pin = ServicePin {
            name: name_of(body.run.as_deref(), &path),
            path: Some(path.clone()),
            artifacts: Vec::new(),
            keep: Some(Keep::Days(KEPT_DAYS)),
        };
        let full = self.batch.store_dir.display(&path).to_string();
        let stopped = || self.work.progress.is_stopped();
        let pinned = self.client.pin(&pin, &full, &stopped);
        pinned.map_err(refused)?;
        Ok(format!("pinned as {}", pin.name))
    }
}

/// The NAR of one file.
fn nar_of(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut nar = Writer::new(Vec::with_capacity(bytes.len() + 256));
    nar.regular(false, bytes.len() as u64)
        .and_then(|()| nar.content(bytes))
        .and_then(|()| nar.finish())
        .map_err(|error| sentence(&error))
}

/// The name of a record's pin. Two jobs of one run have a record each.
fn name_of(run: Option<&str>, path: &StorePath) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let run: String = run.unwrap_or("local").chars().map(safe).take(64).collect();
    let hash = path.hash().to_string();
    format!("{PIN}{run}-{}", &hash[..8])
}

/// Deletes a pin of ours. A service that refuses to is no failure of the run: a person can do it on its page.
pub(super) fn unpin(work: &Applying<'_>, service: &Service, client: &Client, step: &Step) -> Ended {
    let Op::Unpin { name, path, .. } = &step.op else {
        return failed(step, "it is no step of a prune");
    };
    let stopped = || work.progress.is_stopped();
    match client.unpin(name, path, &stopped) {
        Ok(Unpinned::Done) => Ended::done(step),
        Ok(Unpinned::Absent) => Ended::new(step, Outcome::Unchanged),
        Ok(Unpinned::Other) => Ended::stale(
            step,
            "it names another path by now, so it is somebody else's, and stays",
        ),
        Err(error @ CachixError::Stopped { .. }) => Ended::new(step, outcome(service, &error)),
        Err(error) if error.is_outage() => Ended::new(step, outcome(service, &error)),
        Err(error) => Ended::new(
            step,
            Outcome::Tolerated {
                why: format!(
                    "failed to {error}. It stays until somebody removes it on the service's page"
                ),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::path;

    #[test]
    fn a_pin_is_named_after_its_run_and_its_content() {
        let path = path("nanna-cache-record");
        let short = &path.hash().to_string()[..8];
        let name = |run| name_of(run, &path);
        assert_eq!(name(Some("71.2")), format!("nanna-cache.71.2-{short}"));
        assert_eq!(name(None), format!("nanna-cache.local-{short}"));
        assert_eq!(name(Some("a/b c")), format!("nanna-cache.a-b-c-{short}"));
        assert!(name(Some(&"x".repeat(999))).len() < 100);
    }
}
