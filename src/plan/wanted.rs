//! What is wanted in one cache: every top of `cache.yaml` with its closure, as one graph.
//!
//! A top comes from the local store, from a directory, or (where it is not here) from the cache
//! itself, so that what a runner did not build still has its roots renewed. What is nowhere has to
//! be built. Pure; nothing is decided here about what is pushed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::class::{ClassId, Classifier};
use super::desired::{Desired, Site, Top, TopSource, name_of_directory};
use super::observed::{CacheContent, DirectoryFacts, LocalStore, Observed, OutputFacts};
use super::paths::{Paths, Row};
use super::step::Because;
use crate::config::model::{ClosureKind, PinName};
use crate::nix::closure::{Graph, RowSet};
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
    /// Whether any of that is because it could not be seen (not because it is not there).
    pub unseen: bool,
    /// Outputs that cannot be built here: (installable, system).
    pub elsewhere: BTreeSet<(String, String)>,
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
    /// The pin that wants it.
    pub pin: Option<PinName>,
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
                for directory in facts.into_iter().flatten() {
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
            unseen: false,
            elsewhere: BTreeSet::new(),
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

/// A top by hash part, before rows are numbered.
struct Found {
    path: HashPart,
    attr: Option<String>,
    because: Because,
    pin: Option<PinName>,
}

struct Search<'o> {
    site: &'o Site,
    observed: &'o Observed,
    cache: &'o CacheContent,
    store: Option<&'o LocalStore>,
    /// Rows of the local store that are wanted.
    local: RowSet,
    directories: BTreeMap<HashPart, &'o DirectoryFacts>,
    /// Rows of the cache that are wanted and not here.
    remote: Vec<Row>,
    found: Vec<Found>,
    builds: Vec<(OutputFacts, WantedBuild)>,
    upstream: Vec<StorePath>,
    unknowns: BTreeSet<(String, String)>,
    unseen: bool,
    elsewhere: BTreeSet<(String, String)>,
}

impl Search<'_> {
    fn top(&mut self, top: &Top) {
        match &top.source {
            TopSource::Output(installable) => self.output(top, installable),
            TopSource::Directory(glob) => self.directory(top, glob),
            TopSource::Path(given) | TopSource::PathsFrom(given) => self.given(top, given),
        }
    }

    /// It could not be seen.
    fn unseen(&mut self, what: &str, why: impl Into<String>) {
        self.unseen = true;
        self.missing(what, why);
    }

    /// It is not there.
    fn missing(&mut self, what: &str, why: impl Into<String>) {
        self.unknowns.insert((what.to_owned(), why.into()));
    }

    fn output(&mut self, top: &Top, installable: &str) {
        let facts = match self.observed.outputs.get(installable) {
            Some(super::observed::Observation::Present(facts)) => facts,
            Some(super::observed::Observation::Unknown(why)) => {
                return self.unseen(installable, why.0.clone());
            }
            Some(super::observed::Observation::Absent) => {
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
            self.elsewhere.insert((installable.to_owned(), system));
            return;
        }
        let known = self
            .builds
            .iter_mut()
            .find(|(_, build)| build.installable == installable && build.closure == top.closure);
        if let Some((_, known)) = known {
            known.pin = known.pin.take().or_else(|| top.pin.clone());
            return;
        }
        let build = WantedBuild {
            installable: installable.to_owned(),
            drv: facts.drv.clone(),
            outputs: facts.outputs.values().cloned().collect(),
            closure: top.closure,
            class: 0,
            because: top.because.clone(),
            pin: top.pin.clone(),
        };
        self.builds.push((facts.clone(), build));
    }

    fn directory(&mut self, top: &Top, glob: &str) {
        match self.observed.directories.get(glob) {
            Some(super::observed::Observation::Present(directories)) => {
                for directory in directories {
                    self.directories.insert(directory.path.hash(), directory);
                    let name = name_of_directory(&directory.directory, self.site);
                    self.found(top, directory.path.hash(), Some(&name));
                }
            }
            Some(super::observed::Observation::Unknown(why)) => self.unseen(glob, why.0.clone()),
            Some(super::observed::Observation::Absent) => {
                self.missing(glob, "there is no such directory");
            }
            None => self.unseen(glob, "it was not looked at"),
        }
    }

    fn given(&mut self, top: &Top, given: &str) {
        let paths = match self.observed.given.get(given) {
            Some(super::observed::Observation::Present(paths)) => paths.clone(),
            Some(super::observed::Observation::Unknown(why)) => {
                return self.unseen(given, why.0.clone());
            }
            Some(super::observed::Observation::Absent) => {
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
            } else {
                let why = "it is neither valid in the local store nor in the cache";
                self.missing(&path.to_string(), why);
            }
        }
    }

    /// Everything new since a mark, less derivations; tops are those that no other new path needs.
    fn since_mark(&mut self, desired: &Desired) {
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
            .map(|row| row.filter(|row| self.cache.narinfos[*row as usize].nar.is_some()))
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

    fn finish(self, classifier: Classifier<'_>) -> Wanted<'_> {
        let mut rows: HashMap<HashPart, Row> = HashMap::new();
        let mut paths = Paths::builder(self.local.len() + self.directories.len());
        let mut origins = Vec::new();
        let mut nar_hashes = Vec::new();
        let mut sources: Vec<Source> = Vec::new();
        if let Some(store) = self.store {
            for row in self.local.iter() {
                let hash = store.paths.hash(row);
                let node = paths.push(hash, store.paths.name(row), store.paths.nar_size(row));
                rows.insert(hash, node);
                origins.push(Origin::Store);
                nar_hashes.push(store.nar_hashes[row as usize]);
                sources.push(Source::Store(row));
            }
        }
        for (hash, facts) in &self.directories {
            if !rows.contains_key(hash) {
                rows.insert(*hash, paths.push(*hash, facts.path.name(), facts.nar_size));
                origins.push(Origin::Directory(facts.directory.clone()));
                nar_hashes.push(facts.nar_hash);
                sources.push(Source::Directory);
            }
        }
        for row in self
            .cache
            .paths
            .refs()
            .reach(self.remote.iter().copied())
            .iter()
        {
            let hash = self.cache.paths.hash(row);
            if !rows.contains_key(&hash) {
                let cached = &self.cache.paths;
                rows.insert(
                    hash,
                    paths.push(hash, cached.name(row), cached.nar_size(row)),
                );
                origins.push(Origin::Cache);
                nar_hashes.push(Sha256([0; 32]));
                sources.push(Source::Cache(row));
            }
        }
        let lists = sources.iter().map(|source| self.references(source, &rows));
        let refs = Graph::from_lists(lists).expect("references are looked up among the rows");
        let tops = self
            .found
            .iter()
            .filter_map(|found| {
                Some(WantedTop {
                    row: *rows.get(&found.path)?,
                    attr: found.attr.clone(),
                    because: found.because.clone(),
                    pin: found.pin.clone(),
                })
            })
            .collect();
        let builds = self
            .builds
            .iter()
            .map(|(facts, build)| WantedBuild {
                class: facts
                    .outputs
                    .values()
                    .next()
                    .map_or(0, |path| classifier.class(path.hash(), &path.to_string())),
                ..build.clone()
            })
            .collect();
        let paths = paths.index().with_refs(refs);
        let classes = paths
            .rows()
            .map(|row| classifier.class(paths.hash(row), &paths.base_name(row)))
            .collect();
        Wanted {
            paths,
            classes,
            origins,
            nar_hashes,
            tops,
            builds,
            upstream: self.upstream,
            unknowns: self.unknowns,
            unseen: self.unseen,
            elsewhere: self.elsewhere,
            classifier,
        }
    }

    fn references(&self, source: &Source, rows: &HashMap<HashPart, Row>) -> Vec<Row> {
        let table = match source {
            Source::Store(row) => self.store.map(|store| (&store.paths, *row)),
            Source::Cache(row) => Some((&self.cache.paths, *row)),
            Source::Directory => None,
        };
        let Some((paths, row)) = table else {
            return Vec::new();
        };
        let references = paths.refs().references(row).iter();
        references
            .filter_map(|to| rows.get(&paths.hash(*to)).copied())
            .collect()
    }
}

enum Source {
    Store(Row),
    Directory,
    Cache(Row),
}

fn is_derivation(store: &LocalStore, row: Row) -> bool {
    let name = store.paths.name(row);
    name.as_bytes().ends_with(b".drv")
}
