//! Signing keys: made here if that is asked for and no such key has been at work before.
//!
//! Nix finds a key by its name. A second key of the same name would make whoever trusts the first one
//! refuse what the second signs, so neither is a lost key made anew, nor is anything signed with a
//! stranger of that name.

use super::{section, step};
use crate::config::model::CacheName;
use crate::config::secret::SecretRef;
use crate::nix::key::PublicKey;
use crate::plan::address::key_address;
use crate::plan::change::Changes;
use crate::plan::desired::{Desired, Signing};
use crate::plan::observed::{CacheContent, Observation, Observed, Why};
use crate::plan::plan::{Refusal, Unknown};
use crate::plan::step::{Op, Scope, Step};

/// What a cache lacks to be signed. `make` narrows these refusals to what would be signed.
pub(in crate::plan) const MISSING: &str = "setup-key-missing";
/// There is something in the key's place that is no key.
pub(in crate::plan) const UNUSABLE: &str = "setup-key-unusable";
/// The key at hand is not the one of that name that has signed the cache.
pub(in crate::plan) const DIFFERS: &str = "setup-key-differs";
/// The key that has signed the cache is gone. Always a refusal: it would have been made anew.
pub(in crate::plan) const LOST: &str = "setup-key-lost";

/// How it stands with the signing key of a cache.
pub(super) enum State<'o> {
    /// It is there.
    Here(&'o PublicKey),
    /// It is to be made.
    Make,
    /// It is to be made, by the step of this cache: the first one that has this file.
    Shared(&'o CacheName),
    /// It is to be made, but whether there was one before cannot be seen.
    Unseen(Why),
    /// It was to be made, but so many paths bear its name.
    Lost(u64),
    /// Another key of its name has signed so many paths, all that were looked at.
    Differs(u64),
    /// It is not there, and not to be made here.
    Missing,
    /// What is there cannot be used.
    Unusable(&'o Why),
}

/// How it stands with the signing key of a cache; `None`: nobody looked.
pub(super) fn state<'o>(
    desired: &'o Desired,
    observed: &'o Observed,
    name: &CacheName,
    signing: &Signing,
) -> Option<State<'o>> {
    let alone = alone(observed, name, signing)?;
    // Only what is to be made depends on who else has the file.
    let SecretRef::File(path) = &signing.secret else {
        return Some(alone);
    };
    if !matches!(alone, State::Make | State::Missing) {
        return Some(alone);
    }
    let mut maker = None;
    for (other, cache) in &desired.caches {
        let theirs = cache.signing.as_ref().filter(|theirs| {
            theirs.generate && matches!(&theirs.secret, SecretRef::File(file) if file == path)
        });
        let state = theirs.and_then(|theirs| self::alone(observed, other, theirs));
        let why = match state {
            Some(State::Make) => {
                maker = maker.or(Some(other));
                continue;
            }
            Some(State::Lost(_)) => "has lost it".to_owned(),
            Some(State::Unseen(why)) => format!("could not be seen: {}", why.0),
            _ => continue,
        };
        if other != name {
            let why = format!("{other}, which has the same signing key, {why}");
            return Some(State::Unseen(Why(why)));
        }
    }
    Some(match maker {
        Some(maker) if maker != name => State::Shared(maker),
        _ => alone,
    })
}

/// How it stands with the key as far as its own cache says.
fn alone<'o>(observed: &'o Observed, name: &CacheName, signing: &Signing) -> Option<State<'o>> {
    let cache = observed.caches.get(name);
    let signed = cache
        .and_then(Observation::present)
        .and_then(|content| content.signed.as_ref());
    Some(match observed.keys.get(name)? {
        Observation::Unknown(why) | Observation::Error(why) => State::Unusable(why),
        Observation::Present(key) => match signed.filter(|signed| signed.name == key.name()) {
            Some(signed) if signed.paths > 0 && signed.verified == 0 => {
                State::Differs(signed.paths)
            }
            _ => State::Here(key),
        },
        Observation::Absent if !signing.generate || observed.environment.ci => State::Missing,
        Observation::Absent => match signed.filter(|signed| signed.name == signing.name) {
            Some(signed) if signed.paths > 0 => State::Lost(signed.paths),
            _ => match cache.and_then(unseen) {
                Some(why) => State::Unseen(why.clone()),
                None => State::Make,
            },
        },
    })
}

fn unseen(cache: &Observation<CacheContent>) -> Option<&Why> {
    match cache {
        Observation::Unknown(why) | Observation::Error(why) => Some(why),
        Observation::Present(content) => content.partial.as_ref(),
        Observation::Absent => None,
    }
}

/// Plans the signing key.
pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
    signing: &Signing,
    changes: &mut Changes,
) {
    let Some(state) = state(desired, observed, name, signing) else {
        return;
    };
    let setting = desired.config.words(&format!("/caches/{name}/signing-key"));
    let what = format!("signing key of {name}");
    let (code, text, help) = match state {
        State::Here(_) | State::Shared(_) => return,
        State::Make => {
            changes.steps.extend(generate(desired, name, signing));
            return;
        }
        State::Unseen(why) => {
            let text = format!(
                "{name} cannot be signed: its key is not there, and none is made, for whether there was one \
                 before is not known: {}",
                why.0
            );
            changes.unknowns.push(Unknown {
                what,
                why,
                effect: "whether there was one before is not known, so none is made".to_owned(),
            });
            let help = "mend what keeps the cache from being seen, or bring the key's file back";
            (UNUSABLE, text, help.to_owned())
        }
        State::Lost(paths) => {
            let text = format!(
                "the signing key {} is not there, but a key named {} has signed {} of {name}: whoever \
                 trusts that key would refuse what a new one of the same name signs",
                place(desired, signing),
                signing.name,
                counted(paths),
            );
            let mut help = format!(
                "bring its file back, or {}",
                another(&setting, &signing.name)
            );
            if let Some(old) = section::key_named(desired, observed, &signing.name) {
                help = format!("{help}: {old}");
            }
            (LOST, text, help)
        }
        State::Differs(paths) => {
            let own = observed.keys.get(name).and_then(Observation::present);
            let own = own.map_or("", PublicKey::name);
            let text = format!(
                "the signing key in {} is not the key named {own} that has signed {name} ({} looked at): \
                 whoever trusts that one would refuse what this one signs",
                place(desired, signing),
                counted(paths),
            );
            let help = if signing.generate {
                format!("bring the old key back, or {}", another(&setting, own))
            } else {
                format!(
                    "bring the old key back, or sign with a key of another name, and keep the old public \
                     key in {}",
                    public_keys(desired, name)
                )
            };
            (DIFFERS, text, help)
        }
        State::Missing if signing.generate => {
            let text = format!(
                "the signing key {} is missing, and keys are not generated in CI",
                place(desired, signing)
            );
            let help = "a key made here would die with the job: hand it in as a secret (signing-key: { env: NAME })";
            (MISSING, text, format!("{help}{}", left_out(desired, name)))
        }
        State::Missing => {
            let text = format!("the signing key {} is missing", place(desired, signing));
            let help = format!(
                "put it there, or set {setting}.generate to true{}",
                left_out(desired, name)
            );
            (MISSING, text, help)
        }
        State::Unusable(why) => {
            changes.unknowns.push(Unknown {
                what,
                why: why.clone(),
                effect: "nothing can be signed with it".to_owned(),
            });
            let text = format!("{name} cannot be signed: {}", why.0);
            (UNUSABLE, text, way_out(signing, &setting))
        }
    };
    changes.refusals.push(Refusal {
        // `make` puts what would be signed in the place of the key.
        steps: vec![key_address(name)],
        code: code.to_owned(),
        text,
        help,
    });
}

/// The step that makes a key.
fn generate(desired: &Desired, name: &CacheName, signing: &Signing) -> Option<Step> {
    let SecretRef::File(path) = &signing.secret else {
        return None;
    };
    let pointer = format!("/caches/{name}/signing-key");
    let because = desired.because("the signing key is to be generated", &pointer);
    let op = Op::GenerateKey {
        cache: name.clone(),
        path: path.clone(),
        name: signing.name.clone(),
    };
    Some(step(key_address(name), Scope::Machine, op, because))
}

/// What follows for Nix where no public key of the cache is known.
fn left_out(desired: &Desired, name: &CacheName) -> String {
    let known = desired
        .caches
        .get(name)
        .is_none_or(|cache| !cache.public_keys.is_empty());
    if known || desired.conf.is_none() {
        return String::new();
    }
    format!(
        "; until its public key is known, Nix is not told of {name}: who only reads it puts the key into {}",
        public_keys(desired, name)
    )
}

fn public_keys(desired: &Desired, name: &CacheName) -> String {
    desired.config.words(&format!("/caches/{name}/public-keys"))
}

fn place(desired: &Desired, signing: &Signing) -> String {
    match &signing.secret {
        SecretRef::File(path) => desired.site.shown(path),
        other => format!("(the {other})"),
    }
}

fn counted(paths: u64) -> String {
    match paths {
        1 => "1 path".to_owned(),
        many => format!("{many} paths"),
    }
}

fn another(setting: &str, name: &str) -> String {
    let cache = setting.trim_end_matches(".signing-key");
    format!(
        "give the new key another name ({setting}.name: {}) and keep the old public key in \
         {cache}.public-keys",
        next_name(name)
    )
}

/// The usual name of a key that follows this one: `dev-1`, `dev-2`.
fn next_name(name: &str) -> String {
    let next = name.rsplit_once('-').and_then(|(stem, number)| {
        let next = number.parse::<u32>().ok()?.checked_add(1)?;
        Some(format!("{stem}-{next}"))
    });
    next.unwrap_or_else(|| format!("{name}-2"))
}

fn way_out(signing: &Signing, setting: &str) -> String {
    match &signing.secret {
        SecretRef::File(_) => "put the secret key into it: one line NAME:BASE64, as \
                               `nix-store --generate-binary-cache-key` writes it"
            .to_owned(),
        SecretRef::Env(name) => format!("set {name} to the secret key, one line NAME:BASE64"),
        SecretRef::Command(_) => {
            format!("the command of {setting} has to print the secret key, one line NAME:BASE64")
        }
    }
}

#[cfg(test)]
mod tests;
