//! The local Nix store: its database, its roots, and what result links lead to.
//!
//! Promises: only reads (the marks, which are ours, live elsewhere); an answer is right for one
//! moment or it is [`Observation::Unknown`](crate::plan::observed::Observation::Unknown) with the
//! reason; never a part of the truth as if it were the whole. It must not start `nix`: where the
//! database cannot be read, the caller brings another way to ask.

mod database;
mod details;
mod fallback;
mod given;
mod location;
mod marks;
mod roots;

pub use database::{Question, StoreError, mark_here, observe};
pub use details::{Details, details};
pub use given::{list_of_paths, resolve};
pub use location::{Location, LocationError};
pub use marks::{Mark, MarkError, Marks};
pub use roots::{Root, roots};
