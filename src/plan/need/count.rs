//! Bytes of NAR files: each file counts once, whoever names it.

use crate::plan::observed::CacheContent;
use crate::plan::paths::Row;

/// Bytes of NAR files that nothing may end, by what keeps them. A file that several keep counts for
/// the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MustStay {
    /// Reached by pins.
    pub pins: u64,
    /// Reached by roots of classes that `cache.yaml` does not have.
    pub unknown_classes: u64,
    /// Relied on by a push, or wanted by this plan.
    pub pushes: u64,
    /// Covered by no record, and within what `prune.foreign` grants.
    pub foreign: u64,
    /// Reached by narinfos younger than grace.
    pub young: u64,
}

impl MustStay {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.pins + self.unknown_classes + self.pushes + self.foreign + self.young
    }
}

/// Counts the bytes of NAR files, each file once.
pub(super) struct Counter<'c> {
    content: &'c CacheContent,
    counted: Vec<bool>,
}

impl<'c> Counter<'c> {
    pub(super) fn new(content: &'c CacheContent) -> Self {
        Self {
            content,
            counted: vec![false; content.nars.len()],
        }
    }

    /// Bytes that a row takes beyond those that were counted.
    pub(super) fn count(&mut self, row: Row) -> u64 {
        let Some(nar) = self.content.narinfos[row as usize].nar() else {
            return 0;
        };
        let again = std::mem::replace(&mut self.counted[nar as usize], true);
        if again {
            0
        } else {
            self.content.nars.size(nar)
        }
    }
}
