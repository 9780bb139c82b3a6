//! The record of runs: a database in the state folder, and files that survive the machine.
//!
//! Promises: what was added is there after a crash of the program; adding the same record again, on any
//! machine and in any order, changes nothing; nothing is thrown away but by [`Ledger::thin`]; a record of a newer
//! program is kept as it is. What it must not do: judge (that is `insight`), or look at anything but its own files.

pub mod file;

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::insight::run::{Run, RunError, RunId};
use crate::plan::time::Time;
use crate::sys::sqlite::{self, SqliteError};

/// Number of the layout of the database.
const VERSION: i64 = 1;

/// Why the ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// A newer program made it.
    #[error("use the ledger `{path}`: its layout is {found}, this program knows {VERSION}")]
    Newer {
        /// The file.
        path: Utf8PathBuf,
        /// Its layout.
        found: i64,
    },
    /// What was to be added is no record.
    #[error("line {line}")]
    Line {
        /// Which line of the file, counted from 1.
        line: usize,
        /// Why.
        #[source]
        why: RunError,
    },
    /// A file cannot be unpacked, or is too large.
    #[error("{0}")]
    File(String),
}

/// What adding records did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Records that were new.
    pub new: u64,
    /// Records that were there.
    pub known: u64,
}

/// The ledger of a machine.
#[derive(Debug)]
pub struct Ledger {
    path: Utf8PathBuf,
    connection: Connection,
}

impl Ledger {
    /// Opens the ledger in the state folder, and makes it where there is none.
    ///
    /// # Errors
    /// It cannot be made or opened, is damaged, or is of a newer program.
    pub fn open(state_folder: &Utf8Path) -> Result<Self, LedgerError> {
        let path = state_folder.join("ledger.sqlite");
        let connection = sqlite::kept(&path, |connection| {
            let version: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
            if version != 0 {
                return Ok(());
            }
            connection.execute_batch(&format!(
                "begin immediate;
                 create table if not exists Runs (
                   id text primary key, project text not null, start integer not null,
                   line blob not null) without rowid;
                 create index if not exists RunsByStart on Runs (project, start);
                 create table if not exists Told (
                   cache text not null, id text not null, primary key (cache, id)) without rowid;
                 pragma user_version = {VERSION};
                 commit"
            ))
        })?;
        let ledger = Self { path, connection };
        let version: i64 = ledger
            .ask(|connection| connection.query_row("pragma user_version", [], |row| row.get(0)))?;
        if version > VERSION {
            return Err(LedgerError::Newer {
                path: ledger.path,
                found: version,
            });
        }
        Ok(ledger)
    }

    fn ask<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        work(&self.connection).map_err(|source| {
            let path = self.path.clone();
            SqliteError::Query { path, source }.into()
        })
    }

    /// Adds records, as lines of JSON; all or none. Empty lines are nothing.
    ///
    /// # Errors
    /// One of them is no record, or the database cannot be written.
    pub fn add<'a>(
        &mut self,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<Added, LedgerError> {
        let mut runs = Vec::new();
        for (at, line) in lines.into_iter().enumerate() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let error = |why| LedgerError::Line { line: at + 1, why };
            runs.push((Run::from_line(line).map_err(error)?, line));
        }
        let mut added = Added::default();
        let path = self.path.clone();
        let mut work = |connection: &mut Connection| -> rusqlite::Result<()> {
            let change =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            for (run, line) in &runs {
                let new = change.execute(
                    "insert or ignore into Runs (id, project, start, line) values (?, ?, ?, ?)",
                    params![
                        RunId::of_line(line).as_str(),
                        run.project,
                        run.start.0,
                        file::pack_line(line)
                    ],
                )?;
                if new == 1 {
                    added.new += 1;
                } else {
                    added.known += 1;
                }
            }
            change.commit()
        };
        work(&mut self.connection).map_err(|source| SqliteError::Query { path, source })?;
        Ok(added)
    }

    /// The runs of a project, the oldest first; with `since`, those that began then or later.
    ///
    /// # Errors
    /// The database cannot be read, or a record in it.
    pub fn runs(&self, project: &str, since: Option<Time>) -> Result<Vec<Run>, LedgerError> {
        let mut runs = Vec::new();
        for (_, line) in self.lines(project, since)? {
            match Run::from_line(&line) {
                Ok(run) => runs.push(run),
                Err(error) => tracing::warn!("a record of the ledger is left out: {error}"),
            }
        }
        Ok(runs)
    }

    /// The records of a project as lines, with their identities, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn lines(
        &self,
        project: &str,
        since: Option<Time>,
    ) -> Result<Vec<(RunId, String)>, LedgerError> {
        let since = since.map_or(i64::MIN, |since| since.0);
        let packed = self.ask(|connection| {
            let mut statement = connection.prepare(
                "select id, line from Runs where project = ? and start >= ? order by start, id",
            )?;
            let rows = statement.query_map(params![project, since], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let unpack = |(id, line): (String, Vec<u8>)| {
            let line = file::unpack_line(&line).map_err(LedgerError::File)?;
            let id = RunId::read(&id).unwrap_or_else(|| RunId::of_line(&line));
            Ok((id, line))
        };
        packed.into_iter().map(unpack).collect()
    }

    /// Whether there is a run with this identity.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn has(&self, id: &RunId) -> Result<bool, LedgerError> {
        let query = "select 1 from Runs where id = ?";
        self.ask(|connection| {
            let found = connection.query_row(query, [id.as_str()], |_| Ok(()));
            Ok(found.optional()?.is_some())
        })
    }

    /// The records of a project that a cache has not been told yet, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn untold(&self, project: &str, cache: &str) -> Result<Vec<(RunId, String)>, LedgerError> {
        let told: std::collections::BTreeSet<String> = self.ask(|connection| {
            let mut statement = connection.prepare("select id from Told where cache = ?")?;
            let rows = statement.query_map([cache], |row| row.get(0))?;
            rows.collect()
        })?;
        let mut lines = self.lines(project, None)?;
        lines.retain(|(id, _)| !told.contains(id.as_str()));
        Ok(lines)
    }

    /// Remembers that a cache has these records. Losing this costs that they are told again.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn told<'a>(
        &mut self,
        cache: &str,
        ids: impl IntoIterator<Item = &'a RunId>,
    ) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let work = |connection: &mut Connection| -> rusqlite::Result<()> {
            let change =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            for id in ids {
                change.execute(
                    "insert or ignore into Told (cache, id) values (?, ?)",
                    [cache, id.as_str()],
                )?;
            }
            change.commit()
        };
        work(&mut self.connection).map_err(|source| SqliteError::Query { path, source })?;
        Ok(())
    }

    /// Forgets the runs of a project that began before; says how many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn thin(&mut self, project: &str, before: Time) -> Result<u64, LedgerError> {
        let gone = self.ask(|connection| {
            connection.execute(
                "delete from Runs where project = ? and start < ?",
                params![project, before.0],
            )
        })?;
        Ok(gone as u64)
    }
}

#[cfg(test)]
mod tests;
