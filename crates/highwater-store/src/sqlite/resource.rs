//! Resources: epochs, holders, bans and tickets. Owns that a ban is only ever extended (R2) and an epoch only ever counted up
//! (R16).

use highwater_engine::ban::Ban;
use highwater_engine::ledger::{Holder, ResourceRecord, Ticket, Who, Word};
use highwater_engine::name::{JobName, LockEpoch, PassId, ResourceName};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{Micros, Name, Number, limit};
use super::event;
use super::fault::{Step, lenient, readable};

/// Makes the row where there is none.
pub(super) fn ensure(db: &Connection, resource: &ResourceName) -> Step<()> {
    db.prepare_cached(include_str!("resource/ensure.sql"))?.execute([Name(resource)])?;
    Ok(())
}

pub(super) fn get(db: &Connection, resource: &ResourceName) -> Step<Option<ResourceRecord>> {
    Ok(db.prepare_cached(include_str!("resource/get.sql"))?.query_row([Name(resource)], read).optional()?)
}

pub(super) fn all(db: &Connection) -> Step<Vec<ResourceRecord>> {
    let mut names = db.prepare_cached(include_str!("resource/names.sql"))?;
    let names = readable(names.query_map([], |row| Ok(row.get::<_, Name<ResourceName>>(0)?.0))?, "resource")?;
    let mut resources = Vec::with_capacity(names.len());
    for name in names {
        resources.extend(get(db, &name)?);
    }
    Ok(resources)
}

/// The row that a resource has which nobody named yet.
pub(super) fn unknown(resource: &ResourceName) -> ResourceRecord {
    ResourceRecord { name: resource.clone(), epoch: LockEpoch(0), holder: None, ban: None }
}

pub(super) fn extend_ban(db: &Connection, resource: &ResourceName, until: Timestamp, word: &Word) -> Step<Ban> {
    ensure(db, resource)?;
    let values = params![Name(resource), Micros(until), Micros(word.at), word.who.0, word.why];
    if db.prepare_cached(include_str!("resource/extend_ban.sql"))?.execute(values)? > 0 {
        event::add(db, "ban", None, Some(resource), word)?;
    }
    let stands = get(db, resource)?.and_then(|record| record.ban);
    Ok(stands.expect("invariant: a ban that is not extended is there and later"))
}

pub(super) fn lift_ban(db: &Connection, resource: &ResourceName, word: &Word) -> Step<bool> {
    let values = params![Name(resource), Micros(word.at)];
    let lifted = db.prepare_cached(include_str!("resource/lift_ban.sql"))?.execute(values)? > 0;
    if lifted {
        event::add(db, "lift", None, Some(resource), word)?;
    }
    Ok(lifted)
}

/// Counts up the epoch and names the holder.
pub(super) fn take(db: &Connection, resource: &ResourceName, pass: PassId, holder: &Holder) -> Step<LockEpoch> {
    ensure(db, resource)?;
    let values =
        params![Name(resource), holder.host, holder.pid, Micros(holder.since), Name(&holder.job), Number(pass)];
    let epoch: Number<LockEpoch> =
        db.prepare_cached(include_str!("resource/take.sql"))?.query_row(values, |row| row.get(0))?;
    Ok(epoch.0)
}

/// Lets go of what the pass still holds.
pub(super) fn let_go(db: &Connection, pass: PassId) -> Step<()> {
    db.prepare_cached(include_str!("resource/let_go.sql"))?.execute([Number(pass)])?;
    Ok(())
}

pub(super) fn leave_ticket(db: &Connection, resource: &ResourceName, ticket: &Ticket) -> Step<()> {
    ensure(db, resource)?;
    // Those of passes that were killed while they waited.
    let lapsed = params![Name(resource), Micros(ticket.since)];
    db.prepare_cached(include_str!("resource/drop_lapsed_tickets.sql"))?.execute(lapsed)?;
    let values = params![
        Name(resource),
        ticket.host,
        ticket.pid,
        Name(&ticket.job),
        Micros(ticket.since),
        Micros(ticket.lapses_at)
    ];
    db.prepare_cached(include_str!("resource/leave_ticket.sql"))?.execute(values)?;
    Ok(())
}

pub(super) fn take_back_ticket(
    db: &Connection,
    resource: &ResourceName,
    host: &str,
    pid: u32,
    job: &JobName,
) -> Step<()> {
    let values = params![Name(resource), host, pid, Name(job)];
    db.prepare_cached(include_str!("resource/take_back_ticket.sql"))?.execute(values)?;
    Ok(())
}

pub(super) fn tickets(db: &Connection, resource: &ResourceName, now: Timestamp, rows_max: usize) -> Step<Vec<Ticket>> {
    let mut tickets = db.prepare_cached(include_str!("resource/tickets.sql"))?;
    let rows = tickets.query_map(params![Name(resource), Micros(now), limit(rows_max)], |row| {
        Ok(Ticket {
            job: row.get::<_, Name<JobName>>("job")?.0,
            host: row.get("host")?,
            pid: row.get("pid")?,
            since: row.get::<_, Micros>("since")?.0,
            lapses_at: row.get::<_, Micros>("lapses_at")?.0,
        })
    })?;
    Ok(readable(rows, "ticket")?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ResourceRecord> {
    Ok(ResourceRecord {
        name: row.get::<_, Name<ResourceName>>("name")?.0,
        epoch: row.get::<_, Number<LockEpoch>>("epoch")?.0,
        // Who holds it is for people; what excludes is the lock and the epoch.
        holder: lenient(read_holder(row))?,
        ban: read_ban(row)?,
    })
}

fn read_holder(row: &Row<'_>) -> rusqlite::Result<Option<Holder>> {
    let Some(pass) = row.get::<_, Option<Number<PassId>>>("holder_pass")? else { return Ok(None) };
    Ok(Some(Holder {
        host: row.get("holder_host")?,
        pid: row.get("holder_pid")?,
        since: row.get::<_, Micros>("holder_since")?.0,
        job: row.get::<_, Name<JobName>>("holder_job")?.0,
        pass: pass.0,
    }))
}

fn read_ban(row: &Row<'_>) -> rusqlite::Result<Option<Ban>> {
    let Some(until) = row.get::<_, Option<Micros>>("ban_until")? else { return Ok(None) };
    Ok(Some(Ban {
        until: until.0,
        at: row.get::<_, Micros>("ban_at")?.0,
        who: Who(row.get("ban_by")?),
        why: row.get("ban_why")?,
    }))
}
