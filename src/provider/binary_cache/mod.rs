//! A binary cache that we write: its objects, our records in it, and the protocol that keeps
//! every visible narinfo whole.
//!
//! [`CacheView`] reads, [`CacheStore`] also writes; an observer is given a view and so cannot
//! write. [`folder`] is a store in a folder, [`bucket`] one in an object storage. [`push`] and [`prune`] are the two algorithms of the protocol, [`observe`] is what a
//! planner and a pruner look with. Promise: at every instant, also after a crash, every narinfo
//! that a reader sees has its NAR and its references. It must not decide what should change.
//!
//! The rules of the protocol, which hold for every store:
//! - objects appear whole; a NAR before its narinfo, references before referrers;
//! - who pushes writes an *intent* before asking what is present, and removes it after the roots;
//! - who prunes writes a *prune record* before reading the records of others, deletes only what
//!   is dead in that second look, referrers before references, narinfos before NARs;
//! - a record whose writer may be stopped is not acted upon by its writer after *trust*, and not
//!   waited for by others after *gone*.

pub mod bucket;
pub mod fetch;
pub mod folder;
pub mod index;
mod lease;
pub mod observe;
pub mod pins;
pub mod prune;
pub mod push;
pub mod records;
pub mod remote;
pub mod runs;
pub mod signers;
pub mod terms;

use std::io::Read;

use crate::nix::store_path::HashPart;
use crate::plan::observed::{Capabilities, Requests};
use crate::plan::time::Time;
use crate::transfer::pipeline::FINISHERS;
use crate::transfer::sink::Sink;

/// Larger narinfos, records and the like are not read.
pub const SMALL_OBJECT: u64 = 1 << 20;

/// Largest record that is read; an intent or prune record of a million paths has 33 MB.
pub const LARGEST_RECORD: u64 = 256 << 20;

/// The key of the narinfo of a path.
#[must_use]
pub fn narinfo_key(hash: HashPart) -> String {
    format!("{hash}.narinfo")
}

/// The key of a NAR file by the hash of the file.
#[must_use]
pub fn nar_key(file_hash: &crate::nix::hash::Sha256, suffix: &str) -> String {
    format!("nar/{}.nar{suffix}", file_hash.to_nix32())
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or refused; nothing was changed.
    #[error("{action} `{key}`")]
    Refused {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The object, or the whole cache.
        key: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer came: it may have been done or not, or may be done later.
    #[error(
        "{action} `{key}`: no answer came, so it may have happened; run again, which looks first"
    )]
    Unanswered {
        /// What was tried.
        action: &'static str,
        /// The object.
        key: String,
    },
    /// The object is larger than the reader allows.
    #[error("read `{key}`: it has more than {limit} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// Bytes that were allowed.
        limit: u64,
    },
    /// A name that no object of a cache can have.
    #[error("use the key `{0}`: it leads out of the cache")]
    BadKey(String),
}

impl StoreError {
    pub(crate) fn refused(
        action: &'static str,
        key: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Refused {
            action,
            key: key.into(),
            source: source.into(),
        }
    }
}

/// Parts of a cache that can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// `*.narinfo`, and whatever else lies beside them.
    Top,
    /// `nar/`.
    Nars,
    /// `nanna-cache/v1/intents/`.
    Intents,
    /// `nanna-cache/v1/prunes/`.
    Prunes,
    /// `nanna-cache/v1/roots/`, all classes.
    Roots,
    /// `nanna-cache/v1/pins/`, all names.
    Pins,
    /// `nanna-cache/v1/runs/`, all projects: records of runs, of use to no protocol.
    Runs,
    /// Realisations (`realisations/` and `build-trace-v2/`): which path a derivation's output became.
    Realisations,
    /// `debuginfo/`: which NAR holds debug information.
    Debug,
    /// Temporary files of writers in places that no other area is of.
    Strays,
    /// Folders directly in `nanna-cache/`: versions of the records. Keys end in `/`.
    Versions,
}

/// Which version of an object this is: equal means the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub [u64; 3]);

/// What a store says of an object without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// When it was last written, by the clock of the cache.
    pub modified: Time,
    /// Which version it is.
    pub revision: Revision,
    /// Whether the process that wrote it is dead, where the store knows (records only).
    pub gone: Option<bool>,
}

/// One object of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Key.
    pub key: &'a str,
    /// What the listing says of it; `None`: a `head` is needed (always given for records and NARs).
    pub meta: Option<Meta>,
}

/// An object with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What the store says of it.
    pub meta: Meta,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The state of the names of an area: while it is the same, no object of the area came, went or
/// was replaced by another. What somebody writes into an object in place does not show in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(pub [u64; 4]);

/// The bytes of objects that are read one after another.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    /// Room for more than was read.
    room: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// What was read last.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

/// What a look at an object gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the store says of it.
    pub meta: Meta,
    /// Whether it was read: its revision is not the one that was known.
    pub read: bool,
}

/// A cache that can be read. Nothing here writes, whatever the state of the cache.
///
/// What a method answers is so *now*: nothing is remembered.
pub trait CacheView: Send + Sync {
    /// What the cache can do.
    fn capabilities(&self) -> Capabilities;

    /// What tells this cache from others, for the local index: a URL or a resolved folder.
    fn identity(&self) -> String;

    /// Whether there is a cache at all.
    ///
    /// # Errors
    /// That cannot be found out.
    fn exists(&self) -> Result<bool, StoreError>;

    /// Calls `each` for every object of an area, in no order. Intents and prunes are listed so
    /// that a record which is there throughout is never missed. An area that is not there is empty.
    ///
    /// # Errors
    /// The listing is not whole.
    fn list(&self, area: Area, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError>;

    /// What the store says of an object; `None`: it is not there.
    ///
    /// # Errors
    /// That cannot be found out.
    fn head(&self, key: &str) -> Result<Option<Meta>, StoreError>;

    /// An object of at most `limit` bytes; `None`: it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>, StoreError>;

    /// As [`CacheView::head`] for each of many keys, in their order.
    fn head_many(&self, keys: &[String]) -> Vec<Result<Option<Meta>, StoreError>> {
        keys.iter().map(|key| self.head(key)).collect()
    }

    /// As [`CacheView::get`] for each of many keys, in their order.
    fn get_many(&self, keys: &[String], limit: u64) -> Vec<Result<Option<Object>, StoreError>> {
        keys.iter().map(|key| self.get(key, limit)).collect()
    }

    /// How many may read so many objects at once with profit.
    fn readers(&self, objects: usize) -> usize {
        // Starting a thread takes as long as reading some small files.
        8.min(objects.div_ceil(64))
    }

    /// As [`CacheView::head`] if the revision is `known`, else as [`CacheView::get`], with the
    /// bytes in `buffer`. For very many objects.
    ///
    /// # Errors
    /// As those two.
    fn look(
        &self,
        key: &str,
        known: Option<Revision>,
        limit: u64,
        buffer: &mut Buffer,
    ) -> Result<Option<Seen>, StoreError> {
        if let Some(known) = known {
            let Some(meta) = self.head(key)? else {
                return Ok(None);
            };
            if meta.revision == known {
                return Ok(Some(Seen { meta, read: false }));
            }
        }
        Ok(self.get(key, limit)?.map(|Object { meta, bytes }| {
            buffer.len = bytes.len();
            buffer.room = bytes;
            Seen { meta, read: true }
        }))
    }

    /// The state of the names of an area now; `None`: this store cannot tell, or they changed so
    /// recently that a further change might not show.
    ///
    /// # Errors
    /// That cannot be found out.
    fn stamp(&self, area: Area) -> Result<Option<Stamp>, StoreError> {
        let _ = area;
        Ok(None)
    }

    /// An object as a stream; `None`: it is not there.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError>;

    /// The cache's own now, as far as a reader can know it.
    ///
    /// # Errors
    /// It cannot be found out.
    fn now(&self) -> Result<Time, StoreError>;

    /// How many requests it has sent, where each one counts; `None`: it sends none.
    fn sent(&self) -> Option<Requests> {
        None
    }

    /// Whether the folders that an opening Nix would otherwise create are there (true where the
    /// store has no folders).
    ///
    /// # Errors
    /// That cannot be found out.
    fn has_folders(&self) -> Result<bool, StoreError>;
}

/// What to do when there is such an object already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// Replace it.
    Replace,
    /// Leave it as it is.
    Keep,
}

/// An object to be written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Key.
    pub key: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What to do when there is one already.
    pub if_there: IfThere,
}

/// What a write did.
#[must_use = "an object that was to be written may have been left as it was"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object is now as wanted.
    Written,
    /// There was one already, and it was left.
    Kept,
}

impl Outcome {
    /// That the object is as wanted, where nothing else will do.
    ///
    /// # Errors
    /// It was left as it was.
    pub fn must_be_written(self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Written => Ok(()),
            Self::Kept => Err(StoreError::refused("write", key, "it was left as it was")),
        }
    }
}

/// A cache that can be written.
pub trait CacheStore: CacheView {
    /// Makes the cache: its folders, if it has such, and `nix-cache-info` with this text.
    ///
    /// # Errors
    /// It cannot be written.
    fn create(&self, info: &str) -> Result<(), StoreError>;

    /// Writes a small object whole.
    ///
    /// # Errors
    /// It could not be written; it is as it was, except for [`StoreError::Unanswered`].
    fn put(&self, put: Put) -> Result<Outcome, StoreError> {
        match self.put_in_order(vec![put]).pop() {
            Some(result) => result,
            None => Ok(Outcome::Kept),
        }
    }

    /// Writes a small object whole, over one that is there.
    ///
    /// # Errors
    /// As [`CacheStore::put`]; also if the object was left as it was.
    fn write(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = Put {
            key: key.to_owned(),
            bytes,
            if_there: IfThere::Replace,
        };
        self.put(put)?.must_be_written(key)
    }

    /// Writes small objects so that each becomes visible only after all before it are; ends with
    /// the first error, so the answer may be shorter than the question.
    fn put_in_order(&self, puts: Vec<Put>) -> Vec<Result<Outcome, StoreError>>;

    /// Writes small objects so that each becomes visible only after all of the levels before its own
    /// are; within a level in any order. Answers in the order of the levels; ends with the first
    /// error, though more of its level may have been written.
    fn put_levels(&self, levels: Vec<Vec<Put>>) -> Vec<Result<Outcome, StoreError>> {
        self.put_in_order(levels.into_iter().flatten().collect())
    }

    /// Writes a record of a living process (an intent or a prune record) and says what its
    /// Last-Modified is; while this process lives and does not [`CacheStore::delete`] it, others
    /// see it as not gone.
    ///
    /// # Errors
    /// As [`CacheStore::put`].
    fn put_record(&self, key: &str, bytes: Vec<u8>) -> Result<Meta, StoreError>;

    /// How many NAR files may be finished at once with profit.
    fn writers(&self) -> usize {
        FINISHERS
    }

    /// Begins to write a NAR file of which neither hash nor size is known yet.
    ///
    /// # Errors
    /// It cannot be begun.
    fn upload(&self) -> Result<Box<dyn Sink>, StoreError>;

    /// Replaces an object that is still the version `was`, and gives what takes its place the time of
    /// `was`; [`Outcome::Kept`]: it is another by now, or gone, or this store has no such overwriting.
    ///
    /// # Errors
    /// As [`CacheStore::put`].
    fn replace(&self, _key: &str, _bytes: Vec<u8>, _was: &Meta) -> Result<Outcome, StoreError> {
        Ok(Outcome::Kept)
    }

    /// Makes an object as young as a new one; `false`: it is not there.
    ///
    /// # Errors
    /// It could not be done.
    fn touch(&self, key: &str) -> Result<bool, StoreError>;

    /// Deletes objects, in any order; one that is not there counts as deleted. One answer per key.
    fn delete(&self, keys: &[String]) -> Vec<Result<(), StoreError>>;

    /// Whether a request that writes or deletes got no answer and may take effect later, also where
    /// it was sent again with success: what this process protects by a record is then left to age.
    fn has_unanswered(&self) -> bool {
        false
    }

    /// The same cache for a reader.
    fn view(&self) -> &dyn CacheView;
}
