//! Secrets in what is about to be pushed, found while it streams by.
//!
//! Files go in piece by piece ([`Scanner`]), findings come out. Promises: how a file is cut into pieces changes
//! nothing; memory is bounded whatever its size; a finding holds the rule, the place and a fingerprint,
//! never the secret. A first search for rare literals decides where to look closely ([`search`]); the formats'
//! own checksums and structures then decide whether it is a secret (`tokens`, `keys`, `given`).

mod given;
mod keys;
mod redact;
mod scan;
mod search;
mod shape;
mod tokens;

pub use redact::{Redacted, redact};
pub use scan::{Finding, Scanner};

#[cfg(test)]
#[allow(unreachable_pub, reason = "tests outside of the crate use it, too")]
mod samples;
#[cfg(test)]
mod tests;
