//! What people set of a job, until it is unset. Owns the rows; what a key means is the engine's.

use highwater_engine::ledger::{Override, Who, Word};
use highwater_engine::name::JobName;
use rusqlite::{Connection, Row, params};

use super::column::{Micros, Name};
use super::fault::{Step, readable};
use super::{event, job};

pub(super) fn of_job(db: &Connection, job: &JobName) -> Step<Vec<Override>> {
    let mut overrides = db.prepare_cached(include_str!("override/of_job.sql"))?;
    let rows = overrides.query_map([Name(job)], read)?;
    Ok(readable(rows, "override")?)
}

pub(super) fn set(db: &Connection, job: &JobName, values: &[(String, String)], word: &Word) -> Step<()> {
    job::ensure(db, job)?;
    for (key, value) in values {
        let row = params![Name(job), key, value, Micros(word.at), word.who.0, word.why];
        db.prepare_cached(include_str!("override/set.sql"))?.execute(row)?;
        event::add(db, "set", Some(job), None, &told(&format!("{key}={value}"), word))?;
    }
    Ok(())
}

/// Unsets these keys, or all where none is named; gives those that were set.
pub(super) fn unset(db: &Connection, job: &JobName, keys: &[String], word: &Word) -> Step<Vec<String>> {
    let mut unset = Vec::new();
    for set in of_job(db, job)?.into_iter().filter(|set| keys.is_empty() || keys.contains(&set.key)) {
        db.prepare_cached(include_str!("override/unset.sql"))?.execute(params![Name(job), set.key])?;
        event::add(db, "unset", Some(job), None, &told(&format!("{}, which was {}", set.key, set.value), word))?;
        unset.push(set.key);
    }
    Ok(unset)
}

/// The word with what it was about.
fn told(what: &str, word: &Word) -> Word {
    let why = if word.why.is_empty() { what.to_owned() } else { format!("{what}: {}", word.why) };
    Word { why, ..word.clone() }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override {
        key: row.get("key")?,
        value: row.get("value")?,
        at: row.get::<_, Micros>("set_at")?.0,
        who: Who(row.get("set_by")?),
        why: row.get("why")?,
    })
}
