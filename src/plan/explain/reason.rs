//! Working out an [`Explanation`]: the same judgements as the plan, for one path.

mod cache;
mod kept;

use super::{ClassVerdict, Explanation, FORMAT, UpstreamVerdict, Wanted as WantedBy};
use crate::config::model::CacheName;
use crate::nix::store_path::StorePath;
use crate::plan::class::ClassRule;
use crate::plan::desired::Desired;
use crate::plan::observed::{Observation, Observed};
use crate::plan::plan::Plan;
use crate::plan::wanted::classifier;

/// Explains a path in terms of a plan that was made from the same observation.
#[must_use]
pub fn explain(
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
    path: &StorePath,
    only: &[CacheName],
) -> Explanation {
    let hash = path.hash();
    let store = observed.store.present();
    let row = store.and_then(|store| store.paths.row(&hash));
    let caches = desired
        .caches
        .keys()
        .filter(|name| only.is_empty() || only.contains(name));
    let subject = Subject {
        desired,
        observed,
        plan,
        path,
    };
    let mut wanted_by: Vec<WantedBy> = Vec::new();
    let mut size = store.zip(row).map(|(store, row)| store.paths.nar_size(row));
    let verdicts = caches
        .map(|name| {
            let (verdict, wanted, known) = subject.cache(name);
            wanted_by.extend(wanted);
            size = size.or(known);
            verdict
        })
        .collect();
    wanted_by.sort_by(|a, b| a.what.cmp(&b.what).then_with(|| a.because.cmp(&b.because)));
    wanted_by.dedup();
    Explanation {
        format: FORMAT,
        file: plan.file.clone(),
        now: observed.now,
        path: path.clone(),
        nar_size: size,
        in_store: match &observed.store {
            Observation::Unknown(_) => None,
            _ => Some(row.is_some()),
        },
        gc_roots: Vec::new(),
        wanted_by,
        class: subject.class(),
        upstreams: subject.upstreams(),
        caches: verdicts,
    }
}

struct Subject<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    plan: &'a Plan,
    path: &'a StorePath,
}

impl Subject<'_> {
    fn class(&self) -> ClassVerdict {
        let classifier = classifier(self.desired, self.observed);
        let name = self.path.to_string();
        let (id, rule) = classifier.explain(self.path.hash(), &name);
        let class = classifier.name_of(id);
        let (rule, setting) = match rule {
            ClassRule::Named => (
                "the class names it".to_owned(),
                format!("/artifacts/{class}"),
            ),
            ClassRule::Pattern(pattern) => (
                format!("the pattern `{pattern}` matches its name"),
                format!("/artifacts/{class}/match"),
            ),
            ClassRule::Default => (
                "no class names or matches it, and this is the default".to_owned(),
                format!("/artifacts/{class}"),
            ),
        };
        let later = self.desired.config.classes.iter().skip(id + 1);
        ClassVerdict {
            class: class.clone(),
            priority: classifier.priority(id),
            retention: classifier.retention(id).0,
            because: self.desired.because(rule, &setting),
            also: later
                .filter(|(_, class)| class.patterns.iter().any(|pattern| pattern.is_match(&name)))
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    fn upstreams(&self) -> Vec<UpstreamVerdict> {
        let hash = self.path.hash();
        let verdict = |name: &CacheName| {
            let known = self.observed.upstreams.get(name);
            let (has, how) = match known {
                Some(upstream) if upstream.has.contains(&hash) => (
                    Some(true),
                    "by a signature in the local store, or its own answer".to_owned(),
                ),
                Some(upstream) if upstream.unanswered.contains(&hash) => {
                    let why = upstream.why.as_ref().map(|why| why.0.clone());
                    (None, why.unwrap_or_else(|| "it did not answer".to_owned()))
                }
                _ if !self.was_asked() => (
                    None,
                    "not asked, as nothing wants the path where it is missing".to_owned(),
                ),
                _ => (Some(false), "it answered that it has not".to_owned()),
            };
            UpstreamVerdict {
                cache: name.clone(),
                has,
                how,
            }
        };
        self.desired.upstreams.keys().map(verdict).collect()
    }

    fn was_asked(&self) -> bool {
        crate::plan::push::questions(self.desired, self.observed).contains(&self.path.hash())
    }
}

#[cfg(test)]
mod tests;
