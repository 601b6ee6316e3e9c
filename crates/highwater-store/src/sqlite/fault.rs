//! What went wrong, in the words of [`LedgerFault`]. Owns the reading of the database's errors as faults of a ledger.

use std::io;
use std::path::Path;

use highwater_db::sqlite::Error;
use highwater_engine::ledger::{LedgerError, LedgerFault, LedgerResult};

/// What a step inside a transaction ends with.
pub(super) type Step<T> = Result<T, Failure>;

/// Why a step did not do its work; the transaction around it is rolled back.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused, or a row could not be read.
    Sqlite(rusqlite::Error),
    /// The connection refused.
    Database(Error),
    /// It is not allowed as things stand.
    Refused(LedgerError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    /// What was asked for is not there, or not in a state that allows it.
    pub(super) fn not_there(message: impl Into<String>) -> Self {
        Self::Refused(LedgerError::new(LedgerFault::NotThere, message))
    }

    /// More was handed in than one transaction takes: a fault of the caller.
    pub(super) fn too_many(what: &str, given: usize, most: usize) -> Self {
        Self::Refused(LedgerError::new(
            LedgerFault::Other,
            format!("{given} {what} were given at once; expected {most} at most"),
        ))
    }

    /// The failure as the ledger at `path` reports it; `doing` is a verb with its object.
    pub(super) fn into_ledger(self, path: &Path, doing: &str) -> LedgerError {
        match self {
            Self::Refused(error) => error,
            Self::Sqlite(error) if is_row_damage(&error) => LedgerError {
                fault: LedgerFault::Damaged,
                message: format!("{}: a row of it cannot be read", cannot(path, doing)),
                source: Some(Box::new(error)),
            },
            Self::Sqlite(error) => of_database(Error::from_sqlite(path, error), path, doing),
            Self::Database(error) => of_database(error, path, doing),
        }
    }
}

/// An error of the database below as the ledger's.
pub(super) fn of_database(error: Error, path: &Path, doing: &str) -> LedgerError {
    let fault = match &error {
        Error::Missing { .. } => LedgerFault::NotThere,
        Error::Damaged { .. } | Error::NotADatabase { .. } => LedgerFault::Damaged,
        Error::DiskFull { .. } => LedgerFault::Full,
        Error::NoAccess { .. } => LedgerFault::Denied,
        Error::Newer { .. } => LedgerFault::Newer,
        Error::WrongApplicationId { .. } | Error::MigrationChanged { .. } | Error::MigrationGap { .. } => {
            LedgerFault::Foreign
        }
        _ => LedgerFault::Other,
    };
    LedgerError { fault, ..other(path, doing, error) }
}

/// A failure that is none of the ledger's file.
pub(super) fn other(path: &Path, doing: &str, error: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    LedgerError { fault: LedgerFault::Other, message: cannot(path, doing), source: Some(Box::new(error)) }
}

/// What keeps long work from being begun: the system has no thread to give.
pub(super) fn no_thread(path: &Path, doing: &str, error: io::Error) -> LedgerError {
    let message = format!(
        "{}: no thread can be started; raise the limits of this user (`ulimit -u`, `ulimit -v`)",
        cannot(path, doing)
    );
    LedgerError { message, ..other(path, doing, error) }
}

/// What stops a write to a ledger that was opened to read.
pub(super) fn read_only<T>(path: &Path, doing: &str) -> LedgerResult<T> {
    Err(LedgerError::new(LedgerFault::Denied, format!("{}: it was opened to read only", cannot(path, doing))))
}

fn cannot(path: &Path, doing: &str) -> String {
    format!("ledger {}: cannot {doing}", path.display())
}

/// True where SQLite read a row whose values are not what this program writes.
pub(super) fn is_row_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) | E::Utf8Error(..)
    )
}

/// The rows of a list that can be read. One that cannot stops nothing (R14): it is logged and left out.
pub(super) fn readable<T>(
    rows: impl Iterator<Item = rusqlite::Result<T>>,
    table: &'static str,
) -> rusqlite::Result<Vec<T>> {
    let mut list = Vec::new();
    for row in rows {
        match row {
            Ok(row) => list.push(row),
            Err(error) if is_row_damage(&error) => {
                tracing::warn!(ledger.table = table, %error, "a row of the ledger cannot be read and is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(list)
}

/// A value that may be unreadable without making its row so.
pub(super) fn lenient<T>(value: rusqlite::Result<Option<T>>) -> rusqlite::Result<Option<T>> {
    match value {
        Err(error) if is_row_damage(&error) => Ok(None),
        value => value,
    }
}
