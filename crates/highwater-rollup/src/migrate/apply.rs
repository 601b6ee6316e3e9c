//! One step: its statements and its row. Owns that a step is applied once, wholly or not at all; and of one without a transaction
//! that it is known how far it came.

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};

use super::breaks::{self, Watched};
use super::history::{History, State};
use super::lock::RunLock;
use super::{MigrateError, Pending};

/// Makes the session ready for files. On SQLite references are not enforced while files run, or a table that is rebuilt would
/// take the rows with it that refer to it; they are checked instead.
pub(super) async fn prepare(session: &mut dyn Session) -> Result<(), Fault> {
    match session.dialect() {
        Dialect::Sqlite => session.batch("PRAGMA foreign_keys = OFF").await,
        Dialect::Postgres => session.batch(FRESH).await,
    }
}

/// Whether this session of SQLite enforces references.
pub(super) async fn enforced(session: &mut dyn Session) -> bool {
    let asked = match session.dialect() {
        Dialect::Postgres => return false,
        Dialect::Sqlite => session.first("PRAGMA foreign_keys", &[]).await,
    };
    asked.ok().flatten().and_then(|row| row[0].int()) == Some(1)
}

/// Leaves the session as it was found.
pub(super) async fn enforce(session: &mut dyn Session, enforced: bool) {
    if enforced {
        // A session that is broken enforces nothing.
        session.batch("PRAGMA foreign_keys = ON").await.ok();
    }
}

/// What a file set is not the next one's: which files are applied by one run must not matter. A lock that outlives a long wait
/// for a rollup needs a session that the server does not end for being idle.
const FRESH: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET TIME ZONE 'UTC';
    SELECT set_config('idle_session_timeout', '0', false) WHERE current_setting('server_version_num')::int >= 140000";

pub(super) async fn apply(
    session: &mut dyn Session,
    history: &History,
    lock: &RunLock,
    pending: &Pending<'_>,
    watched: &[Watched],
) -> Result<(), MigrateError> {
    let file = || pending.step.file.clone();
    if !lock.is_held(session).await? {
        return Err(MigrateError::LockLost { file: file() });
    }
    if !pending.script.in_transaction {
        one_by_one(session, history, pending).await?;
        let broken = breaks::broken(session, watched).await?;
        return if broken.is_empty() { Ok(()) } else { Err(MigrateError::Broke { file: file(), broken }) };
    }
    let done = within(session, history, lock, pending, watched).await;
    if let Err(error) = done {
        // The connection may be gone; then so is the transaction.
        session.rollback().await.ok();
        return Err(error);
    }
    session.commit().await.map_err(|source| match source.kind {
        FaultKind::Lost => MigrateError::InDoubt { file: file(), source },
        _ => MigrateError::Step { file: file(), hint: None, source },
    })
}

/// All of a step but the commit.
async fn within(
    session: &mut dyn Session,
    history: &History,
    lock: &RunLock,
    pending: &Pending<'_>,
    watched: &[Watched],
) -> Result<(), MigrateError> {
    let step = pending.step;
    let failed = |source: Fault| {
        let hint = hint(&source.message);
        MigrateError::Step { file: step.file.clone(), hint, source }
    };
    let dangling = dangling(session).await;
    session.begin().await.map_err(failed)?;
    if session.dialect() == Dialect::Postgres {
        // Rows that others change meanwhile are waited for, and not run into.
        session.batch("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map_err(failed)?;
    }
    if !lock.is_held(session).await? {
        return Err(MigrateError::LockLost { file: step.file.clone() });
    }
    let transaction = transaction(session).await.map_err(failed)?;
    session.batch(&pending.script.sql).await.map_err(failed)?;
    if transaction != self::transaction(session).await.map_err(failed)? {
        return Err(MigrateError::Ended { file: step.file.clone() });
    }
    if session.dialect() == Dialect::Postgres {
        session.batch(FRESH).await.map_err(failed)?;
    }
    if let Some(before) = dangling {
        let rows = self::dangling(session).await.unwrap_or(0) - before;
        if rows > 0 {
            return Err(MigrateError::Dangling { file: step.file.clone(), rows });
        }
    }
    let broken = breaks::broken(session, watched).await.map_err(failed)?;
    if !broken.is_empty() {
        return Err(MigrateError::Breaks { file: step.file.clone(), broken });
    }
    history.add(session, step, State::Applied).await.map_err(failed)
}

/// What the transaction is called, where it has a name.
async fn transaction(session: &mut dyn Session) -> Result<Option<Value>, Fault> {
    match session.dialect() {
        Dialect::Sqlite => Ok(None),
        Dialect::Postgres => Ok(session.first("SELECT txid_current()", &[]).await?.map(|row| row[0].clone())),
    }
}

/// Rows of SQLite that refer to nothing; `None` where that is not known, as in PostgreSQL, which looks by itself.
async fn dangling(session: &mut dyn Session) -> Option<i64> {
    if session.dialect() == Dialect::Postgres {
        return None;
    }
    // It fails where a reference is to no key: that was so before, or is noticed when it is used.
    session.first("SELECT count(*) FROM pragma_foreign_key_check", &[]).await.ok()?.and_then(|row| row[0].int())
}

/// What helps against a message.
fn hint(message: &str) -> Option<&'static str> {
    // What the server says where a trigger names a column that is to go, or to be of another type.
    let of_trigger = ["used in a trigger definition", "depends on column", "error in trigger", "depend on it"];
    if message.contains("trigger") && of_trigger.iter().any(|refused| message.contains(refused)) {
        return Some(
            "if that trigger is a rollup's, take the column out of its declaration and `highwater rollup change` it before, or \
             `highwater rollup uninstall` it",
        );
    }
    let refused = ["inside a transaction block", "within a transaction", "a transaction block"];
    let helps =
        "begin the file with `-- highwater:no-transaction` if it cannot be run in one, and put just that into it";
    refused.iter().any(|refused| message.contains(refused)).then_some(helps)
}

/// A file without a transaction: its row first, then each statement and that it was done.
async fn one_by_one(session: &mut dyn Session, history: &History, pending: &Pending<'_>) -> Result<(), MigrateError> {
    let step = pending.step;
    if pending.begun.is_none() {
        history.add(session, step, State::Started).await?;
    }
    let from = pending.begun.unwrap_or(0);
    for (statement, sql) in (1..).zip(&pending.script.statements).skip(from as usize) {
        let mut done = session.batch(sql).await;
        if done.is_ok() {
            done = history.advance(session, step, statement).await;
        }
        if let Err(source) = done {
            // It may have begun a transaction; without one this only warns.
            session.batch("ROLLBACK").await.ok();
            return Err(MigrateError::Statement { file: step.file.clone(), statement, source });
        }
    }
    history.finish(session, step).await?;
    Ok(prepare(session).await?)
}
