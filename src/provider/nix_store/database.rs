//! Reads the database by row number into flat columns.

mod rows;

use super::fallback;
use super::location::Location;
use super::marks::Mark;
use crate::plan::observed::{LocalStore, Observation, Why};
use crate::sys::sqlite::{self, SqliteError};
use rows::{Fault, rows};

/// The newest form of the database that we know; all Nix since 2.0 use it.
const SCHEMA: u32 = 10;

/// Why the store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the file system said no.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// Newer than we know.
    #[error("read the Nix database: its schema is {found}, and only {SCHEMA} is known")]
    Schema {
        /// What the file `schema` says.
        found: String,
    },
    /// Something in it is not as Nix writes it.
    #[error("read the Nix database: {0}")]
    Content(String),
    /// A mark was made on another database.
    #[error("use the mark `{0}`: it was made on another Nix database")]
    OtherDatabase(String),
    /// A mark cannot be compared with what the other way of asking says.
    #[error("use the mark `{0}`: that needs the Nix database itself")]
    MarkNeedsDatabase(String),
    /// The other way of asking failed, too.
    #[error("{database}; nor does Nix itself say: {nix}")]
    Fallback {
        /// Why the database did not do.
        database: Box<StoreError>,
        /// Why the other way did not do.
        nix: String,
    },
}

/// What is to be observed.
#[derive(Clone, Copy, Default)]
pub struct Question<'a> {
    /// Also say what is new since this mark.
    pub since: Option<&'a Mark>,
    /// Asks Nix: the output of `nix path-info --all --json`, or a sentence why there is none.
    pub fallback: Option<&'a dyn Fn() -> Result<Vec<u8>, String>>,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// Reads all valid paths with their references. `Absent`: there is no Nix store here.
#[must_use]
pub fn observe(location: &Location, question: Question<'_>) -> Observation<LocalStore> {
    match read(location, question.since) {
        Ok(Some(store)) => Observation::Present(store),
        // A machine without a database has no valid path; there is nothing to fall back to.
        Ok(None) => match question.since {
            Some(mark) if mark.id > 0 => {
                Observation::Unknown(why(&StoreError::OtherDatabase(mark.name.clone())))
            }
            _ => Observation::Absent,
        },
        Err(error @ StoreError::OtherDatabase(_)) => Observation::Unknown(why(&error)),
        Err(error) => match ask(location, question, error) {
            Ok(store) => Observation::Present(store),
            Err(error) => Observation::Unknown(why(&error)),
        },
    }
}

/// The other way of asking, after the database did not do.
fn ask(
    location: &Location,
    question: Question<'_>,
    database: StoreError,
) -> Result<LocalStore, StoreError> {
    let Some(fallback) = question.fallback else {
        return Err(database);
    };
    if let Some(mark) = question.since {
        return Err(StoreError::Fallback {
            database: Box::new(database),
            nix: StoreError::MarkNeedsDatabase(mark.name.clone()).to_string(),
        });
    }
    fallback()
        .and_then(|json| fallback::read(&location.store, &json))
        .map_err(|nix| StoreError::Fallback {
            database: Box::new(database),
            nix,
        })
}

/// An error with its causes as one sentence.
fn why(error: &StoreError) -> Why {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    Why(text)
}

/// The newest row of the database right now, for a mark. Without a database: 0.
///
/// # Errors
/// The database is there and cannot be read.
pub fn mark_here(location: &Location, name: &str, time: i64) -> Result<Mark, StoreError> {
    let mut mark = Mark {
        version: super::marks::VERSION,
        name: name.to_owned(),
        store: location.store.to_string(),
        state: location.state.clone(),
        id: 0,
        path: None,
        time,
    };
    if check_schema(location)? {
        let newest = sqlite::read(&location.database(), |connection| {
            let query = "select id, path from ValidPaths order by id desc limit 1";
            let mut statement = connection.prepare(query)?;
            let mut rows = statement.query([])?;
            rows.next()?
                .map(|row| Ok((row.get(0)?, row.get(1)?)))
                .transpose()
        });
        if let Some((id, path)) = newest? {
            mark.id = id;
            mark.path = Some(path);
        }
    }
    Ok(mark)
}

/// Whether there is a database, and one that we can read.
pub(super) fn check_schema(location: &Location) -> Result<bool, StoreError> {
    let database = location.database();
    match std::fs::symlink_metadata(&database) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(SqliteError::File {
                path: database,
                source,
            }
            .into());
        }
        Ok(_) => {}
    }
    let schema = location.state.join("db/schema");
    match std::fs::read(&schema) {
        Ok(text) => {
            let found = String::from_utf8_lossy(&text).trim().to_owned();
            match found.parse::<u32>() {
                Ok(SCHEMA) => Ok(true),
                // Older ones lack columns; Nix migrates them when it next opens the store.
                _ => Err(StoreError::Schema {
                    found: found.chars().take(20).collect(),
                }),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Schema {
            found: "not said".to_owned(),
        }),
        Err(source) => Err(SqliteError::File {
            path: schema,
            source,
        }
        .into()),
    }
}

/// `None`: there is no database.
fn read(location: &Location, since: Option<&Mark>) -> Result<Option<LocalStore>, StoreError> {
    if !check_schema(location)? {
        return Ok(None);
    }
    let store = sqlite::read(&location.database(), |connection| {
        // What we find wrong is no error of SQLite's, so it goes through as a value.
        match rows(connection, location, since) {
            Ok(store) => Ok(Ok(store)),
            Err(Fault::Sqlite(error)) => Err(error),
            Err(Fault::Ours(error)) => Ok(Err(error)),
        }
    })?;
    store.map(Some)
}
