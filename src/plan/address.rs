//! Addresses of steps: `PHASE/PLACE/WHAT`, such as `push/dev/rust-dependencies`.
//!
//! An address is stable: the same `cache.yaml` gives the same address in every run, so a reviewer
//! can name it to `--only`, and a saved plan can be compared with a new one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::model::{CacheName, PinName};

/// The four phases, in the order in which a plan is read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// nix.conf, cache folders, keys.
    Setup,
    /// Uploads, with the builds that they need, and pins.
    Push,
    /// Tuning and warming.
    Optimize,
    /// Deletes.
    Prune,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 4] = [Self::Setup, Self::Push, Self::Optimize, Self::Prune];

    /// The word for it, as in addresses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Push => "push",
            Self::Optimize => "optimize",
            Self::Prune => "prune",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The address of a step.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address of `what` at `place` in `phase`.
    #[must_use]
    pub fn new(phase: Phase, place: &str, what: &str) -> Self {
        Self(format!("{phase}/{place}/{what}"))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The place, such as a cache.
    #[must_use]
    pub fn place(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// What is done there, such as a class.
    #[must_use]
    pub fn what(&self) -> &str {
        self.0.splitn(3, '/').nth(2).unwrap_or_default()
    }

    /// Whether `selector` (a phase, or any leading parts of an address) chooses this address.
    #[must_use]
    pub fn is_in(&self, selector: &str) -> bool {
        let selector = selector.trim_end_matches('/');
        self.0
            .strip_prefix(selector)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The step that makes the folder of a cache.
#[must_use]
pub fn cache_address(cache: &CacheName) -> Address {
    Address::new(Phase::Setup, cache.as_str(), "cache")
}

/// The step that makes the signing key of a cache.
#[must_use]
pub fn key_address(cache: &CacheName) -> Address {
    Address::new(Phase::Setup, cache.as_str(), "signing-key")
}

/// The steps that make a cache usable; every push waits for them.
#[must_use]
pub fn cache_addresses(cache: &CacheName) -> Vec<Address> {
    vec![cache_address(cache), key_address(cache)]
}

/// The step that writes our fragment of settings.
#[must_use]
pub fn fragment_address() -> Address {
    Address::new(Phase::Setup, "nix", "fragment")
}

/// The step that makes nix.conf include the fragment.
#[must_use]
pub fn nix_conf_address() -> Address {
    Address::new(Phase::Setup, "nix", "nix.conf")
}

/// The step that writes the tuning.
#[must_use]
pub fn tuning_address() -> Address {
    Address::new(Phase::Optimize, "nix", "tuning")
}

/// The step that builds an output.
#[must_use]
pub fn build_address(installable: &str) -> Address {
    Address::new(Phase::Push, "build", installable)
}

/// The step that pushes a class to a cache.
#[must_use]
pub fn push_address(cache: &CacheName, class: &str) -> Address {
    Address::new(Phase::Push, cache.as_str(), class)
}

/// The step that writes the records of a pin.
#[must_use]
pub fn pin_address(cache: &CacheName, pin: &PinName) -> Address {
    Address::new(Phase::Push, cache.as_str(), &format!("pin-{pin}"))
}

/// The step that writes down in a cache of a service what a run does there.
#[must_use]
pub fn record_address(cache: &CacheName) -> Address {
    Address::new(Phase::Push, cache.as_str(), "record")
}

/// The step that deletes a pin of ours from a cache of a service.
#[must_use]
pub fn unpin_address(cache: &CacheName, pin: &str) -> Address {
    Address::new(Phase::Prune, cache.as_str(), &format!("pin-{pin}"))
}

/// The step that adopts foreign content of a class.
#[must_use]
pub fn adopt_address(cache: &CacheName, class: &str) -> Address {
    Address::new(Phase::Push, cache.as_str(), &format!("adopt-{class}"))
}

/// The step that deletes a class from a cache.
#[must_use]
pub fn prune_address(cache: &CacheName, class: &str) -> Address {
    Address::new(Phase::Prune, cache.as_str(), class)
}

/// The step that deletes files that no narinfo names.
#[must_use]
pub fn sweep_address(cache: &CacheName) -> Address {
    Address::new(Phase::Prune, cache.as_str(), "unnamed-files")
}

#[cfg(test)]
mod tests;
