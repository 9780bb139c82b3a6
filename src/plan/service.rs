//! Caches that a service keeps (Cachix): what is declared of one, and what the service says of it.
//!
//! A service names its cache, signs, collects and shows only what it wants to show: it has no list of
//! paths, no sizes and no times. What the phases need of that difference is decided here and in
//! `setup/service.rs`, `pins/service.rs`, `prune/service.rs`; everywhere else a service is a cache like any other.

pub mod record;

use crate::config::model::{CacheName, OnError, Visibility};
use crate::config::secret::SecretRef;
use crate::nix::store_path::StorePath;

/// A cache of a service, as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name there.
    pub name: String,
    /// Where Nix reads it, without a final slash.
    pub url: String,
    /// `url` with a priority, where one is declared.
    pub substituter: String,
    /// Where its interface answers, without a final slash.
    pub api: String,
    /// Where the token is.
    pub token: SecretRef,
    /// Whether `cache.yaml` says so; else the file of the service's own client is looked into, too.
    pub token_given: bool,
    /// Who may read it.
    pub visibility: Visibility,
    /// Whether it may be made.
    pub create: bool,
    /// What follows when the service fails.
    pub on_error: OnError,
    /// Whether we write down there what we did.
    pub records: bool,
}

/// How long the revisions of a pin stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many days.
    Days(u32),
    /// The newest so many.
    Revisions(u32),
    /// For ever.
    Forever,
}

/// What a service says of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Whether everybody may read it.
    pub is_public: bool,
    /// Its public keys, as the service writes them.
    pub keys: Vec<String>,
    /// Whether there was a token to ask with.
    pub has_token: bool,
    /// Whether that may write.
    pub may_write: bool,
    /// Its pins; `Err`: why they could not be seen.
    pub pins: Result<Vec<ServicePin>, String>,
    /// Our records; empty where none are to be kept.
    pub records: record::Records,
    /// What else could not be seen, and why: (what, why).
    pub unseen: Vec<(String, String)>,
}

/// A pin that a service holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePin {
    /// Its name.
    pub name: String,
    /// The path of its newest revision; `None`: it is none that can be read.
    pub path: Option<StorePath>,
    /// Files of it that are offered for download.
    pub artifacts: Vec<String>,
    /// How long revisions stay; `None`: as the service does by itself.
    pub keep: Option<Keep>,
}

/// What the netrc file that Nix reads says of the host of a private cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The file.
    pub file: String,
    /// The host.
    pub host: String,
    /// Whether this process may write it.
    pub writable: bool,
    /// Whether the token is in it.
    pub entry: Entry,
}

/// How an entry of a netrc file compares with the token at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// There is none.
    Missing,
    /// It has another password.
    Other,
    /// It has this token.
    Same,
    /// Another cache on the same host has another token, and there is room for one.
    Contested {
        /// The other cache.
        with: CacheName,
    },
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
