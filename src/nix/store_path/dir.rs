//! The directory of store paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{StorePath, StorePathError};

/// The directory that store paths live in, `/nix/store` unless somebody chose another.
///
/// It is part of every store path's hash and of every signature. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Arc<str>);

impl StoreDir {
    /// Nix's default.
    pub const DEFAULT: &'static str = "/nix/store";

    /// A store directory.
    ///
    /// # Errors
    ///
    /// `dir` is not absolute, or not in its shortest form, or holds a line break or a NUL.
    pub fn new(dir: &str) -> Result<Self, StorePathError> {
        let parts = dir.strip_prefix('/').ok_or(StorePathError::StoreDir)?;
        let plain =
            |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\n', '\r']);
        if !parts.split('/').all(plain) {
            return Err(StorePathError::StoreDir);
        }
        Ok(Self(dir.into()))
    }

    /// The directory, absolute, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Prints the full path of `path`.
    #[must_use]
    pub const fn display<'a>(&'a self, path: &'a StorePath) -> FullPath<'a> {
        FullPath { dir: self, path }
    }

    /// Reads a full path that is directly in this directory.
    ///
    /// # Errors
    ///
    /// The path is elsewhere (also deeper), or its base name is not valid.
    pub fn parse(&self, full: &str) -> Result<StorePath, StorePathError> {
        self.base_name(full)?.parse()
    }

    /// Finds the store path that a path inside the store belongs to, and what follows it:
    /// `/nix/store/h-n/bin/x` gives `h-n` and `/bin/x`.
    ///
    /// Goes by the text alone: it follows no symlink and resolves no `..`.
    ///
    /// # Errors
    ///
    /// The path is not in this directory, or the first part in it is not a valid base name.
    pub fn containing<'a>(&self, path: &'a str) -> Result<(StorePath, &'a str), StorePathError> {
        let inside = self.base_name(path)?;
        let (base, rest) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
        Ok((base.parse()?, rest))
    }

    /// What follows this directory and one slash.
    pub(in crate::nix) fn base_name<'a>(&self, full: &'a str) -> Result<&'a str, StorePathError> {
        full.strip_prefix(self.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::Outside(self.0.to_string()))
    }
}

/// A store path with its directory in front, for printing: [`StoreDir::display`].
#[derive(Debug, Clone, Copy)]
pub struct FullPath<'a> {
    dir: &'a StoreDir,
    path: &'a StorePath,
}

impl fmt::Display for FullPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dir, self.path)
    }
}

impl Default for StoreDir {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl FromStr for StoreDir {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        Self::new(text)
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
