//! Notices: what people are to be told, until it is delivered. Owns once-per-change and the claim that keeps two processes
//! from telling it twice.

use std::time::Duration;

use highwater_engine::clock::later;
use highwater_engine::ledger::Notice;
use highwater_engine::name::JobName;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::column::{Micros, Name, limit};
use super::fault::{Failure, Step, readable};
use super::job;

/// A change that people are to be told of.
pub(super) struct Change {
    pub(super) job: JobName,
    pub(super) change: String,
    pub(super) key: String,
}

pub(super) fn queue(db: &Connection, change: &Change, targets: &[u32], body: &str, at: Timestamp) -> Step<bool> {
    job::ensure(db, &change.job)?;
    let values = params![Name(&change.job), change.change, change.key];
    if db.prepare_cached(include_str!("notice/change.sql"))?.execute(values)? == 0 {
        return Ok(false);
    }
    let mut notice = db.prepare_cached(include_str!("notice/queue.sql"))?;
    for target in targets {
        notice.execute(params![Name(&change.job), target, change.change, body, Micros(at)])?;
    }
    Ok(true)
}

pub(super) fn claim(db: &Connection, now: Timestamp, lease: Duration, rows_max: usize) -> Step<Vec<Notice>> {
    let mut claim = db.prepare_cached(include_str!("notice/claim.sql"))?;
    let rows = claim.query_map(params![Micros(now), Micros(later(now, lease)), limit(rows_max)], read)?;
    let mut claimed = readable(rows, "notice")?;
    // RETURNING has no order.
    claimed.sort_by_key(|notice| notice.no);
    Ok(claimed)
}

pub(super) fn settle(db: &Connection, no: i64, at: Timestamp, result: &Result<(), (String, Timestamp)>) -> Step<()> {
    let changed = match result {
        Ok(()) => db.prepare_cached(include_str!("notice/delivered.sql"))?.execute(params![no, Micros(at)])?,
        Err((error, due)) => {
            db.prepare_cached(include_str!("notice/failed.sql"))?.execute(params![no, error, Micros(*due)])?
        }
    };
    if changed == 0 {
        return Err(Failure::not_there(format!("notice {no} does not wait for delivery")));
    }
    Ok(())
}

pub(super) fn waiting(db: &Connection, rows_max: usize) -> Step<Vec<Notice>> {
    let mut waiting = db.prepare_cached(include_str!("notice/waiting.sql"))?;
    let rows = waiting.query_map([limit(rows_max)], read)?;
    Ok(readable(rows, "notice")?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        no: row.get("no")?,
        job: row.get::<_, Name<JobName>>("job")?.0,
        target: row.get("target")?,
        change: row.get("change")?,
        body: row.get("body")?,
        queued_at: row.get::<_, Micros>("queued_at")?.0,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
    })
}
