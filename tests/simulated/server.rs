//! A cache in memory, and what must be true of it after every step.
//!
//! What is checked is read from the raw objects; no code of the product judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use nanna_cache::plan::time::Time;
use nanna_cache::provider::binary_cache::{Area, Meta, Outcome, Revision};

/// A broken promise, as a sentence.
pub type Broken = String;

/// What a narinfo says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Narinfo {
    url: String,
    references: Vec<String>,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Arc<[u8]>,
    /// Seconds, by the server's clock.
    pub modified: i64,
    revision: u64,
    /// The process that wrote it, as far as somebody asks whether it lives.
    pub writer: Option<usize>,
    narinfo: Option<Narinfo>,
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Write {
    Put {
        key: String,
        bytes: Arc<[u8]>,
        /// Only if there is none.
        keep: bool,
        /// When its upload began, in milliseconds, if that counts.
        began: Option<u64>,
    },
    Touch(String),
    Delete(String),
}

impl Write {
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Touch(key) | Self::Delete(key) => key,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Server {
    pub objects: BTreeMap<String, Object>,
    /// Milliseconds since 1970.
    pub now: u64,
    revision: u64,
    /// Whether an object can be written only if there is none.
    pub conditional: bool,
    /// Whether a NAR that is written over an equal one becomes young. Broken on purpose, if not.
    pub refreshes: bool,
    /// Seconds for which a root of this class is kept.
    pub retention: BTreeMap<String, i64>,
    /// What upstreams have.
    pub upstream: BTreeSet<String>,
}

const ROOTS: &str = "nanna-cache/v1/roots/";
const PINS: &str = "nanna-cache/v1/pins/";

fn hash_in(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.split('.').next().unwrap_or(name)
}

fn prefix(area: Area) -> &'static str {
    match area {
        Area::Top | Area::Versions => "",
        Area::Nars => "nar/",
        Area::Intents => "nanna-cache/v1/intents/",
        Area::Prunes => "nanna-cache/v1/prunes/",
        Area::Roots => ROOTS,
        Area::Pins => PINS,
        Area::Runs => "nanna-cache/v1/runs/",
        Area::Realisations => "realisations/",
        Area::Debug => "debuginfo/",
        Area::Strays => "log/",
    }
}

impl Server {
    pub fn new(now: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            now,
            revision: 0,
            conditional: true,
            refreshes: true,
            retention: BTreeMap::new(),
            upstream: BTreeSet::new(),
        }
    }

    pub fn seconds(&self) -> i64 {
        i64::try_from(self.now / 1000).unwrap()
    }

    pub fn has(&self, key: &str) -> bool {
        self.objects.contains_key(key)
    }

    /// Puts an object there that is so old.
    pub fn place(&mut self, key: &str, bytes: &[u8], age: i64) {
        let object = self.object(key, bytes.into(), self.seconds() - age, None);
        self.objects.insert(key.to_owned(), object);
    }

    fn object(
        &mut self,
        key: &str,
        bytes: Arc<[u8]>,
        modified: i64,
        writer: Option<usize>,
    ) -> Object {
        self.revision += 1;
        let narinfo = key.ends_with(".narinfo").then(|| {
            let text = std::str::from_utf8(&bytes).unwrap();
            let field = |name: &str| {
                text.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap()
            };
            let references = field("References: ").split_whitespace();
            Narinfo {
                url: field("URL: ").to_owned(),
                references: references.map(|name| name[..32].to_owned()).collect(),
            }
        });
        Object {
            bytes,
            modified,
            revision: self.revision,
            writer,
            narinfo,
        }
    }

    pub fn meta(&self, key: &str, gone: impl Fn(Option<usize>) -> Option<bool>) -> Option<Meta> {
        let object = self.objects.get(key)?;
        Some(Meta {
            size: object.bytes.len() as u64,
            modified: Time(object.modified),
            revision: Revision([object.revision, 0, 0]),
            gone: gone(object.writer),
        })
    }

    /// The keys of an area behind `after`, at most so many.
    pub fn keys(&self, area: Area, after: &str, most: usize) -> Vec<String> {
        let start = prefix(area);
        let is_in = |key: &str| key.starts_with(start) && (area != Area::Top || !key.contains('/'));
        let keys = self
            .objects
            .keys()
            .filter(|key| is_in(key) && key.as_str() > after);
        keys.take(most).cloned().collect()
    }

    /// Does a write, and looks whether a promise is broken by it.
    pub fn write(&mut self, write: &Write, writer: usize) -> (Outcome, Result<(), Broken>) {
        let before = match write {
            Write::Delete(key) => self.forbids_delete(key),
            _ => Ok(()),
        };
        let mut outcome = Outcome::Written;
        match write {
            Write::Put {
                key,
                bytes,
                keep,
                began,
            } => {
                let there = self.has(key);
                if there && *keep && self.conditional {
                    outcome = Outcome::Kept;
                } else if there && began.is_some() && !self.refreshes {
                    // It stays as old as it was.
                } else {
                    let began = began.map(|began| i64::try_from(began / 1000).unwrap());
                    let modified = began.unwrap_or(self.seconds());
                    let object = self.object(key, Arc::clone(bytes), modified, Some(writer));
                    self.objects.insert(key.clone(), object);
                }
            }
            Write::Touch(key) => {
                let now = self.seconds();
                match self.objects.get_mut(key) {
                    Some(object) => object.modified = now,
                    None => outcome = Outcome::Kept,
                }
            }
            Write::Delete(key) => drop(self.objects.remove(key)),
        }
        (outcome, before.and_then(|()| self.whole()))
    }

    /// I1 and I2.
    pub fn whole(&self) -> Result<(), Broken> {
        for (key, object) in &self.objects {
            let Some(narinfo) = &object.narinfo else {
                continue;
            };
            if !self.has(&narinfo.url) {
                return Err(format!(
                    "I1: `{key}` is visible, `{}` is not there",
                    narinfo.url
                ));
            }
            for reference in &narinfo.references {
                if !self.has(&format!("{reference}.narinfo")) && !self.upstream.contains(reference)
                {
                    return Err(format!("I2: `{key}` is visible, {reference} is not"));
                }
            }
        }
        Ok(())
    }

    /// I3, and the root record of I4.
    fn forbids_delete(&self, key: &str) -> Result<(), Broken> {
        if !self.has(key) {
            return Ok(());
        }
        if key.starts_with(ROOTS) && self.is_kept(key) {
            return Err(format!("I4: `{key}` is deleted before its retention ends"));
        }
        let hash = hash_in(key);
        if key.ends_with(".narinfo") && self.kept().contains(hash) {
            return Err(format!(
                "I3: `{key}` is deleted, and a kept root or a pin reaches it"
            ));
        }
        Ok(())
    }

    fn is_kept(&self, root: &str) -> bool {
        let class = root[ROOTS.len()..].split('/').next().unwrap();
        let modified = self.objects.get(root).map_or(0, |root| root.modified);
        let retention = self.retention.get(class);
        retention.is_none_or(|retention| self.seconds() <= modified + retention)
    }

    /// The hash parts of all that kept roots and pins reach.
    pub fn kept(&self) -> BTreeSet<String> {
        let roots = self
            .objects
            .keys()
            .filter(|key| key.starts_with(PINS) || key.starts_with(ROOTS) && self.is_kept(key));
        self.reach(roots.map(|key| hash_in(key).to_owned()))
    }

    /// Visible hash parts that these reach.
    pub fn reach(&self, from: impl Iterator<Item = String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = from.collect();
        while let Some(hash) = open.pop() {
            let narinfo = self.objects.get(&format!("{hash}.narinfo"));
            if let Some(narinfo) = narinfo.and_then(|object| object.narinfo.as_ref())
                && seen.insert(hash)
            {
                open.extend(narinfo.references.iter().cloned());
            }
        }
        seen
    }

    /// The hash parts of visible narinfos.
    pub fn visible(&self) -> BTreeSet<String> {
        let keys = self
            .objects
            .keys()
            .filter_map(|key| key.strip_suffix(".narinfo"));
        keys.map(str::to_owned).collect()
    }

    /// The keys of NARs that no narinfo names.
    pub fn unnamed(&self) -> Vec<String> {
        let narinfos = self
            .objects
            .values()
            .filter_map(|object| object.narinfo.as_ref());
        let named: BTreeSet<&str> = narinfos.map(|narinfo| narinfo.url.as_str()).collect();
        let nars = self.objects.keys().filter(|key| key.starts_with("nar/"));
        nars.filter(|key| !named.contains(key.as_str()))
            .cloned()
            .collect()
    }

    /// A number for what the server holds; times included, and the order of revisions not.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (key, object) in &self.objects {
            (key, &object.bytes, object.modified, object.writer).hash(&mut hasher);
        }
        hasher.finish()
    }
}
