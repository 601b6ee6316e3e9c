//! The bound: the latest time that a watermark may be stamped to. Owns that nothing which was begun before it is still to be
//! committed (R7).

use std::fmt;
use std::time::Duration;

use highwater_db::session::{Dialect, Fault, Session, Value};
use jiff::Timestamp;

/// Shortest lag behind the database's clock, in seconds.
pub const LAG_SECS_MIN: u64 = 1;

/// How far a watermark may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Up to this time.
    Until {
        /// The time.
        at: Timestamp,
        /// Whose open transaction keeps it from being later.
        held_by: Option<Holder>,
    },
    /// No further than it is: transactions are prepared, and their age is not known to be above the bound.
    Prepared {
        /// How many.
        transactions: i64,
    },
    /// The server is a standby, which no trigger and no watermark is written on.
    Standby,
    /// The role does not see when others' transactions began.
    Blind {
        /// The role.
        role: String,
    },
    /// A session does not tell when its transaction began: its `track_activities` is off.
    Hidden {
        /// Its process.
        pid: i64,
    },
}

/// Whose transaction is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process of its session.
    pub pid: i64,
    /// The role.
    pub role: String,
    /// What its session calls itself; empty where it does not say.
    pub application: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let application = if self.application.is_empty() { "without a name" } else { &self.application };
        write!(f, "process {} (application {application}, role {})", self.pid, self.role)
    }
}

/// Reads the bound, outside of any transaction in PostgreSQL, inside the one that is open in SQLite, where it is the only
/// writer then. `ignores` are roles and application names that only read.
///
/// # Errors
/// [`Fault`].
pub async fn read(session: &mut dyn Session, lag: Duration, ignores: &[String]) -> Result<Bound, Fault> {
    let lag = lag.max(Duration::from_secs(LAG_SECS_MIN));
    match session.dialect() {
        Dialect::Sqlite => Ok(Bound::Until { at: now(session).await? - lag, held_by: None }),
        Dialect::Postgres => postgres(session, lag, ignores).await,
    }
}

/// The database's clock: when the open transaction began in PostgreSQL, where there is one.
pub(crate) async fn now(session: &mut dyn Session) -> Result<Timestamp, Fault> {
    let sql = match session.dialect() {
        Dialect::Postgres => "SELECT to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        Dialect::Sqlite => "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    };
    let row = session.first(sql, &[]).await?;
    let now = row.as_ref().and_then(|row| row[0].text()).and_then(|text| text.parse().ok());
    Ok(now.expect("invariant: a database writes the time as it was told to"))
}

async fn postgres(session: &mut dyn Session, lag: Duration, ignores: &[String]) -> Result<Bound, Fault> {
    let micros = i64::try_from(lag.as_micros()).unwrap_or(i64::MAX);
    // One text with a separator that no name holds.
    let values = [Value::Int(micros), Value::from(ignores.join("\u{1f}"))];
    let row = session.first(include_str!("bound/postgres.sql"), &values).await?;
    let row = row.expect("invariant: an aggregate yields a row");
    let (int, text) =
        (|at: usize| row[at].int().unwrap_or(0), |at: usize| row[at].text().unwrap_or_default().to_owned());
    if int(0) != 0 {
        return Ok(Bound::Standby);
    }
    if int(1) == 0 {
        return Ok(Bound::Blind { role: text(2) });
    }
    if let Some(pid) = row[5].int() {
        return Ok(Bound::Hidden { pid });
    }
    let held_by = row[4].int().map(|pid| Holder { pid, application: text(6), role: text(7) });
    let micros = int(3);
    // After the open ones, and by a statement of its own: the other way round, one that is prepared in between is in neither.
    let row = session.first("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()", &[]).await?;
    let prepared = row.and_then(|row| row[0].int()).unwrap_or(0);
    if prepared != 0 {
        return Ok(Bound::Prepared { transactions: prepared });
    }
    let at = Timestamp::from_microsecond(micros).expect("invariant: the server's clock is within range");
    Ok(Bound::Until { at, held_by })
}
