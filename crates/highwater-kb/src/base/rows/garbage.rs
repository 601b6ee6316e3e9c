//! The rows of the collection: what generations refer to, what is condemned, and how far it is. Owns the statements on them; what is
//! garbage is decided in `collect`.

use std::collections::BTreeSet;

use highwater_db::sqlite::rusqlite::{self, Connection};
use jiff::Timestamp;

use super::{nothing, one, told, unreadable};
use crate::content::ContentId;
use crate::error::KbError;

const DOING: &str = "tell what is garbage";

const IS_REFERENCED: &str = "SELECT 1 FROM referenced WHERE content = ?1";
const CONDEMNED: &str = "SELECT name, at FROM condemned WHERE name > ?1 AND name <= ?2";
const REPRIEVE: &str = "DELETE FROM condemned WHERE name = ?1";

/// Every statement here that looks something up, for the test that asks how.
#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] = &[IS_REFERENCED, CONDEMNED, REPRIEVE];

/// How far the collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collection {
    pub(crate) noted: u32,
    pub(crate) looked: String,
    pub(crate) ended: Option<Timestamp>,
}

pub(crate) fn collection(rows: &Connection) -> Result<Collection, KbError> {
    let found = one(rows, DOING, "SELECT noted, looked, ended FROM collection", [], |row| {
        let ended: Option<String> = row.get(2)?;
        let ended = ended.map(|at| moment(&at)).transpose()?;
        Ok(Collection { noted: row.get(0)?, looked: row.get(1)?, ended })
    })?;
    found.ok_or(KbError::Rows { doing: DOING, source: nothing(rows) })
}

/// Notes what the generations up to this one refer to.
pub(crate) fn note(rows: &Connection, generation: u32, refers_to: &BTreeSet<ContentId>) -> Result<(), KbError> {
    let note = || -> rusqlite::Result<()> {
        let mut note = rows.prepare_cached("INSERT OR IGNORE INTO referenced VALUES (?1)")?;
        for content in refers_to {
            note.execute([content])?;
        }
        rows.prepare_cached("UPDATE collection SET noted = ?1")?.execute([generation])?;
        Ok(())
    };
    note().map_err(|error| told(rows, DOING, error))
}

/// Whether a generation that was noted refers to it.
pub(crate) fn is_referenced(rows: &Connection, content: ContentId) -> Result<bool, KbError> {
    Ok(one(rows, DOING, IS_REFERENCED, [content], |_| Ok(()))?.is_some())
}

/// Whether it is lost what some generation changed: rows that were made again tell of none such.
pub(crate) fn is_any_lost(rows: &Connection) -> Result<bool, KbError> {
    const SQL: &str = "SELECT (SELECT count(*) FROM generation) < (SELECT head FROM base)";
    one(rows, DOING, SQL, [], |row| row.get(0)).map(|lost| lost.unwrap_or(true))
}

/// What is condemned of the names after one, up to another.
pub(crate) fn condemned(rows: &Connection, after: &str, last: &str) -> Result<Vec<(String, Timestamp)>, KbError> {
    let read = || -> rusqlite::Result<Vec<(String, Timestamp)>> {
        let mut list = rows.prepare_cached(CONDEMNED)?;
        let list = list.query_map([after, last], |row| {
            let at: String = row.get(1)?;
            Ok((row.get(0)?, moment(&at)?))
        })?;
        list.collect()
    };
    read().map_err(|error| told(rows, DOING, error))
}

pub(crate) fn condemn<'a>(
    rows: &Connection,
    names: impl IntoIterator<Item = &'a String>,
    at: Timestamp,
) -> Result<(), KbError> {
    let condemn = || -> rusqlite::Result<()> {
        let mut condemn = rows.prepare_cached("INSERT INTO condemned VALUES (?1, ?2)")?;
        names.into_iter().try_for_each(|name| condemn.execute((name, at.to_string())).map(drop))
    };
    condemn().map_err(|error| told(rows, DOING, error))
}

/// Takes names off the list of what is condemned.
pub(crate) fn reprieve<'a>(rows: &Connection, names: impl IntoIterator<Item = &'a String>) -> Result<(), KbError> {
    let reprieve = || -> rusqlite::Result<()> {
        let mut reprieve = rows.prepare_cached(REPRIEVE)?;
        names.into_iter().try_for_each(|name| reprieve.execute([name]).map(drop))
    };
    reprieve().map_err(|error| told(rows, DOING, error))
}

/// Notes how far this round is.
pub(crate) fn looked(rows: &Connection, last: &str) -> Result<(), KbError> {
    let note = || rows.prepare_cached("UPDATE collection SET looked = ?1")?.execute([last]);
    note().map(drop).map_err(|error| told(rows, DOING, error))
}

/// Notes that a round ended, and the next begins with the first name.
pub(crate) fn ended(rows: &Connection, at: Timestamp) -> Result<(), KbError> {
    let note = || rows.prepare_cached("UPDATE collection SET looked = '', ended = ?1")?.execute([at.to_string()]);
    note().map(drop).map_err(|error| told(rows, DOING, error))
}

fn moment(at: &str) -> rusqlite::Result<Timestamp> {
    at.parse().map_err(|error: jiff::Error| unreadable(1, error))
}
