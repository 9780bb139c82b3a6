//! What we write down in a cache of a service, which keeps no objects of ours: what a run pushed there, and
//! which pins are ours.
//!
//! A record is a store path like any other: one small JSON file, named after its content, and pinned under
//! [`PIN`] for [`KEPT_DAYS`]. Nothing in a cache is ever replaced, so a record is never changed: the newest of a
//! project lists all pins that are the project's. Who reads records believes only what is there still.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ServiceFacts;
use crate::config::model::ClassName;
use crate::config::units::Span;
use crate::nix::store_path::StorePath;
use crate::plan::observed::Why;
use crate::plan::record::Head;
use crate::plan::time::Time;

/// The name of a record's store path.
pub const NAME: &str = "nanna-cache-record";
/// What the names of the pins of records begin with; `config` keeps declared pins from it.
pub const PIN: &str = "nanna-cache.";
/// For how many days a record stays.
pub const KEPT_DAYS: u32 = 30;
/// The largest record that is written or read, in bytes.
pub const LARGEST: u64 = 1 << 20;
/// So many paths of a class are listed in a record, the largest of them; the rest is summed up.
pub const LISTED: usize = 2_000;
/// A record that alone knows of a pin is written again when it is as old as this.
const RENEWED_AFTER: Span = Span(15 * 86_400);

/// Body of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordBody {
    /// Format and writer.
    #[serde(flatten)]
    pub head: Head,
    /// Project that wrote it.
    pub project: String,
    /// All pins of the cache that are the project's, by name: those of this run, and those of earlier ones.
    #[serde(default)]
    pub pins: BTreeMap<String, Claim>,
    /// What the run pushed.
    #[serde(default)]
    pub classes: BTreeMap<ClassName, Pushed>,
    /// When it was written, by the writer's clock.
    pub written: Time,
    /// Commit that was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Run that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What other versions wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A pin that is ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// What it names.
    pub path: StorePath,
    /// When it was set, by the writer's clock.
    pub pinned: Time,
    /// Run that set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// What a run pushed of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Base names of the paths, each with the bytes of its file.
    pub paths: BTreeMap<String, u64>,
    /// Paths that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_paths: u64,
    /// Bytes of their files.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_bytes: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Pushed {
    /// Lists the largest of these, and sums up the rest.
    #[must_use]
    pub fn of(mut paths: Vec<(StorePath, u64)>) -> Self {
        paths.sort_by(|(a, size), (b, other)| other.cmp(size).then_with(|| a.cmp(b)));
        let rest = paths.split_off(paths.len().min(LISTED));
        Self {
            paths: paths
                .into_iter()
                .map(|(path, size)| (path.to_string(), size))
                .collect(),
            more_paths: rest.len() as u64,
            more_bytes: rest.iter().map(|(_, size)| *size).sum(),
        }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name of its pin.
    pub name: String,
    /// What it says.
    pub body: RecordBody,
}

/// The records of a cache, as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Those that could be read, in the order of the service's list.
    pub read: Vec<Record>,
    /// Names of the others' pins, and why not.
    pub unread: Vec<(String, String)>,
    /// Which record keeps this version from deleting anything, if one does.
    pub forbidden: Option<Why>,
}

/// Whether a pin is that of a record.
#[must_use]
pub fn is_record(name: &str) -> bool {
    name.starts_with(PIN)
}

/// A pin that is ours, with the record that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned<'a> {
    /// What the record says of the pin.
    pub claim: &'a Claim,
    /// The newest record that says it.
    pub record: &'a Record,
}

/// The pins that are the project's, by name: a record of the project lists them, and what the service shows
/// is what the newest such record says. A pin that somebody has changed since is somebody else's. Of records of
/// one second the one counts that says what is shown, and of such the last by name.
#[must_use]
pub fn owned<'a>(facts: &'a ServiceFacts, project: &str) -> BTreeMap<&'a str, Owned<'a>> {
    let held = facts.pins.as_deref().unwrap_or_default();
    let is_shown = |name: &str, claim: &Claim| {
        let pin = held.iter().find(|pin| pin.name == name);
        pin.and_then(|pin| pin.path.as_ref()) == Some(&claim.path)
    };
    let mut newest: BTreeMap<&str, Owned<'_>> = BTreeMap::new();
    let ours = facts.records.read.iter();
    for record in ours.filter(|record| record.body.project == project) {
        for (name, claim) in &record.body.pins {
            let found = Owned { claim, record };
            let age = |it: &Owned<'_>| {
                let shown = is_shown(name, it.claim);
                let written = it.record.body.written;
                (it.claim.pinned, written, shown, it.record.name.clone())
            };
            newest
                .entry(name)
                .and_modify(|known| {
                    if age(known) < age(&found) {
                        *known = found;
                    }
                })
                .or_insert(found);
        }
    }
    newest.retain(|name, owned| !is_record(name) && is_shown(name, owned.claim));
    newest
}

/// Whether a record is to be written for the pins alone: the newest that knows of one of them is old.
#[must_use]
pub fn is_renewal_due(owned: &BTreeMap<&str, Owned<'_>>, now: Time) -> bool {
    let is_old = |it: &Owned<'_>| now.since(it.record.body.written) >= RENEWED_AFTER;
    owned.values().any(is_old)
}

/// What the records say was pushed: paths, and bytes of their files. Each path counts once, whatever became of it.
#[must_use]
pub fn estimate(records: &Records) -> (u64, u64) {
    let mut paths: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut more_paths, mut more_bytes) = (0_u64, 0_u64);
    let classes = records.read.iter().flat_map(|it| it.body.classes.values());
    for pushed in classes {
        for (path, size) in &pushed.paths {
            let known = paths.entry(path).or_default();
            *known = (*known).max(*size);
        }
        more_paths = more_paths.saturating_add(pushed.more_paths);
        more_bytes = more_bytes.saturating_add(pushed.more_bytes);
    }
    let bytes = paths
        .values()
        .fold(more_bytes, |sum, size| sum.saturating_add(*size));
    (more_paths.saturating_add(paths.len() as u64), bytes)
}

#[cfg(test)]
mod tests;
