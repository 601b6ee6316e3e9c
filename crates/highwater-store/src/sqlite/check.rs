//! `ledger check`: whether the file is whole, and whether what is counted is what is there.

use highwater_db::sqlite::{Error, quick_check};
use highwater_engine::ledger::EventFilter;
use highwater_engine::name::WorklistId;
use highwater_engine::worklist::{Tally, WorklistRecord};
use rusqlite::{Connection, ToSql, params};

use super::column::{Count, Number};
use super::fault::{Step, readable};
use super::{event, job, pass, resource, worklist};
use crate::check::CheckLine;

/// Checks everything on one state of the ledger; reads only.
pub(super) fn check(db: &Connection) -> Step<Vec<CheckLine>> {
    match quick_check(db) {
        Ok(()) => {}
        Err(Error::Damaged { findings, .. }) => return Ok(findings.into_iter().map(CheckLine::wrong).collect()),
        Err(error) => return Err(error.into()),
    }
    let db = &*db.unchecked_transaction()?;
    let mut lines = vec![CheckLine::ok("the pages of the file are whole")];
    lines.extend(rows(db)?);
    for id in worklists(db)? {
        lines.extend(of_worklist(db, &worklist::known(db, id)?)?);
    }
    lines.push(match count(db, include_str!("check/quarantine.sql"), &[])? {
        0 => CheckLine::ok("no row was ever set aside"),
        set_aside => CheckLine::ok(format!("{set_aside} damaged rows were set aside, and are in the quarantine table")),
    });
    Ok(lines)
}

/// Whether the rows of the small tables can be read.
fn rows(db: &Connection) -> Step<Vec<CheckLine>> {
    let jobs = job::all(db)?;
    let mut passes = 0;
    for job in &jobs {
        passes += pass::newest(db, &job.name, usize::MAX)?.len();
    }
    let tables = [
        ("jobs", include_str!("check/jobs.sql"), jobs.len()),
        ("resources", include_str!("check/resources.sql"), resource::all(db)?.len()),
        ("passes", include_str!("check/passes.sql"), passes),
        ("events", include_str!("check/events.sql"), event::list(db, &EventFilter::default(), usize::MAX)?.len()),
    ];
    let mut lines = Vec::with_capacity(tables.len());
    for (what, rows, read) in tables {
        let rows = count(db, rows, &[])?;
        lines.push(if rows == read as u64 {
            CheckLine::ok(format!("{rows} {what} can be read"))
        } else {
            CheckLine::wrong(format!("of {rows} {what} {read} can be read"))
        });
    }
    Ok(lines)
}

fn worklists(db: &Connection) -> Step<Vec<WorklistId>> {
    let mut worklists = db.prepare_cached(include_str!("check/worklists.sql"))?;
    let ids = readable(worklists.query_map([], |row| Ok(row.get::<_, Number<WorklistId>>(0)?.0))?, "worklist")?;
    Ok(ids)
}

fn of_worklist(db: &Connection, record: &WorklistRecord) -> Step<Vec<CheckLine>> {
    let WorklistRecord { id, job, tally, .. } = record;
    let what = format!("worklist {id} of job {job}");
    let pinned = params![Number(*id), Count(tally.total)];
    let all = params![Number(*id)];
    let mut wrong = Vec::new();
    let mut hold = |found: u64, expected: u64, of: &str| {
        if found != expected {
            wrong.push(CheckLine::wrong(format!("{what}: {found} {of}, expected {expected}")));
        }
    };
    hold(count(db, include_str!("check/items.sql"), pinned)?, tally.total, "items");
    hold(count(db, include_str!("check/keys.sql"), pinned)?, tally.total, "items in the index by key");
    let untried = count(db, include_str!("check/untried.sql"), pinned)?;
    let standings = count(db, include_str!("check/standings.sql"), pinned)?;
    hold(untried + standings, tally.total, "items that are untried or have an outcome");
    hold(count(db, include_str!("check/both.sql"), all)?, 0, "items that are both untried and not");
    let retry = count(db, include_str!("check/retry_by_row.sql"), all)?;
    hold(
        count(db, include_str!("check/retry_by_index.sql"), all)?,
        retry,
        "items in the index of those to be tried again",
    );
    let counted = worklist::recount(db, *id, tally)?;
    if counted != *tally {
        wrong.push(CheckLine::wrong(format!(
            "{what}: its figures are {}, its items say {}",
            figures(tally),
            figures(&counted)
        )));
    }
    if wrong.is_empty() {
        wrong.push(CheckLine::ok(format!("{what}: {} items, as its figures say", tally.total)));
    }
    Ok(wrong)
}

fn figures(tally: &Tally) -> String {
    let Tally { done, gone, present, skipped, review, retry, judged, failed, judged_gone, .. } = tally;
    format!(
        "{done} done, {gone} gone, {present} present, {skipped} skipped, {review} review, {retry} retry, \
         {judged} judged ({failed} failed, {judged_gone} gone)"
    )
}

fn count(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Step<u64> {
    Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get::<_, Count>(0))?.0)
}
