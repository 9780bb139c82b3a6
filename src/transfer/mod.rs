//! The push pipeline: source → NAR → hash → compress → sink, streaming and bounded.
