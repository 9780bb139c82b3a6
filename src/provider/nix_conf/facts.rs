//! The effective settings with their origins, and who the user is to Nix.

use std::collections::BTreeMap;

use super::sources::{entries, read};
use super::user::{daemon, is_among, systems};
use crate::nix::conf::Effective;
use crate::nix::settings;
use crate::plan::observed::{NixFacts, Observation, SettingFacts, SubstituterFacts, Why};
use crate::sys::host::Host;

/// What the Nix at hand says, if there is one.
#[derive(Clone, Debug)]
pub struct FromNix {
    /// Its version.
    pub version: String,
    /// Its effective settings by main name, or why it does not tell.
    pub settings: Result<BTreeMap<String, String>, String>,
    /// Whether the daemon trusts us, if it says so.
    pub trusted: Option<bool>,
}

/// The effective settings. Where Nix is there, its values count, and our own reading of the files
/// says where they come from; without Nix, our reading gives the values, too. `Unknown`: Nix
/// would refuse the configuration (the reason names file and line), or does not tell.
#[must_use]
pub fn facts(host: &Host, nix: Option<&FromNix>) -> Observation<NixFacts> {
    let version = nix.map(|nix| nix.version.as_str());
    let ours = Effective::load(&entries(host, version), read);
    let unknown = |text: String| Observation::Unknown(Why(text));
    let first_error = ours.errors.first().map(ToString::to_string);
    let values = match (nix.map(|nix| &nix.settings), first_error) {
        (Some(Ok(values)), _) => values.clone(),
        (Some(Err(_)) | None, Some(error)) => {
            return unknown(format!("Nix refuses its configuration: {error}"));
        }
        (Some(Err(message)), None) => return unknown(message.clone()),
        (None, None) => own_values(host, &ours),
    };
    let settings: BTreeMap<String, SettingFacts> = values
        .into_iter()
        .map(|(name, value)| {
            let known = settings::find(&name).and_then(|info| ours.settings.get(info.name));
            let origins = known.map(|setting| {
                let origins = setting.origins().iter();
                origins
                    .map(|origin| format!("{}:{}", origin.file, origin.line))
                    .collect()
            });
            (
                name,
                SettingFacts {
                    value,
                    origins: origins.unwrap_or_default(),
                },
            )
        })
        .collect();
    let value = |name: &str| {
        settings
            .get(name)
            .map_or("", |setting| setting.value.as_str())
    };
    let daemon = daemon(host, value("store"));
    let trusted = !daemon
        || nix
            .and_then(|nix| nix.trusted)
            .unwrap_or_else(|| is_among(host, value("trusted-users")));
    let system = Some(value("system")).filter(|system| !system.is_empty());
    let facts = NixFacts {
        version: version.map(str::to_owned),
        daemon,
        trusted,
        user: host.user.clone(),
        systems: systems(
            system.unwrap_or(&host.system),
            value("extra-platforms"),
            value("builders"),
        ),
        substituters: substituters(value("substituters")),
        settings,
    };
    Observation::Present(facts)
}

/// All settings whose value our own reading knows.
fn own_values(host: &Host, ours: &Effective) -> BTreeMap<String, String> {
    settings::all()
        .iter()
        .filter_map(|info| {
            let words = ours.words(info.name);
            // The default is that of the machine.
            let words =
                words.or_else(|| (info.name == "system").then(|| vec![host.system.clone()]));
            Some((info.name.to_owned(), words?.join(" ")))
        })
        .collect()
}

/// The substituters in the order of the setting, each once, with the priority that a URL states.
fn substituters(value: &str) -> Vec<SubstituterFacts> {
    let mut seen = std::collections::HashSet::new();
    let urls = value
        .split_whitespace()
        .filter(|url| seen.insert(url.to_owned()));
    urls.map(|url| SubstituterFacts {
        url: url.to_owned(),
        priority: stated_priority(url),
    })
    .collect()
}

/// The number in `?priority=`.
fn stated_priority(url: &str) -> Option<i64> {
    let (_, query) = url.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("priority=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_in_urls() {
        let found = substituters(
            "https://a https://b?priority=10 https://a file:///c?trusted=1&priority=-2",
        );
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.url.as_str(), one.priority))
            .collect();
        assert_eq!(
            found,
            [
                ("https://a", None),
                ("https://b?priority=10", Some(10)),
                ("file:///c?trusted=1&priority=-2", Some(-2))
            ]
        );
    }
}
