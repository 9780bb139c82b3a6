//! Looking at a cache: the first look of a plan and the second look of a prune.
//!
//! Promises: nothing is written into the cache; what cannot be seen makes the look `partial` or
//! `Unknown`, never empty; records are read before narinfos and narinfos before NARs, so that
//! whatever a push makes visible meanwhile is covered by a record that was seen.

mod left_out;
mod narinfos;

use std::collections::HashSet;
use std::path::Path;

use super::index::{self, Index};
use super::records::{self, INTENT, PRUNE};
use super::{Area, CacheView, Listed, Meta, SMALL_OBJECT, Stamp, StoreError, narinfo_key};
use crate::nix::cache_info::CacheInfo;
use crate::nix::store_path::{HashPart, StoreDir};
use crate::plan::nars::Nars;
use crate::plan::observed::{CacheContent, Nar, Narinfo, Observation, Why};
use crate::plan::record::{Intent, PinBody, PinRecord, PruneRecord, Root};
use crate::plan::time::Time;
use crate::transfer::progress::Progress;
use narinfos::{Listing, Narinfos};

/// How to look.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// Directory of the store paths.
    pub store_dir: &'a StoreDir,
    /// File of the local index; `None`: read everything and remember nothing.
    pub index: Option<&'a Path>,
    /// Whether each object is asked for its revision, also where no name in the folder changed
    /// since it was last looked at: for those who delete.
    pub thorough: bool,
    /// Threads that read; 0: as many as are good for a disk.
    pub threads: usize,
}

impl<'a> Look<'a> {
    /// A look that remembers nothing.
    #[must_use]
    pub const fn new(store_dir: &'a StoreDir) -> Self {
        Self {
            store_dir,
            index: None,
            thorough: false,
            threads: 0,
        }
    }
}

/// Looks at a cache.
#[must_use]
pub fn observe(
    view: &dyn CacheView,
    look: &Look<'_>,
    progress: &Progress,
) -> Observation<CacheContent> {
    match view.exists() {
        Ok(true) => {}
        Ok(false) => return Observation::Absent,
        Err(error) => return Observation::Unknown(why(&error)),
    }
    match observe_content(view, look, progress) {
        Ok(content) => Observation::Present(content),
        Err(error) => Observation::Unknown(why(&error)),
    }
}

/// As [`observe`], for a cache that is there.
///
/// # Errors
/// The cache cannot be seen at all.
pub fn observe_content(
    view: &dyn CacheView,
    look: &Look<'_>,
    progress: &Progress,
) -> Result<CacheContent, StoreError> {
    observe_at(view, look, progress, view.now()?)
}

/// As [`observe_content`], by who knows the cache's own now better than a reader can.
///
/// # Errors
/// As [`observe_content`].
pub fn observe_at(
    view: &dyn CacheView,
    look: &Look<'_>,
    progress: &Progress,
    now: Time,
) -> Result<CacheContent, StoreError> {
    let mut content = CacheContent {
        capabilities: view.capabilities(),
        now,
        folders: view.has_folders()?,
        ..CacheContent::default()
    };
    let mut reader = Reader {
        view,
        content: &mut content,
        damages: Vec::new(),
        named: HashSet::new(),
    };
    reader.info(look);
    reader.records();
    reader.narinfos(look, progress)?;
    let damages = std::mem::take(&mut reader.damages);
    content.damages = damages;
    content.damages.sort();
    // A folder that went away meanwhile would look like one whose objects went away.
    match view.exists() {
        Ok(true) => {}
        Ok(false) => unsure(&mut content, "it went away while it was looked at"),
        Err(error) => unsure(&mut content, &why(&error).0),
    }
    if progress.is_stopped() {
        unsure(&mut content, "the look was stopped");
    }
    Ok(content)
}

fn why(error: &dyn std::error::Error) -> Why {
    let mut text = format!("failed to {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Why(text)
}

fn unsure(content: &mut CacheContent, why: &str) {
    if content.partial.is_none() {
        content.partial = Some(Why(why.to_owned()));
    }
}

struct Reader<'a> {
    view: &'a dyn CacheView,
    content: &'a mut CacheContent,
    damages: Vec<String>,
    /// NARs that only damaged narinfos seem to name: not to be taken for left over.
    named: HashSet<String>,
}

impl Reader<'_> {
    fn unsure(&mut self, text: &str) {
        unsure(self.content, text);
    }

    /// A record that this version must not act beside.
    fn forbidden(&mut self, text: &str) {
        self.unsure(text);
        self.content
            .forbidden
            .get_or_insert_with(|| Why(text.to_owned()));
    }

    fn failed(&mut self, error: &StoreError) {
        let why = why(error);
        self.unsure(&why.0);
    }

    fn info(&mut self, look: &Look<'_>) {
        match self.view.get("nix-cache-info", SMALL_OBJECT) {
            Ok(None) => {}
            Ok(Some(object)) => {
                let text = String::from_utf8_lossy(&object.bytes).into_owned();
                let info = CacheInfo::parse(&text);
                match &info {
                    Ok(info) => match info.store_dir() {
                        Some(dir) if dir != look.store_dir.as_str() => self.unsure(&format!(
                            "its `nix-cache-info` is for the store `{dir}`, not `{}`",
                            look.store_dir
                        )),
                        _ => {}
                    },
                    Err(error) => self.damages.push(format!("`nix-cache-info`: {error}")),
                }
                self.content.info = Some(text);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Prunes, intents, then roots and pins: in this order.
    fn records(&mut self) {
        if let Err(error) = self.try_records() {
            self.failed(&error);
        }
    }

    fn try_records(&mut self) -> Result<(), StoreError> {
        if let Some(why) = records::foreign_version(self.view)? {
            self.forbidden(&why.0);
        }
        let now = self.content.now;
        for found in records::prunes(self.view)? {
            let gone = PRUNE.is_gone(&found.meta, now);
            match found.body {
                Ok(body) => self.content.prunes.push(PruneRecord {
                    id: found.id,
                    modified: found.meta.modified,
                    gone,
                    phase: body.phase,
                    paths: records::named(&body),
                }),
                Err(error) => self.forbidden(&error.to_string()),
            }
        }
        for found in records::intents(self.view)? {
            let gone = INTENT.is_gone(&found.meta, now);
            let lists = found.body.map(|body| {
                let absent = body.absent.as_deref().unwrap_or_default();
                (records::unlist(&body.paths), records::unlist(absent))
            });
            match lists {
                Ok((Some(paths), Some(absent))) => self.content.intents.push(Intent {
                    id: found.id,
                    modified: found.meta.modified,
                    gone,
                    paths,
                    absent,
                }),
                Ok(_) => {
                    self.forbidden(&format!("the record `{}` has malformed lists", found.key));
                }
                Err(error) => self.forbidden(&error.to_string()),
            }
        }
        let mut roots = Vec::new();
        self.list_records(Area::Roots, &mut |key, meta| {
            let (class, hash) = records::root_of(key)?;
            roots.push(Root {
                class,
                hash,
                modified: meta.modified,
                path: None,
                attr: None,
            });
            Some(())
        })?;
        roots.sort_unstable();
        self.content.roots = roots;
        let mut pins = Vec::new();
        self.list_records(Area::Pins, &mut |key, meta| {
            let (name, hash) = records::pin_of(key)?;
            pins.push(PinRecord {
                name,
                hash,
                modified: meta.modified,
                project: None,
            });
            Some(())
        })?;
        for pin in &mut pins {
            let key = PinRecord::key(&pin.name, pin.hash);
            let Some(object) = self.view.get(&key, SMALL_OBJECT)? else {
                continue;
            };
            match records::read::<PinBody>(&key, &object.bytes) {
                Ok(body) => pin.project = body.project,
                Err(error) => self.forbidden(&error.to_string()),
            }
        }
        pins.sort_unstable();
        self.content.pins = pins;
        Ok(())
    }

    /// Lists records that are judged by their keys; `take` answers `None` for a key of another form.
    fn list_records(
        &mut self,
        area: Area,
        take: &mut dyn FnMut(&str, Meta) -> Option<()>,
    ) -> Result<(), StoreError> {
        let (mut left, mut strange) = (Vec::new(), None);
        self.view.list(area, &mut |listed: Listed<'_>| {
            let Some(meta) = listed.meta else { return };
            if take(listed.key, meta).is_some() {
            } else if is_temporary(listed.key) {
                left.push(nar(listed.key, meta));
            } else if strange.is_none() {
                strange = Some(listed.key.to_owned());
            }
        })?;
        self.content.leftovers.append(&mut left);
        if let Some(key) = strange {
            self.forbidden(&format!(
                "the record `{key}` is not one that this version knows"
            ));
        }
        Ok(())
    }

    fn narinfos(&mut self, look: &Look<'_>, progress: &Progress) -> Result<(), StoreError> {
        let listing = self.listing(look);
        self.others(&listing.hashes, &listing.others)?;
        let found = Narinfos::read(self.view, look, listing, progress);
        self.damages.extend(found.damages);
        self.named.extend(found.named);
        self.content.bound = found.bound;
        self.content.bound.sort_unstable();
        self.content.bound.dedup();
        if let Some(why) = found.unsure {
            self.unsure(&why.0);
        }
        let (mut nars, remembered) = self.nars(look, found.table.len());
        self.named.retain(|key| !found.table.names(key));
        if !self.named.is_empty() {
            let spared = |nar: &Nar| !self.named.contains(&nar.key);
            nars = nars.iter().filter(spared).collect();
        }
        if !found.table.fill(nars, self.content) {
            self.unsure("two NARs have nearly the same name, and none that a hash can have");
        }
        self.strays();
        self.content.leftovers.sort_unstable();
        if remembered {
            self.ask_unnamed()?;
        }
        left_out::look(self.view, self.content)
    }

    /// Temporary files where no other area is looked at.
    fn strays(&mut self) {
        let mut left = Vec::new();
        let listed = self.view.list(Area::Strays, &mut |listed| {
            let temporary = listed.meta.filter(|_| is_temporary(listed.key));
            left.extend(temporary.map(|meta| nar(listed.key, meta)));
        });
        self.content.leftovers.append(&mut left);
        if let Err(error) = listed {
            self.failed(&error);
        }
    }

    /// Asks again for the NARs that no narinfo names: only their times matter, and those change
    /// without any change of a name.
    fn ask_unnamed(&mut self) -> Result<(), StoreError> {
        let mut named = vec![false; self.content.nars.len()];
        for nar in self.content.narinfos.iter().filter_map(Narinfo::nar) {
            named[nar as usize] = true;
        }
        let numbers = self.content.nars.numbers();
        for number in numbers.filter(|number| !named[*number as usize]) {
            if let Some(meta) = self.view.head(&self.content.nars.key(number))? {
                self.content.nars.set(number, meta.size, meta.modified);
            }
        }
        Ok(())
    }

    /// What lies at the top of the cache: listed, or remembered where no name changed since.
    fn listing(&mut self, look: &Look<'_>) -> Listing {
        let mut listing = Listing {
            hashes: Vec::new(),
            states: Vec::new(),
            others: Vec::new(),
            index: look
                .index
                .and_then(|path| Index::open(path, &self.view.identity(), look.store_dir)),
            stamp: self.stamp(Area::Top, look),
            same: false,
        };
        if let Some(index) = &mut listing.index
            && listing.stamp.is_some()
            && index.stamp == listing.stamp
            && !look.thorough
        {
            listing.hashes = std::mem::take(&mut index.hashes);
            listing.others.clone_from(&index.others);
            listing.same = true;
            return listing;
        }
        // A folder is asked for each object later; a storage says all of each now.
        let (mut bare, mut known) = (Vec::new(), Vec::new());
        let others = &mut listing.others;
        let listed = self.view.list(Area::Top, &mut |listed| match listed
            .key
            .strip_suffix(".narinfo")
            .map(str::parse::<HashPart>)
        {
            Some(Ok(hash)) => match listed.meta {
                Some(meta) => known.push((hash, (meta.revision, meta.modified))),
                None => bare.push(hash),
            },
            _ => others.push(listed.key.to_owned()),
        });
        if bare.is_empty() {
            known.sort_unstable_by_key(|(hash, _)| *hash);
            known.dedup_by_key(|(hash, _)| *hash);
            listing.states = known.iter().map(|(_, state)| *state).collect();
        }
        bare.extend(known.into_iter().map(|(hash, _)| hash));
        bare.sort_unstable();
        bare.dedup();
        listing.hashes = bare;
        others.sort_unstable();
        if let Err(error) = listed {
            listing.stamp = None;
            self.failed(&error);
        }
        listing
    }

    /// The state of the names of an area, if there is something to be compared with it.
    fn stamp(&self, area: Area, look: &Look<'_>) -> Option<Stamp> {
        look.index
            .and_then(|_| self.view.stamp(area).ok().flatten())
    }

    /// The NARs with their sizes and times, in the order of their short keys; and whether they are
    /// remembered, because no name changed since.
    fn nars(&mut self, look: &Look<'_>, narinfos: usize) -> (Nars, bool) {
        let stamp = self.stamp(Area::Nars, look);
        let identity = self.view.identity();
        if let (Some(stamp), Some(path), false) = (stamp, look.index, look.thorough)
            && let Some(nars) = index::nars::load(path, &identity, look.store_dir, stamp)
        {
            return (nars, true);
        }
        // Nearly always there is one for each narinfo.
        let (mut nars, mut left) = (Nars::with_capacity(narinfos), Vec::new());
        let listed = self.view.list(Area::Nars, &mut |listed| {
            let Some(meta) = listed.meta else { return };
            if is_temporary(listed.key) {
                left.push(nar(listed.key, meta));
            } else {
                nars.add(listed.key, meta.size, meta.modified);
            }
        });
        let nars = nars.sorted();
        let whole = listed.is_ok();
        if let Err(error) = listed {
            self.failed(&error);
        }
        if let (Some(stamp), Some(path)) = (stamp, look.index)
            && whole
            && index::nars::fits(&nars, &left)
            && self.stamp(Area::Nars, look) == Some(stamp)
        {
            index::nars::save(path, &identity, look.store_dir, stamp, &nars);
        }
        self.content.leftovers.append(&mut left);
        (nars, false)
    }

    /// What lies beside narinfos: left-over temporary files and listings without their narinfo.
    fn others(&mut self, hashes: &[HashPart], others: &[String]) -> Result<(), StoreError> {
        for key in others {
            let orphan = key
                .strip_suffix(".ls")
                .and_then(|hash| hash.parse::<HashPart>().ok())
                .is_some_and(|hash| hashes.binary_search(&hash).is_err());
            if (orphan || is_temporary(key))
                && let Some(meta) = self.view.head(key)?
            {
                // Its narinfo may have come after the listing.
                let hash = key.strip_suffix(".ls").and_then(|hash| hash.parse().ok());
                let came = match hash {
                    Some(hash) => self.view.head(&narinfo_key(hash))?.is_some(),
                    None => false,
                };
                if !came {
                    self.content.leftovers.push(nar(key, meta));
                }
            } else if key.ends_with(".narinfo") {
                self.damages
                    .push(format!("`{key}`: its name is not the hash of a store path"));
            }
        }
        Ok(())
    }
}

fn nar(key: &str, meta: Meta) -> Nar {
    Nar {
        key: key.to_owned(),
        size: meta.size,
        modified: meta.modified,
    }
}

/// Whether this is the name of a temporary file: ours, or Nix's `<name>.tmp.<pid>.<n>`.
#[must_use]
pub fn is_temporary(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    let Some((_, numbers)) = name.rsplit_once(".tmp.") else {
        return false;
    };
    !numbers.is_empty()
        && numbers
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}
