//! The audit trail (R18). Rows are added in the transaction of what they tell of, and never go.

use highwater_engine::ledger::{Event, EventFilter, Who, Word};
use highwater_engine::name::{JobName, ResourceName};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::column::{Micros, Name, limit};
use super::fault::{Step, lenient, readable};

pub(super) fn add(
    db: &Connection,
    act: &str,
    job: Option<&JobName>,
    resource: Option<&ResourceName>,
    word: &Word,
) -> Step<()> {
    let values = params![Micros(word.at), job.map(Name), resource.map(Name), act, word.who.0, word.why];
    db.prepare_cached(include_str!("event/add.sql"))?.execute(values)?;
    Ok(())
}

pub(super) fn list(db: &Connection, filter: &EventFilter, rows_max: usize) -> Step<Vec<Event>> {
    let since = Micros(filter.since.unwrap_or(Timestamp::MIN));
    let rows = match &filter.job {
        None => {
            let mut events = db.prepare_cached(include_str!("event/of_all.sql"))?;
            let rows = events.query_map(params![filter.after, since, limit(rows_max)], read)?;
            readable(rows, "event")
        }
        Some(job) => {
            let mut events = db.prepare_cached(include_str!("event/of_job.sql"))?;
            let rows = events.query_map(params![filter.after, since, limit(rows_max), Name(job)], read)?;
            readable(rows, "event")
        }
    };
    Ok(rows?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        no: row.get("no")?,
        at: row.get::<_, Micros>("at")?.0,
        job: lenient(row.get::<_, Option<Name<JobName>>>("job"))?.map(|name| name.0),
        resource: lenient(row.get::<_, Option<Name<ResourceName>>>("resource"))?.map(|name| name.0),
        act: row.get("act")?,
        who: Who(row.get("who")?),
        why: row.get("why")?,
    })
}
