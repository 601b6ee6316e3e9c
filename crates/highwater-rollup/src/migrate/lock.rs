//! The lock of a run: one at a time on one history. In PostgreSQL an advisory lock of the session that migrates, so that it ends
//! with it; on SQLite flock(2) on a file beside the database, which stays there. Owns how it is waited for.
//!
//! It is tried again and again rather than waited for in the server: a session that waits there holds a snapshot, and the CREATE
//! INDEX CONCURRENTLY of the run that holds the lock would wait for that snapshot to end.

use std::sync::Mutex;
use std::time::Duration;

use highwater_db::postgres::AdvisoryKey;
use highwater_db::session::{Dialect, Fault, Session, Value};
use highwater_engine::clock::Clock;
use highwater_engine::job::Stop;
use highwater_engine::lock::{FileLock, Held, Lock as _, Probe};

use super::MigrateError;
use crate::declare::TableName;

/// Pause between two tries, in milliseconds.
const TRY_AGAIN_MILLIS: u64 = 200;

/// A lock that is held; in PostgreSQL for as long as the session lives, or until it is let go.
pub struct RunLock {
    held: How,
}

enum How {
    Session(AdvisoryKey),
    File {
        /// Tells whether it still is.
        probe: Probe,
        /// Lets go of it in the end.
        _held: Mutex<Box<dyn Held>>,
    },
    /// A database in memory is nobody else's.
    Alone,
}

/// The key of the advisory lock; another program that takes it keeps runs away.
#[must_use]
pub fn key(table: &TableName) -> AdvisoryKey {
    let name = format!("highwater.migrate.{}", table.table());
    name.parse().expect("invariant: the name of a table makes a key")
}

pub(super) async fn take(
    session: &mut dyn Session,
    table: &TableName,
    wait: Duration,
    clock: &dyn Clock,
) -> Result<RunLock, MigrateError> {
    let file = match session.dialect() {
        Dialect::Postgres => None,
        Dialect::Sqlite => match path(session).await? {
            Some(path) => Some(FileLock::new(format!("{path}.migrate.lock"), false)),
            None => return Ok(RunLock { held: How::Alone }),
        },
    };
    let until = clock.elapsed().saturating_add(wait);
    loop {
        let taken = match &file {
            None => try_session(session, &key(table)).await?.then(|| How::Session(key(table))),
            Some(file) => {
                let taken = file.try_take().await.map_err(|stop| match stop {
                    Stop::Fail(why) => MigrateError::Lock(Box::new(why)),
                    // Nothing but a database says any of these.
                    _ => MigrateError::LockHeld { holder: None },
                })?;
                taken.map(|held| {
                    let probe = held.probe();
                    How::File { probe, _held: Mutex::new(held) }
                })
            }
        };
        if let Some(held) = taken {
            return Ok(RunLock { held });
        }
        let left = until.saturating_sub(clock.elapsed());
        if left.is_zero() {
            let holder = match &file {
                None => holder(session, &key(table)).await?,
                Some(file) => file.holder_hint(),
            };
            return Err(MigrateError::LockHeld { holder });
        }
        clock.sleep(left.min(Duration::from_millis(TRY_AGAIN_MILLIS))).await;
    }
}

async fn try_session(session: &mut dyn Session, key: &AdvisoryKey) -> Result<bool, Fault> {
    let row = session.first("SELECT pg_try_advisory_lock($1)::int", &[Value::Int(key.number())]).await?;
    Ok(row.and_then(|row| row[0].int()) == Some(1))
}

/// Where the database is; nothing of one in memory.
async fn path(session: &mut dyn Session) -> Result<Option<String>, Fault> {
    let row = session.first("SELECT file FROM pragma_database_list WHERE name = 'main'", &[]).await?;
    Ok(row.and_then(|row| row[0].text().map(str::to_owned)).filter(|path| !path.is_empty()))
}

/// Advisory locks of this key in this database, as `pg_locks` shows them.
const SHOWN: &str = "FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = $1::bigint";

async fn holder(session: &mut dyn Session, key: &AdvisoryKey) -> Result<Option<String>, Fault> {
    let row = session.first(&format!("SELECT pid::bigint {SHOWN} LIMIT 1"), &[Value::Int(key.number())]).await?;
    Ok(row.map(|row| format!("server process {}", row[0])))
}

impl RunLock {
    /// Whether it is still held, by this very session.
    pub(super) async fn is_held(&self, session: &mut dyn Session) -> Result<bool, Fault> {
        match &self.held {
            How::Alone => Ok(true),
            How::File { probe, .. } => Ok(probe()),
            How::Session(key) => {
                let sql = format!("SELECT count(*) {SHOWN} AND pid = pg_backend_pid()");
                Ok(session.first(&sql, &[Value::Int(key.number())]).await?.and_then(|row| row[0].int()) == Some(1))
            }
        }
    }

    pub(super) async fn release(self, session: &mut dyn Session) {
        if let How::Session(key) = self.held {
            // A session that is gone has let go of it.
            session.first("SELECT pg_advisory_unlock($1)", &[Value::Int(key.number())]).await.ok();
        }
    }
}
