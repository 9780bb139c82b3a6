//! A stand-in for the Cachix service: stateful, strict, and able to fail on command.
//!
//! It is not Cachix. It speaks the part of its HTTP interface that a client of binary caches needs,
//! keeps what it is given in memory and a temporary folder, listens on 127.0.0.1 only, and judges its
//! client: field names, statuses, hashes, sizes and parts are checked and refused as the service
//! would; what the service lets pass although it is wrong is kept as a complaint
//! ([`StandIn::complaints`]).
//!
//! Three addresses belong to one stand-in: the service (the API under `/api/v1`, the binary cache
//! NAME under `/NAME`), the object storage that presigned addresses lead to, and a stranger, to which
//! only a fault redirects and which must never see a token.
//!
//! What is **known** of the service: the routes, field names and success statuses of reading, pushing
//! and pinning; presigned part addresses without `Authorization`; the order and the hexadecimal
//! `FileHash` of its narinfos; 401 with text where a cache is not there for an anonymous caller; 400
//! with `{"error"}` for a pin of a path that is not there; hidden narinfos of incomplete closures; the
//! upstream filter in the question for missing paths; collection by last access, pins apart.
//!
//! What is only **inferred**, and may differ there:
//!
//! - A token that is not known is refused with 401 also where none is needed; one of another cache
//!   counts as none.
//! - Anonymous callers may not ask for missing paths ([`Settings::anonymous_missing`] changes it).
//! - A path whose narinfo is hidden does not count as missing: pushing it again would change nothing.
//! - 400 for anything wrong in a completion, `parts: null` included; 404 for uploads that are not
//!   known or over (a second abort included); 413 above 2 MiB of JSON or 32,768 hashes; 415 and 406 for
//!   wrong content types; 405 for a wrong method.
//! - A completed path that is there already: 200, and nothing changes.
//! - A signature on a cache that the service signs, and one that does not verify, are refused.
//! - The shortest part is that of object storages (5 MiB, the last apart), and part numbers have no gap.
//! - Deleting a pin answers 200 ([`Settings::pin_deleted`]); each pinning makes a revision, also of the
//!   same path; `Days` counts from the last revision; what a pinned path needs is kept with it; the
//!   files of kept revisions must not exceed the limit, else 400.
//! - Making a cache that is there: 400.
//!
//! Not here: the calls of the web site (settings, contents, clear), the single upload of clients
//! before 1.3, deployments, logs.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each user takes a part of it, and a stand-in that cannot go on says so by panicking"
)]

mod access;
mod account;
mod admin;
mod answer;
mod cache_view;
mod clock;
mod collect;
mod complete;
mod connection;
mod fault;
mod nar_file;
mod pin;
mod read;
mod request;
mod route;
mod said;
mod serve;
mod settings;
mod stand_in;
mod storage;
mod upload;
mod world;

pub use access::Grant;
pub use cache_view::CacheView;
pub use clock::Clock;
pub use fault::{Fault, Faults, Kind};
pub use request::{Place, Recorded, Requests};
pub use settings::{CacheSettings, Settings};
pub use stand_in::StandIn;
pub use world::{Entry, Pin, Revision};
