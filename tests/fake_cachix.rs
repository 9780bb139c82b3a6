//! The stand-in of the Cachix service, judged by plain HTTP requests.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "fake/cachix/mod.rs"]
mod cachix;

use cachix::{Settings, StandIn};

#[test]
fn starts() {
    let standin = StandIn::start(Settings::public("team"));
    assert!(standin.url().starts_with("http://127.0.0.1:"));
    assert!(standin.cache("team").paths().is_empty());
}
