//! The only users of the machine: host facts, files, HTTP, commands, SQLite.

pub mod clock;
pub mod file;
