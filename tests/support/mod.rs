//! What integration tests share: a host of their own, real Nix stores, and the independent checker.
//!
//! Use it as `mod support;`. Nothing here reads the machine's own settings, and nothing is written
//! outside temporary folders.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it did not run"
)]

pub mod bed;
pub mod checker;
pub mod planted;
pub mod real_nix;
pub mod skew;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The root of this clone.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of one of the test's files, for instance `fixture("tests/fixtures/x")`.
pub fn fixture(relative: &str) -> PathBuf {
    repository().join(relative)
}

/// The build folder of this clone.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The editor's language server for YAML that `tests/setup/install.sh` installs (`--stdio` speaks LSP).
pub fn language_server() -> Option<PathBuf> {
    let server = target().join("tools/node_modules/.bin/yaml-language-server");
    if !server.exists() {
        skip("yaml-language-server is not installed; `bash tests/setup/install.sh` does it");
        return None;
    }
    Some(server)
}

/// Says loudly that a test does not run here, or fails where skipping is not allowed.
///
/// # Panics
/// When `NANNA_REQUIRE_NIX=1`: in CI nothing skips silently.
pub fn skip(why: &str) {
    let required = std::env::var_os("NANNA_REQUIRE_NIX").is_some_and(|value| value == "1");
    assert!(
        !required,
        "NANNA_REQUIRE_NIX=1, but this test cannot run: {why}"
    );
    skip_always(why);
}

/// Says loudly that a test does not run here, also where skipping is else not allowed.
pub fn skip_always(why: &str) {
    eprintln!("SKIPPED: {why}");
    // A runner swallows what a passing test prints; `tests/run` shows this list at the end.
    if let Some(list) = std::env::var_os("NANNA_SKIPS") {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let mut list = std::fs::File::options()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        list.write_all(format!("{test}: {why}\n").as_bytes())
            .unwrap();
    }
}
