//! Lossless text: YAML with places, files of lines. Pure.

pub mod place;
pub mod yaml;
