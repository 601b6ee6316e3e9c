//! The signals of a job: those of the engine, and those that ask a database, which the engine cannot. Owns the session that a
//! signal asks on, which is beside all others and only reads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use highwater_db::address::DatabaseAddress;
use highwater_db::postgres::Health;
use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use highwater_engine::clock::SharedClock;
use highwater_engine::settings::{SignalKind, ThrottleSettings};
use highwater_engine::signal::far_side::FarSide;
use highwater_engine::signal::{self, Reading, Signal, SignalError, Watched, number};
use tokio::sync::Mutex;

use crate::config::{Config, JobConfig, own_database};

/// What a session is set to before it is asked: a query that is a mistake changes nothing, and one that nobody waits for any more ends.
const POSTGRES_SETUP: &str = "SET default_transaction_read_only = on; SET application_name = 'highwater throttle'; \
                              SET statement_timeout = ";
const SQLITE_SETUP: &str = "PRAGMA query_only = on";

/// The signals of a job.
pub(super) fn signals(
    config: &Config,
    job: &JobConfig,
    clock: &SharedClock,
    far_side: &Arc<FarSide>,
) -> Vec<Arc<dyn Signal>> {
    let wired = |settings: &ThrottleSettings| {
        signal::of_settings(settings, &config.directory, clock, far_side)
            .unwrap_or_else(|| Arc::new(SqlSignal::new(settings, config, job)))
    };
    job.settings.throttle.iter().map(wired).collect()
}

/// What a database is asked.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    /// A query of the user's own.
    Query(String),
    /// A figure of a server.
    Health(Health),
}

/// A number in a database.
struct SqlSignal {
    watched: Watched,
    address: DatabaseAddress,
    question: Question,
    /// Absent before the first reading and after one that failed or that nobody waited for.
    session: Mutex<Option<Box<dyn Session>>>,
}

impl SqlSignal {
    fn new(settings: &ThrottleSettings, config: &Config, job: &JobConfig) -> Self {
        let named = settings.database.as_ref().map(|database| database.expose());
        let address = named.or_else(|| own_database(&job.kind)).and_then(|address| address.parse().ok());
        let mut address: DatabaseAddress = address.expect("invariant: the configuration was checked");
        address.resolve(&config.directory);
        let question = match settings.signal {
            SignalKind::ReplicationLag => Question::Health(Health::ReplicationLag),
            SignalKind::LockWaiters => Question::Health(Health::LockWaiters),
            SignalKind::ActiveBackends => Question::Health(Health::ActiveBackends),
            _ => Question::Query(settings.query.clone().expect("invariant: the configuration was checked")),
        };
        Self { watched: Watched::of(settings), address, question, session: Mutex::default() }
    }

    async fn open(&self) -> Result<Box<dyn Session>, Fault> {
        let mut session = self.address.open(self.watched.timeout).await?;
        match session.dialect() {
            Dialect::Postgres => {
                session.batch(&format!("{POSTGRES_SETUP}{}", millis(self.watched.timeout))).await?;
            }
            Dialect::Sqlite => session.batch(SQLITE_SETUP).await?,
        }
        Ok(session)
    }

    fn sql(&self, dialect: Dialect) -> String {
        match (&self.question, dialect) {
            (Question::Health(health), _) => health.sql().to_owned(),
            // One row of one column, whatever type of number it is; a comment at its end ends with its line.
            (Question::Query(query), Dialect::Postgres) => format!("SELECT (\n{}\n)::float8", bare(query)),
            (Question::Query(query), Dialect::Sqlite) => bare(query).to_owned(),
        }
    }

    fn value(&self, rows: &[Vec<Value>]) -> Result<f64, SignalError> {
        let refused = |said: &str| SignalError::Refused { said: said.to_owned() };
        let [row] = rows else {
            return Err(refused(&format!("the query yields {} rows, expected one", rows.len())));
        };
        match (row.as_slice(), &self.question) {
            ([Value::Null], Question::Health(health)) => Err(refused(health.unread())),
            ([Value::Null], Question::Query(_)) => Err(refused("the query yields NULL, expected a number")),
            ([value], _) => number(value.to_string().as_bytes()),
            (columns, _) => Err(refused(&format!("the query yields {} columns, expected one", columns.len()))),
        }
    }
}

fn bare(query: &str) -> &str {
    query.trim().trim_end_matches(';').trim_end()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX >> 1))
}

#[async_trait]
impl Signal for SqlSignal {
    fn name(&self) -> &str {
        &self.watched.name
    }

    fn limit(&self) -> f64 {
        self.watched.limit
    }

    fn timeout(&self) -> Duration {
        self.watched.timeout
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        let failed = |fault: Fault| match fault.kind {
            FaultKind::TimedOut => SignalError::Late { after: self.watched.timeout },
            // The statement is ours or in the configuration: its text would only be in the way.
            _ => SignalError::Refused { said: format!("{}: {}", self.address, fault.message) },
        };
        let mut kept = self.session.lock().await;
        // Taken out: one that this reading leaves in the middle is not asked again.
        let mut session = match kept.take() {
            Some(session) => session,
            None => self.open().await.map_err(failed)?,
        };
        let sql = self.sql(session.dialect());
        let rows = session.query(&sql, &[]).await.map_err(failed)?;
        *kept = Some(session);
        Ok(Reading::now(self.value(&rows)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(question: Question) -> SqlSignal {
        SqlSignal {
            watched: Watched { name: "load".to_owned(), limit: 5.0, timeout: Duration::from_secs(1) },
            address: "sqlite:a.db".parse().unwrap(),
            question,
            session: Mutex::default(),
        }
    }

    #[test]
    fn a_query_is_one_number_whatever_ends_it() {
        let asks = signal(Question::Query(" SELECT avg(age) FROM queue -- of all\n ; ".to_owned()));
        assert_eq!(asks.sql(Dialect::Sqlite), "SELECT avg(age) FROM queue -- of all");
        assert_eq!(asks.sql(Dialect::Postgres), "SELECT (\nSELECT avg(age) FROM queue -- of all\n)::float8");
    }

    #[test]
    fn r17_what_is_not_one_row_of_one_number_is_no_reading() {
        let asks = signal(Question::Query("SELECT 1".to_owned()));
        assert_eq!(asks.value(&[vec![Value::Int(7)]]).unwrap(), 7.0);
        assert_eq!(asks.value(&[vec![Value::Text("0.5".to_owned())]]).unwrap(), 0.5);
        for (rows, told) in [
            (vec![], "the query yields 0 rows, expected one"),
            (vec![vec![Value::Int(1)], vec![Value::Int(2)]], "the query yields 2 rows, expected one"),
            (vec![vec![Value::Int(1), Value::Int(2)]], "the query yields 2 columns, expected one"),
            (vec![vec![Value::Null]], "the query yields NULL, expected a number"),
            (vec![vec![Value::from("up")]], "found \"up\", expected a number of at least 0"),
            (vec![vec![Value::Int(-1)]], "found \"-1\", expected a number of at least 0"),
        ] {
            assert_eq!(asks.value(&rows).unwrap_err().to_string(), told);
        }
        let asks = signal(Question::Health(Health::ReplicationLag));
        assert!(asks.value(&[vec![Value::Null]]).unwrap_err().to_string().starts_with("no standby is connected"));
    }
}
