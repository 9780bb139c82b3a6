//! One folder per outside system: how to observe it and how to change it.

pub mod binary_cache;
