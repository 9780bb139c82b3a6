//! nix.conf and what else sets Nix up: effective settings with their origins, files of ours and of
//! the user, the environment that later CI steps see.
//!
//! Promises: looking writes nothing; a write happens only while the file still holds what the
//! step was planned against, and is whole or not at all; a file that belongs to another tool
//! (NixOS, nix-darwin, Determinate Nix) is never written. It must not start `nix` nor ask caches:
//! what those say is handed in.

mod apply;
mod daemon;
mod export;
mod facts;
mod files;
mod sources;
mod user;

pub use apply::{ApplyError, write};
pub use daemon::started;
pub use export::{environment, export};
pub use facts::{FromNix, facts};
pub use files::{file, files, may_create};
pub use sources::{entries, read, system_folder, user_folder};
