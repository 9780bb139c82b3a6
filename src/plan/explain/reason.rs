//! Working out an [`Explanation`]: the same judgements as the plan, for one path.

use super::{
    CacheVerdict, ClassVerdict, Explanation, FORMAT, Need, RootReach, UpstreamVerdict, Verdict,
    Wanted as WantedBy,
};
use crate::config::model::{CacheName, Foreign};
use crate::nix::store_path::StorePath;
use crate::plan::class::ClassRule;
use crate::plan::desired::Desired;
use crate::plan::observed::{CacheContent, Observation, Observed, Why};
use crate::plan::paths::Row;
use crate::plan::plan::{HeldReason, Plan};
use crate::plan::step::{Because, Op};
use crate::plan::verdict::{self, judge};
use crate::plan::wanted::{Wanted, classifier};

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
                    "it was not asked, as nothing wants the path where it is missing".to_owned(),
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

    fn cache(&self, name: &CacheName) -> (CacheVerdict, Vec<WantedBy>, Option<u64>) {
        let empty = CacheContent::default();
        let (content, there) = match self.observed.caches.get(name) {
            Some(Observation::Present(content)) => (content, true),
            Some(Observation::Unknown(why) | Observation::Error(why)) => {
                return (hidden(name, why), Vec::new(), None);
            }
            Some(Observation::Absent) | None => (&empty, false),
        };
        let wanted = Wanted::resolve(self.desired, self.observed, content);
        let node = wanted.paths.row(&self.path.hash());
        let row = content.paths.row(&self.path.hash());
        let roots = row.map(|row| self.roots(content, row)).unwrap_or_default();
        let verdict = CacheVerdict {
            cache: name.clone(),
            present: Some(there && row.is_some()),
            need: self.need(name, content, row, &roots),
            priority: roots.iter().map(|root| root.priority).max(),
            verdict: self.verdict(name, content, &wanted, node, row, &roots),
            roots,
        };
        let tops = node
            .map(|node| wanted_by(&wanted, node))
            .unwrap_or_default();
        let size = row.map(|row| content.paths.nar_size(row));
        (
            verdict,
            tops,
            size.or_else(|| node.map(|node| wanted.paths.nar_size(node))),
        )
    }

    fn roots(&self, content: &CacheContent, row: Row) -> Vec<RootReach> {
        let classes = &self.desired.config.classes;
        let reaching = content.paths.refs().reversed().reach([row]);
        let mut roots: Vec<RootReach> = content
            .roots
            .iter()
            .filter_map(|root| {
                let from = content
                    .paths
                    .row(&root.hash)
                    .filter(|from| reaching.contains(*from))?;
                let class = classes.get(&root.class)?;
                Some(RootReach {
                    path: content.paths.path(from),
                    class: root.class.clone(),
                    written: root.modified,
                    retention: class.retention.0,
                    priority: class.priority,
                    until: root.modified.after(class.retention),
                    attr: root.attr.clone(),
                })
            })
            .collect();
        roots.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.path.cmp(&b.path)));
        roots
    }

    fn need(
        &self,
        name: &CacheName,
        content: &CacheContent,
        row: Option<Row>,
        roots: &[RootReach],
    ) -> Need {
        let Some(row) = row else {
            return Need::Unreached;
        };
        if let Some(why) = &content.partial {
            return Need::Unknown { why: why.clone() };
        }
        let reaching = content.paths.refs().reversed().reach([row]);
        let steps = &self.plan.steps;
        let pin = crate::plan::pins::remaining(content, steps, name)
            .into_iter()
            .find(|pin| {
                content
                    .paths
                    .row(&pin.hash)
                    .is_some_and(|from| reaching.contains(from))
            });
        match (pin, roots.first()) {
            (Some(pin), _) => Need::Pinned { pin: pin.name },
            (None, Some(root)) => Need::Until { time: root.until },
            (None, None) => Need::Unreached,
        }
    }

    fn verdict(
        &self,
        name: &CacheName,
        content: &CacheContent,
        wanted: &Wanted<'_>,
        node: Option<Row>,
        row: Option<Row>,
        roots: &[RootReach],
    ) -> Verdict {
        if let Some(reason) = self.dropped(name) {
            return match self.refused(name) {
                Some(why) => Verdict::Undecided { why },
                None => Verdict::Deleted { reason },
            };
        }
        if let Some(node) = node {
            let verdicts = judge(self.desired, self.observed, name, content, wanted);
            match &verdicts.of[node as usize] {
                verdict::Verdict::Present => {
                    return Verdict::Kept {
                        why: "it is wanted, and its roots are renewed at each push".to_owned(),
                    };
                }
                verdict::Verdict::Push { .. } => {
                    let because = wanted_by(wanted, node).into_iter().next();
                    let because = because.map_or_else(Because::default, |wanted| wanted.because);
                    return Verdict::Pushed { because };
                }
                verdict::Verdict::Held { reason, needs } if row.is_none() => {
                    return if *reason == HeldReason::OtherClass && !self.desired.config.push.enabled
                    {
                        Verdict::NotWanted
                    } else {
                        let needs = needs.map(|needed| wanted.paths.path(needed));
                        Verdict::HeldBack {
                            reason: reason.clone(),
                            needs,
                        }
                    };
                }
                verdict::Verdict::Held { .. } => {}
            }
        }
        match row {
            None => Verdict::NotWanted,
            Some(row) => Verdict::Kept {
                why: self.why_kept(name, content, row, roots),
            },
        }
    }

    fn dropped(&self, name: &CacheName) -> Option<crate::plan::step::DropReason> {
        self.plan.steps.iter().find_map(|step| match &step.op {
            Op::Prune { cache, paths, .. } if cache == name => paths
                .iter()
                .find(|drop| drop.path == *self.path)
                .map(|drop| drop.reason.clone()),
            _ => None,
        })
    }

    fn refused(&self, name: &CacheName) -> Option<Why> {
        let prefix = format!("prune/{name}");
        let stops = |refusal: &&crate::plan::plan::Refusal| {
            refusal.steps.is_empty() || refusal.steps.iter().any(|step| step.is_in(&prefix))
        };
        self.plan
            .refusals
            .iter()
            .find(stops)
            .map(|refusal| Why(refusal.text.clone()))
    }

    fn why_kept(
        &self,
        name: &CacheName,
        content: &CacheContent,
        row: Row,
        roots: &[RootReach],
    ) -> String {
        let rules = &self.desired.config.prune;
        let modified = content.narinfos[row as usize].modified;
        if !rules.enabled {
            return "prune is not enabled".to_owned();
        }
        if let Need::Pinned { pin } = self.need(name, content, Some(row), roots) {
            return format!("the pin {pin} reaches it");
        }
        if roots.iter().any(|root| root.until >= content.now) {
            return "a root that is within its retention reaches it".to_owned();
        }
        if content.now.since(modified) < rules.grace {
            return format!("it was written less than {} (prune.grace) ago", rules.grace);
        }
        if content
            .intents
            .iter()
            .any(|intent| !intent.gone && intent.paths.contains(&self.path.hash()))
        {
            return "a push that is under way relies on it".to_owned();
        }
        if roots.is_empty() && rules.foreign == Foreign::Keep {
            return "no record of ours covers it, and foreign content is kept (prune.foreign)"
                .to_owned();
        }
        "something that is kept refers to it, or something that is wanted could not be seen"
            .to_owned()
    }
}

/// The tops whose closure holds a path.
fn wanted_by(wanted: &Wanted<'_>, node: Row) -> Vec<WantedBy> {
    let reaching = wanted.paths.refs().reversed().reach([node]);
    let tops = wanted.tops.iter().filter(|top| reaching.contains(top.row));
    tops.map(|top| WantedBy {
        what: top
            .attr
            .clone()
            .unwrap_or_else(|| wanted.paths.base_name(top.row)),
        because: top.because.clone(),
    })
    .collect()
}

fn hidden(name: &CacheName, why: &Why) -> CacheVerdict {
    CacheVerdict {
        cache: name.clone(),
        present: None,
        roots: Vec::new(),
        need: Need::Unknown { why: why.clone() },
        priority: None,
        verdict: Verdict::Undecided { why: why.clone() },
    }
}

#[cfg(test)]
mod tests;
