//! What a watched command of Nix's did, as the record of a run: names become classes, addresses become caches.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{Machine, sentence};
use crate::config::model::{CacheName, ClassName};
use crate::insight::run::{self, Built, FORMAT, Fetched, Origin, Outcome, Run, Substituted};
use crate::nix::derivation::Derivation;
use crate::nix::log::{Build, Facts, Substitution};
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::class::Classifier;
use crate::plan::desired::{Desired, TopSource};
use crate::plan::observed::Observation;
use crate::plan::time::Time;
use crate::provider::nix_store::{self, Details, Location};
use crate::sys::file;

/// Largest derivation that is read; those of whole systems have some megabytes.
const DERIVATION: u64 = 64 << 20;

/// What is known of a run besides what its log says.
#[derive(Clone, Debug)]
pub struct About {
    /// What was run, in a few words.
    pub what: String,
    /// When it began.
    pub start: Time,
    /// How long it took, in milliseconds; none: times of the log mean nothing.
    pub millis: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where and for what it ran.
    pub origin: Origin,
    /// Whether outputs are evaluated to know which class they belong to.
    pub evaluate: bool,
}

/// The record of a run with these facts. What cannot be seen (a derivation that is gone, a store elsewhere) is left
/// out of it.
#[must_use]
pub fn record(desired: &Desired, machine: &Machine, facts: &Facts, about: About) -> Run {
    let store = machine.store.as_ref().ok();
    let derivations = derivations(store, &facts.builds);
    let details = details(store, facts, &derivations);
    let mut classes = Classifier::new(&desired.config);
    if about.evaluate {
        name_outputs(desired, machine, &mut classes);
    }
    let scribe = Scribe {
        desired,
        store,
        derivations: &derivations,
        details: &details,
        classes: &classes,
        timed: about.millis.is_some(),
    };
    Run {
        format: FORMAT,
        project: desired.config.project.clone(),
        what: about.what,
        start: about.start,
        millis: about.millis,
        outcome: about.outcome,
        origin: about.origin,
        substituted: scribe.substituted(facts),
        built: scribe.built(facts),
        fetched: facts
            .fetches
            .iter()
            .map(|fetch| Fetched {
                url: public(&fetch.url),
                bytes: fetch.bytes,
                millis: scribe.millis(fetch.began, fetch.ended),
            })
            .collect(),
        pushed: Vec::new(),
        storage: Vec::new(),
    }
}

/// An address without what may be secret in it: login, query and fragment.
#[must_use]
pub fn public(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

fn derivations(store: Option<&Location>, builds: &[Build]) -> BTreeMap<String, Derivation> {
    let Some(store) = store else {
        return BTreeMap::new();
    };
    let read = |build: &Build| {
        let path = store.store.parse(&build.drv).ok()?;
        let bytes = file::read(store.on_disk(&path).as_std_path(), DERIVATION).ok()?;
        let derivation = Derivation::parse(&String::from_utf8_lossy(&bytes), &store.store).ok()?;
        Some((build.drv.clone(), derivation))
    };
    builds.iter().filter_map(read).collect()
}

fn details(
    store: Option<&Location>,
    facts: &Facts,
    derivations: &BTreeMap<String, Derivation>,
) -> BTreeMap<HashPart, Details> {
    let Some(store) = store else {
        return BTreeMap::new();
    };
    let fetched = facts.substitutions.iter().map(|it| it.path.as_str());
    let mut paths: BTreeSet<StorePath> = fetched
        .filter_map(|it| store.store.parse(it).ok())
        .collect();
    let outputs = derivations.values().flat_map(|it| &it.outputs);
    paths.extend(outputs.filter_map(|output| output.path.clone()));
    let paths: Vec<StorePath> = paths.into_iter().collect();
    nix_store::details(store, &paths).unwrap_or_else(|error| {
        tracing::warn!("sizes are not known: {}", sentence(&error));
        BTreeMap::new()
    })
}

/// Tells the classifier which paths the outputs of classes are.
fn name_outputs(desired: &Desired, machine: &Machine, classes: &mut Classifier<'_>) {
    let Ok(Some(nix)) = &machine.nix else {
        return;
    };
    let mut wanted: BTreeMap<String, &ClassName> = BTreeMap::new();
    for top in &desired.tops {
        if let (TopSource::Output(name), Some(class)) = (&top.source, &top.class) {
            wanted.entry(name.clone()).or_insert(class);
        }
    }
    if wanted.is_empty() {
        return;
    }
    let installables: Vec<String> = wanted.keys().cloned().collect();
    let (flake, base) = (&desired.config.flake, &desired.site.base);
    for (name, facts) in nix.evaluate(&installables, flake, base, &|| false) {
        if let (Observation::Present(facts), Some(class)) = (facts, wanted.get(&name)) {
            for path in facts.outputs.values() {
                classes.name(path.hash(), class);
            }
        }
    }
}

struct Scribe<'a> {
    desired: &'a Desired,
    store: Option<&'a Location>,
    derivations: &'a BTreeMap<String, Derivation>,
    details: &'a BTreeMap<HashPart, Details>,
    classes: &'a Classifier<'a>,
    timed: bool,
}

impl Scribe<'_> {
    fn millis(&self, began: u64, ended: Option<u64>) -> Option<u64> {
        let ended = ended.filter(|_| self.timed)?;
        Some(ended.saturating_sub(began))
    }

    /// Base name of a store path, as the log names it.
    fn base_name(&self, path: &str) -> String {
        let parsed = self.store.and_then(|it| it.store.parse(path).ok());
        parsed.map_or_else(
            || path.rsplit('/').next().unwrap_or(path).to_owned(),
            |path| path.to_string(),
        )
    }

    fn class(&self, base_name: &str) -> Option<ClassName> {
        let hash: HashPart = base_name.split('-').next()?.parse().ok()?;
        let id = self.classes.class(hash, base_name);
        Some(self.classes.name_of(id).clone())
    }

    fn details(&self, base_name: &str) -> Option<&Details> {
        self.details
            .get(&base_name.split('-').next()?.parse().ok()?)
    }

    /// The cache of `cache.yaml` that answers at this address, and its tier.
    fn cache(&self, url: &str) -> Option<(CacheName, Option<u8>)> {
        let url = public(url);
        let caches = self.desired.caches.iter();
        let caches = caches.map(|(name, cache)| (name, public(&cache.place.substituter())));
        let upstreams = self.desired.upstreams.iter();
        let upstreams = upstreams.map(|(name, cache)| (name, public(&cache.url)));
        let (name, _) = caches.chain(upstreams).find(|(_, its)| *its == url)?;
        let declared = self.desired.config.caches.get(name);
        Some((name.clone(), declared.and_then(|cache| cache.tier)))
    }

    fn substituted(&self, facts: &Facts) -> Vec<Substituted> {
        let is_there = |it: &Substitution, name: &str| {
            // What is not valid afterwards did not come; where nobody can look, the log has the last word.
            let known = self.details.is_empty() || self.details(name).is_some();
            !it.failed && it.ended.is_some() && known
        };
        let of = |it: &Substitution| {
            let path = self.base_name(&it.path);
            if !is_there(it, &path) {
                return None;
            }
            let (cache, tier) = self.cache(&it.url).unzip();
            let details = self.details(&path);
            Some(Substituted {
                class: self.class(&path),
                url: public(&it.url),
                cache,
                tier: tier.flatten(),
                deriver: details.and_then(|it| it.deriver.as_ref().map(ToString::to_string)),
                download: it.download,
                nar: it
                    .nar
                    .or_else(|| Some(details?.nar_size))
                    .filter(|size| *size > 0),
                millis: self.millis(it.began, it.ended),
                path,
            })
        };
        facts.substitutions.iter().filter_map(of).collect()
    }

    fn built(&self, facts: &Facts) -> Vec<Built> {
        let ready = self.ready(facts);
        let of = |build: &Build| {
            let derivation = self.derivations.get(&build.drv);
            let outputs = derivation.into_iter().flat_map(|it| &it.outputs);
            let outputs: Vec<run::Output> = outputs
                .filter_map(|output| output.path.as_ref())
                .map(|path| run::Output {
                    path: path.to_string(),
                    nar: self.details.get(&path.hash()).map(|it| it.nar_size),
                })
                .collect();
            // Something else may have built it since; what has not ended failed for this run.
            let missing = outputs.iter().any(|output| output.nar.is_none());
            let seen = !self.details.is_empty() && !outputs.is_empty();
            let mut inputs: Vec<String> = derivation
                .into_iter()
                .flat_map(|it| {
                    let drvs = it.inputs.iter().map(|(path, _)| path.to_string());
                    drvs.chain(it.sources.iter().map(ToString::to_string))
                })
                .collect();
            inputs.sort_unstable();
            let ready = ready.get(build.drv.as_str());
            Built {
                drv: self.base_name(&build.drv),
                class: outputs.first().and_then(|output| self.class(&output.path)),
                system: derivation.map(|it| it.system.clone()),
                machine: Some(build.machine.clone())
                    .filter(|machine| !machine.is_empty())
                    .map(|it| public(&it)),
                millis: self.millis(build.began, build.ended),
                queued: ready
                    .filter(|_| self.timed)
                    .map(|ready| build.began.saturating_sub(*ready)),
                began: self.timed.then_some(build.began),
                failed: build.failed || build.ended.is_none() || (seen && missing),
                inputs,
                outputs,
            }
        };
        facts.builds.iter().map(of).collect()
    }

    /// When all was there that a derivation needs, as far as this run made or fetched it.
    fn ready<'f>(&self, facts: &'f Facts) -> BTreeMap<&'f str, u64> {
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for build in &facts.builds {
            if let (Some(end), Some(derivation)) = (build.ended, self.derivations.get(&build.drv)) {
                let paths = derivation.outputs.iter().filter_map(|it| it.path.as_ref());
                ends.extend(paths.map(|path| (path.to_string(), end)));
                ends.insert(self.base_name(&build.drv), end);
            }
        }
        for fetched in &facts.substitutions {
            if let Some(end) = fetched.ended {
                let path = self.base_name(&fetched.path);
                if let Some(deriver) = self.details(&path).and_then(|it| it.deriver.as_ref()) {
                    ends.insert(deriver.to_string(), end);
                }
                ends.insert(path, end);
            }
        }
        // Before the first of all is at work, Nix evaluates and asks.
        let builds = facts.builds.iter().map(|it| it.began);
        let first = builds
            .chain(facts.substitutions.iter().map(|it| it.began))
            .min();
        let first = first.unwrap_or(0);
        let of = |build: &'f Build| {
            let derivation = self.derivations.get(&build.drv)?;
            let drvs = derivation.inputs.iter().map(|(path, _)| path);
            let needs = drvs.chain(&derivation.sources);
            let last = needs.filter_map(|path| ends.get(&path.to_string())).max();
            Some((build.drv.as_str(), last.copied().unwrap_or(first)))
        };
        facts.builds.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::public;

    #[test]
    fn nothing_secret_of_an_address_is_recorded() {
        for (url, kept) in [
            (
                "https://user:pass@host.example/a/?token=x#y",
                "https://host.example/a",
            ),
            ("s3://bucket?profile=p&endpoint=e", "s3://bucket"),
            ("file:///var/cache/", "file:///var/cache"),
            ("ssh://root@builder", "ssh://builder"),
            ("daemon", "daemon"),
        ] {
            assert_eq!(public(url), kept);
        }
    }
}
