//! Small worlds for tests: a `cache.yaml` in a few words, paths by name, ages in days.
//!
//! A path is named by a word (`gold-a`); its hash part comes from that word. An item is written as
//! `name size reference…`. Times are days before [`NOW`].

use super::desired::{Desired, Extra, Site};
use super::make;
use super::observed::{CacheContent, Environment, Observation, Observed, OutputFacts};
use super::plan::Plan;
use super::simulate::{Item, SimCache, SimNarinfo, World};
use super::step::Step;
use super::time::Time;
use crate::config::model::{CacheName, ClassName, PinName};
use crate::nix::hash::Sha256;
use crate::nix::key::{PublicKey, SecretKey};
use crate::nix::store_path::{HashPart, StorePath};

pub(crate) const NOW: Time = Time(1_800_000_000);
pub(crate) const DAY: i64 = 86_400;

/// What stands in a `cache.yaml` unless a test says otherwise.
const SECTIONS: &[(&str, &str)] = &[
    ("version", "version: 1"),
    ("project", "project: demo"),
    ("systems", "systems: [x86_64-linux, aarch64-linux]"),
    (
        "caches",
        "caches:\n  dev: { type: file, tier: 3, path: /cache/dev, nix-priority: 30 }\n  up: { type: upstream, url: https://up.example, public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }",
    ),
    (
        "artifacts",
        "artifacts:\n  gold: { priority: 100, retention: 100d, match: ['-gold'] }\n  silver: { priority: 50, retention: 50d, match: ['-silver'] }\n  dust: { priority: 10, retention: 10d, default: true }",
    ),
    ("setup", "setup: { nix-conf: none }"),
];

/// A `cache.yaml` of these sections and the usual others, resolved for a site.
pub(crate) fn desired(sections: &str) -> Desired {
    desired_with(sections, Extra::default())
}

pub(crate) fn desired_with(sections: &str, extra: Extra) -> Desired {
    let mut text = String::new();
    for (key, usual) in SECTIONS {
        let given = sections
            .lines()
            .any(|line| line.starts_with(&format!("{key}:")));
        if !given {
            text.push_str(usual);
            text.push('\n');
        }
    }
    text.push_str(sections);
    let (config, _) = match crate::config::read("cache.yaml", text.as_bytes()) {
        Ok(read) => read,
        Err(problems) => {
            let all: Vec<_> = problems.iter().map(|problem| &problem.message).collect();
            panic!("{all:?} in\n{text}");
        }
    };
    Desired::new(config, site(), extra)
}

pub(crate) fn site() -> Site {
    Site {
        home: "/home/me".into(),
        base: "/home/me/project".into(),
        user_conf: "/home/me/.config/nix".into(),
        system_conf: "/etc/nix".into(),
        system: "x86_64-linux".to_owned(),
    }
}

pub(crate) fn cache(name: &str) -> CacheName {
    CacheName::new(name)
}

pub(crate) fn class(name: &str) -> ClassName {
    ClassName::new(name)
}

pub(crate) fn hash(word: &str) -> HashPart {
    let digest = Sha256::of(word.as_bytes());
    HashPart::from_bytes(digest.0[..20].try_into().unwrap())
}

pub(crate) fn path(word: &str) -> StorePath {
    StorePath::new(hash(word), word).unwrap()
}

pub(crate) fn key(name: &str) -> PublicKey {
    SecretKey::generate(name, [7; 32]).unwrap().public()
}

/// So many days before [`NOW`].
pub(crate) fn ago(days: i64) -> Time {
    Time(NOW.0 - days * DAY)
}

/// `name size reference…`
pub(crate) fn item(text: &str) -> Item {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap();
    Item {
        path: path(name),
        nar_size: words.next().map_or(100, |size| size.parse().unwrap()),
        references: words.map(hash).collect(),
    }
}

/// A world without anything in it, but with an empty cache `dev`.
pub(crate) fn world() -> World {
    let mut world = World {
        now: NOW,
        store: std::collections::BTreeMap::new(),
        builds: std::collections::BTreeMap::new(),
        outputs: std::collections::BTreeMap::new(),
        directories: std::collections::BTreeMap::new(),
        upstreams: std::collections::BTreeMap::new(),
        caches: std::collections::BTreeMap::new(),
        files: std::collections::BTreeMap::new(),
        keys: std::collections::BTreeMap::new(),
        future_keys: std::collections::BTreeMap::new(),
        environment: Environment::default(),
        hidden: std::collections::BTreeSet::new(),
    };
    world.cache("dev").info =
        Some("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n".to_owned());
    world
}

impl World {
    pub(crate) fn cache(&mut self, name: &str) -> &mut SimCache {
        self.caches.entry(cache(name)).or_default()
    }

    /// Puts items into the local store.
    pub(crate) fn with_store(mut self, items: &[&str]) -> Self {
        for text in items {
            let item = item(text);
            self.store.insert(item.path.hash(), item);
        }
        self
    }

    /// Puts items of this age into `dev`, with NARs of their size.
    pub(crate) fn with_cached(mut self, days: i64, items: &[&str]) -> Self {
        for text in items {
            let item = item(text);
            let nar = format!("nar/{}.nar.zst", item.path.name());
            let at = ago(days);
            let dev = self.cache("dev");
            dev.nars.insert(nar.clone(), (item.nar_size, at));
            dev.narinfos.insert(
                item.path.hash(),
                SimNarinfo {
                    item,
                    nar,
                    modified: at,
                },
            );
        }
        self
    }

    /// Writes root records of this age into `dev`.
    pub(crate) fn with_roots(mut self, days: i64, of: &str, names: &[&str]) -> Self {
        for name in names {
            let key = (class(of), hash(name));
            self.cache("dev").roots.insert(key, ago(days));
        }
        self
    }

    /// Writes a pin record of this age into `dev`.
    pub(crate) fn with_pin(mut self, days: i64, project: &str, pin: &str, name: &str) -> Self {
        let key = (PinName::new(pin), hash(name));
        self.cache("dev")
            .pins
            .insert(key, (ago(days), project.to_owned()));
        self
    }

    pub(crate) fn with_upstream(mut self, names: &[&str]) -> Self {
        let has = names.iter().map(|name| hash(name)).collect();
        self.upstreams.insert(cache("up"), has);
        self
    }

    /// Says that an installable evaluates to these outputs.
    pub(crate) fn with_output(mut self, installable: &str, names: &[&str]) -> Self {
        let outputs = names
            .iter()
            .enumerate()
            .map(|(at, name)| (format!("out{at}"), path(name)))
            .collect();
        self.outputs.insert(
            installable.to_owned(),
            OutputFacts {
                drv: Some(path("x.drv")),
                outputs,
                system: Some("x86_64-linux".to_owned()),
            },
        );
        self
    }

    pub(crate) fn hide(mut self, what: &str) -> Self {
        self.hidden.insert(what.to_owned());
        self
    }

    pub(crate) fn plan(&self, desired: &Desired) -> Plan {
        make::plan(desired, &self.observe(desired), "digest")
    }
}

/// What was seen of `dev`, to be changed.
pub(crate) fn dev(observed: &mut Observed) -> &mut CacheContent {
    match observed.caches.get_mut(&cache("dev")) {
        Some(Observation::Present(content)) => content,
        other => panic!("dev is {other:?}"),
    }
}

/// The step with this address.
pub(crate) fn find<'s>(steps: &'s [Step], address: &str) -> &'s Step {
    steps
        .iter()
        .find(|step| step.address.as_str() == address)
        .unwrap_or_else(|| panic!("{address} is not among {:?}", addresses(steps)))
}

pub(crate) fn addresses(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.address.as_str()).collect()
}

/// Names of paths, as they come.
pub(crate) fn names<'p>(paths: impl IntoIterator<Item = &'p StorePath>) -> Vec<&'p str> {
    paths.into_iter().map(StorePath::name).collect()
}
