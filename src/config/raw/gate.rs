//! `push.secrets`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::gate::SecretRule;

/// How what is about to be pushed is looked through for secrets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RawSecrets {
    /// What follows from a secret on its way to a cache that everybody can read: a public cache of
    /// Cachix, or one with an `http(s)` address.
    #[schemars(extend(
        "type" = "string",
        "enumDescriptions" = [
            "the path is not pushed, nor what refers to it; the step fails",
            "push it, and say so",
            "do not look"
        ],
        "default" = "refuse", "examples" = ["refuse"]
    ))]
    pub(crate) on_public: RawOnSecret,
    /// What follows from a secret on its way to any other cache.
    #[schemars(extend(
        "type" = "string",
        "enumDescriptions" = [
            "the path is not pushed, nor what refers to it; the step fails",
            "push it, and say so",
            "do not look"
        ],
        "default" = "warn", "examples" = ["refuse"]
    ))]
    pub(crate) on_private: RawOnSecret,
    /// What is let pass. The report of a push names the rule and the fingerprint of what it found.
    #[schemars(extend("default" = [], "examples" = [[{"path": "openssl-*/test/**", "rule": "private-key", "reason": "keys of the test suite"}]]))]
    pub(crate) allow: Vec<RawAllow>,
}

impl Default for RawSecrets {
    fn default() -> Self {
        Self {
            on_public: RawOnSecret::Refuse,
            on_private: RawOnSecret::Warn,
            allow: Vec::new(),
        }
    }
}

/// What follows from a secret.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawOnSecret {
    Refuse,
    Warn,
    Off,
}

/// What is let pass: whatever fits `path`, `rule` and `fingerprint`, as far as they are given. One of
/// them must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawAllow {
    /// A glob of `NAME/FILE`: the name of the store path without its hash, and the file in it. `*` and `?` stay
    /// within one name, `**` does not; without a slash it means all files. Without it every file fits.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["openssl-*/test/**", "my-docs"]))]
    pub(crate) path: Option<String>,
    /// The rule, as the report names it. Without it every rule fits.
    #[serde(default)]
    #[schemars(extend("enum" = names(), "enumDescriptions" = descriptions(), "examples" = ["private-key"]))]
    pub(crate) rule: Option<String>,
    /// The fingerprint, as the report gives it: 16 digits in hex, of the rule and the secret. Without
    /// it every secret fits.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"), extend("examples" = ["0f1e2d3c4b5a6978"]))]
    pub(crate) fingerprint: Option<String>,
    /// Why it may pass: for whoever reads this file later. It must be given.
    #[schemars(length(min = 1), extend("examples" = ["keys of the test suite"]))]
    pub(crate) reason: String,
}

fn names() -> Vec<&'static str> {
    SecretRule::ALL.iter().map(|rule| rule.name()).collect()
}

fn descriptions() -> Vec<&'static str> {
    SecretRule::ALL.iter().map(|rule| rule.what()).collect()
}
