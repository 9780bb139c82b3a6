//! From `cache.yaml` to a valid [`model::Config`], or all its problems at once. Pure.

pub mod model;
pub mod secret;
pub mod units;
