//! A [`Session`] on SQLite, on a file that may be another program's: nothing of it is changed but what the statements say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::Error;
use crate::session::{Dialect, Fault, FaultKind, Row, Session, Value};

/// One connection to a SQLite file.
#[derive(Debug)]
pub struct SqliteSession {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteSession {
    /// Opens a file that is there, whoever made it, with its own journal mode; waits so long for another's lock. What this
    /// session commits is synced, whatever the file's other users do.
    ///
    /// # Errors
    /// There is no file, it is no database, or it cannot be opened to write.
    pub fn open(path: impl AsRef<Path>, busy_timeout: Duration) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let failed = |error| Error::from_sqlite(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(busy_timeout).map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        // Reads the header, so that another kind of file is refused here.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
        Ok(Self { path, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn run<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (connection, path) = (Arc::clone(&self.connection), &self.path);
        let done =
            tokio::task::spawn_blocking(move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner)));
        match done.await {
            Ok(result) => result.map_err(|error| of_sqlite(path, doing, error)),
            Err(error) => Err(Fault {
                kind: FaultKind::Other,
                doing: doing.to_owned(),
                message: format!("it broke off: {error}"),
            }),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Stored::Null),
            Self::Int(number) => ToSqlOutput::Owned(Stored::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Stored::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

#[async_trait]
impl Session for SqliteSession {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let (text, values) = (sql.to_owned(), values.to_vec());
        let rows = self.run(sql, move |db| db.prepare_cached(&text)?.execute(params_from_iter(values))).await?;
        Ok(rows as u64)
    }

    async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let (text, values) = (sql.to_owned(), values.to_vec());
        self.run(sql, move |db| {
            let mut statement = db.prepare_cached(&text)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(values))?;
            let mut read = Vec::new();
            while let Some(row) = rows.next()? {
                read.push((0..columns).map(|at| Ok(value(row.get_ref(at)?))).collect::<rusqlite::Result<Row>>()?);
            }
            Ok(read)
        })
        .await
    }

    async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        let text = sql.to_owned();
        self.run(sql, move |db| db.execute_batch(&text)).await
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        self.run("begin a transaction", |db| {
            roll_back(db)?;
            db.execute_batch("BEGIN IMMEDIATE")
        })
        .await
    }

    async fn begin_reading(&mut self) -> Result<(), Fault> {
        self.run("begin to read", |db| {
            roll_back(db)?;
            db.execute_batch("BEGIN DEFERRED")
        })
        .await
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        self.run("roll back", roll_back).await
    }
}

fn roll_back(db: &Connection) -> rusqlite::Result<()> {
    if db.is_autocommit() { Ok(()) } else { db.execute_batch("ROLLBACK") }
}

fn value(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
    }
}

fn of_sqlite(path: &Path, doing: &str, error: rusqlite::Error) -> Fault {
    let message = error.to_string();
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FaultKind::Contended,
        Some(ErrorCode::OperationInterrupted) => FaultKind::TimedOut,
        Some(ErrorCode::DiskFull) => FaultKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            FaultKind::Denied
        }
        _ if message.contains("no such ") => FaultKind::Undefined,
        // Where its log cannot grow for want of space, SQLite says no more than that it could not open or write.
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => match Error::from_sqlite(path, error) {
            Error::DiskFull { .. } => FaultKind::Full,
            _ => FaultKind::Other,
        },
        _ => FaultKind::Other,
    };
    Fault { kind, doing: doing.to_owned(), message }
}
