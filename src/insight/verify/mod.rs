//! Whether what a binary cache holds is true: judging narinfos and NARs that somebody else read.
//!
//! Pure: bytes and facts go in, findings with stable codes come out. Promises: a finding names the first thing
//! that is wrong with an object, not all that follows from it; what could not be judged is said as unknown and
//! never counted as damage. It must not look at anything itself, and mends nothing.

mod code;
mod nar;
mod narinfo;
mod rebuild;
mod repair;
mod report;
mod sample;
mod sources;

pub use code::{Code, Weight};
pub use nar::{NarFacts, NarState, Scanner, judge as judge_nar};
pub use narinfo::{Judged, Signing, judge as judge_narinfo};
pub use rebuild::{Difference, Node, REBUILD_FORMAT, Rebuild, Tally, differences, listing, tally};
pub use repair::repair;
pub use report::{Checked, Coverage, FORMAT, Finding, Verification};
pub use sample::choose;
pub use sources::{Sources, locked};

#[cfg(test)]
mod tests;
