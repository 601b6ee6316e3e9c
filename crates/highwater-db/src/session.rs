//! A session: one connection to either database, for SQL that its caller writes for both. Owns the values that go in and
//! come out, and what kinds of failure are told apart; the statements, and when a transaction begins, are the caller's.

use std::fmt;

use async_trait::async_trait;

/// Which of the two databases a session speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL 13 or newer.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// A value in a statement or a row. Times go as RFC 3339 text, and exact decimals as text: the statement casts them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A number that is not exact.
    Real(f64),
    /// Text.
    Text(String),
}

impl Value {
    /// The whole number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(truth.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row, its columns in the statement's order.
pub type Row = Vec<Value>;

/// What kind of failure it was, as far as a caller acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is gone, and with it the transaction and every lock of the session.
    Lost,
    /// The statement ran into the time-out of statements; its transaction is void.
    TimedOut,
    /// Another session kept it waiting for a lock, or was in its way; its transaction is void and may be tried again.
    Contended,
    /// The role may not do this.
    Denied,
    /// A table, a column or a function that the statement names is not there.
    Undefined,
    /// The disk that the database writes to is full; its transaction is void, and may be tried again when there is space.
    Full,
    /// Anything else.
    Other,
}

/// What a session could not do.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct Fault {
    /// What kind of failure it was.
    pub kind: FaultKind,
    /// What was being done.
    pub doing: String,
    /// What the database said.
    pub message: String,
}

/// One connection to one database.
#[async_trait]
pub trait Session: Send {
    /// Which database it speaks to.
    fn dialect(&self) -> Dialect;

    /// Runs one statement and returns how many rows it touched.
    ///
    /// # Errors
    /// [`Fault`]; a transaction that was open is void.
    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault>;

    /// Runs one statement and returns its rows. Statements that return many rows bound them.
    ///
    /// # Errors
    /// [`Fault`], also where a column has a type that no [`Value`] holds.
    async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault>;

    /// Runs statements without values, one after the other.
    ///
    /// # Errors
    /// [`Fault`] of the first that fails.
    async fn batch(&mut self, sql: &str) -> Result<(), Fault>;

    /// Begins a transaction that sees one state of the database from its first statement to its last, rolling back one that an
    /// abandoned caller left open. On SQLite it takes the write lock at once.
    ///
    /// # Errors
    /// [`Fault`], [`FaultKind::Contended`] where another writer does not let go.
    async fn begin(&mut self) -> Result<(), Fault>;

    /// Makes what was done since [`Session::begin`] durable.
    ///
    /// # Errors
    /// [`Fault`]; after [`FaultKind::Lost`] it is not known whether it was.
    async fn commit(&mut self) -> Result<(), Fault> {
        self.batch("COMMIT").await
    }

    /// Begins a transaction that only reads, and keeps nobody from writing, under one snapshot from its first statement on. One
    /// that is open is undone first. Working tables of the session may be written in it.
    ///
    /// # Errors
    /// [`Fault`].
    async fn begin_reading(&mut self) -> Result<(), Fault> {
        self.begin().await
    }

    /// Undoes what was done since [`Session::begin`]; nothing where no transaction is open.
    ///
    /// # Errors
    /// [`Fault`] where the connection is lost, and the transaction with it.
    async fn rollback(&mut self) -> Result<(), Fault>;

    /// The first row of a statement, if there is one.
    ///
    /// # Errors
    /// As [`Session::query`].
    async fn first(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, Fault> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }
}
