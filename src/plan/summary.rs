//! The sum of a plan: how many changes of which kind. Pure counting.
//!
//! One rule matters to exit codes: writing an existing root again (a renewal) is no change, so a
//! plan that only renews is a plan without changes. A new root is a change.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::step::{Known, Op, Step};

/// What a step is to somebody who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Makes something that is not there.
    Create,
    /// Changes something that is there.
    Change,
    /// Uploads paths or writes new roots or pins.
    Push,
    /// Writes roots again and nothing else.
    Renew,
    /// Builds an output.
    Build,
    /// Fetches an output.
    Fetch,
    /// Deletes.
    Delete,
}

impl Op {
    /// What it is to somebody who counts.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::WriteFile { before, .. }
            | Self::EditFile { before, .. }
            | Self::CreateCache { before, .. } => {
                if before.is_none() {
                    Kind::Create
                } else {
                    Kind::Change
                }
            }
            Self::GenerateKey { .. }
            | Self::WriteLogin {
                replaces: false, ..
            } => Kind::Create,
            Self::WriteLogin { .. } => Kind::Change,
            Self::ExportVariable { before, .. } => {
                if before.is_empty() {
                    Kind::Create
                } else {
                    Kind::Change
                }
            }
            Self::Warm { .. } => Kind::Fetch,
            Self::Build { .. } => Kind::Build,
            Self::Push {
                paths,
                selectors,
                roots,
                ..
            } => {
                if paths.is_empty() && selectors.is_empty() && roots.iter().all(|root| !root.new) {
                    Kind::Renew
                } else {
                    Kind::Push
                }
            }
            Self::Pin { add, .. } => {
                if add.is_empty() {
                    Kind::Delete
                } else {
                    Kind::Push
                }
            }
            // The records of dead pushes are put away by the way, as roots are renewed.
            Self::Sweep { objects, .. }
                if objects
                    .iter()
                    .all(|object| object.key.starts_with(super::record::FOLDER)) =>
            {
                Kind::Renew
            }
            // What is written down is no change of what is there; that pins are ours from now on is one.
            Self::Record { pins, .. } => {
                if pins.iter().any(|pin| pin.adopted) {
                    Kind::Change
                } else {
                    Kind::Renew
                }
            }
            Self::Unpin { .. } | Self::Prune { .. } | Self::Sweep { .. } => Kind::Delete,
        }
    }
}

impl Step {
    /// Whether the world is another one after it; a mere renewal of roots is no change.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.op.kind() != Kind::Renew
    }
}

/// The numbers of a plan's last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Steps that change something.
    pub changes: u64,
    /// Files, keys, caches and variables that are made.
    pub create: u64,
    /// Files, caches and variables that are changed.
    pub change: u64,
    /// Outputs that are built.
    pub build: u64,
    /// Outputs that are fetched.
    pub fetch: u64,
    /// Paths that are uploaded, as far as they are known.
    pub push_paths: u64,
    /// Bytes of their NARs.
    pub push_bytes: u64,
    /// Paths that are there and get our signature.
    #[serde(default)]
    pub sign: u64,
    /// Paths that are there by another method and are compressed anew.
    #[serde(default)]
    pub recompress: u64,
    /// Bytes of their NARs.
    #[serde(default)]
    pub recompress_bytes: u64,
    /// Outputs whose paths come to light after a build, then to be uploaded.
    pub push_later: u64,
    /// Root records that are new.
    pub roots_new: u64,
    /// Root records that are written again: no change.
    pub roots_renewed: u64,
    /// Paths that are newly pinned.
    pub pin: u64,
    /// Paths that are no longer pinned.
    pub unpin: u64,
    /// Paths that are deleted.
    pub delete_paths: u64,
    /// Files that no path needs and that are deleted.
    pub delete_files: u64,
    /// Bytes of all files that are deleted.
    pub delete_bytes: u64,
    /// Root records that ended.
    pub roots_ended: u64,
    /// Errors of what was asked for.
    #[serde(default)]
    pub error: u64,
    /// Things that could not be seen.
    pub unknown: u64,
    /// Things that must not be done.
    pub refused: u64,
    /// Things that a person must do.
    pub advice: u64,
}

/// Lengths as numbers of the summary.
const fn number(len: usize) -> u64 {
    len as u64
}

impl Summary {
    /// Counts a whole plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut sum = Self::of_steps(&plan.steps);
        sum.error = number(plan.errors.len());
        sum.unknown = number(plan.unknowns.len());
        sum.refused = number(plan.refusals.len());
        sum.advice = number(plan.advice.len());
        sum
    }

    /// Counts some steps; what is no step stays zero.
    pub fn of_steps<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut sum = Self::default();
        // One build may be awaited by several caches and classes.
        let mut later = BTreeSet::new();
        for step in steps {
            sum.add(step);
            if let (Op::Push { selectors, .. }, Known::After { .. }) = (&step.op, &step.known) {
                later.extend(selectors.iter().map(|selector| &selector.installable));
            }
        }
        sum.push_later = number(later.len());
        sum
    }

    /// Whether nothing would change.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes == 0
    }

    fn add(&mut self, step: &Step) {
        self.changes += u64::from(step.is_change());
        match step.op.kind() {
            Kind::Create => self.create += 1,
            Kind::Change => self.change += 1,
            Kind::Build => self.build += 1,
            Kind::Fetch => self.fetch += 1,
            Kind::Push | Kind::Renew | Kind::Delete => {}
        }
        match &step.op {
            Op::Push { paths, roots, .. } => {
                for path in paths {
                    if path.recompress {
                        self.recompress += 1;
                        self.recompress_bytes += path.bytes();
                    } else if path.sign {
                        self.sign += 1;
                    } else {
                        self.push_paths += 1;
                        self.push_bytes += path.bytes();
                    }
                }
                let new = number(roots.iter().filter(|root| root.new).count());
                self.roots_new += new;
                self.roots_renewed += number(roots.len()) - new;
            }
            Op::Pin { add, remove, .. } => {
                self.pin += number(add.len());
                self.unpin += number(remove.len());
            }
            Op::Unpin { .. } => self.unpin += 1,
            Op::Prune { paths, roots, .. } => {
                self.delete_paths += number(paths.len());
                self.delete_bytes += paths.bytes().iter().sum::<u64>();
                self.roots_ended += number(roots.len());
            }
            Op::Sweep { objects, .. } => {
                self.delete_files += number(objects.len());
                self.delete_bytes += objects.iter().map(|object| object.size).sum::<u64>();
            }
            Op::WriteFile { .. }
            | Op::EditFile { .. }
            | Op::GenerateKey { .. }
            | Op::WriteLogin { .. }
            | Op::Record { .. }
            | Op::CreateCache { .. }
            | Op::ExportVariable { .. }
            | Op::Warm { .. }
            | Op::Build { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
