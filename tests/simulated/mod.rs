//! Pushes and prunes of the product on a store in memory, whose every request is a step.
//!
//! A process is a thread that waits at each of its requests until a scheduler lets it go on; exactly one
//! runs at a time, and time goes by only when the scheduler says so. So a run is told by the list of
//! its steps. A write may get no answer, and may take effect later, also when its sender is dead. After each step the promises are checked from the raw objects.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "only tests use it, and each a part of it"
)]

pub mod dice;
pub mod handle;
pub mod random;
pub mod run;
pub mod scenario;
pub mod script;
pub mod server;
