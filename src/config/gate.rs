//! The gate before push: which secrets it knows, what follows from one, what is let pass.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal $what:literal,)+) => {
        /// A kind of secret that the gate finds. Its names stay the same across releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum SecretRule {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl SecretRule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, such as `github-token`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it finds, with an article, such as `a token of GitHub`.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)+
                }
            }
        }
    };
}

rules! {
    /// `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_` with the right checksum.
    GithubToken = "github-token" "a token of GitHub",
    /// `github_pat_`.
    GithubFineGrained = "github-fine-grained-token" "a fine-grained token of GitHub",
    /// `glpat-` and its kin.
    GitlabToken = "gitlab-token" "a token of GitLab",
    /// The secret beside an `AKIA…` or `ASIA…`.
    AwsKey = "aws-key" "a secret access key of AWS",
    /// `AIza`.
    GoogleApiKey = "google-api-key" "an API key of Google",
    /// `GOCSPX-`.
    GoogleOauth = "google-oauth-secret" "an OAuth client secret of Google",
    /// The private key in the JSON of a service account.
    GoogleServiceAccount = "google-service-account" "the key of a service account of Google",
    /// Keys of storage accounts and of services, and connection strings.
    AzureKey = "azure-key" "a key of Azure",
    /// `xoxb-` and its kin, `xapp-`.
    SlackToken = "slack-token" "a token of Slack",
    /// The address of an incoming webhook.
    SlackWebhook = "slack-webhook" "a webhook of Slack",
    /// `sk_live_`, `rk_live_`.
    StripeKey = "stripe-key" "a live key of Stripe",
    /// `npm_`.
    NpmToken = "npm-token" "a token of npm",
    /// `pypi-` and a macaroon.
    PypiToken = "pypi-token" "a token of PyPI",
    /// `cio`.
    CratesToken = "crates-token" "a token of crates.io",
    /// `dckr_pat_`.
    DockerToken = "docker-token" "a token of Docker",
    /// `"auth"` of a Docker configuration.
    DockerLogin = "docker-login" "a login of a container registry",
    /// A token whose header and claims are JSON, such as Cachix gives out.
    Jwt = "jwt" "an access token (JWT)",
    /// `sk-…T3BlbkFJ…`.
    OpenaiKey = "openai-key" "a key of OpenAI",
    /// `sk-ant-`.
    AnthropicKey = "anthropic-key" "a key of Anthropic",
    /// `SG.`.
    SendgridKey = "sendgrid-key" "a key of SendGrid",
    /// `AGE-SECRET-KEY-1` with the right checksum.
    AgeKey = "age-key" "a secret key of age",
    /// A private key in PEM, its content checked.
    PrivateKey = "private-key" "a private key",
    /// A private key of `OpenSSH` or `PuTTY`.
    SshKey = "ssh-key" "a private SSH key",
    /// A private key of `OpenPGP`.
    PgpKey = "pgp-key" "a private OpenPGP key",
    /// A secret signing key of Nix, its halves checked.
    NixKey = "nix-key" "a secret signing key of Nix",
    /// `machine … login … password …`.
    NetrcPassword = "netrc-password" "a password of a netrc",
    /// `scheme://user:password@host`.
    UrlPassword = "url-password" "a password in a URL",
    /// `password = "…"` and its kin, with a value that looks random.
    Assignment = "assignment" "a random value given to a password, key or token",
}

impl SecretRule {
    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for SecretRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What follows when a secret is found in what is about to be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSecret {
    /// The path is not pushed, nor what refers to it.
    Refuse,
    /// It is pushed, and the report says so.
    Warn,
    /// Nobody looks.
    Off,
}

/// How what is pushed is looked through.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// For caches that everybody can read.
    pub on_public: OnSecret,
    /// For all others.
    pub on_private: OnSecret,
    /// What is let pass.
    pub allow: Vec<Allow>,
}

/// What is let pass: whatever all that is given fits.
#[derive(Clone, Debug)]
pub struct Allow {
    /// Fits `NAME/FILE`: the name of the store path without its hash, and the file in it.
    pub path: Option<Regex>,
    /// The rule.
    pub rule: Option<SecretRule>,
    /// The fingerprint, 16 digits in hex.
    pub fingerprint: Option<String>,
    /// Why it may pass.
    pub reason: String,
}

impl Allow {
    /// Whether it lets pass what was found in `file`, which is `NAME/FILE`.
    #[must_use]
    pub fn fits(&self, file: &str, rule: SecretRule, fingerprint: &str) -> bool {
        self.path.as_ref().is_none_or(|path| path.is_match(file))
            && self.rule.is_none_or(|own| own == rule)
            && self
                .fingerprint
                .as_ref()
                .is_none_or(|own| own == fingerprint)
    }
}

/// The pattern of a glob: `*` and `?` within one name, `**` across names. A glob without a slash
/// means all files of the store paths whose name it fits.
pub(crate) fn glob(glob: &str) -> Result<Regex, regex::Error> {
    let mut text = String::from("^(?s:");
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            text.push_str("(?:.*/)?");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("**") {
            text.push_str(".*");
            rest = after;
            continue;
        }
        match c {
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    if !glob.contains('/') {
        text.push_str("(?:/.*)?");
    }
    text.push_str(")$");
    Regex::new(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_as_they_say() {
        for (pattern, fits, misses) in [
            (
                "curl-*",
                &["curl-8.1/etc/x", "curl-8.1"][..],
                &["x/curl-8.1"][..],
            ),
            (
                "*/etc/*.pem",
                &["a/etc/x.pem"],
                &["a/etc/b/x.pem", "a/x.pem"],
            ),
            ("a/**/k", &["a/k", "a/b/c/k"], &["a/bk", "b/k"]),
            ("a/**", &["a/b/c"], &["ab"]),
            ("a+?", &["a+b"], &["aab"]),
        ] {
            let regex = glob(pattern).unwrap();
            assert!(fits.iter().all(|text| regex.is_match(text)), "{pattern}");
            assert!(!misses.iter().any(|text| regex.is_match(text)), "{pattern}");
        }
    }

    #[test]
    fn names_are_those_of_the_rules() {
        for rule in SecretRule::ALL {
            assert_eq!(SecretRule::named(rule.name()), Some(*rule));
            assert_eq!(
                serde_json::to_value(rule).unwrap(),
                serde_json::json!(rule.name())
            );
        }
        assert_eq!(SecretRule::named("Jwt"), None);
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let allow = Allow {
            path: glob("a/b").ok(),
            rule: Some(SecretRule::Jwt),
            fingerprint: Some("0011223344556677".to_owned()),
            reason: "a test vector".to_owned(),
        };
        let print = "0011223344556677";
        assert!(allow.fits("a/b", SecretRule::Jwt, print));
        assert!(!allow.fits("a/c", SecretRule::Jwt, print));
        assert!(!allow.fits("a/b", SecretRule::NixKey, print));
        assert!(!allow.fits("a/b", SecretRule::Jwt, "ffeeddccbbaa9988"));
    }
}
