//! Nix's formats. Pure: no files, no network, no clock.

pub mod base32;
pub mod closure;
pub mod hash;
pub mod store_path;
