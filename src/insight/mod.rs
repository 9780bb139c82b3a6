//! What the facts mean: how things stand, diagnoses, measures, findings of verification.
//!
//! Pure, like `plan`: facts go in, judgements come out. Nothing here looks at the world, and nothing
//! here mends it: what can be mended becomes a plan.

pub mod advise;
pub mod dependencies;
pub mod doctor;
pub mod measure;
pub mod replay;
pub mod run;
pub mod secrets;
pub mod status;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod warming;
pub mod workflows;
