//! The rows of the database as flat columns.

use std::collections::BTreeMap;

use camino::Utf8Path;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::StoreError;
use crate::nix::closure::GraphBuilder;
use crate::nix::hash::Sha256;
use crate::nix::store_path::{StorePathError, StorePathRef};
use crate::plan::observed::LocalStore;
use crate::plan::paths::{Paths, Row};
use crate::provider::nix_store::location::Location;
use crate::provider::nix_store::marks::Mark;

/// Row numbers of the database are looked up in a table of at most so many times its rows.
const SPARSE: usize = 16;

pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Ours(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn content(text: impl Into<String>) -> Fault {
    Fault::Ours(StoreError::Content(text.into()))
}

/// Row numbers of the database → our rows.
struct Ids {
    ids: Vec<i64>,
    table: Option<Vec<Row>>,
}

impl Ids {
    const NONE: Row = Row::MAX;

    fn new(ids: Vec<i64>) -> Self {
        let last = ids
            .last()
            .and_then(|id| usize::try_from(*id).ok())
            .unwrap_or(0);
        let table = (last < (ids.len() + (1 << 16)) * SPARSE).then(|| {
            let mut table = vec![Self::NONE; last + 1];
            for (row, id) in (0..).zip(&ids) {
                if let Some(place) = usize::try_from(*id).ok().and_then(|id| table.get_mut(id)) {
                    *place = row;
                }
            }
            table
        });
        Self { ids, table }
    }

    fn row(&self, id: i64) -> Option<Row> {
        match &self.table {
            Some(table) => {
                let row = *table.get(usize::try_from(id).ok()?)?;
                (row != Self::NONE).then_some(row)
            }
            None => self
                .ids
                .binary_search(&id)
                .ok()
                .and_then(|row| Row::try_from(row).ok()),
        }
    }
}

pub(super) fn rows(
    connection: &Connection,
    location: &Location,
    since: Option<&Mark>,
) -> Result<LocalStore, Fault> {
    let count: i64 =
        connection.query_row("select count(*) from ValidPaths", [], |row| row.get(0))?;
    let count = usize::try_from(count).unwrap_or(0);
    let mut builder = Paths::builder(count);
    let mut nar_hashes = Vec::with_capacity(count);
    let mut ids: Vec<i64> = Vec::with_capacity(count);
    let prefix = format!("{}/", location.store);
    let mut statement =
        connection.prepare("select id, path, hash, narSize from ValidPaths order by id")?;
    let mut cursor = statement.query([])?;
    while let Some(row) = cursor.next()? {
        let path = text(row.get_ref(1)?)?;
        let parsed = store_path(path, &prefix)?;
        let nar_hash = nar_hash(text(row.get_ref(2)?)?, path)?;
        let size = match row.get_ref(3)? {
            ValueRef::Null => 0,
            ValueRef::Integer(size) => u64::try_from(size).unwrap_or(0),
            _ => return Err(content(format!("the size of `{path}` is not a number"))),
        };
        builder.push(parsed.hash(), parsed.name(), size);
        nar_hashes.push(nar_hash);
        ids.push(row.get(0)?);
    }
    let paths = builder.index();
    let rows = ids.len();
    let ids = Ids::new(ids);
    let since_mark = since
        .map(|mark| new_rows(connection, &ids, &paths, mark))
        .transpose()?;
    let refs = references(connection, &ids, rows)?;
    let paths = paths.with_refs(refs);
    let outputs = outputs(connection, &ids, &paths, &prefix)?;
    Ok(LocalStore {
        dir: location.store.clone(),
        nar_hashes,
        outputs,
        since_mark,
        source: "database".to_owned(),
        paths,
    })
}

fn text(value: ValueRef<'_>) -> Result<&str, Fault> {
    value
        .as_str()
        .map_err(|_| content("a column does not hold UTF-8 text"))
}

fn store_path<'a>(path: &'a str, prefix: &str) -> Result<StorePathRef<'a>, Fault> {
    path.strip_prefix(prefix)
        .ok_or(StorePathError::Form)
        .and_then(StorePathRef::parse)
        .map_err(|error| content(format!("`{path}` is not a path of this store: {error}")))
}

/// `sha256:` and 64 hex digits.
fn nar_hash(text: &str, path: &str) -> Result<Sha256, Fault> {
    text.strip_prefix("sha256:")
        .and_then(|hex| Sha256::from_hex(hex).ok())
        .ok_or_else(|| content(format!("the hash of `{path}` is not a SHA-256 in base 16")))
}

/// References as one list per row, read in the order of an index, so nothing has to be sorted.
fn references(
    connection: &Connection,
    ids: &Ids,
    rows: usize,
) -> Result<crate::nix::closure::Graph, Fault> {
    let mut statement =
        connection.prepare("select referrer, reference from Refs order by referrer, reference")?;
    let mut cursor = statement.query([])?;
    let mut graph = GraphBuilder::with_capacity(rows);
    let mut list: Vec<Row> = Vec::new();
    let mut at: Row = 0;
    while let Some(row) = cursor.next()? {
        let (referrer, reference): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (Some(referrer), Some(reference)) = (ids.row(referrer), ids.row(reference)) else {
            return Err(content(format!(
                "a reference ({referrer}, {reference}) leads nowhere"
            )));
        };
        while at < referrer {
            graph.push_row(list.drain(..));
            at += 1;
        }
        list.push(reference);
    }
    while (at as usize) < rows {
        graph.push_row(list.drain(..));
        at += 1;
    }
    graph.finish().map_err(|error| content(error.to_string()))
}

/// Derivation → its outputs that are valid here.
fn outputs(
    connection: &Connection,
    ids: &Ids,
    paths: &Paths,
    prefix: &str,
) -> Result<BTreeMap<Row, Vec<Row>>, Fault> {
    let mut statement = connection.prepare("select drv, path from DerivationOutputs")?;
    let mut cursor = statement.query([])?;
    let mut pairs: Vec<(Row, Row)> = Vec::new();
    while let Some(row) = cursor.next()? {
        let path = text(row.get_ref(1)?)?;
        let parsed = store_path(path, prefix)?;
        // Most outputs of a store full of derivations were never built here.
        let found = paths.row(&parsed.hash());
        let Some(output) = found.filter(|row| paths.name(*row) == parsed.name()) else {
            continue;
        };
        let drv: i64 = row.get(0)?;
        let drv = ids
            .row(drv)
            .ok_or_else(|| content(format!("output `{path}` is of a derivation that is gone")))?;
        pairs.push((drv, output));
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut outputs: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    for (drv, output) in pairs {
        outputs.entry(drv).or_default().push(output);
    }
    Ok(outputs)
}

/// Rows registered after a mark. Ids are never reused, so the row of the mark, if it still is
/// there, must name the same path; and the database must have given out at least that id.
fn new_rows(
    connection: &Connection,
    ids: &Ids,
    paths: &Paths,
    mark: &Mark,
) -> Result<Vec<Row>, Fault> {
    let other = || Fault::Ours(StoreError::OtherDatabase(mark.name.clone()));
    let highest: i64 = connection.query_row(
        "select coalesce(max(seq), 0) from sqlite_sequence where name = 'ValidPaths'",
        [],
        |row| row.get(0),
    )?;
    if mark.id > highest {
        return Err(other());
    }
    if let (Some(row), Some(path)) = (ids.row(mark.id), &mark.path)
        && Utf8Path::new(path).file_name() != Some(&paths.base_name(row))
    {
        return Err(other());
    }
    let first = ids.ids.partition_point(|id| *id <= mark.id);
    Ok(paths.rows().skip(first).collect())
}
