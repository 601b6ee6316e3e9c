//! Passes: who ran when, and how it ended.

use highwater_engine::ledger::{Begin, End, Fence, Holder, PassRecord, Who};
use highwater_engine::name::{JobName, PassId, ResourceName};
use highwater_engine::report::{PassCounts, Reason, Spent, StageTimes};
use highwater_engine::throttle::ThrottleState;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::column::{Count, Exit, Json, Keyword, Micros, Name, Number, limit};
use super::fault::{Failure, Step, lenient, readable};
use super::{job, resource};

/// What the row of a pass says that was killed.
const KILLED: &str = "it was killed: its process ended without a word";

pub(super) fn begin(db: &Connection, begin: &Begin) -> Step<PassId> {
    job::ensure(db, &begin.job)?;
    let values =
        params![Name(&begin.job), Micros(begin.at), begin.host, begin.pid, begin.who.0, begin.budget_items.map(Count)];
    let id: Number<PassId> = db.prepare_cached(include_str!("pass/begin.sql"))?.query_row(values, |row| row.get(0))?;
    Ok(id.0)
}

pub(super) fn take_epochs(db: &Connection, pass: PassId, resources: &[ResourceName], holder: &Holder) -> Step<Fence> {
    let mut epochs = Vec::with_capacity(resources.len());
    for name in resources {
        epochs.push((name.clone(), resource::take(db, name, pass, holder)?));
    }
    Ok(Fence { pass, epochs })
}

pub(super) fn end(db: &Connection, pass: PassId, end: &End) -> Step<()> {
    let (counts, spent, times) = (&end.counts, &end.spent, &end.times);
    let changed = db.prepare_cached(include_str!("pass/end.sql"))?.execute(params![
        Number(pass),
        Micros(end.at),
        end.reason.word(),
        Exit(end.exit),
        end.message,
        Count(counts.done),
        Count(counts.gone),
        Count(counts.present),
        Count(counts.review),
        Count(counts.retry),
        Count(spent.items),
        Count(spent.contacts),
        Count(spent.bytes),
        Count(times.lock_us),
        Count(times.plan_us),
        Count(times.prepare_us),
        Count(times.commit_us),
        Count(times.seal_us),
    ])?;
    if changed == 0 {
        return Err(Failure::not_there(format!("there is no pass {pass} in the ledger")));
    }
    resource::let_go(db, pass)
}

/// Writes what the pass's throttle has come to.
pub(super) fn note_throttle(db: &Connection, pass: PassId, throttle: &ThrottleState) -> Step<()> {
    db.prepare_cached(include_str!("pass/throttle.sql"))?.execute(params![Number(pass), Json(throttle)])?;
    Ok(())
}

/// Adds to the counts of a pass that runs.
pub(super) fn count(db: &Connection, pass: PassId, counts: &PassCounts) -> Step<()> {
    db.prepare_cached(include_str!("pass/count.sql"))?.execute(params![
        Number(pass),
        Count(counts.done),
        Count(counts.gone),
        Count(counts.present),
        Count(counts.review),
        Count(counts.retry),
    ])?;
    Ok(())
}

pub(super) fn newest(db: &Connection, job: &JobName, rows_max: usize) -> Step<Vec<PassRecord>> {
    let mut passes = db.prepare_cached(include_str!("pass/newest.sql"))?;
    let rows = passes.query_map(params![Name(job), limit(rows_max)], read)?;
    Ok(readable(rows, "pass")?)
}

pub(super) fn unended(db: &Connection, job: &JobName, before: PassId, rows_max: usize) -> Step<Vec<PassRecord>> {
    let mut passes = db.prepare_cached(include_str!("pass/unended.sql"))?;
    let rows = passes.query_map(params![Name(job), Number(before), limit(rows_max)], read)?;
    Ok(readable(rows, "pass")?)
}

pub(super) fn close_unended(db: &Connection, job: &JobName, before: PassId, at: Timestamp) -> Step<()> {
    let values = params![Name(job), Number(before), Micros(at), KILLED];
    db.prepare_cached(include_str!("pass/close_unended.sql"))?.execute(values)?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<PassRecord> {
    let count = |column: &str| row.get::<_, Count>(column).map(|count| count.0);
    Ok(PassRecord {
        id: row.get::<_, Number<PassId>>("id")?.0,
        job: row.get::<_, Name<JobName>>("job")?.0,
        begun_at: row.get::<_, Micros>("begun_at")?.0,
        ended_at: row.get::<_, Option<Micros>>("ended_at")?.map(|at| at.0),
        host: row.get("host")?,
        pid: row.get("pid")?,
        who: Who(row.get("who")?),
        budget_items: row.get::<_, Option<Count>>("budget_items")?.map(|count| count.0),
        reason: lenient(row.get::<_, Option<Keyword<Reason>>>("reason"))?.map(|word| word.0),
        exit: lenient(row.get::<_, Option<Exit>>("exit"))?.map(|exit| exit.0),
        message: row.get("message")?,
        counts: PassCounts {
            done: count("done")?,
            gone: count("gone")?,
            present: count("present")?,
            review: count("review")?,
            retry: count("retry")?,
        },
        spent: Spent { items: count("items")?, contacts: count("contacts")?, bytes: count("bytes")? },
        times: StageTimes {
            lock_us: count("lock_us")?,
            plan_us: count("plan_us")?,
            prepare_us: count("prepare_us")?,
            commit_us: count("commit_us")?,
            seal_us: count("seal_us")?,
        },
        throttle: lenient(row.get::<_, Option<Json<ThrottleState>>>("throttle"))?.map(|json| json.0),
    })
}
