//! Observe, apply, journal, confirm: the only place where a plan becomes deeds.
//!
//! [`observe`] hands out nothing that writes; [`apply`] takes only what the guard approved. It decides nothing:
//! what to do is in the plan, and what is known only after a step is planned again by the same function.

pub mod apply;
mod batch;
mod build;
pub mod confirm;
mod create;
pub mod doctor;
pub mod event;
mod explore;
pub mod fetch;
mod gate;
pub mod journal;
mod late;
pub mod links;
pub mod machine;
mod nearest;
pub mod observe;
pub mod origin;
mod prune;
pub mod publish;
mod push;
pub mod rebuild;
pub mod record;
pub mod runs;
mod secret;
mod service;
mod short;
mod single;
pub mod sources;
mod stale;
pub mod verify;
pub mod work;
