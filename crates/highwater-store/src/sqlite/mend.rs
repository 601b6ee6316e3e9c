//! Items and the rows that say how they stand: every pinned item is untried or has a standing, and never both. Owns what is done
//! where a hand, or a damaged page, made it otherwise: no item is lost (R5), and none that has an outcome runs again.

use highwater_engine::ledger::{Who, Word};
use highwater_engine::name::WorklistId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::column::{Count, Micros, Number};
use super::fault::Step;
use super::{event, job, worklist};

/// What such an event names as who.
const WHO: &str = "ledger";

/// Whether as many items can be listed as open as the figures say, and none of them has an outcome.
pub(super) fn agrees(db: &Connection, id: WorklistId) -> Step<bool> {
    let tally = worklist::known(db, id)?.tally;
    let mut count = db.prepare_cached(include_str!("mend/open.sql"))?;
    let pinned = params![Number(id), Count(tally.total)];
    let (open, twice) = count.query_row(pinned, |row| Ok((row.get::<_, Count>(0)?.0, row.get::<_, Count>(1)?.0)))?;
    Ok(open == tally.open() && twice == 0)
}

/// Sets aside what calls an item untried that has an outcome, calls untried what has neither row, and counts anew. A running pass
/// sees its items anew.
pub(super) fn items(db: &Connection, id: WorklistId, at: Timestamp) -> Step<()> {
    let record = worklist::known(db, id)?;
    let pinned = params![Number(id), Count(record.tally.total)];
    db.prepare_cached(include_str!("mend/set_aside.sql"))?.execute(params![
        Number(id),
        Count(record.tally.total),
        Micros(at)
    ])?;
    let twice = db.prepare_cached(include_str!("mend/drop.sql"))?.execute(pinned)?;
    let lost = db.prepare_cached(include_str!("mend/add.sql"))?.execute(pinned)?;
    let counted = worklist::recount(db, id, &record.tally)?;
    if twice == 0 && lost == 0 && counted == record.tally {
        return Ok(());
    }
    worklist::set_tally(db, id, &counted)?;
    let why = format!(
        "worklist {id}: {lost} items had lost the row that says how they stand and are untried, {twice} had one too many; its figures \
         are counted anew"
    );
    tracing::warn!(job = %record.job, worklist = %id, why, "rows of the ledger did not agree, and were mended");
    event::add(db, "repair", Some(&record.job), None, &Word { at, who: Who(WHO.to_owned()), why })?;
    job::revise(db, &record.job)
}
