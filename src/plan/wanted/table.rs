//! Numbers the rows of everything that was found, and puts them into one graph.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::search::Search;
use super::{Origin, Wanted, WantedBuild, WantedTop};
use crate::nix::closure::Graph;
use crate::nix::hash::Sha256;
use crate::nix::store_path::HashPart;
use crate::plan::class::Classifier;
use crate::plan::paths::{Paths, Row};

enum Source {
    Store(Row),
    Directory,
    Cache(Row),
}

impl Search<'_> {
    /// Everything that was found, as one graph.
    pub(super) fn finish(self, classifier: Classifier<'_>) -> Wanted<'_> {
        let mut rows: HashMap<HashPart, Row> = HashMap::new();
        let mut paths = Paths::builder(self.local.len());
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
            if let Entry::Vacant(free) = rows.entry(hash) {
                let cached = &self.cache.paths;
                free.insert(paths.push(hash, cached.name(row), cached.nar_size(row)));
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
            errors: self.errors,
            unseen: self.unseen,
            elsewhere: self.elsewhere,
            open_pins: self.open_pins,
            classifier,
        }
    }

    fn references(&self, source: &Source, rows: &HashMap<HashPart, Row>) -> Vec<Row> {
        let table = match source {
            Source::Store(row) => self.store.map(|store| (&store.paths, *row)),
            Source::Cache(row) => Some((&*self.cache.paths, *row)),
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
