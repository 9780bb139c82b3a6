//! The push pipeline: source → NAR → hash → compress → sink, streaming and bounded.
//!
//! It defines [`Sink`] and knows no provider.

pub mod progress;
