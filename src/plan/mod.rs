//! The core: what should be ([`desired`]), what is ([`observed`]), and the difference ([`plan`]).
//!
//! Promises: pure (no files, network, clock, randomness; `now` is part of what was observed), and
//! the same inputs give the same plan whatever their order. It never turns an unknown into a
//! delete. It must not know any provider: what a cache can do is a value ([`observed::Capabilities`]).

pub mod address;
pub mod adopt;
pub mod change;
pub mod class;
pub mod confirm;
pub mod desired;
pub mod drops;
pub mod explain;
pub mod export;
pub mod guard;
pub mod make;
pub mod nars;
pub mod need;
pub mod observed;
pub mod optimize;
pub mod paths;
pub mod pins;
pub mod place;
#[expect(
    clippy::module_inception,
    reason = "the layer is named after what it makes"
)]
pub mod plan;
pub mod prune;
pub mod push;
pub mod record;
pub mod repair;
pub mod report;
pub mod roots;
pub mod schema;
pub mod select;
pub mod service;
pub mod setup;
pub mod simulate;
pub mod stages;
pub mod step;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod verdict;
pub mod wanted;
