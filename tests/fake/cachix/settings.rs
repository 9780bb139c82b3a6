//! What a stand-in starts with.

use std::time::Duration;

use jiff::Timestamp;

/// One cache to begin with.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// Its name.
    pub name: String,
    /// Whether everybody may read it.
    pub is_public: bool,
    /// Whether the service signs; else the client does, once it has registered a key.
    pub is_managed: bool,
    /// `XZ` or `ZSTD`.
    pub preferred: String,
}

impl CacheSettings {
    /// A public cache with a managed key that prefers zstd.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_public: true,
            is_managed: true,
            preferred: "ZSTD".to_owned(),
        }
    }

    /// Only for those with a token.
    pub fn private(mut self) -> Self {
        self.is_public = false;
        self
    }

    /// Signed by its clients.
    pub fn self_signed(mut self) -> Self {
        self.is_managed = false;
        self
    }
}

/// What a stand-in starts with. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The caches that are there.
    pub caches: Vec<CacheSettings>,
    /// The token of the whole account; made up where there is none.
    pub token: Option<String>,
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// A clock that stands at this time, rather than the machine's.
    pub now: Option<Timestamp>,
    /// What all files together may hold before the least used go.
    pub size_limit: Option<u64>,
    /// The longest JSON body.
    pub json_limit: usize,
    /// The longest part.
    pub part_limit: usize,
    /// The shortest part that is not the last.
    pub min_part: u64,
    /// The most hashes in one question for missing paths.
    pub hashes_limit: usize,
    /// Whether anonymous callers may ask a public cache for missing paths.
    pub anonymous_missing: bool,
    /// How long a presigned address holds.
    pub url_life: Duration,
    /// Whether files are unpacked and compared with what was said of them: what the service does not
    /// do. What is wrong is a complaint, not a refusal.
    pub judges_nars: bool,
    /// The status of a deleted pin: 200, or 204.
    pub pin_deleted: u16,
    /// Whether the address of a cache ends in a slash.
    pub uri_slash: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            caches: Vec::new(),
            token: None,
            port: 0,
            now: None,
            size_limit: None,
            json_limit: 2 << 20,
            part_limit: 64 << 20,
            min_part: 5 << 20,
            hashes_limit: 32_768,
            anonymous_missing: false,
            url_life: Duration::from_hours(1),
            judges_nars: true,
            pin_deleted: 200,
            uri_slash: false,
        }
    }
}

impl Settings {
    /// With one more cache.
    pub fn cache(mut self, cache: CacheSettings) -> Self {
        self.caches.push(cache);
        self
    }

    /// A stand-in with one public cache, signed by the service.
    pub fn public(name: &str) -> Self {
        Self::default().cache(CacheSettings::new(name))
    }
}
