//! What is wanted in one cache: every top of `cache.yaml` with its closure, as one graph.
//!
//! A top comes from the local store, from a directory, or (where it is not here) from the cache
//! itself, so that what a runner did not build still has its roots renewed. What is nowhere has to
//! be built. Pure; nothing is decided here about what is pushed.

mod search;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use search::Search;

use super::class::{ClassId, Classifier};
use super::desired::{Desired, TopSource};
use super::observed::{CacheContent, Observed};
use super::paths::{Paths, Row};
use super::step::Because;
use crate::config::model::{ClosureKind, PinName};
use crate::nix::closure::RowSet;
use crate::nix::hash::Sha256;
use crate::nix::store_path::{HashPart, StorePath};

/// Everything that is wanted in one cache.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The paths; rows of everything below.
    pub paths: Paths,
    /// Where each path is to be had.
    pub origins: Vec<Origin>,
    /// NAR hash of each path.
    pub nar_hashes: Vec<Sha256>,
    /// Class of each path.
    pub classes: Vec<ClassId>,
    /// What is wanted for its own sake, in the order of `cache.yaml`.
    pub tops: Vec<WantedTop>,
    /// Outputs that have to be built first.
    pub builds: Vec<WantedBuild>,
    /// Outputs that an upstream has and that need neither build nor push.
    pub upstream: Vec<StorePath>,
    /// What could not be found out: (what, why).
    pub unknowns: BTreeSet<(String, String)>,
    /// What is in error: (what, what is wrong).
    pub errors: BTreeSet<(String, String)>,
    /// Whether anything could not be seen or is in error (and is not merely not there).
    pub unseen: bool,
    /// Outputs that cannot be built here: (installable, system).
    pub elsewhere: BTreeSet<(String, String)>,
    /// Pins of which something was not found.
    pub open_pins: BTreeSet<PinName>,
    /// Puts paths into classes.
    pub classifier: Classifier<'a>,
}

/// Where a path is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the local store.
    Store,
    /// It is made from this directory.
    Directory(String),
    /// Only in the cache.
    Cache,
}

/// Something that is wanted for its own sake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTop {
    /// Its row.
    pub row: Row,
    /// Output or directory that it stands for.
    pub attr: Option<String>,
    /// What asked for it.
    pub because: Because,
    /// The pin that wants it.
    pub pin: Option<PinName>,
}

/// An output that has to be built first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedBuild {
    /// The output.
    pub installable: String,
    /// Its derivation.
    pub drv: Option<StorePath>,
    /// Its paths.
    pub outputs: Vec<StorePath>,
    /// Which closure goes with it.
    pub closure: ClosureKind,
    /// Class of its first path.
    pub class: ClassId,
    /// What asked for it.
    pub because: Because,
    /// The pins that want it.
    pub pins: BTreeSet<PinName>,
}

/// A classifier that knows every output and directory that was observed.
#[must_use]
pub fn classifier<'a>(desired: &'a Desired, observed: &Observed) -> Classifier<'a> {
    let mut classifier = Classifier::new(&desired.config);
    for top in &desired.tops {
        let Some(class) = &top.class else { continue };
        match &top.source {
            TopSource::Output(installable) => {
                let facts = observed
                    .outputs
                    .get(installable)
                    .and_then(|facts| facts.present());
                for path in facts.iter().flat_map(|facts| facts.outputs.values()) {
                    classifier.name(path.hash(), class);
                }
            }
            TopSource::Directory(glob) => {
                let facts = observed
                    .directories
                    .get(glob)
                    .and_then(|facts| facts.present());
                for directory in facts.iter().flat_map(|facts| &facts.found) {
                    classifier.name(directory.path.hash(), class);
                }
            }
            TopSource::Path(_) | TopSource::PathsFrom(_) => {}
        }
    }
    classifier
}

/// Whether an upstream is known to have a path.
#[must_use]
pub fn is_upstream(observed: &Observed, hash: &HashPart) -> bool {
    observed
        .upstreams
        .values()
        .any(|upstream| upstream.has.contains(hash))
}

impl<'a> Wanted<'a> {
    /// Finds what is wanted in a cache with this content.
    #[must_use]
    pub fn resolve(desired: &'a Desired, observed: &Observed, cache: &CacheContent) -> Self {
        let mut search = Search {
            site: &desired.site,
            observed,
            cache,
            store: observed.store.present(),
            local: RowSet::default(),
            directories: BTreeMap::new(),
            remote: Vec::new(),
            found: Vec::new(),
            builds: Vec::new(),
            upstream: Vec::new(),
            unknowns: BTreeSet::new(),
            errors: BTreeSet::new(),
            unseen: false,
            elsewhere: BTreeSet::new(),
            open_pins: BTreeSet::new(),
            partly: false,
        };
        for top in &desired.tops {
            search.top(top);
        }
        search.since_mark(desired);
        search.finish(classifier(desired, observed))
    }

    /// The class of a row.
    #[must_use]
    pub fn class(&self, row: Row) -> ClassId {
        self.classes[row as usize]
    }
}

#[cfg(test)]
mod tests;
