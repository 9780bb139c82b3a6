//! A world in memory, in which plans can be tried out: the truth, what of it is hidden, and what each
//! step does to it.
//!
//! It is for tests of the core's promises (a second plan is empty, any prefix can be finished), and it is
//! deliberately simpler than the real thing: nothing fails here, and nothing happens at once.

mod cache;

use super::drops::PathToDrop;
use std::collections::{BTreeMap, BTreeSet};

use cache::table;

use super::desired::{Cache, Desired};
use super::make;
use super::observed::{
    CacheContent, Directories, DirectoryFacts, Environment, FileFacts, LocalStore, NixFacts,
    Observation, Observed, OutputFacts, Upstream, Why,
};
use super::plan::Plan;
use super::record::Root;
use super::stages::{StageKind, stages};
use super::step::{Op, PathToPush, Step};
use super::time::Time;
use crate::config::model::{CacheName, ClassName, PinName};
use crate::nix::hash::Sha256;
use crate::nix::key::PublicKey;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};

/// A path with its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The path.
    pub path: StorePath,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to.
    pub references: Vec<HashPart>,
}

/// A narinfo in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimNarinfo {
    /// The path.
    pub item: Item,
    /// Key of its NAR.
    pub nar: String,
    /// When it was written.
    pub modified: Time,
}

/// A cache in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimCache {
    /// `nix-cache-info`.
    pub info: Option<String>,
    /// Visible narinfos.
    pub narinfos: BTreeMap<HashPart, SimNarinfo>,
    /// NAR files: size and time.
    pub nars: BTreeMap<String, (u64, Time)>,
    /// Root records.
    pub roots: BTreeMap<(ClassName, HashPart), Time>,
    /// Pin records: time and project.
    pub pins: BTreeMap<(PinName, HashPart), (Time, String)>,
    /// Intents.
    pub intents: Vec<(String, Vec<HashPart>)>,
}

/// The truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Now.
    pub now: Time,
    /// The local store.
    pub store: BTreeMap<HashPart, Item>,
    /// What a build of an output adds to it.
    pub builds: BTreeMap<String, Vec<Item>>,
    /// What outputs evaluate to.
    pub outputs: BTreeMap<String, OutputFacts>,
    /// Directories by glob.
    pub directories: BTreeMap<String, Vec<DirectoryFacts>>,
    /// What upstreams have.
    pub upstreams: BTreeMap<CacheName, BTreeSet<HashPart>>,
    /// Our caches; one that is missing does not exist yet.
    pub caches: BTreeMap<CacheName, SimCache>,
    /// Text files.
    pub files: BTreeMap<String, String>,
    /// Keys that exist.
    pub keys: BTreeMap<CacheName, PublicKey>,
    /// A key for each cache that may be asked to make one.
    pub future_keys: BTreeMap<CacheName, PublicKey>,
    /// The environment.
    pub environment: Environment,
    /// What observers do not see: `store`, or names of caches, upstreams, outputs, files.
    pub hidden: BTreeSet<String>,
}

impl World {
    /// What observers see of it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one part of the world after another")]
    pub fn observe(&self, desired: &Desired) -> Observed {
        let hidden = |name: &str| self.hidden.contains(name);
        let why = || Why("it is hidden".to_owned());
        let caches = desired.caches.iter().map(|(name, declared)| {
            let seen = match self.caches.get(name) {
                _ if hidden(name.as_str()) => Observation::Unknown(why()),
                Some(cache) => Observation::Present(self.content(declared, cache)),
                None => Observation::Absent,
            };
            (name.clone(), seen)
        });
        let upstreams = desired.upstreams.keys().map(|name| {
            let has = self.upstreams.get(name).cloned().unwrap_or_default();
            let unseen = hidden(name.as_str());
            let upstream = Upstream {
                unanswered: if unseen {
                    let outputs = self
                        .outputs
                        .values()
                        .flat_map(|facts| facts.outputs.values());
                    let outputs = outputs.map(StorePath::hash);
                    self.store.keys().copied().chain(outputs).collect()
                } else {
                    BTreeSet::new()
                },
                has: if unseen { BTreeSet::new() } else { has },
                why: unseen.then(why),
            };
            (name.clone(), upstream)
        });
        let outputs = self.outputs.iter().map(|(name, facts)| {
            let seen = if hidden(name) {
                Observation::Unknown(why())
            } else {
                Observation::Present(facts.clone())
            };
            (name.clone(), seen)
        });
        let conf = desired.conf.iter().flat_map(|conf| {
            [
                conf.nix_conf.to_string(),
                conf.fragment.to_string(),
                conf.tuning.to_string(),
            ]
        });
        let files = conf.map(|path| {
            let seen = match self.files.get(&path) {
                _ if hidden(&path) => Observation::Unknown(why()),
                Some(text) => Observation::Present(FileFacts {
                    text: text.clone(),
                    mode: 0o644,
                    managed: None,
                    writable: true,
                }),
                None => Observation::Absent,
            };
            (path, seen)
        });
        let keys = desired.caches.keys().map(|name| {
            (
                name.clone(),
                self.keys
                    .get(name)
                    .map_or(Observation::Absent, |key| Observation::Present(key.clone())),
            )
        });
        Observed {
            store_dir: StoreDir::default(),
            now: self.now,
            nix: Observation::Present(NixFacts {
                trusted: true,
                systems: vec![desired.site.system.clone()],
                ..NixFacts::default()
            }),
            store: if hidden("store") {
                Observation::Unknown(why())
            } else {
                Observation::Present(self.local_store())
            },
            caches: caches.collect(),
            upstreams: upstreams.collect(),
            outputs: outputs.collect(),
            directories: self
                .directories
                .iter()
                .map(|(glob, found)| {
                    let found = found.clone();
                    let unseen = BTreeMap::new();
                    (
                        glob.clone(),
                        Observation::Present(Directories { found, unseen }),
                    )
                })
                .collect(),
            given: BTreeMap::new(),
            files: files.collect(),
            closed: BTreeSet::new(),
            keys: keys.collect(),
            logins: BTreeMap::new(),
            distances: BTreeMap::new(),
            requests: BTreeMap::new(),
            environment: self.environment.clone(),
        }
    }

    fn content(&self, declared: &Cache, cache: &SimCache) -> CacheContent {
        let here = |hash: &HashPart| declared.recompress && self.store.contains_key(hash);
        CacheContent {
            otherwise: cache.otherwise().filter(here).collect(),
            ..cache.content(self.now)
        }
    }

    fn local_store(&self) -> LocalStore {
        let paths = table(self.store.values());
        let hashes = paths.rows().map(|row| nar_hash(paths.hash(row))).collect();
        LocalStore {
            nar_hashes: hashes,
            paths,
            ..LocalStore::default()
        }
    }

    /// Runs the stages of a plan, at most so many (all: `usize::MAX`), as the engine would: what is
    /// known only after a step is planned again when that step is done. Of a push stage that is cut
    /// off, `part` paths get there.
    pub fn run(&mut self, desired: &Desired, plan: &Plan, most: usize, part: usize) {
        let order = stages(&plan.steps);
        for (number, stage) in order.iter().enumerate() {
            if number > most {
                return;
            }
            let steps: Vec<Step> = stage
                .steps
                .iter()
                .map(|step| plan.steps[*step].clone())
                .collect();
            let late = stage.is_late(&plan.steps);
            let steps = match &stage.kind {
                StageKind::Prune(_) => self.second_look(desired, plan, steps),
                kind if late => self.again(desired, plan, kind, &steps),
                _ => steps,
            };
            if number == most {
                if let StageKind::Push(cache) = &stage.kind {
                    self.push_part(cache, &steps, part);
                }
                return;
            }
            for step in &steps {
                self.apply(desired, step);
            }
        }
    }

    /// A prune looks again, and spares what is needed by now.
    fn second_look(&self, desired: &Desired, plan: &Plan, mut steps: Vec<Step>) -> Vec<Step> {
        let fresh = make::plan(desired, &self.observe(desired), &plan.config);
        let mut dead = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for step in &fresh.steps {
            if let Op::Prune {
                cache,
                paths,
                roots,
                ..
            } = &step.op
            {
                dead.extend(paths.hashes().map(|hash| (cache.clone(), hash)));
                ended.extend(roots.iter().map(|root| (cache.clone(), root.clone())));
            }
        }
        for step in &mut steps {
            if let Op::Prune {
                cache,
                paths,
                roots,
                ..
            } = &mut step.op
            {
                let is_dead = |path: &PathToDrop| dead.contains(&(cache.clone(), path.path.hash()));
                *paths = paths.iter().filter(is_dead).collect();
                roots.retain(|root| ended.contains(&(cache.clone(), root.clone())));
            }
        }
        steps
    }

    fn again(&self, desired: &Desired, plan: &Plan, kind: &StageKind, old: &[Step]) -> Vec<Step> {
        let fresh = make::plan(desired, &self.observe(desired), &plan.config);
        let steps = fresh.steps.into_iter();
        match kind {
            StageKind::Push(cache) => steps
                .filter(|step| matches!(&step.op, Op::Push { cache: of, .. } | Op::Pin { cache: of, .. } if of == cache))
                .collect(),
            _ => steps.filter(|step| old.iter().any(|old| old.address == step.address)).collect(),
        }
    }

    /// A push that died: some paths are there, no roots, and its intent is left.
    fn push_part(&mut self, cache: &CacheName, steps: &[Step], part: usize) {
        let mut paths: Vec<&PathToPush> = steps
            .iter()
            .filter_map(|step| match &step.op {
                Op::Push { paths, .. } => Some(paths),
                _ => None,
            })
            .flatten()
            .collect();
        paths.retain(|path| !path.is_there());
        paths.sort_by_key(|path| path.rank);
        let absent = paths.iter().map(|path| path.path.hash()).collect();
        let items: Vec<Item> = paths
            .iter()
            .take(part)
            .map(|path| self.item(&path.path, path.nar_size))
            .collect();
        let now = self.now;
        let Some(target) = self.caches.get_mut(cache) else {
            return;
        };
        target
            .intents
            .push((format!("dead{}", target.intents.len()), absent));
        for item in items {
            target.add(item, now);
        }
    }

    fn item(&self, path: &StorePath, nar_size: u64) -> Item {
        let known = self.store.get(&path.hash()).cloned();
        known.unwrap_or_else(|| Item {
            path: path.clone(),
            nar_size,
            references: Vec::new(),
        })
    }

    /// Does what a step says.
    pub fn apply(&mut self, desired: &Desired, step: &Step) {
        let now = self.now;
        match &step.op {
            Op::WriteFile { path, after, .. } | Op::EditFile { path, after, .. } => {
                self.files.insert(path.clone(), after.clone());
            }
            Op::GenerateKey { cache, .. } => {
                if let Some(key) = self.future_keys.get(cache) {
                    self.keys.insert(cache.clone(), key.clone());
                }
            }
            // A simulated world has no services.
            Op::WriteLogin { .. } | Op::Record { .. } | Op::Unpin { .. } => {}
            Op::CreateCache { cache, info, .. } => {
                self.caches.entry(cache.clone()).or_default().info = Some(info.clone());
            }
            Op::ExportVariable { after, .. } => self.environment.nix_config.clone_from(after),
            Op::Warm { paths, .. } => {
                for path in paths {
                    let item = self.item(path, 1);
                    self.store.insert(path.hash(), item);
                }
            }
            Op::Build { installable, .. } => {
                for item in self.builds.get(installable).cloned().unwrap_or_default() {
                    self.store.insert(item.path.hash(), item);
                }
            }
            Op::Push {
                cache,
                paths,
                roots,
                ..
            } => {
                let items: Vec<(bool, Item)> = paths
                    .iter()
                    .map(|path| (path.recompress, self.item(&path.path, path.nar_size)))
                    .collect();
                let target = self.caches.entry(cache.clone()).or_default();
                for (recompress, item) in items {
                    if recompress {
                        target.recompress(&item, now);
                    } else {
                        target.add(item, now);
                    }
                }
                for root in roots {
                    target
                        .roots
                        .insert((root.class.clone(), root.path.hash()), now);
                }
            }
            Op::Pin {
                cache,
                name,
                add,
                remove,
            } => {
                let target = self.caches.entry(cache.clone()).or_default();
                for path in remove {
                    target.pins.remove(&(name.clone(), path.hash()));
                }
                for path in add {
                    let project = desired.config.project.clone();
                    target
                        .pins
                        .insert((name.clone(), path.hash()), (now, project));
                }
            }
            Op::Prune {
                cache,
                paths,
                roots,
                ..
            } => {
                let Some(target) = self.caches.get_mut(cache) else {
                    return;
                };
                for hash in paths.hashes() {
                    target.narinfos.remove(&hash);
                }
                target
                    .roots
                    .retain(|(class, hash), _| !roots.contains(&Root::key(class, *hash)));
                target.drop_nars(desired, now);
            }
            Op::Sweep { cache, objects } => {
                let Some(target) = self.caches.get_mut(cache) else {
                    return;
                };
                // A prune looks again before it deletes files.
                target.drop_nars(desired, now);
                for object in objects {
                    target
                        .intents
                        .retain(|(id, _)| !object.key.ends_with(&format!("/{id}.json")));
                }
            }
        }
    }
}

/// A NAR hash that stands for the content of a path.
fn nar_hash(hash: HashPart) -> Sha256 {
    Sha256::of(hash.as_bytes())
}
