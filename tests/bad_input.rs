//! What bad input gets: a clear error with its cause and the way out, the promised exit code, and
//! nothing lost or half-written.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "bad_input/cache.rs"]
mod cache;
#[path = "bad_input/config.rs"]
mod config;
mod crash_support;
#[path = "bad_input/directories.rs"]
mod directories;
#[path = "bad_input/host.rs"]
mod host;
#[path = "bad_input/output.rs"]
mod output;
#[path = "bad_input/store.rs"]
mod store;
mod support;
