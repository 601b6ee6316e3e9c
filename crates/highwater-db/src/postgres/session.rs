//! A [`Session`] on PostgreSQL: one connection that is never pooled, so that what it locked stays locked until it ends. Owns
//! how its end is noticed.

mod value;

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use super::address::Address;
use super::advisory::AdvisoryKey;
use super::tls;
use crate::session::{Dialect, Fault, FaultKind, Row, Session, Value};

/// How often a session is held against another to tell whether they share a process.
const POOLED_TRIES: u32 = 3;
/// How long a session may be without an answer while another is in a transaction, in seconds. Nothing but a pooler makes one
/// wait for the other.
const POOLED_WAIT_SECS: u64 = 3;
/// Statements that a session keeps prepared.
const STATEMENTS_KEPT: usize = 64;
/// What each session begins with.
const SETTINGS: &str = include_str!("session/settings.sql");

/// One connection to one PostgreSQL database. Its time zone is UTC.
pub struct PostgresSession {
    client: Client,
    lost: Arc<AtomicBool>,
    in_transaction: bool,
    prepared: Vec<(String, Statement)>,
    /// The advisory lock that every transaction of this session must still find held.
    held: Option<AdvisoryKey>,
    place: String,
}

impl PostgresSession {
    /// Connects.
    ///
    /// # Errors
    /// [`FaultKind::Lost`] where nobody answers, [`FaultKind::Denied`] where the server refuses or cannot be trusted.
    pub async fn open(address: &Address) -> Result<Self, Fault> {
        let limit = address.connect_limit();
        tokio::time::timeout(limit, Self::opened(address)).await.unwrap_or_else(|_| {
            Err(Fault {
                kind: FaultKind::Lost,
                doing: format!("connect to {address}"),
                message: format!("it takes the connection, and does not answer within {} s", limit.as_secs()),
            })
        })
    }

    async fn opened(address: &Address) -> Result<Self, Fault> {
        let told = |kind, message| Fault { kind, doing: format!("connect to {address}"), message };
        let connector = tls::connector(address).map_err(|error| told(FaultKind::Denied, chain(&error)))?;
        let mut connected = address.config.connect(connector.clone()).await;
        let is_denied = connected.as_ref().is_err_and(|error| unconnected(error) == FaultKind::Denied);
        if let (true, Some(otherwise)) = (is_denied, address.otherwise()) {
            // Of two refusals the first is told.
            connected = otherwise.connect(connector).await.or(connected);
        }
        let (client, connection) = connected.map_err(|error| told(unconnected(&error), words(&error)))?;
        let lost = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let lost = Arc::clone(&lost);
            async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a session with PostgreSQL ended");
                }
                lost.store(true, Ordering::SeqCst);
            }
        });
        let place = address.place();
        let mut session = Self { client, lost, in_transaction: false, prepared: Vec::new(), held: None, place };
        session.batch(SETTINGS).await?;
        Ok(session)
    }

    /// The server and the database, as [`Address::place`] says it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What tells, without asking the server, whether the connection was seen to end.
    #[must_use]
    pub fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// Takes an advisory lock for as long as this session lives, if it is free. From then on every transaction looks whether it is
    /// still held, when it begins and before it commits.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn try_lock(&mut self, key: &AdvisoryKey) -> Result<bool, Fault> {
        let sql = "SELECT pg_try_advisory_lock($1)::int4";
        let row = self.first(sql, &[Value::Int(key.number())]).await?;
        let taken = row.and_then(|row| row[0].int()) == Some(1);
        if taken {
            self.held = Some(key.clone());
        }
        Ok(taken)
    }

    /// Lets the advisory lock of [`PostgresSession::try_lock`] go.
    ///
    /// # Errors
    /// [`Fault`]; then it goes with the session.
    pub async fn unlock(&mut self) -> Result<(), Fault> {
        let Some(key) = self.held.take() else { return Ok(()) };
        self.rollback().await?;
        self.first("SELECT pg_advisory_unlock($1)", &[Value::Int(key.number())]).await.map(drop)
    }

    /// Who holds an advisory lock, in words; `None` where nobody does.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn holder(&mut self, key: &AdvisoryKey) -> Result<Option<String>, Fault> {
        let row = self.first(include_str!("session/holder.sql"), &[Value::Int(key.number())]).await?;
        Ok(row.and_then(|row| row[0].text().map(str::to_owned)))
    }

    /// The process of the server that serves this session.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn backend(&mut self) -> Result<i64, Fault> {
        // Without preparing it: a pooler may run it in another process than the one that knows the statement.
        let sql = "SELECT pg_backend_pid()";
        let told = self.client.simple_query(sql).await.map_err(|error| self.fault(sql, &error))?;
        let pid = told.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok(pid.unwrap_or(0))
    }

    /// Whether something between here and the server gives a session's process to others between its transactions. A lock that
    /// a session takes is then another's too, or stays when the session is gone.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn is_pooled(&mut self, address: &Address) -> Result<bool, Fault> {
        let mut other = Self::open(address).await?;
        for _ in 0..POOLED_TRIES {
            let ours = self.backend().await?;
            // While it holds a process, a pooler has to serve this session by another.
            other.begin().await?;
            let its = other.backend().await?;
            let again = {
                let mut again = std::pin::pin!(self.backend());
                match tokio::time::timeout(Duration::from_secs(POOLED_WAIT_SECS), again.as_mut()).await {
                    Ok(again) => Some(again?),
                    Err(_) => {
                        // A server that is slow is so for both; what the end of the other's transaction wakes was kept by it.
                        other.rollback().await?;
                        again.await?;
                        None
                    }
                }
            };
            other.rollback().await?;
            if its == ours || again != Some(ours) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn refuse_unlocked(&mut self) -> Result<(), Fault> {
        let Some(key) = self.held.clone() else { return Ok(()) };
        let row = self.first(include_str!("session/held.sql"), &[Value::Int(key.number())]).await?;
        if row.and_then(|row| row[0].int()) == Some(1) {
            return Ok(());
        }
        Err(Fault {
            kind: FaultKind::Lost,
            doing: "look whether the lock is held".to_owned(),
            message: format!("the advisory lock {key} is not held by this session any more"),
        })
    }

    async fn prepared(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(at) = self.prepared.iter().position(|(text, _)| text == sql) {
            let known = self.prepared.remove(at);
            let statement = known.1.clone();
            self.prepared.push(known);
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        if self.prepared.len() == STATEMENTS_KEPT {
            self.prepared.remove(0);
        }
        self.prepared.push((sql.to_owned(), statement.clone()));
        Ok(statement)
    }

    fn fault(&self, doing: &str, error: &Error) -> Fault {
        let kind = match error.code() {
            Some(code) => kind_of(code),
            None if error.is_closed()
                || self.client.is_closed()
                || error.source().is_some_and(|e| e.is::<std::io::Error>()) =>
            {
                FaultKind::Lost
            }
            None => FaultKind::Other,
        };
        Fault { kind, doing: doing.to_owned(), message: words(error) }
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let done = match self.prepared(sql).await {
            Ok(statement) => self.client.execute_raw(&statement, values).await,
            Err(error) => Err(error),
        };
        done.map_err(|error| self.fault(sql, &error))
    }

    async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = match self.prepared(sql).await {
            Ok(statement) => self.client.query(&statement, &parameters).await,
            Err(error) => Err(error),
        };
        let rows = rows.map_err(|error| self.fault(sql, &error))?;
        rows.iter()
            .map(|row| (0..row.len()).map(|at| value::read(row, at)).collect::<Result<Row, Error>>())
            .collect::<Result<_, _>>()
            .map_err(|error| self.fault(sql, &error))
    }

    async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let done = self.client.batch_execute(sql).await.map_err(|error| self.fault(sql, &error));
        if matches!(sql, "COMMIT" | "ROLLBACK") {
            self.in_transaction = false;
        }
        done
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        self.rollback().await?;
        // Before the answer: a caller that is dropped while it waits may have begun one.
        self.in_transaction = true;
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        self.refuse_unlocked().await
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        if let Err(fault) = self.refuse_unlocked().await {
            self.rollback().await.ok();
            return Err(fault);
        }
        self.batch("COMMIT").await
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        if self.in_transaction { self.batch("ROLLBACK").await } else { Ok(()) }
    }
}

/// Of an attempt to connect: what the server says of the role, the password or the database, and what TLS says of the server,
/// will be said again. A line that breaks, or on which nothing comes, may not.
fn unconnected(error: &Error) -> FaultKind {
    let is_lost = match (error.code(), error.source()) {
        (Some(code), _) => kind_of(code) == FaultKind::Lost || *code == SqlState::TOO_MANY_CONNECTIONS,
        (None, Some(source)) => is_of_the_line(source) && !tls::is_refusal(source),
        (None, None) => true,
    };
    if is_lost { FaultKind::Lost } else { FaultKind::Denied }
}

fn is_of_the_line(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| error.is::<std::io::Error>())
}

fn kind_of(code: &SqlState) -> FaultKind {
    match *code {
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_SESSION_TIMEOUT
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::CONNECTION_FAILURE
        | SqlState::CONNECTION_EXCEPTION
        | SqlState::CONNECTION_DOES_NOT_EXIST => FaultKind::Lost,
        SqlState::QUERY_CANCELED => FaultKind::TimedOut,
        SqlState::DISK_FULL => FaultKind::Full,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE => {
            FaultKind::Contended
        }
        SqlState::INSUFFICIENT_PRIVILEGE | SqlState::READ_ONLY_SQL_TRANSACTION => FaultKind::Denied,
        SqlState::UNDEFINED_TABLE
        | SqlState::UNDEFINED_COLUMN
        | SqlState::UNDEFINED_FUNCTION
        | SqlState::UNDEFINED_OBJECT
        | SqlState::INVALID_SCHEMA_NAME => FaultKind::Undefined,
        _ => FaultKind::Other,
    }
}

/// The server's own words, without the library's.
fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(told) => {
            let detail = told.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{}{detail}", told.message())
        }
        None => chain(error),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
