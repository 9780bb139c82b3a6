//! The setup phase: cache folders, signing keys, and the nix.conf fragment that makes Nix use them.
//!
//! `nanna-cache.conf` is ours as a whole; in nix.conf one line is ours. `extra-` settings only ever add to
//! what the user has. The order of asking acts through priorities, never through the order of the list.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::address::{Address, Phase};
use super::change::Changes;
use super::desired::{Cache, ConfFiles, Desired, Signing};
use super::observed::{FileFacts, NixFacts, Observation, Observed, Why};
use super::plan::{Advice, Refusal, Unknown};
use super::step::{Effect, Known, Op, Scope, Step};
use crate::config::model::{CacheName, NixConf};
use crate::config::secret::SecretRef;
use crate::nix::cache_info::CacheInfo;
fn ensure_include(text: &str, name: &str) -> Option<String> {
    if text.contains(name) {
        None
    } else {
        Some(format!("{text}!include {name}\n"))
    }
}
use crate::nix::store_path::StoreDir;

/// First line of every file that is ours as a whole.
pub const MARKER: &str = "# Managed by nanna-cache";

/// The head of such a file.
pub(super) const HEADER: &str = "# Managed by nanna-cache from the cache.yaml of {project}: edit that, not this; what is written\n\
     # here by hand is overwritten.\n";

/// Name of the settings fragment beside nix.conf.
const FRAGMENT: &str = "nanna-cache.conf";
/// Name of the tuning file beside nix.conf.
const TUNING: &str = "nanna-cache-tuning.conf";

/// The addresses of the steps that make a cache usable; every push waits for them.
#[must_use]
pub fn cache_addresses(cache: &CacheName) -> Vec<Address> {
    vec![cache_address(cache), key_address(cache)]
}

fn cache_address(cache: &CacheName) -> Address {
    Address::new(Phase::Setup, cache.as_str(), "cache")
}

fn key_address(cache: &CacheName) -> Address {
    Address::new(Phase::Setup, cache.as_str(), "signing-key")
}

/// Plans cache folders, keys and nix.conf.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Changes {
    let mut changes = Changes::default();
    for (name, cache) in &desired.caches {
        folder(desired, observed, name, cache, &mut changes);
        if let Some(signing) = &cache.signing {
            key(desired, observed, name, signing, &mut changes);
        }
    }
    if let Some(conf) = &desired.conf {
        fragment(desired, observed, conf, &mut changes);
        include(desired, observed, conf, &mut changes);
        trust(desired, observed, conf, &mut changes);
    }
    changes
}

fn step(address: Address, scope: Scope, op: Op, because: super::step::Because) -> Step {
    Step {
        address,
        phase: Phase::Setup,
        scope,
        op,
        because,
        effect: Effect::default(),
        known: Known::Now,
        revision: None,
        waits_for: Vec::new(),
    }
}

/// The folder of a cache, its `nix-cache-info`, and the folders that an opening Nix would make.
fn folder(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
    cache: &Cache,
    changes: &mut Changes,
) {
    let store_dir = &desired.site.store;
    let priority = i32::try_from(cache.nix_priority).unwrap_or(i32::MAX);
    let wanted = CacheInfo::new(store_dir, true, priority).to_string();
    let (before, info) = match observed.caches.get(name) {
        Some(Observation::Absent) => (None, wanted),
        Some(Observation::Present(content)) => match &content.info {
            None => (None, wanted),
            Some(text) => match revised_info(text, store_dir, priority) {
                Ok(info) if info == *text && content.folders => return,
                Ok(info) => (Some(text.clone()), info),
                Err(text) => {
                    changes.refusals.push(Refusal {
                        steps: Vec::new(),
                        code: "setup-other-store".to_owned(),
                        text: format!("{} {text}", cache.folder),
                        help: format!("give caches.{name}.path another folder"),
                    });
                    return;
                }
            },
        },
        // Push and prune name an unseen cache; setup has nothing to add.
        Some(Observation::Unknown(_)) | None => return,
    };
    let because = desired.because(
        format!("cache {name} is declared"),
        &format!("/caches/{name}"),
    );
    let folder = cache.folder.to_string();
    let op = Op::CreateCache {
        cache: name.clone(),
        folder,
        before,
        info,
    };
    changes
        .steps
        .push(step(cache_address(name), cache.scope, op, because));
}

/// The same cache info with our priority; whatever else stands in it stays.
fn revised_info(text: &str, store_dir: &StoreDir, priority: i32) -> Result<String, String> {
    let mut info = match CacheInfo::parse(text) {
        Ok(info) => info,
        Err(_) => return Ok(CacheInfo::new(store_dir, true, priority).to_string()),
    };
    match info.store_dir() {
        Some(dir) if dir != store_dir.as_str() => {
            return Err(format!("is a cache of the store {dir}, not of {store_dir}"));
        }
        _ => {}
    }
    info.set_priority(priority);
    Ok(info.to_string())
}

fn key(
    desired: &Desired,
    observed: &Observed,
    name: &CacheName,
    signing: &Signing,
    changes: &mut Changes,
) {
    let setting = format!("/caches/{name}/signing-key");
    match observed.keys.get(name) {
        Some(Observation::Unknown(why)) => changes.unknowns.push(Unknown {
            what: format!("signing key of {name}"),
            why: why.clone(),
            effect: "nothing can be signed with it".to_owned(),
        }),
        Some(Observation::Absent) => {
            let SecretRef::File(path) = &signing.secret else {
                return;
            };
            if signing.generate && !observed.environment.ci {
                let because = desired.because("the signing key is to be generated", &setting);
                let op = Op::GenerateKey {
                    cache: name.clone(),
                    path: path.clone(),
                    name: signing.name.clone(),
                };
                changes
                    .steps
                    .push(step(key_address(name), Scope::Machine, op, because));
                return;
            }
            let (text, help) = if signing.generate {
                (
                    format!("the signing key {path} is missing, and keys are not generated in CI"),
                    "a key made here would die with the job: hand it in as a secret".to_owned(),
                )
            } else {
                (
                    format!("the signing key {path} is missing"),
                    format!("put it there, or set caches.{name}.signing-key.generate to true"),
                )
            };
            changes.refusals.push(Refusal {
                steps: Vec::new(),
                code: "setup-key-missing".to_owned(),
                text,
                help,
            });
        }
        Some(Observation::Present(_)) | None => {}
    }
}

/// The substituters that we add, with their priorities, in the order of asking.
pub(super) fn substituters(desired: &Desired) -> Vec<(String, u32)> {
    let folders = desired
        .caches
        .values()
        .map(|cache| (format!("file://{}", cache.folder), cache.nix_priority));
    let upstreams = desired.upstreams.iter().map(|(name, upstream)| {
        let setting = format!("/caches/{name}/nix-priority");
        let given = desired.config.places.keys.contains_key(&setting);
        let url = if given {
            let sign = if upstream.url.contains('?') { '&' } else { '?' };
            format!("{}{sign}priority={}", upstream.url, upstream.nix_priority)
        } else {
            upstream.url.clone()
        };
        (url, upstream.nix_priority)
    });
    let mut all: Vec<(String, u32)> = folders.chain(upstreams).collect();
    all.sort_by_key(|(_, priority)| *priority);
    all
}

/// The public keys that we add; `Err` names what is not known yet.
struct Keys {
    keys: BTreeSet<String>,
    generated: Vec<Address>,
    unknown: Option<Why>,
}

fn keys(desired: &Desired, observed: &Observed) -> Keys {
    let mut keys = Keys {
        keys: BTreeSet::new(),
        generated: Vec::new(),
        unknown: None,
    };
    for (name, cache) in &desired.caches {
        keys.keys
            .extend(cache.public_keys.iter().map(ToString::to_string));
        let Some(signing) = &cache.signing else {
            continue;
        };
        match observed.keys.get(name) {
            Some(Observation::Present(key)) => {
                keys.keys.insert(key.to_string());
            }
            Some(Observation::Absent) if signing.generate && !observed.environment.ci => {
                keys.generated.push(key_address(name));
            }
            // A declared public key stands in for a secret one that this machine does not have.
            Some(Observation::Unknown(why)) if cache.public_keys.is_empty() => {
                keys.unknown = Some(why.clone());
            }
            Some(Observation::Absent | Observation::Unknown(_)) | None => {}
        }
    }
    for upstream in desired.upstreams.values() {
        keys.keys
            .extend(upstream.public_keys.iter().map(ToString::to_string));
    }
    keys
}

fn fragment_text(desired: &Desired, keys: &Keys) -> String {
    let mut text = HEADER.replace("{project}", &desired.config.project);
    let substituters: Vec<String> = substituters(desired)
        .into_iter()
        .map(|(url, _)| url)
        .collect();
    if !substituters.is_empty() {
        let _ = writeln!(text, "extra-substituters = {}", substituters.join(" "));
    }
    let mut words: Vec<String> = keys.keys.iter().cloned().collect();
    words.extend(
        keys.generated
            .iter()
            .map(|step| format!("(known after {step})")),
    );
    if !words.is_empty() {
        let _ = writeln!(text, "extra-trusted-public-keys = {}", words.join(" "));
    }
    let _ = writeln!(text, "!include {TUNING}");
    text
}

/// Whether a file that should be ours as a whole may be written.
pub(super) enum Own {
    /// Yes; this is its text now.
    Write(Option<String>),
    /// No; the reason has been said.
    Leave,
}

/// Looks whether a file is ours, absent, or somebody else's.
pub(super) fn own_file(
    path: &str,
    known: Option<&Observation<FileFacts>>,
    changes: &mut Changes,
) -> Own {
    match known {
        Some(Observation::Absent) => Own::Write(None),
        Some(Observation::Present(file)) if file.text.starts_with(MARKER) => {
            Own::Write(Some(file.text.clone()))
        }
        Some(Observation::Present(_)) => {
            changes.refusals.push(Refusal {
                steps: Vec::new(),
                code: "setup-foreign-file".to_owned(),
                text: format!("{path} exists and does not begin with `{MARKER}`: it is not ours"),
                help: "move it away, or choose another folder with setup.nix-conf".to_owned(),
            });
            Own::Leave
        }
        Some(Observation::Unknown(why)) => {
            changes.unknowns.push(Unknown {
                what: path.to_owned(),
                why: why.clone(),
                effect: "it is not written".to_owned(),
            });
            Own::Leave
        }
        None => Own::Leave,
    }
}

fn fragment(desired: &Desired, observed: &Observed, conf: &ConfFiles, changes: &mut Changes) {
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
    let before = match own_file(path, observed.files.get(path), changes) {
        Own::Write(before) => before,
        Own::Leave => return,
    };
    let after = fragment_text(desired, &keys);
    if before.as_deref() == Some(after.as_str()) {
        return;
    }
    let because = desired.because("the declared caches, for Nix", "/setup/nix-conf");
    let op = Op::WriteFile {
        path: path.to_owned(),
        before,
        after,
    };
    let address = Address::new(Phase::Setup, "nix", "fragment");
    let mut fragment = step(address, Scope::Machine, op, because);
    if !keys.generated.is_empty() {
        fragment.waits_for.clone_from(&keys.generated);
        fragment.known = Known::After {
            steps: keys.generated,
            cap: None,
        };
    }
    changes.steps.push(fragment);
}

/// The one line in nix.conf that is ours.
fn include(desired: &Desired, observed: &Observed, conf: &ConfFiles, changes: &mut Changes) {
    let path = conf.nix_conf.as_str();
    let because = desired.because("nix.conf includes the fragment", "/setup/nix-conf");
    let line = format!("!include {FRAGMENT}");
    let (before, text) = match observed.files.get(path) {
        Some(Observation::Absent) => (None, ""),
        Some(Observation::Present(file)) => (Some(file.text.clone()), file.text.as_str()),
        Some(Observation::Unknown(why)) => {
            changes.unknowns.push(Unknown {
                what: path.to_owned(),
                why: why.clone(),
                effect: "it is not edited".to_owned(),
            });
            return;
        }
        None => return,
    };
    let Some(after) = ensure_include(text, FRAGMENT) else {
        return;
    };
    if let Some(Observation::Present(file)) = observed.files.get(path)
        && let Some(why) = why_not_edit(file)
    {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: path.to_owned(),
            text: format!("{why}; add the line yourself where its owner keeps settings"),
            lines: vec![format!("!include {}", conf.fragment)],
            because,
        });
        return;
    }
    let op = Op::EditFile {
        path: path.to_owned(),
        before,
        after,
    };
    let mut edit = step(
        Address::new(Phase::Setup, "nix", "nix.conf"),
        Scope::Machine,
        op,
        because,
    );
    edit.waits_for = vec![Address::new(Phase::Setup, "nix", "fragment")];
    changes.steps.push(edit);
    let daemon = observed.nix.present().is_some_and(|nix| nix.daemon);
    if daemon && !conf.user {
        changes.advice.push(Advice {
            phase: Phase::Setup,
            about: "nix-daemon".to_owned(),
            text: format!("it reads {line} only when it starts: restart it after the apply"),
            lines: vec!["systemctl restart nix-daemon".to_owned()],
            because: desired.because("nix.conf changes", "/setup/nix-conf"),
        });
    }
}

fn why_not_edit(file: &FileFacts) -> Option<String> {
    if let Some(managed) = &file.managed {
        return Some(managed.clone());
    }
    (!file.writable).then(|| "this user may not write it".to_owned())
}

/// What the daemon would drop because it does not trust the user: advice for its administrator,
/// never the advice to become a trusted user.
fn trust(desired: &Desired, observed: &Observed, conf: &ConfFiles, changes: &mut Changes) {
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
    let urls: Vec<String> = substituters(desired)
        .into_iter()
        .map(|(url, _)| url)
        .filter(|url| !allowed.contains(url.trim_end_matches('/')))
        .collect();
    let trusted = words(nix, &["trusted-public-keys"], observed, conf);
    let keys: Vec<String> = keys(desired, observed)
        .keys
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

/// What the daemon itself has of some list settings: what comes from the user's own files does not
/// count.
fn words(
    nix: &NixFacts,
    names: &[&str],
    observed: &Observed,
    conf: &ConfFiles,
) -> BTreeSet<String> {
    let included = is_included(observed, conf);
    let fragment = observed.files.get(conf.fragment.as_str());
    let fragment = fragment.and_then(Observation::present).filter(|_| included);
    let mut found = BTreeSet::new();
    for name in names {
        let Some(setting) = nix.settings.get(*name) else {
            continue;
        };
        let ours = format!("extra-{name} = ");
        let ours = fragment
            .and_then(|file| file.text.lines().find_map(|line| line.strip_prefix(&ours)))
            .unwrap_or_default();
        // Nix keeps repeats: a word that others give as well stands there once more than ours.
        let times = |text: &str, word: &str| text.split_whitespace().filter(|w| *w == word).count();
        let all = setting.value.split_whitespace();
        let others = all.filter(|word| times(&setting.value, word) > times(ours, word));
        found.extend(others.map(|word| word.trim_end_matches('/').to_owned()));
    }
    found
}

/// Whether nix.conf includes our fragment now.
pub(super) fn is_included(observed: &Observed, conf: &ConfFiles) -> bool {
    let file = observed
        .files
        .get(conf.nix_conf.as_str())
        .and_then(Observation::present);
    file.is_some_and(|file| ensure_include(&file.text, FRAGMENT).is_none())
}

/// The substituters that our fragment adds now.
pub(super) fn included_substituters(observed: &Observed, conf: &ConfFiles) -> BTreeSet<String> {
    if !is_included(observed, conf) {
        return BTreeSet::new();
    }
    let file = observed
        .files
        .get(conf.fragment.as_str())
        .and_then(Observation::present);
    file.into_iter()
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.strip_prefix("extra-substituters = "))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}
