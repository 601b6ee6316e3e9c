//! What a look at the whole of a base reads of its rows: always a piece after another, in order. Owns these statements; what is made of
//! the pieces is in `lint`, `status` and `graph`.

use highwater_db::sqlite::rusqlite::{self, Connection, Row};

use super::{count, one, told, unreadable};
use crate::base::project::Fate;
use crate::content::ContentId;
use crate::error::KbError;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

const FILES_AFTER: &str = "SELECT path, content FROM file WHERE path > ?1 ORDER BY path LIMIT ?2";
const GENERATIONS_AFTER: &str = "SELECT number, manifest FROM generation WHERE number > ?1 ORDER BY number LIMIT ?2";
const LISTED_AFTER: &str = "SELECT name, key, title, documents FROM page
    WHERE kind = ?1 AND stands = 1 AND key > ?2 ORDER BY key LIMIT ?3";
const LINKS_AFTER: &str =
    "SELECT origin, target FROM link WHERE (origin, target) > (?1, ?2) ORDER BY origin, target LIMIT ?3";
const RECORDS_AFTER: &str = "SELECT name, record FROM document WHERE name > ?1 ORDER BY name LIMIT ?2";
const COUNT_BELOW: &str = "SELECT count(*) FROM file WHERE path >= ?1 AND path < ?2";

#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] =
    &[FILES_AFTER, GENERATIONS_AFTER, LISTED_AFTER, LINKS_AFTER, RECORDS_AFTER, COUNT_BELOW];

/// A page that the index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: PageName,
    /// What it is sorted by.
    pub(crate) key: Vec<u8>,
    pub(crate) title: String,
    /// How many documents it is of.
    pub(crate) documents: u64,
}

/// At most `limit` files after a path, in order.
pub(crate) fn files_after(rows: &Connection, path: &str, limit: u32) -> Result<Vec<(FilePath, ContentId)>, KbError> {
    list(rows, "list its files", FILES_AFTER, (path, limit), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// At most `limit` generations after a number, with the names of their manifests.
pub(crate) fn generations_after(rows: &Connection, number: u32, limit: u32) -> Result<Vec<(u32, ContentId)>, KbError> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    list(rows, "list its generations", GENERATIONS_AFTER, (number, limit), read)
}

/// At most `limit` documents after a name, with what is known of them, as it is written down.
pub(crate) fn records_after(rows: &Connection, name: &str, limit: u32) -> Result<Vec<(String, String)>, KbError> {
    list(rows, "list its documents", RECORDS_AFTER, (name, limit), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// At most `limit` pages of a kind that stand, after what one of them is sorted by.
pub(crate) fn listed_after(rows: &Connection, kind: PageKind, key: &[u8], limit: u32) -> Result<Vec<Listed>, KbError> {
    list(rows, "list its pages", LISTED_AFTER, (kind.type_word(), key, limit), |row| {
        let name: String = row.get(0)?;
        let name = name.parse().map_err(|error| unreadable(0, error))?;
        Ok(Listed { name, key: row.get(1)?, title: row.get(2)?, documents: count(row, 3)? })
    })
}

/// At most `limit` links after one, as they are written: from where, to what.
pub(crate) fn links_after(
    rows: &Connection,
    after: (&str, &str),
    limit: u32,
) -> Result<Vec<(String, String)>, KbError> {
    list(rows, "list its links", LINKS_AFTER, (after.0, after.1, limit), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// How many files there are whose paths begin so.
pub(crate) fn count_below(rows: &Connection, prefix: &str) -> Result<u64, KbError> {
    let params = (prefix, format!("{prefix}\u{10ffff}"));
    Ok(one(rows, "count its files", COUNT_BELOW, params, |row| count(row, 0))?.unwrap_or(0))
}

/// How many files have this fate. Looks at each file.
pub(crate) fn fated(rows: &Connection, fate: Fate) -> Result<u64, KbError> {
    const SQL: &str = "SELECT count(*) FROM file WHERE fate = ?1";
    Ok(one(rows, "count its files", SQL, [fate.as_str()], |row| count(row, 0))?.unwrap_or(0))
}

/// How large all documents are, as they were given. Looks at each document.
pub(crate) fn raw_bytes(rows: &Connection) -> Result<u64, KbError> {
    const SQL: &str = "SELECT coalesce(sum(record ->> 'bytes'), 0) FROM document";
    Ok(one(rows, "add up its documents", SQL, [], |row| count(row, 0))?.unwrap_or(0))
}

fn list<T>(
    rows: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, KbError> {
    let found =
        || -> rusqlite::Result<Vec<T>> { rows.prepare_cached(sql)?.query_map(params, |row| read(row))?.collect() };
    found().map_err(|error| told(rows, doing, error))
}
