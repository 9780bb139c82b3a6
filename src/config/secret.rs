//! References to secrets: `{ env: NAME }`, `{ file: PATH }`, `{ command: [..] }`.
//!
//! A reference says where a secret is, never what it is; reading it is the engine's work.

use std::fmt;

/// Where a secret is to be had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, path as written.
    File(String),
    /// On the standard output of a command.
    Command(Vec<String>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{path}`"),
            Self::Command(words) => {
                write!(f, "command `{}`", words.first().map_or("", String::as_str))
            }
        }
    }
}
