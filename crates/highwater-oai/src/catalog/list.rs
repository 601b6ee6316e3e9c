//! Records in the order in which a provider serves them: by datestamp, then as they came. Owns selecting by date and set.
//!
//! Records in review are not served: what came of them may be anything but XML.

use highwater_db::sqlite::rusqlite::{self, Connection, OptionalExtension as _, Row, named_params, params};
use jiff::{SignedDuration, Timestamp};

use super::raw::Unpacker;
use super::reading::{columns, datestamp, header, is_row_damage};
use super::shelve;
use super::{Cursor, Page, ReviewPage, Reviewed};
use crate::protocol::{Datestamp, Granularity, Header, Record, Selection, SetInfo};

/// The first second of a selection and its last.
fn bounds(select: &Selection) -> (i64, i64) {
    let from = select.from.map_or(i64::MIN, |from| columns(from).0);
    let until = select.until.map_or(i64::MAX, |until| match until.granularity() {
        Granularity::Second => until.at().as_second(),
        Granularity::Day => last_second(until),
    });
    (from, until)
}

/// A day that a selection ends with is in it.
fn last_second(day: Datestamp) -> i64 {
    let end = day.at().saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    end.as_second() - 1
}

pub(super) fn page(
    db: &Connection,
    select: &Selection,
    after: Option<Cursor>,
    limit: usize,
    unpacker: Option<&mut Unpacker>,
) -> rusqlite::Result<Page> {
    let (from, until) = bounds(select);
    // Rows have positive numbers.
    let after = after.map_or((from, 0), |(datestamp, row)| (columns(datestamp).0, row)).max((from, 0));
    let mut statement = db.prepare_cached(match select.set {
        Some(_) => include_str!("list/page_of_set.sql"),
        None => include_str!("list/page.sql"),
    })?;
    // One more, to know whether the list goes on.
    let most = limit.saturating_add(1);
    let mut rows = match &select.set {
        Some(set) => statement.query(named_params! {
            ":set": set, ":after": after.0, ":after_row": after.1, ":until": until, ":limit": most as i64
        })?,
        None => statement.query(named_params! {
            ":after": after.0, ":after_row": after.1, ":until": until, ":limit": most as i64
        })?,
    };
    let mut page = Page { records: Vec::new(), damaged: Vec::new(), next: None };
    let mut unpacker = unpacker;
    let (mut seen, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if seen == limit {
            page.next = last;
            break;
        }
        let cursor: Cursor = (datestamp(row, 2)?, row.get(0)?);
        match one(db, row, cursor.1, unpacker.as_deref_mut())? {
            Ok(record) => page.records.push((cursor, record)),
            Err(damaged) => page.damaged.push(damaged),
        }
        seen += 1;
        last = Some(cursor);
    }
    Ok(page)
}

/// The record of a row, or what is known of one that is damaged (R14).
fn one(
    db: &Connection,
    row: &Row<'_>,
    id: i64,
    unpacker: Option<&mut Unpacker>,
) -> rusqlite::Result<Result<Record, String>> {
    let header = match header(row, 1) {
        Ok(header) => header,
        Err(error) if is_row_damage(&error) => {
            tracing::warn!(record = id, %error, "a record of the catalogue cannot be read and is left out");
            return Ok(Err(format!("row {id}")));
        }
        Err(error) => return Err(error),
    };
    let Some(unpacker) = unpacker.filter(|_| !header.deleted) else {
        return Ok(Ok(Record { header, metadata: None }));
    };
    Ok(match unpacked(db, id, unpacker)? {
        Some(metadata) => Ok(Record { header, metadata: Some(metadata) }),
        None => {
            tracing::warn!(record = header.identifier, "the stored metadata of a record is damaged, it is left out");
            Err(header.identifier)
        }
    })
}

/// The metadata of a live record; `None` where it is damaged or not there.
pub(super) fn unpacked(db: &Connection, id: i64, unpacker: &mut Unpacker) -> rusqlite::Result<Option<String>> {
    let packed = shelve::metadata(db, id);
    match packed {
        Ok(packed) => Ok(packed.and_then(|(bytes, packed)| unpacker.unpack(&packed, bytes))),
        Err(error) if is_row_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many records a selection has.
pub(super) fn count(db: &Connection, select: &Selection) -> rusqlite::Result<u64> {
    let (from, until) = bounds(select);
    let count: i64 = match &select.set {
        Some(set) => {
            db.prepare_cached(include_str!("list/count_of_set.sql"))?.query_row(params![from, until, set], first)
        }
        None if (from, until) == (i64::MIN, i64::MAX) => {
            db.prepare_cached(include_str!("list/count_all.sql"))?.query_row([], first)
        }
        None => db.prepare_cached(include_str!("list/count.sql"))?.query_row(params![from, until], first),
    }?;
    Ok(count.unsigned_abs())
}

fn first<T: rusqlite::types::FromSql>(row: &Row<'_>) -> rusqlite::Result<T> {
    row.get(0)
}

/// A record that is served, and its row.
pub(super) fn find(db: &Connection, oai_id: &str) -> rusqlite::Result<Option<(i64, Header)>> {
    let mut statement = db.prepare_cached(include_str!("list/find.sql"))?;
    statement.query_row([oai_id], |row| Ok((row.get(0)?, header(row, 1)?))).optional()
}

/// The earliest datestamp that is served.
pub(super) fn earliest(db: &Connection) -> rusqlite::Result<Option<Datestamp>> {
    db.prepare_cached(include_str!("list/earliest.sql"))?.query_row([], |row| datestamp(row, 0)).optional()
}

/// The sets that have records, by name. What people call them is not in records.
pub(super) fn sets(db: &Connection) -> rusqlite::Result<Vec<SetInfo>> {
    let mut statement = db.prepare_cached(include_str!("list/sets.sql"))?;
    let specs = statement.query_map([], first::<String>)?;
    specs.map(|spec| spec.map(|spec| SetInfo { name: spec.clone(), spec })).collect()
}

/// Live records after one, in the order of their bytes.
pub(super) fn live_ids(db: &Connection, after: Option<&str>, limit: usize) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached(include_str!("list/live_ids.sql"))?;
    statement.query_map(params![after.unwrap_or(""), limit as i64], first)?.collect()
}

pub(super) fn is_live(db: &Connection, oai_id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(include_str!("list/is_live.sql"))?.exists([oai_id])
}

/// Records that could not be read, after a row, with what came of them.
pub(super) fn in_review(
    db: &Connection,
    after: i64,
    limit: usize,
    unpacker: &mut Unpacker,
) -> rusqlite::Result<ReviewPage> {
    let mut statement = db.prepare_cached(include_str!("list/in_review.sql"))?;
    let mut rows = statement.query(params![after, limit as i64])?;
    let mut page = ReviewPage { records: Vec::new(), next: None };
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        page.next = Some(id);
        match header(row, 1) {
            Ok(header) => {
                let metadata = unpacked(db, id, unpacker)?;
                page.records.push(Reviewed { header, why: row.get(6)?, metadata });
            }
            Err(error) if is_row_damage(&error) => {
                tracing::warn!(record = id, %error, "a record of the catalogue cannot be read and is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}
