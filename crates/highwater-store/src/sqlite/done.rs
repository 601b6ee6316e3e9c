//! What a job has done, in all its worklists. Owns the order, which is that of the worklists and of their outcomes, and that one
//! call looks at a bounded number of both.

use highwater_engine::ledger::{DoneItem, DonePage, DonePlace};
use highwater_engine::name::{ItemKey, JobName};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::column::{Count, Micros, Name, limit};
use super::fault::{Step, lenient};

/// Most worklists that one call looks at: a recurring job has one a round, and most rounds hold nothing.
const WORKLISTS_MAX: usize = 1_000;

/// A page of what is done after a place.
pub(super) fn list(db: &Connection, job: &JobName, after: DonePlace, rows_max: usize) -> Step<DonePage> {
    let mut worklists = db.prepare_cached(include_str!("done/worklists.sql"))?;
    let first_worklists = params![Name(job), after.worklist, limit(WORKLISTS_MAX)];
    let worklists =
        worklists.query_map(first_worklists, |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    if worklists.is_empty() {
        // The newest worklist of a job is never forgotten: the place is of another ledger.
        return Ok(DonePage { items: Vec::new(), reached: DonePlace::default(), end: after == DonePlace::default() });
    }
    let mut page = DonePage { items: Vec::new(), reached: after, end: worklists.len() < WORKLISTS_MAX };
    let mut done = db.prepare_cached(include_str!("done/items.sql"))?;
    let mut seen = 0;
    for worklist in worklists {
        let after_no = if worklist == after.worklist { after.recorded_no } else { 0 };
        page.reached = DonePlace { worklist, recorded_no: after_no };
        let mut rows = done.query(params![worklist, Count(after_no), limit(rows_max - seen)])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            page.reached.recorded_no = row.get::<_, Count>(0)?.0;
            page.items.extend(read(row, page.reached)?);
        }
        if seen == rows_max {
            page.end = false;
            break;
        }
    }
    Ok(page)
}

/// The item, unless its row is damaged (R14): what is not certain is not told.
fn read(row: &Row<'_>, place: DonePlace) -> rusqlite::Result<Option<DoneItem>> {
    let key = lenient(row.get::<_, Option<Name<ItemKey>>>(1))?;
    let recorded_at: Option<Timestamp> = lenient(row.get::<_, Option<Micros>>(3))?.map(|at| at.0);
    let detail = lenient(row.get(2))?;
    Ok(key.zip(recorded_at).map(|(key, recorded_at)| DoneItem { place, key: key.0, detail, recorded_at }))
}
