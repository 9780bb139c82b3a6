//! Paths and ended roots: steps 2 to 6 of the protocol, in rounds where there are very many.

use std::collections::{BTreeSet, HashSet};

use super::{CHUNK, Decision, Prune, PruneError};
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::observed::CacheContent;
use crate::plan::record::{PrunePhase, PruneRecord};
use crate::provider::binary_cache::terms::Rule;
use crate::provider::binary_cache::{narinfo_key, records};
use crate::transfer::progress::Progress;

/// What is announced at once.
#[derive(Clone, Copy)]
pub(super) struct Round<'c> {
    pub(super) paths: &'c [HashPart],
    /// What comes in later rounds.
    pub(super) later: &'c [HashPart],
    /// Root records; all of them in the last round.
    pub(super) roots: &'c [String],
}

impl Prune<'_> {
    /// One round, from the announcement on; answers the keys of NARs that it may have freed.
    pub(super) fn round(
        &mut self,
        round: Round<'_>,
        decide: &mut (dyn FnMut(&CacheContent) -> Decision + Send),
    ) -> Result<BTreeSet<String>, PruneError> {
        let early = if self.terms.keeps(Rule::RecordFirst) {
            None
        } else {
            Some(self.look_again()?)
        };
        self.announce(round)?;
        let content = match early {
            Some(content) => content,
            None => self.look_again()?,
        };
        let decision = decide(&content);
        self.condemn(round, &content, &decision);
        let (going, roots) = self.narrow(round, &content, &decision);
        self.body.paths = records::list(going.iter().map(|row| content.paths.hash(row)));
        self.body.roots = roots.join(" ");
        self.rewrite()?;
        self.delete_realisations(&content, &going)?;
        self.delete_paths(&content, &going)?;
        self.delete_all(&roots, |done, key| done.roots.push(key))?;
        let nars = going.iter().filter_map(|row| {
            let nar = content.narinfos.get(row as usize)?.nar()?;
            Some(content.nars.key(nar))
        });
        Ok(nars.collect())
    }

    /// Says what may go, before anything is looked at.
    fn announce(&mut self, round: Round<'_>) -> Result<(), PruneError> {
        let paths = records::list(round.paths.iter().copied());
        let roots = round.roots.join(" ");
        let unchanged = self.body.paths == paths && self.body.roots == roots;
        (self.body.paths, self.body.roots) = (paths, roots);
        self.body.later = self.later(round);
        self.body.phase = PrunePhase::Paths;
        if unchanged { Ok(()) } else { self.rewrite() }
    }

    /// Remembers in the first of several rounds what was dead before anything went.
    fn condemn(&mut self, round: Round<'_>, content: &CacheContent, decision: &Decision) {
        if self.condemned.is_some() || round.later.is_empty() {
            return;
        }
        let candidates: HashSet<&HashPart> = self.candidates.paths.iter().collect();
        let dead = decision
            .dead
            .iter()
            .filter(|hash| candidates.contains(hash));
        self.condemned = Some(PruneRecord {
            id: String::new(),
            modified: content.now,
            gone: true,
            phase: PrunePhase::Paths,
            paths: dead.copied().collect(),
        });
        self.body.later = self.later(round);
    }

    fn later(&self, round: Round<'_>) -> String {
        let condemned = self.condemned.iter().flat_map(|record| &record.paths);
        let condemned: HashSet<&HashPart> = condemned.collect();
        let later = round.later.iter().filter(|hash| condemned.contains(hash));
        records::list(later.copied())
    }

    /// What may go: candidates that are dead in the second look, too, without all that something
    /// visible beyond them reaches; roots that ended and that no open push relies on.
    fn narrow(
        &mut self,
        round: Round<'_>,
        content: &CacheContent,
        decision: &Decision,
    ) -> (RowSet, Vec<String>) {
        let terms = self.terms;
        let dead: HashSet<HashPart> = decision.dead.iter().copied().collect();
        let is_dead = |hash: &&HashPart| dead.contains(*hash) || !terms.keeps(Rule::SecondLook);
        let mut going = RowSet::new(content.paths.len());
        for hash in round.paths.iter().filter(is_dead) {
            if let Some(row) = content.paths.row(hash) {
                going.insert(row);
            }
        }
        if terms.keeps(Rule::Closed) {
            let staying = content.paths.rows().filter(|row| !going.contains(*row));
            let bound = content.bound.iter();
            let bound = bound.filter_map(|hash| content.paths.row(hash));
            let reached = content.paths.refs().reach(staying.chain(bound));
            let lost: Vec<u32> = going.iter().filter(|row| reached.contains(*row)).collect();
            for row in lost {
                going.remove(row);
            }
        }
        for hash in round.paths {
            let row = content.paths.row(hash);
            if row.is_some_and(|row| !going.contains(row)) {
                self.done.spared.push(*hash);
            }
        }
        let open: HashSet<HashPart> = content
            .intents
            .iter()
            .filter(|intent| !intent.gone)
            .flat_map(|intent| intent.paths.iter().copied())
            .collect();
        let announced: HashSet<&String> = round.roots.iter().collect();
        let may_go = |key: &&String| {
            let announced = announced.contains(*key) || !terms.keeps(Rule::AnnouncedRoots);
            let hash = records::root_of(key).map(|(_, hash)| hash);
            let free = hash.is_some_and(|hash| !open.contains(&hash));
            announced && (free || !terms.keeps(Rule::OpenRoots))
        };
        let roots = decision.ended.iter().filter(may_go).cloned().collect();
        (going, roots)
    }

    /// Deletes narinfos, level by level: those that nothing left refers to, then the next.
    fn delete_paths(&mut self, content: &CacheContent, going: &RowSet) -> Result<(), PruneError> {
        let mut levels = content.paths.refs().levels(going).levels;
        if !self.terms.keeps(Rule::Levels) {
            levels.reverse();
        }
        for level in levels {
            for rows in level.chunks(CHUNK) {
                let hashes: Vec<HashPart> =
                    rows.iter().map(|&row| content.paths.hash(row)).collect();
                let keys: Vec<String> = hashes.iter().map(|hash| narinfo_key(*hash)).collect();
                self.before_request()?;
                let answers = self.store.delete(&keys);
                let mut failed = None;
                for (hash, answer) in hashes.iter().zip(answers) {
                    match self.note(answer) {
                        Ok(()) => {
                            self.done.paths.push(*hash);
                            Progress::add(&self.progress.paths_done, 1);
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                // A narinfo that stayed keeps its level open: what it refers to must stay.
                if let Some(error) = failed.filter(|_| self.terms.keeps(Rule::Answers)) {
                    return Err(error.into());
                }
                let listings: Vec<String> =
                    hashes.iter().map(|hash| format!("{hash}.ls")).collect();
                self.before_request()?;
                for answer in self.store.delete(&listings) {
                    self.note(answer)?;
                }
            }
        }
        Ok(())
    }
}
