//! Writing a file that is ours, or one line of a file that is the user's.

use camino::{Utf8Path, Utf8PathBuf};

use super::files::file;
use crate::plan::observed::{Observation, Why};
use crate::sys::file::{self as disk, FileError};
use crate::sys::host::Host;

/// Why a step was not done. In every case the files are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not as it was when the step was planned.
    #[error("write `{0}`: it has changed since it was planned")]
    Stale(Utf8PathBuf),
    /// The file is another tool's.
    #[error("write `{path}`: {owner}")]
    Managed {
        /// The file.
        path: Utf8PathBuf,
        /// Whose it is, and where to write instead.
        owner: String,
    },
    /// The file cannot be looked at.
    #[error("write `{path}`: {}", why.0)]
    Unseen {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        why: Why,
    },
    /// A name that no environment variable can have, or a value that the file cannot hold.
    #[error("export `{0}`: not a name or value for an environment file")]
    Variable(String),
    /// The system said no.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ApplyError {
    /// Whether the plan is what is wrong: the world has moved on.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

/// Makes `path` hold `after`, if it holds `before` now (`None`: there is no such file), or `after`
/// already. Missing folders are made; links are followed; mode and owner stay.
///
/// # Errors
/// The file has changed, is another tool's, or cannot be written.
pub fn write(
    host: &Host,
    path: &Utf8Path,
    before: Option<&str>,
    after: &str,
) -> Result<(), ApplyError> {
    let now = match file(host, path) {
        Observation::Present(facts) => match facts.managed {
            Some(owner) => {
                return Err(ApplyError::Managed {
                    path: path.to_owned(),
                    owner,
                });
            }
            None => Some(facts.text),
        },
        Observation::Absent => None,
        Observation::Unknown(why) | Observation::Error(why) => {
            return Err(ApplyError::Unseen {
                path: path.to_owned(),
                why,
            });
        }
    };
    if now.as_deref() == Some(after) {
        return Ok(());
    }
    if now.as_deref() != before {
        return Err(ApplyError::Stale(path.to_owned()));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| FileError::io("create the folder", folder.as_std_path(), source))?;
    }
    disk::write(path.as_std_path(), after.as_bytes(), 0o644)?;
    Ok(())
}
