//! Jobs: their rows, halts, pauses and markers. Owns what a job's state is; its worklist is [`super::worklist`]'s.

use highwater_engine::ledger::{Halt, JobRecord, JobState, Who, Word};
use highwater_engine::name::{JobName, WorklistId};
use highwater_engine::worklist::WorklistState;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{Micros, Name, Number};
use super::fault::{Failure, Step, readable};
use super::{event, overrides, pass, quarantine, watermark, worklist};

/// What a job's own row says.
pub(super) struct JobRow {
    name: JobName,
    pub(super) kind: String,
    pub(super) worklist: Option<WorklistId>,
    pub(super) drained: bool,
    last_drained_at: Option<Timestamp>,
    pub(super) marker: Option<String>,
    halt: Option<Halt>,
    paused: Option<Halt>,
}

/// Makes the row where there is none.
pub(super) fn ensure(db: &Connection, job: &JobName) -> Step<()> {
    db.prepare_cached(include_str!("job/ensure.sql"))?.execute([Name(job)])?;
    Ok(())
}

pub(super) fn register(db: &Connection, job: &JobName, kind: &str) -> Step<()> {
    db.prepare_cached(include_str!("job/register.sql"))?.execute(params![Name(job), kind])?;
    Ok(())
}

pub(super) fn row(db: &Connection, job: &JobName) -> Step<Option<JobRow>> {
    Ok(db.prepare_cached(include_str!("job/get.sql"))?.query_row([Name(job)], read).optional()?)
}

/// The row of a job that must be there.
pub(super) fn known(db: &Connection, job: &JobName) -> Step<JobRow> {
    row(db, job)?.ok_or_else(|| Failure::not_there(format!("there is no job {job} in the ledger")))
}

pub(super) fn get(db: &Connection, job: &JobName) -> Step<Option<JobRecord>> {
    let Some(row) = row(db, job)? else { return Ok(None) };
    let state = match (&row.halt, row.drained) {
        (Some(_), _) => JobState::Halted,
        (None, true) => JobState::Drained,
        (None, false) => JobState::Active,
    };
    Ok(Some(JobRecord {
        name: row.name,
        kind: row.kind,
        state,
        halt: row.halt,
        paused: row.paused,
        overrides: overrides::of_job(db, job)?,
        worklist: row.worklist.map(|id| worklist::get(db, id)).transpose()?.flatten(),
        last_pass: pass::newest(db, job, 1)?.pop(),
        last_drained_at: row.last_drained_at,
        marker: row.marker,
        quarantined: quarantine::of_job(db, job)?,
    }))
}

pub(super) fn all(db: &Connection) -> Step<Vec<JobRecord>> {
    let mut names = db.prepare_cached(include_str!("job/names.sql"))?;
    let names = readable(names.query_map([], |row| Ok(row.get::<_, Name<JobName>>(0)?.0))?, "job")?;
    let mut jobs = Vec::with_capacity(names.len());
    for name in names {
        jobs.extend(get(db, &name)?);
    }
    Ok(jobs)
}

pub(super) fn halt(db: &Connection, job: &JobName, word: &Word, evidence: &str, until: Option<&str>) -> Step<bool> {
    ensure(db, job)?;
    let values = params![Name(job), Micros(word.at), word.who.0, word.why, evidence, until];
    let halted = db.prepare_cached(include_str!("job/halt.sql"))?.execute(values)? > 0;
    note(db, halted, "halt", job, word)
}

pub(super) fn rearm(db: &Connection, job: &JobName, word: &Word) -> Step<bool> {
    let rearmed = db.prepare_cached(include_str!("job/rearm.sql"))?.execute([Name(job)])? > 0;
    if rearmed && let Some(id) = known(db, job)?.worklist {
        let mut tally = worklist::known(db, id)?.tally;
        tally.start_breaker_afresh();
        worklist::set_tally(db, id, &tally)?;
    }
    note(db, rearmed, "rearm", job, word)
}

pub(super) fn pause(db: &Connection, job: &JobName, word: &Word) -> Step<bool> {
    ensure(db, job)?;
    let values = params![Name(job), Micros(word.at), word.who.0, word.why];
    let paused = db.prepare_cached(include_str!("job/pause.sql"))?.execute(values)? > 0;
    note(db, paused, "pause", job, word)
}

pub(super) fn resume(db: &Connection, job: &JobName, word: &Word) -> Step<bool> {
    let resumed = db.prepare_cached(include_str!("job/resume.sql"))?.execute([Name(job)])? > 0;
    note(db, resumed, "resume", job, word)
}

/// Marks the job drained without a worklist.
pub(super) fn mark_drained(db: &Connection, job: &JobName, word: &Word) -> Step<()> {
    ensure(db, job)?;
    if let Some(id) = known(db, job)?.worklist
        && worklist::known(db, id)?.closed_at.is_none()
    {
        return Err(Failure::not_there(format!("job {job} has an open worklist: it is drained when its items are")));
    }
    set_drained(db, job, true)?;
    event::add(db, "drained", Some(job), None, word)
}

/// Opens a drained job again, without the worklist that it drained.
pub(super) fn reopen(db: &Connection, job: &JobName, word: &Word) -> Step<()> {
    let row = known(db, job)?;
    if !row.drained {
        return Ok(());
    }
    if let Some(id) = row.worklist {
        worklist::supersede(db, id, word.at)?;
    }
    set_worklist(db, job, None)?;
    event::add(db, "reopen", Some(job), None, word)
}

/// Closes a worklist every item of which is terminal (R3), the job with it, and stamps watermarks.
pub(super) fn seal_drained(
    db: &Connection,
    id: WorklistId,
    watermarks: &[(String, Timestamp)],
    word: &Word,
) -> Step<()> {
    let record = worklist::whole(db, id)?;
    let (job, open) = (&record.job, record.tally.open());
    if open > 0 {
        return Err(Failure::not_there(format!("worklist {id} of job {job} is not drained: {open} items are open")));
    }
    for (name, value) in watermarks {
        watermark::set(db, job, name, *value)?;
    }
    if record.state == WorklistState::Drained {
        return Ok(());
    }
    worklist::close_drained(db, id, word.at)?;
    set_drained(db, job, true)?;
    event::add(db, "drained", Some(job), None, word)
}

pub(super) fn set_drained(db: &Connection, job: &JobName, drained: bool) -> Step<()> {
    db.prepare_cached(include_str!("job/set_drained.sql"))?.execute(params![Name(job), drained])?;
    Ok(())
}

/// Gives the job another worklist, which opens it.
pub(super) fn set_worklist(db: &Connection, job: &JobName, id: Option<WorklistId>) -> Step<()> {
    db.prepare_cached(include_str!("job/set_worklist.sql"))?.execute(params![Name(job), id.map(Number)])?;
    Ok(())
}

pub(super) fn set_last_drained(db: &Connection, job: &JobName, at: Timestamp) -> Step<()> {
    db.prepare_cached(include_str!("job/set_last_drained.sql"))?.execute(params![Name(job), Micros(at)])?;
    Ok(())
}

pub(super) fn set_marker(db: &Connection, job: &JobName, marker: Option<&str>) -> Step<()> {
    ensure(db, job)?;
    db.prepare_cached(include_str!("job/set_marker.sql"))?.execute(params![Name(job), marker])?;
    Ok(())
}

/// Counts a change of the job's items that a running pass should see.
pub(super) fn revise(db: &Connection, job: &JobName) -> Step<()> {
    db.prepare_cached(include_str!("job/revise.sql"))?.execute([Name(job)])?;
    Ok(())
}

fn note(db: &Connection, changed: bool, act: &str, job: &JobName, word: &Word) -> Step<bool> {
    if changed {
        event::add(db, act, Some(job), None, word)?;
    }
    Ok(changed)
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        name: row.get::<_, Name<JobName>>("name")?.0,
        kind: row.get("kind")?,
        worklist: row.get::<_, Option<Number<WorklistId>>>("worklist")?.map(|id| id.0),
        drained: row.get("drained")?,
        last_drained_at: row.get::<_, Option<Micros>>("last_drained_at")?.map(|at| at.0),
        marker: row.get("marker")?,
        halt: read_halt(row, ["halted_at", "halted_by", "halted_why", "halted_evidence", "halted_until"])?,
        paused: read_halt(row, ["paused_at", "paused_by", "paused_why", "", ""])?,
    })
}

fn read_halt(row: &Row<'_>, [at, by, why, evidence, until]: [&str; 5]) -> rusqlite::Result<Option<Halt>> {
    let Some(at) = row.get::<_, Option<Micros>>(at)? else { return Ok(None) };
    let text = |column: &str| if column.is_empty() { Ok(None) } else { row.get::<_, Option<String>>(column) };
    Ok(Some(Halt {
        at: at.0,
        who: Who(text(by)?.unwrap_or_default()),
        why: text(why)?.unwrap_or_default(),
        evidence: text(evidence)?.unwrap_or_default(),
        until: text(until)?,
    }))
}
