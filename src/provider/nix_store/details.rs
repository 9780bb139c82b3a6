//! What a path's row says besides, read only for the paths that somebody asks about.

use std::collections::BTreeMap;

use super::database::{StoreError, check_schema};
use super::location::Location;
use crate::nix::hash::Sha256;
use crate::nix::store_path::{HashPart, StorePath};
use crate::sys::sqlite;

/// Everything that the database says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The path.
    pub path: StorePath,
    /// Hash of its NAR.
    pub nar_hash: Sha256,
    /// Bytes of its NAR; 0 if not known.
    pub nar_size: u64,
    /// Paths that it refers to, itself too if so; sorted.
    pub references: Vec<StorePath>,
    /// Signatures as written, malformed ones too.
    pub signatures: Vec<String>,
    /// Content address as written.
    pub ca: Option<String>,
    /// Derivation that made it; need not be valid here.
    pub deriver: Option<StorePath>,
    /// When it was registered on this machine: seconds since 1970-01-01 UTC.
    pub registered: i64,
    /// Built here, so trusted without a signature.
    pub ultimate: bool,
}

/// Reads the details of these paths; paths that are not valid here are left out.
///
/// # Errors
/// The database is missing or cannot be read.
pub fn details(
    location: &Location,
    paths: &[StorePath],
) -> Result<BTreeMap<HashPart, Details>, StoreError> {
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    if !check_schema(location)? {
        return Err(sqlite::SqliteError::Missing(location.database()).into());
    }
    let found = sqlite::read(&location.database(), |connection| {
        let mut row_of = connection.prepare(
            "select id, hash, narSize, sigs, ca, deriver, registrationTime, ultimate \
             from ValidPaths where path = ?",
        )?;
        let mut references_of = connection.prepare(
            "select path from Refs join ValidPaths on id = reference where referrer = ? order by path",
        )?;
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            let full = location.store.display(path).to_string();
            let mut rows = row_of.query([&full])?;
            let Some(row) = rows.next()? else { continue };
            let id: i64 = row.get(0)?;
            let references: Vec<String> = references_of
                .query_map([id], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            found.push(Raw {
                path: path.clone(),
                hash: row.get(1)?,
                size: row.get(2)?,
                signatures: row.get(3)?,
                ca: row.get(4)?,
                deriver: row.get(5)?,
                registered: row.get(6)?,
                ultimate: row.get(7)?,
                references,
            });
        }
        Ok(found)
    })?;
    found
        .into_iter()
        .map(|raw| Ok((raw.path.hash(), raw.check(location)?)))
        .collect()
}

/// The columns as they come.
struct Raw {
    path: StorePath,
    hash: String,
    size: Option<i64>,
    signatures: Option<String>,
    ca: Option<String>,
    deriver: Option<String>,
    registered: i64,
    ultimate: Option<i64>,
    references: Vec<String>,
}

impl Raw {
    fn check(self, location: &Location) -> Result<Details, StoreError> {
        let wrong =
            |what: &str| StoreError::Content(format!("{what} of `{}` is malformed", self.path));
        let parse = |full: &String| location.store.parse(full).map_err(|_| wrong("a reference"));
        let hex = self
            .hash
            .strip_prefix("sha256:")
            .ok_or_else(|| wrong("the hash"))?;
        Ok(Details {
            nar_hash: Sha256::from_hex(hex).map_err(|_| wrong("the hash"))?,
            nar_size: self
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            references: self
                .references
                .iter()
                .map(parse)
                .collect::<Result<_, _>>()?,
            signatures: self
                .signatures
                .as_deref()
                .unwrap_or_default()
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            ca: self.ca.clone().filter(|ca| !ca.is_empty()),
            // A deriver is only told, never relied on.
            deriver: self
                .deriver
                .as_deref()
                .and_then(|full| location.store.parse(full).ok()),
            registered: self.registered,
            ultimate: self.ultimate == Some(1),
            path: self.path,
        })
    }
}
