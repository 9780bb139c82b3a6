//! The command line: one file per command, thin wrappers around the layers below.
//!
//! [`args`] says what can be typed, [`context`] finds `cache.yaml` and reads it, [`output`] is the
//! only printer. Nothing imports this layer.

mod adopt;
mod advise;
mod analytics;
pub mod args;
mod completions;
mod consent;
mod context;
mod doctor;
mod error;
mod explain;
mod export;
mod fetch;
mod init;
mod log;
mod mark;
mod meant;
mod output;
mod phases;
mod progress;
mod publish;
pub mod reconcile;
mod run;
mod runs;
mod schema;
mod serve;
mod signals;
mod start;
mod status;
mod validate;
mod verify;
mod workflows;

pub use start::main;
