//! The stand-in as its user holds it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use data_encoding::HEXLOWER;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::access::{Grant, Token};
use super::account;
use super::cache_view::CacheView;
use super::clock::Clock;
use super::fault::Faults;
use super::request::{Place, Requests};
use super::serve;
use super::settings::Settings;
use super::world::World;

/// What every request sees.
pub struct Shared {
    /// The rules.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// What goes wrong.
    pub faults: Faults,
    /// What was asked.
    pub requests: Requests,
    /// Where the service is, without a slash at the end.
    pub service: String,
    /// Where the object storage is.
    pub storage: String,
    /// Where the stranger is.
    pub stranger: String,
    /// What presigned addresses are signed with.
    pub secret: [u8; 32],
    /// With `parts/` and `nar/` in it.
    pub folder: PathBuf,
    world: Mutex<World>,
}

impl Shared {
    /// What is remembered, to oneself.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes a token.
    pub fn new_token(&self, grant: Grant) -> String {
        let text = made_up_token();
        let token = Token {
            grant,
            expired: false,
        };
        self.world().tokens.insert(text.clone(), token);
        text
    }

    /// Notes something that the service lets pass.
    pub fn complain(&self, what: impl Into<String>) {
        self.world().complaints.push(what.into());
    }
}

/// A running stand-in. It ends, at once, when it is dropped.
pub struct StandIn {
    shared: Arc<Shared>,
    token: String,
    runtime: Option<Runtime>,
    /// Not among what requests see: it goes when the stand-in goes, whoever still waits.
    _folder: TempDir,
}

fn made_up_token() -> String {
    format!("stand-in-{}", HEXLOWER.encode(&random::<20>()))
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

impl StandIn {
    /// Starts one.
    ///
    /// # Panics
    /// When the port is taken, or a cache of the settings has a name that the service forbids.
    pub fn start(settings: Settings) -> Self {
        let port = settings.port;
        Self::try_start(settings)
            .unwrap_or_else(|error| panic!("the stand-in cannot listen on port {port}: {error}"))
    }

    /// Starts one, or says why it cannot listen.
    pub fn try_start(settings: Settings) -> std::io::Result<Self> {
        let doors = [
            TcpListener::bind(("127.0.0.1", settings.port))?,
            TcpListener::bind(("127.0.0.1", 0))?,
            TcpListener::bind(("127.0.0.1", 0))?,
        ];
        let mut urls = Vec::new();
        for door in &doors {
            door.set_nonblocking(true)?;
            // Another name than the service's: a netrc goes by names, and knows no ports.
            let host = if urls.is_empty() {
                "127.0.0.1"
            } else {
                "localhost"
            };
            urls.push(format!("http://{host}:{}", door.local_addr()?.port()));
        }
        let folder = tempfile::Builder::new()
            .prefix("cachix-stand-in-")
            .tempdir()?;
        for name in ["parts", "nar"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let token = settings.token.clone().unwrap_or_else(made_up_token);
        let mut world = World {
            size_limit: settings.size_limit,
            ..World::default()
        };
        world.tokens.insert(
            token.clone(),
            Token {
                grant: Grant::Account,
                expired: false,
            },
        );
        for cache in &settings.caches {
            account::check_name(&cache.name)
                .unwrap_or_else(|_| panic!("{} is no name of a cache", cache.name));
            world
                .caches
                .insert(cache.name.clone(), account::new_cache(cache));
        }
        let shared = Arc::new(Shared {
            clock: Clock::new(settings.now),
            faults: Faults::default(),
            requests: Requests::default(),
            service: urls[0].clone(),
            storage: urls[1].clone(),
            stranger: urls[2].clone(),
            secret: random(),
            folder: folder.path().to_owned(),
            world: Mutex::new(world),
            settings,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stand-in")
            .enable_all()
            .build()?;
        let places = [Place::Service, Place::Storage, Place::Stranger];
        let inside = runtime.enter();
        for (door, place) in doors.into_iter().zip(places) {
            let door = tokio::net::TcpListener::from_std(door)?;
            runtime.spawn(serve::serve(door, shared.clone(), place));
        }
        drop(inside);
        Ok(Self {
            shared,
            token,
            runtime: Some(runtime),
            _folder: folder,
        })
    }

    /// Where the service is, without a slash at the end; the API is under `/api/v1`.
    pub fn url(&self) -> String {
        self.shared.service.clone()
    }

    /// Where the API is: what a client takes as its base.
    pub fn api(&self) -> String {
        format!("{}/api/v1", self.shared.service)
    }

    /// Where the object storage is.
    pub fn storage_url(&self) -> String {
        self.shared.storage.clone()
    }

    /// Where the stranger is.
    pub fn stranger_url(&self) -> String {
        self.shared.stranger.clone()
    }

    /// The token of the account.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Makes another token.
    pub fn new_token(&self, grant: Grant) -> String {
        self.shared.new_token(grant)
    }

    /// Lets a token run out.
    pub fn expire(&self, token: &str) {
        if let Some(found) = self.shared.world().tokens.get_mut(token) {
            found.expired = true;
        }
    }

    /// One cache, to look into and to change by hand.
    pub fn cache(&self, name: &str) -> CacheView {
        CacheView::new(self.shared.clone(), name)
    }

    /// The names of all caches.
    pub fn caches(&self) -> Vec<String> {
        self.shared.world().caches.keys().cloned().collect()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// Its time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// What the service would have let pass, though it is wrong.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.world().complaints.clone()
    }

    /// How many uploads were begun and neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        self.shared.world().uploads.len()
    }

    /// Sets what all files together may hold; the next completion collects.
    pub fn limit_size(&self, bytes: Option<u64>) {
        self.shared.world().size_limit = bytes;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
