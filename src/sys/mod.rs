//! The only users of the machine: host facts, files, HTTP (asking and answering), commands, SQLite.

pub mod clock;
pub mod command;
pub mod end;
pub mod file;
pub mod host;
pub mod http;
pub mod serve;
pub mod sqlite;
pub mod terminal;
pub mod token;
