//! The rows of one segment of the index, in columns, as a thread found them.

use super::NONE;
use crate::nix::store_path::HashPart;
use crate::plan::nars::NarKey;
use crate::plan::observed::Why;
use crate::plan::time::Time;
use crate::provider::binary_cache::index::{Entry, Reference};

#[derive(Default)]
pub(super) struct Segment {
    pub(super) slots: Vec<u32>,
    pub(super) names: String,
    pub(super) name_ends: Vec<u32>,
    pub(super) nar_sizes: Vec<u64>,
    pub(super) modified: Vec<Time>,
    pub(super) nars: Vec<NarKey>,
    /// References as slots; [`NONE`]: the next of `elsewhere`.
    pub(super) references: Vec<u32>,
    pub(super) reference_ends: Vec<u32>,
    pub(super) elsewhere: Vec<HashPart>,
    pub(super) damages: Vec<String>,
    pub(super) named: Vec<String>,
    pub(super) unsure: Option<Why>,
    /// Whether the index has this segment as it is now.
    pub(super) unchanged: bool,
}

impl Segment {
    pub(super) fn begin(&mut self, slot: u32, entry: &Entry<'_>, modified: Time) {
        self.slots.push(slot);
        self.names.push_str(entry.name);
        self.name_ends
            .push(u32::try_from(self.names.len()).unwrap_or(NONE));
        self.nar_sizes.push(entry.nar_size);
        self.modified.push(modified);
        self.nars.push(entry.nar);
    }

    pub(super) fn refer(&mut self, reference: Reference) {
        match reference {
            Reference::Listed(slot) => self.references.push(slot),
            Reference::Elsewhere(hash) => {
                self.references.push(NONE);
                self.elsewhere.push(hash);
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.reference_ends
            .push(u32::try_from(self.references.len()).unwrap_or(NONE));
    }
}
