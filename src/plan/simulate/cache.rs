//! A cache of a world: what is written to it, and how an observer sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Item, SimCache, SimNarinfo};
use crate::nix::closure::Graph;
use crate::nix::store_path::HashPart;
use crate::plan::desired::Desired;
use crate::plan::observed::{CacheContent, Capabilities, Nar, Narinfo};
use crate::plan::paths::{Paths, Row};
use crate::plan::record::{Intent, PinRecord, Root};
use crate::plan::time::Time;

/// How keys of NARs end that a push writes.
const METHOD: &str = ".nar.zst";

impl SimCache {
    /// Writes a path: its NAR and its narinfo.
    pub(super) fn add(&mut self, item: Item, now: Time) {
        let nar = self.add_nar(&item, now);
        let narinfo = SimNarinfo {
            item,
            nar,
            modified: now,
        };
        self.narinfos.insert(narinfo.item.path.hash(), narinfo);
    }

    /// Writes a NAR: half as large when compressed; equal names stand for equal content, which shares a file.
    fn add_nar(&mut self, item: &Item, now: Time) -> String {
        let key = format!("nar/{}{METHOD}", item.path.name());
        self.nars.insert(key.clone(), (item.nar_size / 2, now));
        key
    }

    /// Compresses a path anew: its narinfo is as old as it was, its old NAR is young.
    pub(super) fn recompress(&mut self, item: &Item, now: Time) {
        let nar = self.add_nar(item, now);
        if let Some(narinfo) = self.narinfos.get_mut(&item.path.hash()) {
            let old = std::mem::replace(&mut narinfo.nar, nar);
            if let Some((_, modified)) = self.nars.get_mut(&old) {
                *modified = now;
            }
        }
    }

    /// Paths that are compressed by another method than a push would.
    pub(super) fn otherwise(&self) -> impl Iterator<Item = HashPart> {
        let has_nar = |narinfo: &&SimNarinfo| self.nars.contains_key(&narinfo.nar);
        let narinfos = self.narinfos.values().filter(has_nar);
        narinfos
            .filter(|narinfo| !narinfo.nar.ends_with(METHOD))
            .map(|narinfo| narinfo.item.path.hash())
    }

    /// Removes old NARs that no narinfo names, as a prune does after the narinfos.
    pub(super) fn drop_nars(&mut self, desired: &Desired, now: Time) {
        let named: BTreeSet<&String> = self.narinfos.values().map(|narinfo| &narinfo.nar).collect();
        let grace = desired.config.prune.grace;
        self.nars
            .retain(|key, (_, modified)| named.contains(key) || now.since(*modified) < grace);
    }

    /// What an observer sees.
    pub(super) fn content(&self, now: Time) -> CacheContent {
        let nars: Vec<Nar> = self
            .nars
            .iter()
            .map(|(key, (size, modified))| Nar {
                key: key.clone(),
                size: *size,
                modified: *modified,
            })
            .collect();
        let narinfo = |narinfo: &SimNarinfo| {
            let nar = nars
                .binary_search_by(|nar| nar.key.cmp(&narinfo.nar))
                .ok()
                .and_then(|at| u32::try_from(at).ok());
            Narinfo::new(nar, narinfo.modified)
        };
        let paths = table(self.narinfos.values().map(|narinfo| &narinfo.item));
        let elsewhere = self
            .narinfos
            .values()
            .filter_map(|narinfo| Some((paths.row(&narinfo.item.path.hash())?, narinfo)))
            .flat_map(|(row, narinfo)| narinfo.item.references.iter().map(move |to| (row, *to)))
            .filter(|(_, to)| !self.narinfos.contains_key(to))
            .collect();
        CacheContent {
            capabilities: Capabilities {
                list: true,
                delete: true,
                records: true,
                sizes: true,
                times: true,
                by_age: false,
                unconditional: false,
                replace: true,
            },
            info: self.info.clone(),
            folders: self.info.is_some(),
            narinfos: self.narinfos.values().map(narinfo).collect(),
            paths: Arc::new(paths),
            elsewhere,
            roots: self
                .roots
                .iter()
                .map(|((class, hash), modified)| Root {
                    class: class.clone(),
                    hash: *hash,
                    modified: *modified,
                    path: None,
                    attr: None,
                })
                .collect(),
            pins: self
                .pins
                .iter()
                .map(|((name, hash), (modified, project))| PinRecord {
                    name: name.clone(),
                    hash: *hash,
                    modified: *modified,
                    project: Some(project.clone()),
                })
                .collect(),
            intents: self
                .intents
                .iter()
                .map(|(id, absent)| Intent {
                    id: id.clone(),
                    modified: now,
                    gone: true,
                    paths: absent.clone(),
                    absent: absent.clone(),
                })
                .collect(),
            nars: nars.iter().cloned().collect(),
            now,
            ..CacheContent::default()
        }
    }
}

/// Items as a table, in their order; references to what is not among them are left out.
pub(super) fn table<'i>(items: impl Iterator<Item = &'i Item> + Clone) -> Paths {
    let mut builder = Paths::builder(0);
    for item in items.clone() {
        builder.push(item.path.hash(), item.path.name(), item.nar_size);
    }
    let paths = builder.index();
    let lists: Vec<Vec<Row>> = items
        .map(|item| {
            item.references
                .iter()
                .filter_map(|hash| paths.row(hash))
                .collect()
        })
        .collect();
    let graph = Graph::from_lists(lists).expect("references are looked up among the rows");
    paths.with_refs(graph)
}
