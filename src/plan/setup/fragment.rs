//! `nanna-cache.conf`: the substituters and public keys that we add, in a file that is ours as a whole.

use std::collections::BTreeSet;

use super::key::{self, State};
use super::{Own, ask, login, nearest, own_file, section, step};
use crate::config::model::CacheName;
use crate::plan::address::{Address, Phase, fragment_address, key_address};
use crate::plan::change::Changes;
use crate::plan::desired::{Cache, ConfFiles, Desired};
use crate::plan::observed::{Observed, Why};
use crate::plan::plan::Unknown;
use crate::plan::step::{Known, Op, Scope};

/// Name of the tuning file beside nix.conf.
pub(super) const TUNING: &str = "nanna-cache-tuning.conf";

/// Whether no public key of a cache is known, because its signing key is not here: Nix would ask the
/// cache and trust nothing that it has.
fn is_keyless(desired: &Desired, observed: &Observed, name: &CacheName, cache: &Cache) -> bool {
    let managed = cache.place.service().is_some() && cache.signing.is_none();
    cache.public_keys.is_empty() && managed
        || cache.public_keys.is_empty()
            && cache.signing.as_ref().is_some_and(|signing| {
                let state = key::state(desired, observed, name, signing);
                matches!(state, Some(State::Missing))
                    && section::key_named(desired, observed, &signing.name).is_none()
            })
}

/// The substituters that we add, with their priorities, in the order of asking.
pub(in crate::plan) fn substituters(desired: &Desired, observed: &Observed) -> Vec<(String, u32)> {
    let turns = nearest::turns(desired, observed);
    let folders = desired
        .caches
        .iter()
        .filter(|(name, cache)| !is_keyless(desired, observed, name, cache))
        .map(|(name, cache)| {
            let url = cache.place.substituter();
            // The first is asked by the priority that its own nix-cache-info says.
            match turns.get(name).filter(|turn| **turn > 0) {
                None => (url, cache.nix_priority),
                Some(turn) => {
                    let priority = cache.nix_priority.saturating_add(*turn);
                    (with_priority(&url, priority), priority)
                }
            }
        });
    let upstreams = desired.upstreams.iter().map(|(name, upstream)| {
        let setting = format!("/caches/{name}/nix-priority");
        let given = desired.config.places.keys.contains_key(&setting);
        let url = if given {
            with_priority(&upstream.url, upstream.nix_priority)
        } else {
            upstream.url.clone()
        };
        (url, upstream.nix_priority)
    });
    let mut all: Vec<(String, u32)> = folders.chain(upstreams).collect();
    all.sort_by_key(|(_, priority)| *priority);
    all
}

pub(in crate::plan) fn with_priority(url: &str, priority: u32) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}priority={priority}")
}

/// The public keys that we add, and what is not known yet.
pub(super) struct Keys {
    pub(super) known: BTreeSet<String>,
    generated: Vec<Address>,
    unknown: Option<Why>,
}

pub(super) fn keys(desired: &Desired, observed: &Observed) -> Keys {
    let mut keys = Keys {
        known: BTreeSet::new(),
        generated: Vec::new(),
        unknown: None,
    };
    for (name, cache) in &desired.caches {
        keys.known
            .extend(cache.public_keys.iter().map(ToString::to_string));
        let state = cache
            .signing
            .as_ref()
            .and_then(|signing| Some((signing, key::state(desired, observed, name, signing)?)));
        let Some((signing, state)) = state else {
            continue;
        };
        let why = match state {
            State::Here(key) => {
                keys.known.insert(key.to_string());
                continue;
            }
            State::Make => {
                keys.generated.push(key_address(name));
                continue;
            }
            State::Shared(maker) => {
                keys.generated.push(key_address(maker));
                continue;
            }
            State::Missing => None,
            State::Unseen(why) => Some(why),
            State::Lost(_) => Some(Why("the signing key is lost".to_owned())),
            State::Differs(_) => Some(Why("another key has signed the cache".to_owned())),
            State::Unusable(why) => Some(why.clone()),
        };
        // A declared public key stands in for a secret one that this machine does not have; else what
        // is trusted already stays so.
        if cache.public_keys.is_empty() {
            match section::key_named(desired, observed, &signing.name) {
                Some(key) => drop(keys.known.insert(key)),
                None => keys.unknown = keys.unknown.or(why),
            }
        }
    }
    keys.generated.sort();
    keys.generated.dedup();
    for upstream in desired.upstreams.values() {
        keys.known
            .extend(upstream.public_keys.iter().map(ToString::to_string));
    }
    keys
}

fn fragment_text(
    desired: &Desired,
    observed: &Observed,
    keys: &Keys,
    before: Option<&str>,
) -> String {
    let mut lines = Vec::new();
    let substituters: Vec<String> = substituters(desired, observed)
        .into_iter()
        .map(|(url, _)| url)
        .collect();
    if !substituters.is_empty() {
        lines.push(format!("extra-substituters = {}", substituters.join(" ")));
    }
    let mut words: Vec<String> = keys.known.iter().cloned().collect();
    words.extend(
        keys.generated
            .iter()
            .map(|step| format!("(known after {step})")),
    );
    if !words.is_empty() {
        lines.push(format!("extra-trusted-public-keys = {}", words.join(" ")));
    }
    lines.extend(login::line(desired, observed));
    let last = format!("!include {TUNING}");
    section::with(before, &desired.config.project, &lines, Some(&last))
}

pub(super) fn file(
    desired: &Desired,
    observed: &Observed,
    conf: &ConfFiles,
    changes: &mut Changes,
) {
    let path = conf.fragment.as_str();
    let keys = keys(desired, observed);
    if let Some(why) = &keys.unknown {
        changes.unknowns.push(Unknown {
            what: path.to_owned(),
            why: why.clone(),
            effect: "a public key is not known, so it is left as it is".to_owned(),
        });
        return;
    }
    let (before, why) = match own_file(path, fragment_address(), observed, changes) {
        Own::Write(before) => (before, None),
        Own::Ask(before, why) => (before, Some(why)),
        Own::Leave => return,
    };
    let after = fragment_text(desired, observed, &keys, before.as_deref());
    if before.as_deref() == Some(after.as_str()) {
        return;
    }
    let mut rule = "the declared caches, for Nix".to_owned();
    for order in nearest::orders(desired, observed) {
        rule = format!("{rule}; {}", order.words());
    }
    let because = desired.because(rule, "/setup/nix-conf");
    if let Some(why) = why {
        ask(Phase::Setup, path, (why, &after), because, changes);
        return;
    }
    let op = Op::WriteFile {
        path: path.to_owned(),
        before,
        after,
    };
    let mut fragment = step(fragment_address(), Scope::Machine, op, because);
    if !keys.generated.is_empty() {
        fragment.waits_for.clone_from(&keys.generated);
        fragment.known = Known::After {
            steps: keys.generated,
            cap: None,
        };
    }
    changes.steps.push(fragment);
}
