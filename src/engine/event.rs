//! What the engine tells while it works; whoever shows it decides how.

use crate::plan::address::Address;
use crate::plan::report::Outcome;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Looking began at this.
    Looking(&'static str),
    /// Steps began, together: what they do, in words.
    Began {
        /// The steps.
        steps: Vec<Address>,
        /// What they do.
        what: String,
    },
    /// A step ended.
    Ended {
        /// The step.
        step: Address,
        /// How.
        outcome: Outcome,
    },
    /// A line of a program that was started, such as a build log.
    Line(String),
    /// Something that a person should read, though it is no error.
    Note(String),
}

/// Takes events; called from any thread.
pub type Listener<'a> = &'a (dyn Fn(Event) + Sync);
