//! Retention: passes and items that are old enough are forgotten, a bounded number a call. Open worklists and events stay.

use highwater_engine::name::WorklistId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::{Micros, Number, limit};
use super::fault::Step;

/// An item has rows in these tables, each with its statement.
const TABLES: [&str; 5] = [
    include_str!("prune/items.sql"),
    include_str!("prune/keys.sql"),
    include_str!("prune/standings.sql"),
    include_str!("prune/untried.sql"),
    include_str!("prune/intents.sql"),
];
/// Some of a worklist's items are gone.
const FORGETTING: i64 = 1;
/// All of them are.
const FORGOTTEN: i64 = 2;

/// Forgets at most `rows_max` rows, and returns how many.
pub(super) fn prune(db: &Connection, before: Timestamp, rows_max: usize) -> Step<u64> {
    let mut gone = 0;
    while gone < rows_max
        && let Some(id) = next_worklist(db, before)?
    {
        set_forgotten(db, id, FORGETTING)?;
        let rows = drop_rows(db, id, rows_max - gone)?;
        if rows == 0 {
            set_forgotten(db, id, FORGOTTEN)?;
        }
        gone += rows;
    }
    for old in [include_str!("prune/passes.sql"), include_str!("prune/notices.sql")] {
        gone += db.prepare_cached(old)?.execute(params![Micros(before), limit(rows_max - gone)])?;
    }
    Ok(gone as u64)
}

/// Removes at most `rows_max` rows of a worklist's items, in whatever table, and returns how many.
pub(super) fn drop_rows(db: &Connection, id: WorklistId, rows_max: usize) -> Step<usize> {
    let mut gone = 0;
    for table in TABLES {
        gone += db.prepare_cached(table)?.execute(params![Number(id), limit(rows_max - gone)])?;
    }
    Ok(gone)
}

fn next_worklist(db: &Connection, before: Timestamp) -> Step<Option<WorklistId>> {
    let mut next = db.prepare_cached(include_str!("prune/next_worklist.sql"))?;
    let id: Option<Number<WorklistId>> = next.query_row([Micros(before)], |row| row.get(0)).optional()?;
    Ok(id.map(|id| id.0))
}

fn set_forgotten(db: &Connection, id: WorklistId, forgotten: i64) -> Step<()> {
    db.prepare_cached(include_str!("prune/set_forgotten.sql"))?.execute(params![Number(id), forgotten])?;
    Ok(())
}
