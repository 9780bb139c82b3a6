//! Marks: named moments in the life of the store, kept in files of ours.
//!
//! `mark NAME` remembers the newest row of the database; what is registered later has a higher
//! number, because Nix never gives a number twice.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::location::Location;
use crate::sys::file::{self, FileError};

/// Format of the file.
pub(super) const VERSION: u32 = 1;
/// A mark is some hundred bytes.
const MAX_FILE: u64 = 64 << 10;
/// Longest name.
const MAX_NAME: usize = 64;

/// Why there is no such mark.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// Not a name for a file.
    #[error(
        "use `{0}` as the name of a mark: it takes 1 to {MAX_NAME} letters, digits, `-`, `_` and \
         `.`, and does not begin with `.` or `-`"
    )]
    Name(String),
    /// Nobody made it.
    #[error("find the mark `{0}`: make it first with `nanna-cache mark {0}`")]
    Missing(String),
    /// Made for another store.
    #[error("use the mark `{name}`: it is of the store `{store}` with its state in `{state}`")]
    OtherStore {
        /// Its name.
        name: String,
        /// Store directory that it is of.
        store: String,
        /// State folder that it is of.
        state: Utf8PathBuf,
    },
    /// The file is not one of ours, or of a newer version.
    #[error("read the mark in `{path}`: {what}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file system said no.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A moment in the life of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Format of the file.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Store directory.
    pub store: String,
    /// State folder.
    pub state: Utf8PathBuf,
    /// Highest row number at that moment; 0: there was no path yet.
    pub id: i64,
    /// Path of that row, to tell another database by.
    pub path: Option<String>,
    /// When, in seconds since 1970-01-01 UTC.
    pub time: i64,
}

/// The folder of marks.
#[derive(Clone, Debug)]
pub struct Marks {
    folder: Utf8PathBuf,
}

impl Marks {
    /// The marks in our state folder ([`crate::sys::host::Host::state_folder`]).
    #[must_use]
    pub fn new(state_folder: &Utf8Path) -> Self {
        Self {
            folder: state_folder.join("marks"),
        }
    }

    /// Keeps a mark, in the place of an older one of its name.
    ///
    /// # Errors
    /// The name is no name, or the file cannot be written.
    pub fn save(&self, mark: &Mark) -> Result<(), MarkError> {
        let path = self.file(&mark.name)?;
        let io = |source| FileError::io("create the folder", self.folder.as_std_path(), source);
        std::fs::create_dir_all(&self.folder).map_err(io)?;
        let mut text = serde_json::to_string_pretty(mark).map_err(|error| MarkError::Damaged {
            path: path.clone(),
            what: error.to_string(),
        })?;
        text.push('\n');
        file::write(path.as_std_path(), text.as_bytes(), 0o644)?;
        Ok(())
    }

    /// Reads a mark that was made for this store.
    ///
    /// # Errors
    /// There is none, it is of another store, or its file is damaged.
    pub fn load(&self, name: &str, location: &Location) -> Result<Mark, MarkError> {
        let path = self.file(name)?;
        let bytes = file::read_if_there(path.as_std_path(), MAX_FILE)?
            .ok_or_else(|| MarkError::Missing(name.to_owned()))?;
        let damaged = |what: String| MarkError::Damaged {
            path: path.clone(),
            what,
        };
        let version = serde_json::from_slice::<serde_json::Value>(&bytes)
            .map_err(|error| damaged(error.to_string()))?
            .get("version")
            .and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            return Err(damaged(format!("only version {VERSION} is known")));
        }
        let mark: Mark =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if mark.store != location.store.as_str() || mark.state != location.state {
            let Mark {
                name, store, state, ..
            } = mark;
            return Err(MarkError::OtherStore { name, store, state });
        }
        Ok(mark)
    }

    /// The names of all marks, sorted; none where they cannot be listed.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = self.folder.read_dir_utf8().into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.file_name().strip_suffix(".json")?.to_owned()))
            .collect();
        names.sort();
        names
    }

    fn file(&self, name: &str) -> Result<Utf8PathBuf, MarkError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fine = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with(['.', '-']);
        if fine {
            Ok(self.folder.join(format!("{name}.json")))
        } else {
            Err(MarkError::Name(name.chars().take(MAX_NAME).collect()))
        }
    }
}
