//! Whether the catalogue is whole, and whether what is counted and indexed is what is there.

use std::fmt;

use highwater_db::sqlite::rusqlite::{self, Connection};
use highwater_db::sqlite::{Error, quick_check};

use super::figures::{Figures, figures};
use super::list::unpacked;
use super::raw::Unpacker;

/// Records that are named of those that are damaged; the rest are counted.
const NAMED_MAX: usize = 20;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckLine {
    /// Whether it holds.
    pub ok: bool,
    /// What was checked, and what was found.
    pub text: String,
}

impl CheckLine {
    fn ok(text: impl Into<String>) -> Self {
        Self { ok: true, text: text.into() }
    }

    fn wrong(text: impl Into<String>) -> Self {
        Self { ok: false, text: text.into() }
    }
}

impl fmt::Display for CheckLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.ok { "ok" } else { "wrong" }, self.text)
    }
}

/// Checks everything on one state of the catalogue; reads only.
pub(super) fn check(db: &Connection, unpacker: &mut Unpacker) -> Result<Vec<CheckLine>, Error> {
    // Looks into the index of words too.
    match quick_check(db) {
        Ok(()) => {}
        Err(Error::Damaged { findings, .. }) => return Ok(findings.into_iter().map(CheckLine::wrong).collect()),
        Err(error) => return Err(error),
    }
    rows(db, unpacker).map_err(|error| Error::on(db, error))
}

fn rows(db: &Connection, unpacker: &mut Unpacker) -> rusqlite::Result<Vec<CheckLine>> {
    let db = &*db.unchecked_transaction()?;
    let mut lines = vec![CheckLine::ok("the pages of the file are whole")];
    let (kept, counted) = (figures(db)?, count_all(db)?);
    lines.push(if kept == counted {
        CheckLine::ok(format!("the figures are what there is: {kept}"))
    } else {
        CheckLine::wrong(format!("the figures say {kept}, there are {counted}"))
    });
    lines.push(match count(db, include_str!("check/unsearchable.sql"))? {
        0 => CheckLine::ok("what is searched is what there is"),
        wrong => CheckLine::wrong(format!("{wrong} works and rows of the index of words are without the other")),
    });
    lines.push(match count(db, include_str!("check/misfiled.sql"))? {
        0 => CheckLine::ok("every live record is a work, and every other record is none"),
        wrong => CheckLine::wrong(format!(
            "{wrong} records are live without a work or metadata, or have one without being live"
        )),
    });
    lines.push(metadata(db, unpacker)?);
    Ok(lines)
}

/// Whether everything that is stored can be unpacked.
fn metadata(db: &Connection, unpacker: &mut Unpacker) -> rusqlite::Result<CheckLine> {
    let mut statement = db.prepare(include_str!("check/metadata.sql"))?;
    let mut rows = statement.query([])?;
    let (mut read, mut damaged, mut named) = (0_u64, 0_u64, Vec::new());
    while let Some(row) = rows.next()? {
        read += 1;
        if unpacked(db, row.get(0)?, unpacker)?.is_none() {
            damaged += 1;
            if named.len() < NAMED_MAX {
                named.push(row.get::<_, String>(1).unwrap_or_else(|_| "one without a name".to_owned()));
            }
        }
    }
    Ok(if damaged == 0 {
        CheckLine::ok(format!("the metadata of {read} records can be read"))
    } else {
        let more = if damaged > NAMED_MAX as u64 { ", …" } else { "" };
        CheckLine::wrong(format!(
            "the metadata of {damaged} of {read} records is damaged, load them again: {}{more}",
            named.join(", ")
        ))
    })
}

fn count_all(db: &Connection) -> rusqlite::Result<Figures> {
    db.query_row(include_str!("check/figures.sql"), [], Figures::read)
}

fn count(db: &Connection, sql: &str) -> rusqlite::Result<u64> {
    db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}
