//! One folder per outside system: how to observe it and how to change it.

pub mod binary_cache;
pub mod cachix;
pub mod directory;
pub mod github;
pub mod nix_cli;
pub mod nix_conf;
pub mod nix_store;
pub mod upstream;
pub mod workflows;
