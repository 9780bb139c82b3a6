//! What upstreams answered: a small database of our own. Losing it costs time, nothing else.

use std::collections::BTreeSet;

use camino::Utf8Path;
use rusqlite::{Connection, params};

use super::Lifetimes;
use crate::nix::store_path::HashPart;
use crate::sys::sqlite::{self, SqliteError};

/// Format of the database; another one is thrown away.
const VERSION: i64 = 1;

/// The answers of one upstream.
pub(super) struct Memory {
    connection: Connection,
    upstream: i64,
}

impl Memory {
    /// Opens the memory, and makes it (again) where it is missing or damaged.
    pub(super) fn open(path: &Utf8Path, url: &str) -> Result<Self, SqliteError> {
        let connection = sqlite::own(path, |connection| {
            let version: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
            if version != VERSION && version != 0 {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                return Err(rusqlite::Error::SqliteFailure(code, None));
            }
            connection.execute_batch(&format!(
                "create table if not exists Upstreams (id integer primary key, url text unique not null);
                 create table if not exists Answers (
                   upstream integer not null, hash blob not null, present integer not null,
                   time integer not null, primary key (upstream, hash)) without rowid;
                 pragma user_version = {VERSION}"
            ))
        })?;
        let query = |source| SqliteError::Query {
            path: path.to_owned(),
            source,
        };
        connection
            .execute("insert or ignore into Upstreams (url) values (?)", [url])
            .map_err(query)?;
        let upstream = connection
            .query_row("select id from Upstreams where url = ?", [url], |row| {
                row.get(0)
            })
            .map_err(query)?;
        Ok(Self {
            connection,
            upstream,
        })
    }

    /// The answers that are still to be believed. Those from the future are not: a clock jumped.
    pub(super) fn recall(&self, lifetimes: Lifetimes, now: i64) -> Vec<(HashPart, bool)> {
        let since = |life: u64| now.saturating_sub(i64::try_from(life).unwrap_or(i64::MAX));
        let read = || -> rusqlite::Result<Vec<(HashPart, bool)>> {
            let mut statement = self.connection.prepare(
                "select hash, present from Answers where upstream = ?1 and time <= ?4 \
                 and time > case when present then ?2 else ?3 end",
            )?;
            let limits = (
                self.upstream,
                since(lifetimes.positive),
                since(lifetimes.negative),
                now,
            );
            let rows =
                statement.query_map(limits, |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
            let mut answers = Vec::new();
            for row in rows {
                let (hash, present) = row?;
                if let Ok(bytes) = <[u8; 20]>::try_from(hash) {
                    answers.push((HashPart::from_bytes(bytes), present));
                }
            }
            Ok(answers)
        };
        read().unwrap_or_default()
    }

    /// Keeps answers, and forgets those that nobody would believe any more.
    pub(super) fn remember(
        &mut self,
        present: &BTreeSet<HashPart>,
        absent: &BTreeSet<HashPart>,
        now: i64,
    ) {
        let upstream = self.upstream;
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            {
                let mut statement = transaction.prepare(
                    "insert or replace into Answers (upstream, hash, present, time) values (?, ?, ?, ?)",
                )?;
                for (hashes, present) in [(present, true), (absent, false)] {
                    for hash in hashes {
                        statement.execute(params![
                            upstream,
                            hash.as_bytes().as_slice(),
                            present,
                            now
                        ])?;
                    }
                }
                let old = now.saturating_sub(90 * 24 * 3600);
                transaction.execute("delete from Answers where time < ?", [old])?;
            }
            transaction.commit()
        };
        // What cannot be kept is asked again next time.
        drop(write());
    }
}
