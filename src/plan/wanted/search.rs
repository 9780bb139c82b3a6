//! Looks for each top: in the local store, among directories, in the cache, upstream; or it is to be built.

use std::collections::{BTreeMap, BTreeSet};

use super::{WantedBuild, is_upstream};
use crate::config::model::{ClosureKind, PinName};
use crate::nix::closure::RowSet;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::desired::{Desired, Site, Top, TopSource, name_of_directory};
use crate::plan::observed::{
    CacheContent, DirectoryFacts, LocalStore, Observation, Observed, OutputFacts,
};
use crate::plan::paths::Row;
use crate::plan::step::Because;

/// A top by hash part, before rows are numbered.
pub(super) struct Found {
    pub(super) path: HashPart,
    pub(super) attr: Option<String>,
    pub(super) because: Because,
    pub(super) pin: Option<PinName>,
}

pub(super) struct Search<'o> {
    pub(super) site: &'o Site,
    pub(super) observed: &'o Observed,
    pub(super) cache: &'o CacheContent,
    pub(super) store: Option<&'o LocalStore>,
    /// Rows of the local store that are wanted.
    pub(super) local: RowSet,
    pub(super) directories: BTreeMap<HashPart, &'o DirectoryFacts>,
    /// Rows of the cache that are wanted and not here.
    pub(super) remote: Vec<Row>,
    pub(super) found: Vec<Found>,
    pub(super) builds: Vec<(OutputFacts, WantedBuild)>,
    pub(super) upstream: Vec<StorePath>,
    pub(super) unknowns: BTreeSet<(String, String)>,
    pub(super) errors: BTreeSet<(String, String)>,
    pub(super) unseen: bool,
    pub(super) elsewhere: BTreeSet<(String, String)>,
    pub(super) open_pins: BTreeSet<PinName>,
    /// Something of the top that is being looked for is not to be had.
    pub(super) partly: bool,
}

impl Search<'_> {
    /// Looks for one top.
    pub(super) fn top(&mut self, top: &Top) {
        self.partly = false;
        match &top.source {
            TopSource::Output(installable) => self.output(top, installable),
            TopSource::Directory(glob) => self.directory(top, glob),
            TopSource::Path(given) | TopSource::PathsFrom(given) => self.given(top, given),
        }
        if self.partly {
            self.open_pins.extend(top.pin.clone());
        }
    }

    /// It could not be seen.
    fn unseen(&mut self, what: &str, why: impl Into<String>) {
        self.unseen = true;
        self.missing(what, why);
    }

    /// It is not there.
    fn missing(&mut self, what: &str, why: impl Into<String>) {
        self.partly = true;
        self.unknowns.insert((what.to_owned(), why.into()));
    }

    /// It is in error.
    fn broken(&mut self, what: &str, why: &str) {
        self.unseen = true;
        self.partly = true;
        self.errors.insert((what.to_owned(), why.to_owned()));
    }

    fn output(&mut self, top: &Top, installable: &str) {
        let facts = match self.observed.outputs.get(installable) {
            Some(Observation::Present(facts)) => facts,
            Some(Observation::Unknown(why)) => {
                return self.unseen(installable, why.0.clone());
            }
            Some(Observation::Error(why)) => return self.broken(installable, &why.0),
            Some(Observation::Absent) => {
                return self.missing(installable, "the flake has no such output");
            }
            None => return self.unseen(installable, "it was not evaluated"),
        };
        if facts.outputs.is_empty() {
            return self.unseen(
                installable,
                "its path depends on what the build gives (a content-addressed derivation)",
            );
        }
        if let Some(rows) = self.valid(facts.outputs.values()) {
            let closure = self.closure_of(facts, &rows, top.closure);
            if let Err(why) = closure {
                self.unseen(installable, why);
            }
            for path in facts.outputs.values() {
                self.found(top, path.hash(), Some(installable));
            }
        } else if let Some(rows) = self.cached(facts.outputs.values()) {
            self.remote.extend(rows);
            for path in facts.outputs.values() {
                self.found(top, path.hash(), Some(installable));
            }
        } else if facts
            .outputs
            .values()
            .all(|path| is_upstream(self.observed, &path.hash()))
        {
            self.partly = true;
            self.upstream.extend(facts.outputs.values().cloned());
        } else if let Some(why) = self.observed.store.unknown() {
            let why = format!("whether it is built is not known: {}", why.0);
            self.unseen(installable, why);
        } else {
            self.build(top, installable, facts);
        }
    }

    fn build(&mut self, top: &Top, installable: &str, facts: &OutputFacts) {
        let here = self.observed.nix.present().is_none_or(|nix| {
            facts
                .system
                .as_ref()
                .is_none_or(|system| nix.systems.contains(system))
        });
        if !here {
            let system = facts.system.clone().unwrap_or_default();
            self.partly = true;
            self.elsewhere.insert((installable.to_owned(), system));
            return;
        }
        // An upstream that did not answer may have it, and then it is not pinned.
        self.partly |= facts.outputs.values().any(|path| {
            let mut upstreams = self.observed.upstreams.values();
            upstreams.any(|upstream| upstream.unanswered.contains(&path.hash()))
        });
        let known = self
            .builds
            .iter_mut()
            .find(|(_, build)| build.installable == installable && build.closure == top.closure);
        if let Some((_, known)) = known {
            known.pins.extend(top.pin.clone());
            return;
        }
        let build = WantedBuild {
            installable: installable.to_owned(),
            drv: facts.drv.clone(),
            outputs: facts.outputs.values().cloned().collect(),
            closure: top.closure,
            class: 0,
            because: top.because.clone(),
            pins: top.pin.iter().cloned().collect(),
        };
        self.builds.push((facts.clone(), build));
    }

    fn directory(&mut self, top: &Top, glob: &str) {
        match self.observed.directories.get(glob) {
            Some(Observation::Present(directories)) => {
                for (what, why) in &directories.unseen {
                    self.unseen(what, why.0.clone());
                }
                for directory in &directories.found {
                    self.directories.insert(directory.path.hash(), directory);
                    let name = name_of_directory(&directory.directory, self.site);
                    self.found(top, directory.path.hash(), Some(&name));
                }
            }
            Some(Observation::Unknown(why)) => self.unseen(glob, why.0.clone()),
            Some(Observation::Error(why)) => self.broken(glob, &why.0),
            Some(Observation::Absent) => {
                self.missing(glob, "there is no such directory");
            }
            None => self.unseen(glob, "it was not looked at"),
        }
    }

    fn given(&mut self, top: &Top, given: &str) {
        let paths = match self.observed.given.get(given) {
            Some(Observation::Present(paths)) => paths.clone(),
            Some(Observation::Unknown(why)) => {
                return self.unseen(given, why.0.clone());
            }
            Some(Observation::Error(why)) => return self.broken(given, &why.0),
            Some(Observation::Absent) => {
                return self.missing(given, "there is no such path");
            }
            None => return self.unseen(given, "it was not looked at"),
        };
        for path in &paths {
            if let Some(rows) = self.valid([path].into_iter()) {
                self.reach(&rows);
                self.found(top, path.hash(), None);
            } else if let Some(rows) = self.cached([path].into_iter()) {
                self.remote.extend(rows);
                self.found(top, path.hash(), None);
            } else if let Some(why) = self.observed.store.unknown() {
                let why = format!("whether it is valid is not known: {}", why.0);
                self.unseen(&path.to_string(), why);
            } else {
                let why = "it is neither valid in the local store nor in the cache";
                self.missing(&path.to_string(), why);
            }
        }
    }

    /// Everything new since a mark, less derivations; tops are those that no other new path needs.
    pub(super) fn since_mark(&mut self, desired: &Desired) {
        let Some(mark) = &desired.extra.mark else {
            return;
        };
        let what = format!("what is new since mark {mark}");
        let Some(store) = self.store else {
            let why = self.observed.store.unknown();
            let why = why.map_or("there is no Nix store here", |why| why.0.as_str());
            return self.unseen(&what, why.to_owned());
        };
        let Some(rows) = &store.since_mark else {
            return self.unseen(&what, "there is no such mark; `nanna-cache mark` makes it");
        };
        let mut fresh = RowSet::new(store.paths.len());
        for row in rows {
            if !is_derivation(store, *row) {
                fresh.insert(*row);
            }
        }
        self.reach(&fresh.iter().collect::<Vec<_>>());
        let because = Because {
            rule: format!("new since mark {mark}"),
            ..Because::default()
        };
        for row in store.paths.refs().topmost(&fresh) {
            let path = store.paths.hash(row);
            self.found.push(Found {
                path,
                attr: None,
                because: because.clone(),
                pin: None,
            });
        }
    }

    fn found(&mut self, top: &Top, path: HashPart, attr: Option<&str>) {
        self.found.push(Found {
            path,
            attr: attr.map(str::to_owned),
            because: top.because.clone(),
            pin: top.pin.clone(),
        });
    }

    /// The rows of these paths, if all are valid in the local store.
    fn valid<'p>(&self, paths: impl Iterator<Item = &'p StorePath>) -> Option<Vec<Row>> {
        let store = self.store?;
        paths.map(|path| store.paths.row(&path.hash())).collect()
    }

    /// The rows of these paths, if all are whole in the cache.
    fn cached<'p>(&self, paths: impl Iterator<Item = &'p StorePath>) -> Option<Vec<Row>> {
        paths
            .map(|path| self.cache.paths.row(&path.hash()))
            .map(|row| row.filter(|row| self.cache.narinfos[*row as usize].nar().is_some()))
            .collect()
    }

    fn reach(&mut self, rows: &[Row]) {
        if let Some(store) = self.store {
            store
                .paths
                .refs()
                .reach_into(rows.iter().copied(), &mut self.local);
        }
    }

    fn closure_of(
        &mut self,
        facts: &OutputFacts,
        outputs: &[Row],
        kind: ClosureKind,
    ) -> Result<(), String> {
        self.reach(outputs);
        let Some(store) = self.store else {
            return Ok(());
        };
        if kind == ClosureKind::Runtime {
            return Ok(());
        }
        let drv = facts
            .drv
            .as_ref()
            .and_then(|drv| store.paths.row(&drv.hash()));
        let drv = drv.ok_or_else(|| {
            format!("its {kind:?} closure: the derivation is not in the local store").to_lowercase()
        })?;
        let inputs: Vec<Row> = match kind {
            ClosureKind::Build => store.paths.refs().reach([drv]).iter().collect(),
            ClosureKind::Dev | ClosureKind::Runtime => store.paths.refs().references(drv).to_vec(),
        };
        let mut rows = Vec::new();
        for row in inputs {
            if is_derivation(store, row) {
                rows.extend(store.outputs.get(&row).into_iter().flatten());
            } else {
                rows.push(row);
            }
        }
        self.reach(&rows);
        Ok(())
    }
}

fn is_derivation(store: &LocalStore, row: Row) -> bool {
    let name = store.paths.name(row);
    name.as_bytes().ends_with(b".drv")
}
