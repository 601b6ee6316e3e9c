//! A history that another tool made is taken over, without running anything. Owns what that tool's table must show; it is read
//! and never written.

use highwater_db::session::{Dialect, Session, Value};
use highwater_engine::clock::Clock;

use super::files::{Files, Step};
use super::history::{History, Recorded, State};
use super::{MigrateError, Options, lock};
use crate::declare::TableName;

/// Most rows that are read of another tool's table.
const ROWS_MAX: usize = super::files::FILES_MAX;

/// Writes that all files up to `number` were applied, with the checksums that they have now, and runs none; returns how many
/// rows are new. Where `from` names another tool's table, that must show them: one row for each, or one row with the newest, and
/// nothing that is newer than `number` and has a file, since that would be run again. No transaction may be open.
///
/// # Errors
/// [`MigrateError`]; then nothing was written.
pub async fn baseline(
    session: &mut dyn Session,
    files: &Files,
    options: &Options,
    clock: &dyn Clock,
    number: i64,
    from: Option<&TableName>,
) -> Result<usize, MigrateError> {
    let Some(end) = files.steps.iter().position(|step| step.number == number) else {
        return Err(MigrateError::NoStep { number });
    };
    let (taken, newer) = files.steps.split_at(end + 1);
    let lock = lock::take(session, &options.table, options.lock_wait, clock).await?;
    let done = under_lock(session, options, taken, newer, from).await;
    lock.release(session).await;
    done
}

async fn under_lock(
    session: &mut dyn Session,
    options: &Options,
    taken: &[Step],
    newer: &[Step],
    from: Option<&TableName>,
) -> Result<usize, MigrateError> {
    if let Some(table) = from {
        shows(session, table, taken, newer).await?;
    }
    let history = History::open(session, &options.table).await?;
    session.begin().await?;
    let done = match write(session, options, &history, taken).await {
        Ok(new) => session.commit().await.map(|()| new).map_err(MigrateError::from),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The connection may be gone; then so is the transaction.
        session.rollback().await.ok();
    }
    done
}

async fn write(
    session: &mut dyn Session,
    options: &Options,
    history: &History,
    taken: &[Step],
) -> Result<usize, MigrateError> {
    let rows = history.rows(session).await?;
    let mut new = 0;
    for row in &rows {
        // What was taken over before may be taken over again; anything else is a history of its own.
        if row.state != State::Baselined || !taken.iter().any(|step| is_of(row, step)) {
            return Err(MigrateError::HasHistory { table: options.table.to_string(), number: row.number });
        }
    }
    for step in taken.iter().filter(|step| !rows.iter().any(|row| is_of(row, step))) {
        history.add(session, step, State::Baselined).await?;
        new += 1;
    }
    Ok(new)
}

fn is_of(row: &Recorded, step: &Step) -> bool {
    row.number == step.number && row.sha256 == step.sha256
}

/// Refuses a table that does not show what is to be taken over.
async fn shows(
    session: &mut dyn Session,
    table: &TableName,
    taken: &[Step],
    newer: &[Step],
) -> Result<(), MigrateError> {
    let number = taken.last().map_or(0, |step| step.number);
    let refused = |number: i64, why: String| MigrateError::NotShown { table: table.to_string(), number, why };
    if !crate::window::is_there(session, table).await? {
        return Err(refused(number, "there is no such table".to_owned()));
    }
    // The marks of a step that failed, as golang-migrate, sqlx and Flyway have them, where there is such a column.
    let marks = match session.dialect() {
        Dialect::Postgres => ["to_jsonb(t)->>'dirty'", "to_jsonb(t)->>'success'"].map(str::to_owned),
        Dialect::Sqlite => [mark(session, table, "dirty").await?, mark(session, table, "success").await?],
    };
    let limit = ROWS_MAX + 1;
    let sql =
        format!("SELECT CAST(t.version AS text), {} FROM {} AS t LIMIT {limit}", marks.join(", "), table.quoted());
    let rows = session.query(&sql, &[]).await?;
    if rows.len() > ROWS_MAX {
        return Err(refused(number, format!("it has more than {ROWS_MAX} rows")));
    }
    let mut shown = Vec::new();
    for row in &rows {
        let version = row[0].to_string();
        let Some(version) = leading_number(&version) else {
            return Err(refused(number, format!("its version `{version}` does not begin with a number")));
        };
        if is(&row[1], ["true", "1"]) || is(&row[2], ["false", "0"]) {
            return Err(refused(version, "that step failed there, and is to be mended first".to_owned()));
        }
        shown.push(version);
    }
    let Some(newest) = shown.iter().copied().max() else { return Err(refused(number, "it is empty".to_owned())) };
    let is_shown = |step: &Step| shown.contains(&step.number) || (shown.len() == 1 && step.number <= newest);
    if let Some(missing) = taken.iter().find(|step| !is_shown(step)) {
        return Err(refused(missing.number, format!("the newest that it shows is {newest}")));
    }
    match newer.iter().rfind(|step| is_shown(step)) {
        Some(step) => {
            Err(refused(number, format!("it shows {} too, which would be run again: baseline that", step.number)))
        }
        None => Ok(()),
    }
}

/// A column of SQLite as text, or NULL where there is none.
async fn mark(session: &mut dyn Session, table: &TableName, column: &str) -> Result<String, MigrateError> {
    let sql = "SELECT 1 FROM pragma_table_info(?1) WHERE lower(name) = ?2";
    let is_there = session.first(sql, &[Value::from(table.table().as_str()), Value::from(column)]).await?.is_some();
    Ok(if is_there { format!("CAST(t.{column} AS text)") } else { "NULL".to_owned() })
}

fn is(value: &Value, words: [&str; 2]) -> bool {
    value.text().is_some_and(|text| words.contains(&text))
}

/// `12` of `12`, `0012`, `12_name` and `12_name.up.sql`.
fn leading_number(version: &str) -> Option<i64> {
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    version[..digits].parse().ok()
}
