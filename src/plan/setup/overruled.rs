//! What our fragment adds and Nix does not have all the same, because something that it loads later
//! sets the whole list.

use std::collections::BTreeSet;

use super::fragment::{keys, substituters};
use super::include::added_by_project;
use crate::config::model::NixConf;
use crate::nix::conf::{ConfFile, Content};
use crate::nix::settings::find;
use crate::plan::address::Phase;
use crate::plan::change::Changes;
use crate::plan::desired::{ConfFiles, Desired};
use crate::plan::observed::Observed;
use crate::plan::plan::Advice;

/// The words that our section adds to a list setting and that are not in effect.
pub(in crate::plan) fn words(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    setting: &str,
) -> BTreeSet<String> {
    // A folder of its own is in effect only where somebody points Nix at it.
    let effective = match &desired.config.setup.nix_conf {
        NixConf::Dir(_) | NixConf::None => None,
        NixConf::User | NixConf::System => observed.nix.present(),
    };
    let Some(setting_now) = effective.and_then(|nix| nix.settings.get(setting)) else {
        return BTreeSet::new();
    };
    let now: BTreeSet<&str> = setting_now.value.split_whitespace().collect();
    let mut ours = added_by_project(desired, observed, conf, setting);
    // `NIX_CONFIG` comes after every file, so what it sets anew will not have ours either.
    if set_by_environment(observed, setting) {
        if setting == "substituters" {
            let urls = substituters(desired, observed).into_iter();
            ours.extend(urls.map(|(url, _)| url));
        } else {
            ours.extend(keys(desired, observed).known);
        }
    }
    ours.into_iter()
        .filter(|word| !now.contains(word.as_str()))
        .collect()
}

/// Whether `NIX_CONFIG` sets a list as a whole; `extra-` only adds.
fn set_by_environment(observed: &Observed, setting: &str) -> bool {
    let text = ConfFile::parse(observed.environment.nix_config.as_str());
    let sets = |name: &str| name == setting || find(name).is_some_and(|info| info.name == setting);
    text.lines().iter().any(|line| match &line.content {
        Content::Assignment { name, .. } => !name.starts_with("extra-") && sets(name),
        _ => false,
    })
}

/// Says what sets such a list.
pub(super) fn advise(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    changes: &mut Changes,
) {
    for setting in ["substituters", "trusted-public-keys"] {
        if words(desired, observed, conf, setting).is_empty() {
            continue;
        }
        let facts = observed
            .nix
            .present()
            .and_then(|nix| nix.settings.get(setting));
        let origin = facts.and_then(|facts| facts.origins.first());
        let default = if set_by_environment(observed, setting) {
            "NIX_CONFIG"
        } else {
            "something that Nix loads later"
        };
        let winner = origin.map_or(default, String::as_str);
        // What comes from the environment comes after all files.
        let or = if winner.starts_with("NIX_CONFIG") {
            ""
        } else {
            ", or move it before the `!include`"
        };
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: setting.to_owned(),
            text: format!(
                "Nix does not use what {} adds: {winner} sets `{setting}` anew; make it \
                 `extra-{setting}`{or}",
                conf.fragment
            ),
            lines: Vec::new(),
            because: desired.because("the declared caches, for Nix", "/setup/nix-conf"),
        });
    }
}
