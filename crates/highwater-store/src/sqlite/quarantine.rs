//! Rows that cannot be read: set aside as they are, named in an event, and the rest goes on (R14).

use highwater_engine::ledger::{Quarantined, Who, Word};
use highwater_engine::name::{JobName, WorklistId};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::worklist::{Standing, WorklistState};
use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement, params};
use serde_json::{Map, Value, json};

use super::column::{Count, Micros, Name, Number};
use super::fault::{Step, lenient};
use super::plan::{Damaged, Part};
use super::standing::{Standings, make_untried};
use super::{event, job, worklist};

/// What such an event names as who.
const WHO: &str = "ledger";
/// What the outcome of an item says whose key cannot be read.
const ITEM_DETAIL: &str = "its row in the ledger is damaged: what it was is in the quarantine table";

/// Sets aside the rows of open items that could not be read. A running pass sees its items anew.
pub(super) fn open_items(db: &Connection, id: WorklistId, at: Timestamp, damaged: &[Damaged]) -> Step<()> {
    let record = worklist::known(db, id)?;
    let mut tally = record.tally;
    for Damaged { position, part, why } in damaged {
        match part {
            Part::Intent => intent(db, id, *position, at, why)?,
            Part::Standing => standing(db, id, *position, at, why)?,
            Part::Item => {
                keep(db, include_str!("quarantine/item.sql"), "item", id, *position, at, why)?;
                // Without its key it cannot be drained; a person must look.
                let mut standings = Standings::of(db, id, at)?;
                let mut taken = standings.take(*position, &mut tally)?;
                taken.standing = Standing::default();
                tally.recorded += 1;
                let review = Outcome::because(OutcomeKind::Review, ITEM_DETAIL);
                standings.set(&taken, &review, &tally, None)?;
                standings.drop_intent(*position)?;
            }
        }
    }
    let counted = worklist::recount(db, id, &tally)?;
    worklist::set_tally(db, id, &counted)?;
    if record.state == WorklistState::Drained && counted.open() > 0 {
        worklist::reopen(db, id)?;
        job::set_drained(db, &record.job, false)?;
    }
    job::revise(db, &record.job)
}

/// Sets a standing aside; its item is untried. The figures are the caller's to count anew.
pub(super) fn standing(db: &Connection, id: WorklistId, position: u64, at: Timestamp, why: &str) -> Step<()> {
    keep(db, include_str!("quarantine/standing.sql"), "standing", id, position, at, why)?;
    make_untried(db, id, position)
}

/// Sets an intent aside; its item has none.
fn intent(db: &Connection, id: WorklistId, position: u64, at: Timestamp, why: &str) -> Step<()> {
    keep(db, include_str!("quarantine/intent.sql"), "intent", id, position, at, why)?;
    Standings::of(db, id, at)?.drop_intent(position)
}

/// What was set aside of a job's worklist.
pub(super) fn of_job(db: &Connection, job: &JobName) -> Step<Option<Quarantined>> {
    let mut select = db.prepare_cached(include_str!("quarantine/of_job.sql"))?;
    let (rows, last_at) = select.query_row([Name(job)], |row| {
        Ok((row.get::<_, Count>(0)?.0, lenient(row.get::<_, Option<Micros>>(1))?.map(|at| at.0)))
    })?;
    Ok((rows > 0).then(|| Quarantined { rows, last_at: last_at.unwrap_or(Timestamp::UNIX_EPOCH) }))
}

/// Copies the row that `select` finds, with an event.
fn keep(
    db: &Connection,
    select: &str,
    table: &str,
    id: WorklistId,
    position: u64,
    at: Timestamp,
    why: &str,
) -> Step<()> {
    let Some(row) = as_json(&mut *db.prepare_cached(select)?, id, position)? else { return Ok(()) };
    let values = params![Micros(at), table, Number(id), Count(position), why, row.to_string()];
    db.prepare_cached(include_str!("quarantine/add.sql"))?.execute(values)?;
    let record = worklist::known(db, id)?;
    tracing::warn!(
        job = %record.job, worklist = %id, item.position = position, ledger.table = table, why,
        "a damaged row of the ledger is set aside",
    );
    let why = format!("the {table} row of item {position} of worklist {id}: {why}");
    event::add(db, "quarantined", Some(&record.job), None, &Word { at, who: Who(WHO.to_owned()), why })
}

/// The row as a JSON object; what is not text or a number is written in hexadecimal.
fn as_json(select: &mut Statement<'_>, id: WorklistId, position: u64) -> Step<Option<Value>> {
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let mut rows = select.query(params![Number(id), Count(position)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut object = Map::new();
    for (index, column) in columns.into_iter().enumerate() {
        let bytes = |bytes: &[u8]| json!({ "hex": hex::encode(bytes) });
        let value = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => std::str::from_utf8(text).map_or_else(|_| bytes(text), Value::from),
            ValueRef::Blob(blob) => bytes(blob),
        };
        object.insert(column, value);
    }
    Ok(Some(Value::Object(object)))
}
