//! Adopting: content of a cache that no record covers becomes ours, by root records in the class that
//! each path belongs to.
//!
//! The records are those that a push of the same paths would have written: one for each path that
//! is adopted as such, and one for the topmost foreign paths of each longer-kept or higher class below.
//! Retention counts from their writing. Promise: nothing is uploaded, changed or deleted, and what a
//! record covers already is left alone. Of a cache that a service keeps, pins are adopted, not paths.

mod pins;

use std::collections::BTreeMap;

use super::address::{Phase, adopt_address};
use super::change::Changes;
use super::class::{ClassId, Classifier};
use super::desired::{Adopt, Cache, Desired, TopSource};
use super::need::covered;
use super::observed::{CacheContent, Observation, Observed};
use super::paths::Row;
use super::plan::{Refusal, Unknown};
use super::roots::{Ground, RootRow, roots};
use super::step::{Because, Effect, Known, Op, RootToWrite, Step};
use super::wanted::classifier;
use crate::config::rough::Rough;
use crate::nix::closure::RowSet;

/// Plans what is written so that foreign content of a cache is ours.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, adopt: &Adopt) -> Changes {
    let mut changes = Changes::default();
    let Some(cache) = desired.caches.get(&adopt.cache) else {
        return changes;
    };
    if let Some(service) = cache.place.service() {
        pins::plan(desired, observed, (adopt, cache, service), &mut changes);
        return changes;
    }
    match observed.caches.get(&adopt.cache) {
        Some(Observation::Present(content)) => {
            if let Some(why) = &content.partial {
                changes.unknowns.push(Unknown {
                    what: adopt.cache.to_string(),
                    why: why.clone(),
                    effect: "it was not seen whole, so nothing of it is adopted".to_owned(),
                });
                return changes;
            }
            let classifier = classifier(desired, observed);
            let adoption = Adoption::new(content, adopt, &classifier);
            changes.compared = content.paths.len() as u64;
            changes.refusals.extend(refusal(adopt, content));
            changes.unknowns = unseen_classes(desired, observed);
            changes.steps = adoption.steps(desired, cache, adopt);
        }
        Some(Observation::Unknown(why) | Observation::Error(why)) => {
            changes.unknowns.push(Unknown {
                what: adopt.cache.to_string(),
                why: why.clone(),
                effect: "nothing of it is adopted".to_owned(),
            });
        }
        Some(Observation::Absent) | None => changes
            .refusals
            .extend(refusal(adopt, &CacheContent::default())),
    }
    changes
}

/// Outputs whose paths, for all that could be seen, may be of another class than their names say.
fn unseen_classes(desired: &Desired, observed: &Observed) -> Vec<Unknown> {
    let mut unknowns = Vec::new();
    for top in desired.tops.iter().filter(|top| top.class.is_some()) {
        if let TopSource::Output(output) = &top.source
            && let Some(Observation::Unknown(why) | Observation::Error(why)) =
                observed.outputs.get(output)
        {
            unknowns.push(Unknown {
                what: output.clone(),
                why: why.clone(),
                effect: "its paths are put into classes by their names alone".to_owned(),
            });
        }
    }
    unknowns
}

/// Paths that were named and that the cache has not.
fn refusal(adopt: &Adopt, content: &CacheContent) -> Option<Refusal> {
    let paths = adopt.paths.as_deref().unwrap_or_default();
    let absent: Vec<String> = paths
        .iter()
        .filter(|hash| content.paths.row(hash).is_none())
        .map(ToString::to_string)
        .collect();
    (!absent.is_empty()).then(|| Refusal {
        steps: Vec::new(),
        code: "adopt-absent".to_owned(),
        text: format!("{} does not have {}", adopt.cache, absent.join(", ")),
        help: "name paths that are there, or pass --all".to_owned(),
    })
}

struct Adoption<'a> {
    content: &'a CacheContent,
    classifier: &'a Classifier<'a>,
    /// Root records to write.
    roots: Vec<RootRow>,
    /// What of it no record covered before.
    foreign: RowSet,
}

impl<'a> Adoption<'a> {
    fn new(content: &'a CacheContent, adopt: &Adopt, classifier: &'a Classifier<'a>) -> Self {
        let graph = content.paths.refs();
        let covered = covered(content);
        let mut foreign = RowSet::new(content.paths.len());
        for row in content.paths.rows().filter(|row| !covered.contains(*row)) {
            foreign.insert(row);
        }
        let tops: Vec<Row> = match &adopt.paths {
            None => graph.topmost(&foreign),
            Some(hashes) => hashes
                .iter()
                .filter_map(|hash| content.paths.row(hash))
                .filter(|row| foreign.contains(*row))
                .collect(),
        };
        let classes: Vec<ClassId> = content
            .paths
            .rows()
            .map(|row| classifier.class(content.paths.hash(row), &content.paths.base_name(row)))
            .collect();
        let reached = graph.reach(tops.iter().copied());
        let tops: Vec<RootRow> = tops
            .into_iter()
            .map(|row| (row, classes[row as usize]))
            .collect();
        let mut found = roots(
            &Ground {
                graph,
                kept: &reached,
                upstream: &RowSet::new(content.paths.len()),
                classifier,
                classes: &classes,
            },
            &tops,
        );
        found.retain(|(row, _)| foreign.contains(*row));
        Self {
            content,
            classifier,
            roots: found,
            foreign,
        }
    }

    /// A step for each class, the highest first.
    fn steps(&self, desired: &Desired, cache: &Cache, adopt: &Adopt) -> Vec<Step> {
        let mut by_class: BTreeMap<ClassId, Vec<Row>> = BTreeMap::new();
        for (row, class) in &self.roots {
            by_class.entry(*class).or_default().push(*row);
        }
        let mut seen = RowSet::new(self.content.paths.len());
        let mut counted = vec![false; self.content.nars.len()];
        let mut classes: Vec<ClassId> = by_class.keys().copied().collect();
        classes.sort_by_key(|id| (std::cmp::Reverse(self.classifier.priority(*id)), *id));
        let mut steps = Vec::new();
        for id in classes {
            let mut rows = by_class.remove(&id).unwrap_or_default();
            rows.sort_by_key(|row| self.content.paths.hash(*row));
            // Each path counts for the highest class that now keeps it.
            let (mut paths, mut bytes) = (0, 0);
            for row in self.content.paths.refs().reach(rows.iter().copied()).iter() {
                if !self.foreign.contains(row) || !seen.insert(row) {
                    continue;
                }
                paths += 1;
                if let Some(nar) = self.content.narinfos[row as usize].nar()
                    && !std::mem::replace(&mut counted[nar as usize], true)
                {
                    bytes += self.content.nars.size(nar);
                }
            }
            steps.push(self.step(desired, cache, adopt, id, &rows, (paths, bytes)));
        }
        steps
    }

    fn step(
        &self,
        desired: &Desired,
        cache: &Cache,
        adopt: &Adopt,
        id: ClassId,
        rows: &[Row],
        (paths, bytes): (u64, u64),
    ) -> Step {
        let class = self.classifier.name_of(id);
        let things = if paths == 1 { "path" } else { "paths" };
        let rule = format!(
            "adopted: {paths} foreign {things} ({}), kept {} from now",
            Rough(bytes),
            self.classifier.retention(id)
        );
        Step {
            address: adopt_address(&adopt.cache, class.as_str()),
            phase: Phase::Push,
            scope: cache.scope,
            because: Because {
                rule,
                ..desired.because("", &format!("/artifacts/{class}/retention"))
            },
            effect: Effect::default(),
            known: Known::Now,
            revision: None,
            waits_for: Vec::new(),
            op: Op::Push {
                cache: adopt.cache.clone(),
                class: class.clone(),
                paths: Vec::new(),
                selectors: Vec::new(),
                roots: rows
                    .iter()
                    .map(|row| RootToWrite {
                        path: self.content.paths.path(*row),
                        class: class.clone(),
                        attr: None,
                        new: true,
                    })
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
