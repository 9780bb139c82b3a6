//! From `cache.yaml` to a valid [`model::Config`], or all its problems at once. Pure.
//!
//! [`read`] is the one entry. The words of the file are in `raw`, its schema in [`schema`], what it
//! must mean in `rules`, and everything that can be wrong with it in [`code::Code`].

mod check;
pub mod code;
pub mod example;
pub mod gate;
mod leak;
pub mod model;
pub(crate) mod nearest;
pub mod problem;
mod raw;
pub mod rough;
mod rules;
pub mod schema;
pub mod secret;
mod shape;
pub mod units;
mod validate;

pub use validate::read;
