//! The command line: one file per command, thin wrappers around the layers below.
//!
//! [`args`] says what can be typed, [`context`] finds `cache.yaml` and reads it, [`output`] is the
//! only printer. Nothing imports this layer.

pub mod args;
mod completions;
mod consent;
mod context;
mod error;
mod init;
mod log;
mod mark;
mod output;
mod progress;
pub mod reconcile;
mod run;
mod schema;
mod signals;
mod validate;

pub use run::main;
