//! Nix's formats. Pure: no files, no network, no clock.
//!
//! Everything here reads and prints text or bytes that the caller brings. Parsers accept foreign
//! input of any kind without panicking, and say exactly why they refuse it; printers give byte
//! for byte what Nix writes.

/// Serialises types as their `Display` text and reads them back with `FromStr`.
macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
use serde_as_text;

pub mod base32;
pub mod cache_info;
pub mod closure;
pub mod conf;
pub mod content_address;
pub mod derivation;
pub mod hash;
pub mod key;
pub mod log;
pub mod nar;
pub mod narinfo;
pub mod netrc;
pub mod path_info;
pub mod settings;
pub mod store_path;
