//! The push pipeline: source → NAR → hash → compress → sink, streaming and bounded; and back:
//! NAR → tree on disk.
//!
//! It defines [`sink::Sink`] and knows no provider. Promises: nothing is read twice, memory does
//! not grow with the size of a NAR, and nothing whose NAR is not the expected one is handed on.

pub mod compress;
pub mod gate;
pub mod pipeline;
pub mod progress;
pub mod sink;
pub mod tree;
pub mod unpack;
