//! What a `cache.yaml` of the right shape must also be: one file for each part of it.
//!
//! A rule takes what was decoded, reports every problem it sees, and gives its part of the model.
//! Where something is wrong, the part is made up: it is never used, for an error was reported.

mod buckets;
pub(super) mod caches;
mod cachix;
pub(super) mod classes;
mod gate;
pub(super) mod keys;
pub(super) mod leaks;
pub(super) mod ledger;
pub(super) mod optimize;
pub(super) mod pins;
pub(super) mod places;
pub(super) mod project;
pub(super) mod prune;
pub(super) mod push;
mod replicas;
mod written;
