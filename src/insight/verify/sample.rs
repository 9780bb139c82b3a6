//! Which NARs are read where not all are: the same seed chooses the same ones, on any machine.

use crate::nix::hash::Sha256;

/// The places of those that are chosen, ascending: `count` of `keys`, by a hash of seed and key. So a cache
/// that grows keeps most of what was chosen before, and nobody who writes a cache can tell without the seed.
#[must_use]
pub fn choose<K: AsRef<str>>(keys: &[K], count: usize, seed: &str) -> Vec<usize> {
    let mut places: Vec<(Sha256, usize)> = keys
        .iter()
        .enumerate()
        .map(|(place, key)| {
            let text = format!("{seed}\n{}", key.as_ref());
            (Sha256::of(text.as_bytes()), place)
        })
        .collect();
    places.sort_unstable();
    places.truncate(count);
    let mut chosen: Vec<usize> = places.into_iter().map(|(_, place)| place).collect();
    chosen.sort_unstable();
    chosen
}
