//! What a push holds back, could not see, refuses, or leaves for a person to do.

use std::collections::BTreeMap;

use super::target::Target;
use crate::config::rough::Rough;
use crate::plan::address::{Address, Phase};
use crate::plan::change::Changes;
use crate::plan::observed::Why;
use crate::plan::plan::{Advice, HeldBack, HeldPath, HeldReason, PlanError, Refusal, Unknown};
use crate::plan::verdict::Verdict;

impl Target<'_> {
    /// What is held back, unknown, refused, or for a person to do.
    pub(super) fn report(&self, steps: &[Address], changes: &mut Changes) {
        self.report_held(changes);
        for (what, why) in &self.wanted.unknowns {
            changes.unknowns.push(Unknown {
                what: what.clone(),
                why: Why(why.clone()),
                effect: if self.wanted.unseen {
                    format!("it is not pushed, and no retention ends in {}", self.name)
                } else {
                    "it is not pushed, and what came of it earlier is not renewed".to_owned()
                },
            });
        }
        for (what, why) in &self.wanted.errors {
            changes.errors.push(PlanError {
                what: vec![what.clone()],
                why: Why(why.clone()),
                effect: format!("not pushed, and no retention ends in {}", self.name),
                because: self.desired.because_of_output(what),
            });
        }
        for (installable, system) in &self.wanted.elsewhere {
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: installable.clone(),
                text: format!(
                    "it is not built yet and needs a {system} machine: run `nanna-cache push --apply` on one"
                ),
                lines: Vec::new(),
                because: self.desired.because(format!("{installable} is declared"), "/artifacts"),
            });
        }
        if self.cache.signing.is_none()
            && self.cache.place.service().is_none()
            && !self.verdicts.pushed.is_empty()
        {
            changes.advice.push(Advice {
                phase: Phase::Push,
                about: self.name.to_string(),
                text: "it has no signing-key, so Nix accepts from it only paths that others have \
                       signed: declare one"
                    .to_owned(),
                lines: vec![
                    "signing-key: { file: ~/.config/nanna-cache/key.sec, generate: true }"
                        .to_owned(),
                ],
                because: self.desired.because(
                    "paths are pushed unsigned",
                    &format!("/caches/{}", self.name),
                ),
            });
        }
        for (row, needed) in &self.verdicts.refused {
            let (row, needed) = (
                self.wanted.paths.path(*row),
                self.wanted.paths.path(*needed),
            );
            changes.refusals.push(Refusal {
                steps: steps.to_vec(),
                code: "push-needs-excluded".to_owned(),
                text: format!(
                    "{row} would be pushed to {} but needs {needed}, which is not",
                    self.name
                ),
                help: "set push.exclude-needed to `hold-back` or `push`, or narrow push.exclude"
                    .to_owned(),
            });
        }
        let unasked: u64 = self
            .verdicts
            .pushed
            .iter()
            .filter(|row| self.verdicts.of[*row as usize] == Verdict::Push { unasked: true })
            .map(|row| self.wanted.paths.nar_size(row))
            .sum();
        let cap = self.desired.config.push.max_unasked;
        if unasked > cap.0 {
            changes.refusals.push(Refusal {
                steps: steps.to_vec(),
                code: "push-unasked".to_owned(),
                text: format!(
                    "{} of NAR would be pushed to {} though the upstreams that may have it could not \
                     be asked; the limit is {cap}",
                    Rough(unasked),
                    self.name
                ),
                help: "raise push.limits.unasked, or pass --allow unasked=SIZE".to_owned(),
            });
        }
    }

    fn report_held(&self, changes: &mut Changes) {
        let mut held: BTreeMap<HeldReason, Vec<HeldPath>> = BTreeMap::new();
        for row in self.wanted.paths.rows() {
            if let Verdict::Held { reason, needs } = &self.verdicts.of[row as usize] {
                held.entry(reason.clone()).or_default().push(HeldPath {
                    path: self.wanted.paths.path(row),
                    nar_size: self.wanted.paths.nar_size(row),
                    needs: needs.map(|needed| self.wanted.paths.path(needed)),
                });
            }
        }
        changes
            .held_back
            .extend(held.into_iter().map(|(reason, mut paths)| {
                paths.sort();
                HeldBack {
                    cache: self.name.clone(),
                    reason,
                    paths,
                }
            }));
    }
}
