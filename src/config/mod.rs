//! From `cache.yaml` to a valid [`model::Config`], or all its problems at once. Pure.

pub mod code;
mod leak;
pub mod model;
pub mod problem;
pub mod secret;
pub mod units;
