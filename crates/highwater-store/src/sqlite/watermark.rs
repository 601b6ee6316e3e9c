//! Watermarks of a job, by name.

use highwater_engine::name::JobName;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::{Micros, Name};
use super::fault::Step;

pub(super) fn get(db: &Connection, job: &JobName, name: &str) -> Step<Option<Timestamp>> {
    let mut value = db.prepare_cached(include_str!("watermark/get.sql"))?;
    let value = value.query_row(params![Name(job), name], |row| row.get::<_, Micros>(0)).optional()?;
    Ok(value.map(|at| at.0))
}

pub(super) fn set(db: &Connection, job: &JobName, name: &str, value: Timestamp) -> Step<()> {
    db.prepare_cached(include_str!("watermark/set.sql"))?.execute(params![Name(job), name, Micros(value)])?;
    Ok(())
}
