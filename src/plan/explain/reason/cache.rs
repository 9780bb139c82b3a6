//! The verdict of one cache on a path.

use super::Subject;
use super::kept::Inside;
use crate::config::model::CacheName;
use crate::plan::explain::{CacheVerdict, Need, Verdict, Wanted as WantedBy};
use crate::plan::observed::{CacheContent, Observation, Why};
use crate::plan::paths::Row;
use crate::plan::plan::HeldReason;
use crate::plan::step::{Because, Op};
use crate::plan::verdict::{self, judge};
use crate::plan::wanted::Wanted;

impl Subject<'_> {
    pub(super) fn cache(&self, name: &CacheName) -> (CacheVerdict, Vec<WantedBy>, Option<u64>) {
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
        let inside = row.map(|row| Inside::new(self, name, content, row));
        let verdict = CacheVerdict {
            cache: name.clone(),
            // A service is asked only for what is wanted.
            present: (content.service.is_none() || node.is_some() || row.is_some())
                .then(|| there && row.is_some()),
            need: inside.as_ref().map_or(Need::Unreached, Inside::need),
            priority: inside.as_ref().and_then(Inside::priority),
            verdict: self.verdict(name, content, &wanted, node, inside.as_ref()),
            roots: inside.map(|inside| inside.roots).unwrap_or_default(),
        };
        let tops = match node {
            Some(node) => wanted_by(&wanted, node),
            None => self.wanted_once_built(&wanted),
        };
        let size = row.map(|row| content.paths.nar_size(row));
        (
            verdict,
            tops,
            size.or_else(|| node.map(|node| wanted.paths.nar_size(node))),
        )
    }

    fn verdict(
        &self,
        name: &CacheName,
        content: &CacheContent,
        wanted: &Wanted<'_>,
        node: Option<Row>,
        inside: Option<&Inside<'_>>,
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
                verdict::Verdict::Present if self.is_pushed_to(name) => {
                    return Verdict::Kept {
                        why: "it is wanted, and its roots are renewed at each push".to_owned(),
                    };
                }
                verdict::Verdict::Push { .. } => {
                    let because = wanted_by(wanted, node).into_iter().next();
                    let because = because.map_or_else(Because::default, |wanted| wanted.because);
                    return Verdict::Pushed { because };
                }
                verdict::Verdict::Held { reason, needs } if inside.is_none() => {
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
                verdict::Verdict::Present | verdict::Verdict::Held { .. } => {}
            }
        }
        match (inside, self.build(name, wanted)) {
            (Some(inside), _) => Verdict::Kept { why: inside.why() },
            (None, Some(build)) => build,
            (None, None) => Verdict::NotWanted,
        }
    }

    /// The outputs that the path will be, once they are built.
    fn wanted_once_built(&self, wanted: &Wanted<'_>) -> Vec<WantedBy> {
        let builds = wanted.builds.iter();
        let builds = builds.filter(|build| build.outputs.contains(self.path));
        let by = builds.map(|build| WantedBy {
            what: build.installable.clone(),
            because: build.because.clone(),
        });
        by.collect()
    }

    /// The build that makes the path, if it is to go to this cache.
    fn build(&self, name: &CacheName, wanted: &Wanted<'_>) -> Option<Verdict> {
        let mut builds = wanted.builds.iter();
        let build = builds.find(|build| build.outputs.contains(self.path))?;
        let class = wanted.classifier.name_of(build.class);
        (self.is_pushed_to(name) && self.desired.pushes(name, class)).then(|| Verdict::AfterBuild {
            installable: build.installable.clone(),
            because: build.because.clone(),
        })
    }

    fn is_pushed_to(&self, name: &CacheName) -> bool {
        let push = &self.desired.config.push;
        push.enabled && push.to.contains_key(name)
    }

    fn dropped(&self, name: &CacheName) -> Option<crate::plan::drops::DropReason> {
        self.plan.steps.iter().find_map(|step| match &step.op {
            Op::Prune { cache, paths, .. } if cache == name => paths
                .iter()
                .find(|drop| drop.path == *self.path)
                .map(|drop| drop.reason),
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
