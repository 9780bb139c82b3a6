//! The token of a private cache, where Nix finds it: in the netrc file that it reads.
//!
//! The plan knows which file and whether it is in order, never what stands in it. The file is a user's: one
//! entry in it is ours.

use super::step;
use crate::config::model::{CacheName, Visibility};
use crate::plan::address::{Address, Phase};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, ConfFiles, Desired};
use crate::plan::observed::{NixFacts, Observation, Observed};
use crate::plan::plan::{Advice, Refusal, Unknown};
use crate::plan::service::{Entry, Service};
use crate::plan::step::{Op, Scope};

/// Two caches on one host have different tokens.
const TWO_TOKENS: &str = "setup-two-tokens";

/// The netrc file that whoever downloads will read.
///
/// That is the one of the settings in effect. Where none is set, it is the machine's, except for a user's own Nix
/// (without a daemon): then it is one beside the user's nix.conf, and our fragment says so. `None`: no nix.conf is
/// managed.
#[must_use]
pub fn netrc_file(desired: &Desired, nix: Option<&NixFacts>) -> Option<String> {
    let conf = desired.conf.as_ref()?;
    let own = beside(conf);
    let setting = nix.and_then(|nix| nix.settings.get("netrc-file"));
    match setting.filter(|setting| !setting.origins.is_empty()) {
        Some(setting) => Some(setting.value.clone()),
        None if conf.user && nix.is_none_or(|nix| !nix.daemon) => Some(own),
        None => Some(desired.site.system_conf.join("netrc").into_string()),
    }
}

fn beside(conf: &ConfFiles) -> String {
    conf.nix_conf.with_file_name("netrc").into_string()
}

/// The line of our fragment that names the file, where it has to.
pub(super) fn line(desired: &Desired, observed: &Observed) -> Option<String> {
    let mut caches = desired.caches.values();
    let conf = desired.conf.as_ref()?;
    if !conf.user || !caches.any(|cache| cache.place.service().is_some_and(is_private)) {
        return None;
    }
    let file = netrc_file(desired, observed.nix.present())?;
    (file == beside(conf)).then(|| format!("netrc-file = {file}"))
}

/// Whether a service shows a cache to nobody without a token.
#[must_use]
pub fn is_private(service: &Service) -> bool {
    service.visibility == Visibility::Private
}

fn login_address(cache: &CacheName) -> Address {
    Address::new(Phase::Setup, cache.as_str(), "login")
}

/// Plans the entry of one cache.
pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    (name, cache, service): (&CacheName, &Cache, &Service),
    changes: &mut Changes,
) {
    debug_assert_eq!(cache.place.service(), Some(service));
    let because = desired.because(
        format!("{name} is private, and Nix needs its token"),
        &format!("/caches/{name}/visibility"),
    );
    let login = match observed.logins.get(name) {
        Some(Observation::Present(login)) => login,
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: format!("{name} login"),
                why: why.clone(),
                effect: "whether Nix may read the cache is not known".to_owned(),
            });
            return;
        }
        Some(Observation::Absent) | None => return,
    };
    let replaces = match &login.entry {
        Entry::Same => return,
        Entry::Other => true,
        Entry::Missing => false,
        Entry::Contested { with } => {
            changes.refusals.push(Refusal {
                steps: vec![login_address(name), login_address(with)],
                code: TWO_TOKENS.to_owned(),
                text: format!(
                    "{with} and {name} are private caches on {}, each with a token of its own; Nix sends one \
                     token to a host",
                    login.host
                ),
                help: format!(
                    "give both the same `token`, one that may read both, or serve {name} under another host"
                ),
            });
            return;
        }
    };
    if !login.writable {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: login.file.clone(),
            text: format!(
                "Nix finds there the token of {name}, which is private; this user may not write it, so whoever \
                 may puts this line in front, with the token, and keeps the file from everybody else (0600):"
            ),
            lines: vec![format!("machine {} login cachix password TOKEN", login.host)],
            because,
        });
        return;
    }
    let op = Op::WriteLogin {
        cache: name.clone(),
        path: login.file.clone(),
        host: login.host.clone(),
        replaces,
    };
    changes
        .steps
        .push(step(login_address(name), Scope::Machine, op, because));
}

#[cfg(test)]
mod tests;
