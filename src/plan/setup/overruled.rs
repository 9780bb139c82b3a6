//! What our fragment adds and Nix does not have all the same, because something that it loads later
//! sets the whole list.

use std::collections::BTreeSet;

use super::include::added_by_project;
use crate::config::model::NixConf;
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
    let ours = added_by_project(desired, observed, conf, setting);
    ours.into_iter()
        .filter(|word| !now.contains(word.as_str()))
        .collect()
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
        let winner = origin.map_or("something that Nix loads later", String::as_str);
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: setting.to_owned(),
            text: format!(
                "Nix does not use what {} adds: {winner} sets `{setting}` anew; make it \
                 `extra-{setting}`, or move it before the `!include`",
                conf.fragment
            ),
            lines: Vec::new(),
            because: desired.because("the declared caches, for Nix", "/setup/nix-conf"),
        });
    }
}
