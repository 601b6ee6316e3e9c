//! On which session a pass works. Owns that it is the one that holds the lock, where the lock has one.

use highwater_db::address::DatabaseAddress;
use highwater_db::postgres::PostgresSession;
use highwater_db::session::Session;
use highwater_db::sqlite::{Error, SqliteSession};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{CommitCx, Stop};
use tokio::sync::MutexGuard;

use super::Rollup;
use super::fault::full;

/// A session that is lent for one step.
pub(super) enum Lent<'c> {
    /// The one that holds the lock.
    Locked(&'c mut PostgresSession),
    /// One of the job's own, on a file whose lock is a file's.
    Own(MutexGuard<'c, Option<SqliteSession>>),
}

impl Lent<'_> {
    pub(super) fn session(&mut self) -> &mut dyn Session {
        match self {
            Self::Locked(session) => *session,
            Self::Own(guard) => guard.as_mut().expect("invariant: it was opened when it was lent"),
        }
    }
}

impl Rollup {
    /// The session of this pass's work: a lock in another database fences nothing here.
    pub(super) async fn lent<'c>(&'c self, cx: &'c mut CommitCx) -> Result<Lent<'c>, Stop> {
        match &self.address {
            DatabaseAddress::Postgres(address) => {
                let place = address.place();
                let is_there = |session: &mut PostgresSession| session.place() == place;
                let held = self.resources.iter().find(|name| cx.session(name).is_some_and(is_there));
                let Some(name) = held else { return Err(Stop::Fail(no_session())) };
                Ok(Lent::Locked(cx.session(name).expect("invariant: it was just found")))
            }
            DatabaseAddress::Sqlite(_) => {
                let mut own = self.own.lock().await;
                if own.is_none() {
                    *own = Some(self.open_file()?);
                }
                Ok(Lent::Own(own))
            }
        }
    }

    /// A session beside that of the lock, to read only.
    pub(super) async fn beside(&self) -> Result<Box<dyn Session>, Stop> {
        if let DatabaseAddress::Sqlite(_) = &self.address {
            return Ok(Box::new(self.open_file()?));
        }
        self.address.open(self.settings.busy_timeout.get()).await.map_err(|fault| self.unopened(&fault))
    }

    fn open_file(&self) -> Result<SqliteSession, Stop> {
        let DatabaseAddress::Sqlite(path) = &self.address else { return Err(Stop::Fail(no_session())) };
        SqliteSession::open(path, self.settings.busy_timeout.get()).map_err(|error| match error {
            Error::DiskFull { .. } => full(&error.to_string()),
            error => Stop::Fail(
                Diagnosis::refusal("HW-ROL-003", error.to_string(), "correct the path: highwater makes no database")
                    .at_field("database"),
            ),
        })
    }
}

fn no_session() -> Diagnosis {
    Diagnosis::refusal(
        "HW-ROL-006",
        "no lock of this job lives in its database, expected one: whoever loses the lock must lose the session that writes",
        "write `lock = \"postgres:NAME\"` in the resource, or remove `resources`",
    )
    .at_field("resources")
}
