//! nanna-cache: a declarative reconciler for the binary caches of a Nix project.
//!
//! `cache.yaml` says how the caches should be; the tool looks at how they are; the plan is the
//! difference; applying the plan makes the difference empty. Data flows one way:
//!
//! ```text
//! cache.yaml → text → config → plan::Desired ─┐
//!                                             ├→ plan → guard → engine::apply → confirm
//! the world → provider (observe) → Observed ──┘    └→ render
//! ```
//!
//! `ARCHITECTURE.md` has the table of layers; `tests/architecture.rs` holds the code to it.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod cli;
pub mod config;
pub mod engine;
pub mod exit;
pub mod insight;
pub mod ledger;
pub mod nix;
pub mod plan;
pub mod provider;
pub mod render;
#[allow(
    clippy::disallowed_methods,
    reason = "the one room that uses the machine"
)]
pub mod sys;
pub mod text;
pub mod transfer;
