//! The numbers of the protocol, as a process keeps them for itself.

use std::time::Duration;

use super::StoreError;
use super::records::{INTENT, Lease, PRUNE, new_id};

/// The numbers by which a process pushes or prunes. Others do not see them: they judge its
/// records by [`INTENT`] and [`PRUNE`].
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How it keeps its intent.
    pub intent: Lease,
    /// How it keeps its prune record.
    pub prune: Lease,
    /// So many paths a prune announces at once; more are done in rounds.
    pub round: usize,
    /// Gives the identity of a record, never the same twice.
    #[doc(hidden)]
    pub new_id: fn() -> Result<String, StoreError>,
    /// A rule that is broken on purpose, to see that tests notice.
    #[doc(hidden)]
    pub broken: Option<Rule>,
}

impl Terms {
    /// Those of the protocol.
    pub const STANDARD: Self = Self {
        intent: INTENT,
        prune: PRUNE,
        round: 100_000,
        new_id,
        broken: None,
    };

    /// The same for a process that gives up sooner. It cannot give up later: what is longer than
    /// the protocol has it counts for nothing.
    #[must_use]
    pub fn with_trust(self, trust: Duration) -> Self {
        let shorter = |lease: Lease| Lease {
            renewal: lease.renewal.min(trust / 2),
            trust: lease.trust.min(trust),
            ..lease
        };
        Self {
            intent: shorter(self.intent),
            prune: shorter(self.prune),
            ..self
        }
    }

    /// Whether a rule is kept.
    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }
}

/// The rules of the protocol without which a schedule exists that breaks a promise. Tests break
/// one at a time; nothing else can.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Push 1: the intent is written before anything is asked about what is there.
    IntentFirst,
    /// Push 1: the intent names the whole closure.
    WholeClosure,
    /// Push 2: what a prune condemns is waited for.
    WaitForPaths,
    /// Push 5: a prune of its NARs is waited for.
    WaitForNars,
    /// Push 5: where a prune record was touched, the NARs are looked at once more.
    NarsOnceMore,
    /// Push 6: references before referrers.
    ReferencesFirst,
    /// Push 8: the roots, then the intent goes.
    RootsFirst,
    /// Prune 2: the record is written before the second look.
    RecordFirst,
    /// Prune 3: what is alive in the second look stays.
    SecondLook,
    /// Prune 4: what is reached from outside stays.
    Closed,
    /// Prune 4: only root records that were announced go.
    AnnouncedRoots,
    /// Prune 4: no root record goes on which an open push relies.
    OpenRoots,
    /// Prune 5: referrers before references.
    Levels,
    /// Prune 5: every answer of a level is waited for.
    Answers,
    /// Prune 7: the record names the NARs before they are looked at again.
    NarsRecord,
    /// Prune 8: what is named by now stays.
    NamedNow,
    /// Prune 9: a record of which a delete got no answer does not become `ended`.
    PruneAges,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_give_up_sooner_and_never_later() {
        let short = Terms::STANDARD.with_trust(Duration::from_secs(8));
        for lease in [short.intent, short.prune] {
            assert_eq!(lease.trust, Duration::from_secs(8));
            assert_eq!(lease.renewal, Duration::from_secs(4));
        }
        assert_eq!(short.intent.gone, INTENT.gone, "others judge it as ever");
        let long = Terms::STANDARD.with_trust(Duration::from_hours(9));
        for (lease, standard) in [(long.intent, INTENT), (long.prune, PRUNE)] {
            assert_eq!(
                (lease.trust, lease.renewal),
                (standard.trust, standard.renewal)
            );
        }
    }
}
