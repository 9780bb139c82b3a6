//! The stand-in of the Cachix service, judged by plain HTTP requests and by the real Nix.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test"
)]

#[path = "fake_cachix/access.rs"]
mod access;
#[path = "fake_cachix/admin.rs"]
mod admin;
#[path = "fake/cachix/mod.rs"]
mod cachix;
#[path = "fake_cachix/client.rs"]
mod client;
#[path = "fake_cachix/faults.rs"]
mod faults;
#[path = "fake_cachix/http.rs"]
mod http;
#[path = "fake_cachix/nix.rs"]
mod nix;
#[path = "fake_cachix/pins.rs"]
mod pins;
#[path = "fake_cachix/reading.rs"]
mod reading;
mod support;
#[path = "fake_cachix/uploads.rs"]
mod uploads;

use cachix::{CacheSettings, Settings, StandIn};
use client::Client;

/// A stand-in whose parts may be short, with one cache `team`, and a client with all rights.
fn world(change: impl FnOnce(CacheSettings) -> CacheSettings) -> (StandIn, Client) {
    let settings = Settings {
        min_part: 64,
        now: Some("2026-03-01T00:00:00Z".parse().unwrap()),
        ..Settings::default()
    };
    let standin = StandIn::start(settings.cache(change(CacheSettings::new("team"))));
    let client = Client {
        api: standin.api(),
        cache: "team".to_owned(),
        token: standin.token().to_owned(),
    };
    (standin, client)
}
