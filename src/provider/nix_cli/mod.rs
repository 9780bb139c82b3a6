//! The `nix` program: settings, evaluation, builds, substitution. Nothing else starts it.
//!
//! Promises: never writes a lock file, never answers a question of Nix's, never hides the user's
//! own settings (experimental features are added, not replaced); a child is ended when we are
//! asked to stop. Errors are the essential line of what Nix said. It must not read the database
//! or nix.conf: those have their own folders.

mod build;
mod config;
mod evaluate;
mod installable;
mod message;
mod run;
mod watched;

pub use build::{Built, Rebuilt};
pub use message::essential;
pub use run::{Nix, NixError};
pub use watched::{Ended, LOGS, PROGRAMS, Show, Unwatchable, Watched};
