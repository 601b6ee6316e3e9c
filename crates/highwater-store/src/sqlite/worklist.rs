//! Worklists: their rows and figures. Owns their states; how items come into one is [`super::pin`]'s.

use highwater_engine::name::{JobName, WorklistId};
use highwater_engine::outcome::OutcomeKind;
use highwater_engine::worklist::{Input, Tally, WorklistRecord, WorklistState};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{Count, Keyword, Micros, Name, Number};
use super::fault::{Failure, Step};

pub(super) fn get(db: &Connection, id: WorklistId) -> Step<Option<WorklistRecord>> {
    Ok(db.prepare_cached(include_str!("worklist/get.sql"))?.query_row([Number(id)], read).optional()?)
}

/// The row of a worklist that must be there.
pub(super) fn known(db: &Connection, id: WorklistId) -> Step<WorklistRecord> {
    get(db, id)?.ok_or_else(|| Failure::not_there(format!("there is no worklist {id} in the ledger")))
}

/// The same of one that is whole and whose items may change.
pub(super) fn whole(db: &Connection, id: WorklistId) -> Step<WorklistRecord> {
    let record = known(db, id)?;
    match record.state {
        WorklistState::Pinned | WorklistState::Drained => Ok(record),
        state => Err(Failure::not_there(format!("worklist {id} of job {} is {}", record.job, state.word()))),
    }
}

/// Refuses a worklist some of whose items were forgotten: opened again, it could never be drained.
pub(super) fn refuse_forgotten(db: &Connection, record: &WorklistRecord) -> Step<()> {
    let forgotten: i64 =
        db.prepare_cached(include_str!("worklist/forgotten.sql"))?.query_row([Number(record.id)], |row| row.get(0))?;
    if forgotten == 0 {
        return Ok(());
    }
    Err(Failure::not_there(format!(
        "the items of worklist {} of job {} were forgotten, as its retention says; replace it",
        record.id, record.job
    )))
}

pub(super) fn set_tally(db: &Connection, id: WorklistId, tally: &Tally) -> Step<()> {
    db.prepare_cached(include_str!("worklist/set_tally.sql"))?.execute(params![
        Number(id),
        Count(tally.total),
        Count(tally.done),
        Count(tally.gone),
        Count(tally.present),
        Count(tally.skipped),
        Count(tally.review),
        Count(tally.retry),
        Count(tally.duplicates),
        Count(tally.judged),
        Count(tally.failed),
        Count(tally.judged_gone),
        tally.generation,
        Count(tally.recorded),
    ])?;
    Ok(())
}

/// Opens a drained worklist again.
pub(super) fn reopen(db: &Connection, id: WorklistId) -> Step<()> {
    set_state(db, id, WorklistState::Pinned, None)
}

pub(super) fn supersede(db: &Connection, id: WorklistId, at: Timestamp) -> Step<()> {
    set_state(db, id, WorklistState::Superseded, Some(at))
}

pub(super) fn close_drained(db: &Connection, id: WorklistId, at: Timestamp) -> Step<()> {
    set_state(db, id, WorklistState::Drained, Some(at))
}

fn set_state(db: &Connection, id: WorklistId, state: WorklistState, closed_at: Option<Timestamp>) -> Step<()> {
    let values = params![Number(id), state.word(), closed_at.map(Micros)];
    db.prepare_cached(include_str!("worklist/set_state.sql"))?.execute(values)?;
    Ok(())
}

pub(super) fn set_input_sign(db: &Connection, id: WorklistId, sign: &str) -> Step<()> {
    let changed = db.prepare_cached(include_str!("worklist/set_input_sign.sql"))?.execute(params![Number(id), sign])?;
    if changed == 0 {
        return Err(Failure::not_there(format!("worklist {id} has no given input")));
    }
    Ok(())
}

/// The figures as the rows say, in place of those that outcomes counted up. Reads every standing of the worklist.
pub(super) fn recount(db: &Connection, id: WorklistId, counted: &Tally) -> Step<Tally> {
    let mut tally = Tally { done: 0, gone: 0, present: 0, skipped: 0, review: 0, retry: 0, ..*counted };
    let mut outcomes = db.prepare_cached(include_str!("worklist/recount_outcomes.sql"))?;
    let mut rows = outcomes.query([Number(id)])?;
    while let Some(row) = rows.next()? {
        let Ok(Keyword(kind)) = row.get::<_, Keyword<OutcomeKind>>(0) else { continue };
        let items = row.get::<_, Count>(1)?.0;
        match kind {
            OutcomeKind::Done => tally.done = items,
            OutcomeKind::Gone => tally.gone = items,
            OutcomeKind::Present => tally.present = items,
            OutcomeKind::Skipped => tally.skipped = items,
            OutcomeKind::Review => tally.review = items,
            OutcomeKind::Failed | OutcomeKind::Deferred => tally.retry += items,
        }
    }
    let mut judged = db.prepare_cached(include_str!("worklist/recount_judged.sql"))?;
    (tally.judged, tally.failed, tally.judged_gone) = judged
        .query_row(params![Number(id), tally.generation], |row| {
            Ok((row.get::<_, Count>(0)?.0, row.get::<_, Count>(1)?.0, row.get::<_, Count>(2)?.0))
        })?;
    Ok(tally)
}

fn read(row: &Row<'_>) -> rusqlite::Result<WorklistRecord> {
    let time = |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<Micros>>(column)?.map(|at| at.0));
    let input = match row.get::<_, Option<String>>("input_source")? {
        None => None,
        Some(source) => Some(Input { source, sha256: row.get("input_sha256")?, sign: row.get("input_sign")? }),
    };
    Ok(WorklistRecord {
        id: row.get::<_, Number<WorklistId>>("id")?.0,
        job: row.get::<_, Name<JobName>>("job")?.0,
        round: row.get("round")?,
        state: row.get::<_, Keyword<WorklistState>>("state")?.0,
        input,
        sha256: row.get("sha256")?,
        begun_at: row.get::<_, Micros>("begun_at")?.0,
        pinned_at: time("pinned_at")?,
        closed_at: time("closed_at")?,
        tally: read_tally(row)?,
    })
}

fn read_tally(row: &Row<'_>) -> rusqlite::Result<Tally> {
    let count = |column: &str| row.get::<_, Count>(column).map(|count| count.0);
    Ok(Tally {
        total: count("total")?,
        done: count("done")?,
        gone: count("gone")?,
        present: count("present")?,
        skipped: count("skipped")?,
        review: count("review")?,
        retry: count("retry")?,
        duplicates: count("duplicates")?,
        judged: count("judged")?,
        failed: count("failed")?,
        judged_gone: count("judged_gone")?,
        generation: row.get("generation")?,
        recorded: count("recorded")?,
    })
}
