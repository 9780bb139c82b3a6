//! Paths, what is in the cache to begin with, and who does what.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use nanna_cache::config::model::{ClassName, Compression, Config, Foreign, Method};
use nanna_cache::config::units::Span;
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::store_path::{HashPart, StoreDir, StorePath};
use nanna_cache::plan::class::Classifier;
use nanna_cache::plan::need::{Rules, need};
use nanna_cache::plan::observed::CacheContent;
use nanna_cache::plan::record::Root;
use nanna_cache::plan::step::RootToWrite;
use nanna_cache::provider::binary_cache::CacheStore;
use nanna_cache::provider::binary_cache::observe::Look;
use nanna_cache::provider::binary_cache::prune::{Candidates, Decision, prune_by};
use nanna_cache::provider::binary_cache::push::{Batch, Item, PushDone, Spare, push_into};
use nanna_cache::provider::binary_cache::terms::Terms;
use nanna_cache::sys::clock::Clock;
use nanna_cache::transfer::progress::Progress;
use nanna_cache::transfer::tree::hash_tree;

use super::handle::{Handle, new_id};
use super::run::{Body, Ended, Options, Run};
use super::server::{Broken, Server};
use crate::cache_support::{class, path};

pub const NOW: u64 = 1_800_000_000_000;
pub const DAY: i64 = 86_400;
pub const GRACE: Span = Span(86_400);
/// Seconds for which a root is kept.
pub const RETENTION: i64 = 10 * DAY;

const CONFIG: &str = "version: 1
project: simulated
caches:
  c: { type: file, path: /c }
artifacts:
  things: { priority: 10, retention: 10d, default: true }
setup: { nix-conf: none }
";

fn config() -> &'static Config {
    static CONFIG_READ: OnceLock<Config> = OnceLock::new();
    CONFIG_READ.get_or_init(|| {
        let read = nanna_cache::config::read("cache.yaml", CONFIG.as_bytes());
        read.unwrap_or_else(|_| panic!("the file is valid")).0
    })
}

/// What trees hold: a few small ones, read from disk as any other.
struct Content {
    root: PathBuf,
    nar_hash: Sha256,
    nar_size: u64,
    nar: Vec<u8>,
}

const CONTENTS: usize = 40;

fn contents() -> &'static [Content] {
    static MADE: OnceLock<(tempfile::TempDir, Vec<Content>)> = OnceLock::new();
    let (_, contents) = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let make = |number: usize| {
            let root = dir.path().join(number.to_string());
            std::fs::write(&root, format!("content {number}")).unwrap();
            let (nar_hash, nar_size) = hash_tree(&root, &Progress::default()).unwrap();
            let nar =
                nanna_cache::transfer::tree::write_nar(&root, Vec::new(), &Progress::default());
            Content {
                root,
                nar_hash,
                nar_size,
                nar: nar.unwrap(),
            }
        };
        let contents = (0..CONTENTS).map(make).collect();
        (dir, contents)
    });
    contents
}

/// A path: what it refers to, and which content it has.
#[derive(Clone, Debug)]
pub struct Thing {
    pub references: Vec<usize>,
    pub content: usize,
}

/// What processes find and what they do. Paths are numbers: those of [`Scenario::things`].
#[derive(Clone)]
pub struct Scenario {
    pub things: Vec<Thing>,
    pub server: Server,
    pub options: Options,
    pub foreign: Foreign,
    /// The rule that is broken, and by whom: everybody.
    pub terms: Terms,
    bodies: Vec<(String, Body)>,
    /// What each push promises when it ends well.
    promises: BTreeMap<usize, Promise>,
}

#[derive(Clone)]
struct Promise {
    closure: Vec<usize>,
    roots: Vec<usize>,
}

pub fn hash(number: usize) -> HashPart {
    path(number).hash()
}

pub fn narinfo(number: usize) -> String {
    format!("{}.narinfo", hash(number))
}

pub fn root(number: usize) -> String {
    Root::key(&class(), hash(number))
}

impl Scenario {
    /// Paths by what they refer to; equal contents share a NAR.
    pub fn new(things: Vec<Thing>) -> Self {
        let mut server = Server::new(NOW);
        server.retention.insert("things".to_owned(), RETENTION);
        let _ = contents();
        Self {
            things,
            server,
            options: Options::default(),
            foreign: Foreign::Retention,
            terms: Terms {
                new_id,
                ..Terms::STANDARD
            },
            bodies: Vec::new(),
            promises: BTreeMap::new(),
        }
    }

    /// `chain(3)`: 2 refers to 1, 1 to 0.
    pub fn chain(count: usize) -> Self {
        let thing = |number: usize| Thing {
            references: number.checked_sub(1).into_iter().collect(),
            content: number,
        };
        Self::new((0..count).map(thing).collect())
    }

    pub fn nar(&self, number: usize) -> String {
        let content = &contents()[self.things[number].content];
        format!("nar/{}.nar", Sha256::of(&content.nar).to_nix32())
    }

    pub fn closure(&self, of: &[usize]) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let mut open = of.to_vec();
        while let Some(number) = open.pop() {
            if seen.insert(number) {
                open.extend(&self.things[number].references);
            }
        }
        seen.into_iter().collect()
    }

    fn narinfo_text(&self, number: usize) -> String {
        let content = &contents()[self.things[number].content];
        let mut references: Vec<StorePath> = self.things[number]
            .references
            .iter()
            .map(|to| path(*to))
            .collect();
        references.sort();
        let references: Vec<String> = references.iter().map(ToString::to_string).collect();
        format!(
            "StorePath: /nix/store/{}\nURL: {}\nCompression: none\nNarHash: {}\nNarSize: {}\nReferences: {}\n",
            path(number),
            self.nar(number),
            content.nar_hash,
            content.nar_size,
            references.join(" ")
        )
    }

    /// Paths that are in the cache, so many seconds old, with their NARs.
    pub fn cached(mut self, numbers: &[usize], age: i64) -> Self {
        for number in numbers {
            self = self.orphan(*number, age);
            let text = self.narinfo_text(*number);
            self.server.place(&narinfo(*number), text.as_bytes(), age);
        }
        self
    }

    /// A NAR that no narinfo names.
    pub fn orphan(mut self, number: usize, age: i64) -> Self {
        let nar = &contents()[self.things[number].content].nar;
        self.server.place(&self.nar(number), nar, age);
        self
    }

    pub fn rooted(mut self, number: usize, age: i64) -> Self {
        self.server.place(&root(number), b"{}\n", age);
        self
    }

    /// Somebody who does something else.
    pub fn with(self, name: &str, body: Body) -> Self {
        self.add(name, body)
    }

    /// A pin of a path.
    pub fn pinned(mut self, number: usize) -> Self {
        let text = format!(
            r#"{{"schema":1,"requires":[],"writer":"x","path":"{}","name":"firm","pinned":"2026-01-01T00:00:00Z"}}"#,
            path(number)
        );
        let key = format!("nanna-cache/v1/pins/firm/{}.json", hash(number));
        self.server.place(&key, text.as_bytes(), 20 * DAY);
        self
    }

    fn add(mut self, name: &str, body: Body) -> Self {
        self.bodies.push((name.to_owned(), body));
        self
    }

    /// A push of these with their closure.
    pub fn push(self, name: &str, tops: &[usize]) -> Self {
        let closure = self.closure(tops);
        let items = closure.clone();
        self.push_items(name, tops, &items)
    }

    /// A push that brings only some of its closure, because the rest was in the cache.
    pub fn push_items(mut self, name: &str, tops: &[usize], items: &[usize]) -> Self {
        let closure = self.closure(tops);
        let things = self.things.clone();
        let item = move |number: &usize| {
            let content = &contents()[things[*number].content];
            Item {
                path: path(*number),
                root: content.root.clone(),
                nar_hash: content.nar_hash,
                nar_size: content.nar_size,
                references: things[*number]
                    .references
                    .iter()
                    .map(|to| path(*to))
                    .collect(),
                deriver: None,
                signatures: Vec::new(),
                ca: None,
                class: class(),
                rank: 0,
                recompress: false,
                mend: false,
            }
        };
        let batch = Batch {
            store_dir: StoreDir::default(),
            class: class(),
            items: items.iter().map(&item).collect(),
            roots: tops
                .iter()
                .map(|number| RootToWrite {
                    path: path(*number),
                    class: class(),
                    attr: None,
                    new: true,
                })
                .collect(),
            closure: closure.iter().map(|number| hash(*number)).collect(),
            upstream: HashSet::new(),
            keys: Arc::from(Vec::new()),
            compression: Compression {
                method: Method::None,
                level: 0,
            },
            grace: GRACE,
            commit: None,
            run: None,
            threads: 1,
            gate: None,
        };
        let terms = self.terms;
        self.promises.insert(
            self.bodies.len(),
            Promise {
                closure,
                roots: tops.to_vec(),
            },
        );
        // What a prune takes meanwhile is at hand, as in a store.
        let all = self.closure(tops);
        let body: Body = Arc::new(move |handle: &Handle| {
            let spare = |lost: &[HashPart]| {
                let numbers = all.iter().filter(|number| lost.contains(&hash(**number)));
                Some(Spare {
                    items: numbers.map(&item).collect(),
                    keys: Arc::from(Vec::new()),
                })
            };
            let mut done = PushDone::default();
            let with = (handle as &dyn Clock, &Progress::default());
            let ended = push_into(&terms, handle, &batch, &spare, with, &mut done);
            Ended::Pushed(ended.map(|()| done))
        });
        self.add(name, body)
    }

    /// A prune of whatever these candidates are.
    pub fn prune(self, name: &str, candidates: Candidates) -> Self {
        let (terms, foreign) = (self.terms, self.foreign);
        let body: Body = Arc::new(move |handle: &Handle| {
            let dir = StoreDir::default();
            let look = Look {
                threads: 1,
                ..Look::new(&dir)
            };
            let mut decide = |content: &CacheContent| decide(content, foreign);
            Ended::Pruned(prune_by(
                &terms,
                handle,
                &candidates,
                &look,
                GRACE,
                &mut decide,
                handle,
                &Progress::default(),
            ))
        });
        self.add(name, body)
    }

    /// A prune that takes everything there is for a candidate.
    pub fn prune_all(self, name: &str) -> Self {
        let candidates = self.all();
        self.prune(name, candidates)
    }

    /// Everything that is there, or may come, as candidates.
    pub fn all(&self) -> Candidates {
        let numbers = 0..self.things.len();
        let mut objects: Vec<String> = numbers.clone().map(|number| self.nar(number)).collect();
        objects.sort();
        objects.dedup();
        Candidates {
            // Paths refer to lower ones.
            paths: numbers.clone().rev().map(hash).collect(),
            roots: numbers.map(root).collect(),
            objects,
            ..Candidates::default()
        }
    }

    /// Somebody who copies these, and knows nothing of records.
    pub fn copy(self, name: &str, numbers: &[usize]) -> Self {
        let objects: Vec<_> = numbers
            .iter()
            .map(|number| {
                let nar = contents()[self.things[*number].content].nar.clone();
                let text = self.narinfo_text(*number).into_bytes();
                (narinfo(*number), text, self.nar(*number), nar)
            })
            .collect();
        let body: Body = Arc::new(move |handle: &Handle| {
            let _ = copy_all(handle, &objects);
            Ended::Copied
        });
        self.add(name, body)
    }

    /// A run that has not begun.
    pub fn start(&self) -> Run {
        let bodies: Vec<(&str, Body)> = self
            .bodies
            .iter()
            .map(|(name, body)| (name.as_str(), Arc::clone(body)))
            .collect();
        let promises = self.promises.clone();
        let at_end =
            move |server: &Server, number: usize, ended: &Ended| match promises.get(&number) {
                Some(promise) if ended.is_pushed() => promise.is_kept(server),
                _ => Ok(()),
            };
        Run::new(
            self.server.clone(),
            &bodies,
            self.options.clone(),
            Arc::new(at_end),
        )
    }

    /// The same paths and rules around another state of the cache, with nobody at work.
    pub fn quiet(&self, mut server: Server) -> Self {
        // Who wrote these is dead, whatever his number was.
        for object in server.objects.values_mut() {
            object.writer = None;
        }
        Self {
            server,
            bodies: Vec::new(),
            promises: BTreeMap::new(),
            ..self.clone()
        }
    }
}

impl Promise {
    fn is_kept(&self, server: &Server) -> Result<(), Broken> {
        for number in &self.roots {
            if !server.has(&root(*number)) {
                return Err(format!(
                    "I4: a push ended well, `{}` is not there",
                    root(*number)
                ));
            }
        }
        for number in &self.closure {
            if !server.has(&narinfo(*number)) {
                return Err(format!(
                    "I3: a push ended well, `{}` is not there",
                    narinfo(*number)
                ));
            }
        }
        Ok(())
    }
}

type Copied = (String, Vec<u8>, String, Vec<u8>);

fn copy_all(
    store: &dyn CacheStore,
    objects: &[Copied],
) -> Result<(), nanna_cache::provider::binary_cache::StoreError> {
    let put = |key: &str, bytes: &[u8]| store.write(key, bytes.to_vec());
    for (narinfo, text, nar, bytes) in objects {
        if store.head(narinfo)?.is_some() {
            continue;
        }
        if store.head(nar)?.is_none() {
            put(nar, bytes)?;
        }
        put(narinfo, text)?;
    }
    Ok(())
}

/// What may go by the rules of the planner.
pub fn decide(content: &CacheContent, foreign: Foreign) -> Decision {
    let classifier = Classifier::new(config());
    let need = need(
        content,
        &Rules {
            classifier: &classifier,
            grace: GRACE,
            foreign,
            max_size: None,
            incoming: 0,
            renewed: BTreeSet::new(),
            relied_on: &[],
            pins: content.pins.clone(),
        },
    );
    let dead = content.paths.rows().filter(|row| !need.live.contains(*row));
    let ended = need.ended.iter().map(|number| &content.roots[*number]);
    Decision {
        dead: dead.map(|row| content.paths.hash(row)).collect(),
        ended: ended
            .map(|root| Root::key(&root.class, root.hash))
            .collect(),
    }
}

/// The class of everything.
pub fn things() -> ClassName {
    class()
}
