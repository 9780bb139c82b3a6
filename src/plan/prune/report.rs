//! What a prune says besides its steps: damages, and what it refuses.

use super::{Place, asked_of};
use crate::config::model::{CacheName, ClassName};
use crate::config::rough::Rough;
use crate::config::units::{Size, Span};
use crate::nix::store_path::HashPart;
use crate::plan::address::Phase;
use crate::plan::address::{Address, prune_address};
use crate::plan::change::Changes;
use crate::plan::need::{MustStay, Need};
use crate::plan::paths::Row;
use crate::plan::plan::{Advice, Refusal};
use crate::plan::record::PrunePhase;
use crate::plan::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// The refusal where `max-size` cannot be reached.
pub const UNREACHABLE: &str = "prune-max-size";

impl Place<'_> {
    pub(super) fn report(&self, need: &Need, changes: &mut Changes) {
        let setting = format!("/caches/{}", self.name);
        let mut advise = |text: String, lines: Vec<String>| {
            changes.advice.push(Advice {
                phase: Phase::Prune,
                about: self.name.to_string(),
                text,
                lines,
                because: self.desired.because("the cache as it was found", &setting),
            });
        };
        if !self.content.damages.is_empty() {
            advise(
                format!(
                    "{} damaged objects are left alone:",
                    self.content.damages.len()
                ),
                self.content.damages.iter().take(5).cloned().collect(),
            );
        }
        let dangling = self.dangling();
        if !dangling.is_empty() {
            advise(
                format!(
                    "{} paths cannot be fetched whole; a push that holds them repairs them:",
                    dangling.len()
                ),
                dangling.into_iter().take(5).collect(),
            );
        }
        let is_folder = self.cache.place.folder().is_some();
        // Of a storage nothing else is expected, and the documents say so.
        if self.content.capabilities.by_age && is_folder {
            advise(
                "its file system has no locks that hold for every machine: after a push has died, what it \
                 relied on is kept for a day, and a prune that has died keeps others waiting for half an hour"
                    .to_owned(),
                Vec::new(),
            );
        }
        if self.content.capabilities.unconditional {
            advise(
                "its storage overwrites objects although it is told to write only if there is none. Nothing breaks by \
                 it; but of two pushes of one path at the same moment both write its narinfo, and the other's NAR stays \
                 until it is swept"
                    .to_owned(),
                Vec::new(),
            );
        }
        if need.unknown_class > 0 {
            advise(
                format!(
                    "{} of classes that cache.yaml does not have: {}; what they reach is kept. Declare such a \
                     class again, with a short retention, to let it end",
                    match need.unknown_class {
                        1 => "1 root record is".to_owned(),
                        many => format!("{many} root records are"),
                    },
                    self.unknown_classes()
                ),
                Vec::new(),
            );
        }
        if let Some(room) = &need.room
            && room.is_reachable()
            && !room.is_enough()
        {
            advise(
                format!(
                    "what must stay is {}, and {} come in before compression: more than its max-size of \
                     {}; which roots end for it is decided when they are there",
                    Rough(room.must_stay.total()),
                    Rough(room.incoming),
                    Size(room.limit)
                ),
                Vec::new(),
            );
        }
    }

    /// Visible paths whose NAR is missing, or a path that they refer to: base names with the reason.
    fn dangling(&self) -> Vec<String> {
        let name = |row: Row| self.content.paths.base_name(row);
        let mut found: Vec<String> = self
            .content
            .paths
            .rows()
            .filter(|row| self.content.narinfos[*row as usize].nar().is_none())
            .map(|row| format!("{}: its NAR is missing", name(row)))
            .collect();
        let (lost, asked) = (self.content.elsewhere.iter(), asked_of(self.content));
        found.extend(
            lost.filter(|(_, hash)| self.is_nowhere(*hash, &asked))
                .map(|(row, hash)| {
                    format!("{}: {hash}, to which it refers, is missing", name(*row))
                }),
        );
        found
    }

    /// Whether every declared upstream was asked for a path, answered, and does not have it.
    fn is_nowhere(&self, hash: HashPart, asked: &BTreeSet<HashPart>) -> bool {
        let lacks = |name: &CacheName| {
            let upstream = self.observed.upstreams.get(name);
            upstream.is_some_and(|it| !it.has.contains(&hash) && !it.unanswered.contains(&hash))
        };
        let upstreams = &self.desired.upstreams;
        upstreams.is_empty() || asked.contains(&hash) && upstreams.keys().all(lacks)
    }

    /// Refuses what would go beside a record that only a newer version understands.
    pub(super) fn refuse_forbidden(&self, need: &Need, pushing: &Changes, changes: &mut Changes) {
        let steps = self.steps(need, &pushing.steps);
        let Some(why) = self
            .content
            .forbidden
            .as_ref()
            .filter(|_| !steps.is_empty())
        else {
            self.is_hidden(changes);
            return;
        };
        changes.refusals.push(Refusal {
            steps: steps.iter().map(|step| step.address.clone()).collect(),
            code: "prune-record".to_owned(),
            text: format!("nothing may be deleted from {}: {}", self.name, why.0),
            help: "prune with the version that wrote it, or a newer one".to_owned(),
        });
        changes.steps.extend(steps);
    }

    pub(super) fn refuse_busy(&self, steps: &[Step], changes: &mut Changes) {
        let active = self
            .content
            .prunes
            .iter()
            .find(|prune| !prune.gone && prune.phase != PrunePhase::Ended);
        if let Some(active) = active
            && !steps.is_empty()
        {
            changes.refusals.push(Refusal {
                steps: steps.iter().map(|step| step.address.clone()).collect(),
                code: "prune-busy".to_owned(),
                text: format!(
                    "another prune of {} has been running since {}",
                    self.name, active.modified
                ),
                help: "wait for it, or pass --lock-timeout DURATION to wait here".to_owned(),
            });
        }
    }

    /// Refuses where what nothing may end is larger than `max-size`: all else would end in vain.
    /// Answers the bytes that must stay, if so.
    pub(super) fn refuse_size(
        &self,
        need: &Need,
        steps: &[Step],
        changes: &mut Changes,
    ) -> Option<u64> {
        let room = need.room.as_ref().filter(|room| !room.is_reachable())?;
        let mut addresses: Vec<Address> = steps.iter().map(|step| step.address.clone()).collect();
        if addresses.is_empty() {
            // Nothing goes, and yet the cache is too full: the classes that a prune would look at.
            let classes = self.desired.config.classes.keys();
            addresses.extend(classes.map(|class| prune_address(self.name, class.as_str())));
        }
        let total = room.must_stay.total();
        changes.refusals.push(Refusal {
            steps: addresses,
            code: UNREACHABLE.to_owned(),
            text: format!(
                "{} of {} must stay ({}), more than its max-size of {}: no root was ended for it",
                Rough(total),
                self.name,
                parts(&room.must_stay, self.desired.config.prune.grace),
                Size(room.limit)
            ),
            help: format!(
                "raise {}, or end some of this; or pass --allow max-size={} to leave it so this once",
                self.desired.config.words(&format!("/caches/{}/max-size", self.name)),
                compact(total),
            ),
        });
        Some(total)
    }
}

impl Place<'_> {
    /// `docs (2), hush (1)`: the classes of root records that `cache.yaml` does not have.
    fn unknown_classes(&self) -> String {
        let mut counts: BTreeMap<&ClassName, usize> = BTreeMap::new();
        let known = &self.desired.config.classes;
        for root in &self.content.roots {
            if !known.contains_key(&root.class) {
                *counts.entry(&root.class).or_default() += 1;
            }
        }
        let words = counts
            .iter()
            .map(|(class, count)| format!("{class} ({count})"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// What must stay, by what keeps it, without what keeps nothing.
fn parts(must_stay: &MustStay, grace: Span) -> String {
    let young = format!("younger than {grace}");
    let parts = [
        ("pins", must_stay.pins),
        ("roots of unknown classes", must_stay.unknown_classes),
        ("wanted or being pushed", must_stay.pushes),
        ("foreign content", must_stay.foreign),
        (young.as_str(), must_stay.young),
    ];
    let parts = parts.iter().filter(|(_, bytes)| *bytes > 0);
    let parts: Vec<String> = parts
        .map(|(what, bytes)| format!("{what}: {}", Rough(*bytes)))
        .collect();
    parts.join(", ")
}

/// A size that is no smaller, as one word for the command line.
fn compact(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < MIB {
        format!("{bytes}B")
    } else {
        format!("{}MiB", bytes.div_ceil(MIB))
    }
}

#[cfg(test)]
mod tests;
