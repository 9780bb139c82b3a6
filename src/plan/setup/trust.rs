//! What the daemon would drop because it does not trust the user: advice for its administrator,
//! never the advice to become a trusted user.

use std::collections::BTreeSet;

use super::fragment::{keys, substituters};
use crate::config::model::NixConf;
use crate::plan::address::Phase;
use crate::plan::change::Changes;
use crate::plan::desired::{ConfFiles, Desired};
use crate::plan::observed::{NixFacts, Observed};
use crate::plan::plan::Advice;

/// Says which lines the administrator adds, if the daemon would drop what we declare.
pub(super) fn advise(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    changes: &mut Changes,
) {
    let Some(nix) = observed.nix.present() else {
        return;
    };
    if !nix.daemon
        || nix.trusted
        || !conf.user
        || matches!(desired.config.setup.nix_conf, NixConf::Dir(_))
    {
        return;
    }
    let allowed = words(
        nix,
        &["trusted-substituters", "substituters"],
        observed,
        conf,
    );
    let urls: Vec<String> = substituters(desired, observed)
        .into_iter()
        .map(|(url, _)| url)
        .filter(|url| !allowed.contains(url.trim_end_matches('/')))
        .collect();
    let trusted = words(nix, &["trusted-public-keys"], observed, conf);
    let keys: Vec<String> = keys(desired, observed)
        .known
        .into_iter()
        .filter(|key| !trusted.contains(key.as_str()))
        .collect();
    let mut lines = Vec::new();
    if !urls.is_empty() {
        lines.push(format!("extra-trusted-substituters = {}", urls.join(" ")));
    }
    if !keys.is_empty() {
        lines.push(format!("extra-trusted-public-keys = {}", keys.join(" ")));
    }
    if lines.is_empty() {
        return;
    }
    changes.advice.push(Advice {
        phase: Phase::Setup,
        about: desired.site.system_conf.join("nix.conf").into_string(),
        text: format!(
            "the Nix daemon does not trust {} and drops the caches without a word: its administrator \
             adds these lines and restarts it",
            nix.user
        ),
        lines,
        because: desired.because("the declared caches, for Nix", "/setup/nix-conf"),
    });
}

/// What the daemon itself has of some list settings. What our own fragment adds to a setting does not
/// count; what stands in it as well as elsewhere (Nix keeps both) does.
fn words(
    nix: &NixFacts,
    names: &[&str],
    observed: &Observed,
    conf: &ConfFiles,
) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for name in names {
        let mut ours = super::include::added_by_all(observed, conf, name);
        let effective = nix.settings.get(*name).map(|setting| &setting.value);
        for word in effective.into_iter().flat_map(|all| all.split_whitespace()) {
            match ours.iter().position(|own| own == word) {
                Some(at) => drop(ours.swap_remove(at)),
                None => {
                    words.insert(word.trim_end_matches('/').to_owned());
                }
            }
        }
    }
    words
}
