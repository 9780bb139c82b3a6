//! What keeps a path in a cache: what reaches it there, and the first of the reasons to keep it.
//!
//! Each answer names the record, or the path, by which it can be checked in a listing of the cache.

use super::Subject;
use crate::config::model::{CacheName, Foreign};
use crate::nix::closure::RowSet;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::explain::{Need, RootReach};
use crate::plan::need::covered;
use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;
use crate::plan::record::PinRecord;
use crate::plan::time::Time;
use crate::plan::wanted::classifier;

/// A path that is in a cache, with what reaches it there.
pub(super) struct Inside<'a> {
    subject: &'a Subject<'a>,
    name: &'a CacheName,
    content: &'a CacheContent,
    row: Row,
    /// The path and all that refers to it, directly or not.
    reaching: RowSet,
    /// Root records that reach it, those that keep it longest first.
    pub(super) roots: Vec<RootReach>,
}

impl<'a> Inside<'a> {
    pub(super) fn new(
        subject: &'a Subject<'a>,
        name: &'a CacheName,
        content: &'a CacheContent,
        row: Row,
    ) -> Self {
        let mut inside = Self {
            subject,
            name,
            content,
            row,
            reaching: content.paths.refs().reversed().reach([row]),
            roots: Vec::new(),
        };
        inside.roots = inside.reaching_roots();
        inside
    }

    /// The row of a path that reaches this one.
    fn reaches(&self, hash: &HashPart) -> Option<Row> {
        let row = self.content.paths.row(hash)?;
        self.reaching.contains(row).then_some(row)
    }

    fn reaching_roots(&self) -> Vec<RootReach> {
        let classes = &self.subject.desired.config.classes;
        let mut roots: Vec<RootReach> = self
            .content
            .roots
            .iter()
            .filter_map(|root| {
                let from = self.reaches(&root.hash)?;
                let class = classes.get(&root.class)?;
                Some(RootReach {
                    path: self.content.paths.path(from),
                    class: root.class.clone(),
                    written: root.modified,
                    retention: class.retention.0,
                    priority: class.priority,
                    until: root.modified.after(class.retention),
                    attr: root.attr.clone(),
                })
            })
            .collect();
        roots.sort_by(|a, b| {
            let longest = b.until.cmp(&a.until);
            longest.then_with(|| (&a.path, &a.class).cmp(&(&b.path, &b.class)))
        });
        roots
    }

    /// The pin record that reaches it, of several the first in the order of names.
    fn pin(&self) -> Option<PinRecord> {
        let steps = &self.subject.plan.steps;
        let pins = crate::plan::pins::remaining(self.content, steps, self.name);
        pins.into_iter()
            .find(|pin| self.reaches(&pin.hash).is_some())
    }

    /// Until when its class keeps a row that no record covers; `None`: for ever.
    fn foreign_until(&self, row: Row) -> Option<Time> {
        match self.subject.desired.config.prune.foreign {
            Foreign::Keep => None,
            Foreign::Retention => {
                let classifier = classifier(self.subject.desired, self.subject.observed);
                let name = self.content.paths.base_name(row);
                let class = classifier.class(self.content.paths.hash(row), &name);
                let written = self.content.narinfos[row as usize].modified();
                Some(written.after(classifier.retention(class)))
            }
        }
    }

    pub(super) fn priority(&self) -> Option<u32> {
        self.roots.iter().map(|root| root.priority).max()
    }

    pub(super) fn need(&self) -> Need {
        if let Some(why) = &self.content.partial {
            return Need::Unknown { why: why.clone() };
        }
        if let Some(pin) = self.pin() {
            return Need::Pinned { pin: pin.name };
        }
        if let Some(root) = self.roots.first() {
            return Need::Until { time: root.until };
        }
        if covered(self.content).contains(self.row) {
            return Need::Unreached;
        }
        let time = self.foreign_until(self.row);
        Need::Foreign { time }
    }

    /// Why it stays. What keeps it longest comes first, and grace, which is over in a day, last.
    pub(super) fn why(&self) -> String {
        let rules = &self.subject.desired.config.prune;
        let now = self.content.now;
        if !rules.enabled {
            return "prune is not enabled".to_owned();
        }
        if let Some(pin) = self.pin() {
            return format!("the pin {} reaches it{}", pin.name, self.by(&pin.hash));
        }
        if let Some(root) = self.roots.iter().find(|root| root.until >= now) {
            let by = self.by(&root.path.hash());
            return format!("a root that is within its retention reaches it{by}");
        }
        let classes = &self.subject.desired.config.classes;
        let mut roots = self.content.roots.iter();
        if let Some(root) = roots
            .find(|root| !classes.contains_key(&root.class) && self.reaches(&root.hash).is_some())
        {
            return format!(
                "a root of the class {}, which cache.yaml does not have, reaches it{}",
                root.class,
                self.by(&root.hash)
            );
        }
        let open = self.content.intents.iter().filter(|intent| !intent.gone);
        let relies = |hash: &&HashPart| self.reaches(hash).is_some();
        if open
            .flat_map(|intent| &intent.paths)
            .any(|hash| relies(&hash))
        {
            return "a push that is under way relies on it".to_owned();
        }
        if let Some(why) = self.why_foreign() {
            return why;
        }
        let young = |row: &Row| {
            let written = self.content.narinfos[*row as usize].modified();
            now.since(written) < rules.grace
        };
        if young(&self.row) {
            return format!("it was written less than {} (prune.grace) ago", rules.grace);
        }
        if let Some(row) = self.reaching.iter().find(young) {
            return format!(
                "{} needs it, which was written less than {} (prune.grace) ago",
                self.content.paths.path(row),
                rules.grace
            );
        }
        "something that is wanted could not be seen, so no retention ends".to_owned()
    }

    fn why_foreign(&self) -> Option<String> {
        let covered = covered(self.content);
        let foreign = |row: &Row| !covered.contains(*row);
        let kept = |row: &Row| {
            self.foreign_until(*row)
                .is_none_or(|end| end >= self.content.now)
        };
        let row = Some(self.row)
            .filter(|row| foreign(row) && kept(row))
            .or_else(|| self.reaching.iter().filter(foreign).find(kept))?;
        let rule = match self.foreign_until(row) {
            None => "foreign content is kept (prune.foreign)".to_owned(),
            Some(end) => format!("foreign content is kept as its class says, until {end}"),
        };
        Some(if row == self.row {
            format!("no record of ours covers it, and {rule}")
        } else {
            let path: StorePath = self.content.paths.path(row);
            format!("{path} needs it, which no record of ours covers, and {rule}")
        })
    }

    /// `, by way of PATH`, if that is not the path itself.
    fn by(&self, hash: &HashPart) -> String {
        match self.content.paths.row(hash) {
            Some(row) if row != self.row => {
                format!(", by way of {}", self.content.paths.path(row))
            }
            _ => String::new(),
        }
    }
}
