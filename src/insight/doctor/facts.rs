//! What doctor judges: everything that was seen, nothing that was concluded.

use std::collections::BTreeMap;

use crate::nix::conf::Effective;
use crate::nix::key::PublicKey;
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::address::Address;

/// An answer of a cache to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answered: HTTP status (200 and 404 for folders), and the body.
    Got {
        /// Status.
        status: u16,
        /// Body as text; empty where only the size was asked.
        body: String,
        /// Bytes, where they are said.
        size: Option<u64>,
    },
    /// No answer, and why.
    Silent(String),
    /// It was not asked.
    NotAsked,
}

/// What Nix's own memory says of a path in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Whether it is said to be there.
    pub present: bool,
    /// When it was looked, in seconds since 1970.
    pub time: i64,
}

/// One cache that is asked, or should be.
#[derive(Clone, Debug)]
pub struct CacheFacts {
    /// Its URL as the settings or `cache.yaml` have it.
    pub url: String,
    /// Its name in `cache.yaml`.
    pub name: Option<String>,
    /// Keys that `cache.yaml` declares for it.
    pub keys: Vec<PublicKey>,
    /// Whether Nix's settings name it.
    pub in_settings: bool,
    /// The step that makes it, where it is ours to make.
    pub made_by: Option<Address>,
    /// Its `nix-cache-info`.
    pub info: Answer,
    /// Milliseconds for that.
    pub took_ms: u64,
    /// Seconds by which the server's clock is ahead of ours.
    pub ahead: Option<i64>,
    /// The narinfo of the path.
    pub narinfo: Answer,
    /// The NAR that it names: status and size.
    pub nar: Answer,
    /// What is wrong with the bytes of the NAR, where they were read.
    pub damage: Option<String>,
    /// Paths of the closure that no cache has.
    pub missing: Vec<StorePath>,
    /// Paths of the closure of which no cache could tell.
    pub untold: usize,
    /// Whether the closure was too large to be looked at whole.
    pub cut: bool,
    /// What Nix remembers of the path.
    pub remembered: Option<Remembered>,
    /// What Nix remembers of the cache's priority.
    pub remembered_priority: Option<i64>,
}

impl CacheFacts {
    /// A cache of this URL of which nothing else is known.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: None,
            keys: Vec::new(),
            in_settings: false,
            made_by: None,
            info: Answer::NotAsked,
            took_ms: 0,
            ahead: None,
            narinfo: Answer::NotAsked,
            nar: Answer::NotAsked,
            damage: None,
            missing: Vec::new(),
            untold: 0,
            cut: false,
            remembered: None,
            remembered_priority: None,
        }
    }

    /// The URL without parameters and final slash: what Nix opens.
    #[must_use]
    pub fn base(&self) -> &str {
        base(&self.url)
    }

    /// The parameter of this name behind the URL.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.url.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The host in the URL, without port and login.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let host = authority.rsplit('@').next()?;
        let host = host.split(':').next()?;
        (!host.is_empty()).then_some(host)
    }
}

/// The URL without parameters and final slash.
#[must_use]
pub fn base(url: &str) -> &str {
    url.split('?').next().unwrap_or(url).trim_end_matches('/')
}

/// The netrc file that `netrc-file` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetrcFacts {
    /// Its path.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it was read.
    pub readable: bool,
    /// Hosts of the caches that it has a password for.
    pub hosts: Vec<String>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Now, in seconds since 1970.
    pub now: i64,
    /// The store directory of this machine.
    pub store_dir: StoreDir,
    /// What all files say together, with every line.
    pub conf: Effective,
    /// What the machine's own nix.conf says alone: all that a daemon knows.
    pub machine_conf: Effective,
    /// Files of settings that are there and cannot be read.
    pub unreadable: Vec<String>,
    /// Why Nix does not tell its settings.
    pub refused: Option<String>,
    /// Effective settings by main name.
    pub values: BTreeMap<String, String>,
    /// The user's name.
    pub user: String,
    /// Whether Nix works through a daemon.
    pub daemon: bool,
    /// Whether the daemon trusts the user.
    pub trusted: bool,
    /// When the daemon started, in seconds since 1970.
    pub daemon_started: Option<i64>,
    /// Files that the daemon reads, with the time of their last change.
    pub changed: Vec<(String, i64)>,
    /// The file whose `nixConfig` names caches.
    pub flake_config: Option<String>,
    /// The netrc file.
    pub netrc: NetrcFacts,
    /// The caches: those of the settings in their order, then those only declared.
    pub caches: Vec<CacheFacts>,
    /// The path that is asked about.
    pub path: Option<StorePath>,
}

impl Facts {
    /// The words of a setting.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.values.get(name).map_or("", String::as_str);
        value.split_whitespace()
    }

    /// A number of a setting.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.values.get(name)?.parse().ok()
    }

    /// The keys that Nix trusts.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.words("trusted-public-keys")
            .filter_map(|word| word.parse().ok())
    }

    /// `FILE:LINE` of the last line that sets a setting.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<String> {
        let origin = self.conf.settings.get(name)?.origins().last()?;
        Some(format!("{}:{}", origin.file, origin.line))
    }
}
