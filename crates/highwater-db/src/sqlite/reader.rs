//! A connection that only reads, for whoever looks at a database while its writer works.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::connect::Database;
use super::error::Error;

/// A read-only connection that callers take turns with. Reads are meant to be small: they run on the caller's thread.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Reader {
    /// Opens the database to read; see [`Database::read_only`].
    ///
    /// # Errors
    /// As there.
    pub fn open(database: &Database) -> Result<Self, Error> {
        let connection = database.read_only()?;
        Ok(Self { path: database.path().to_owned(), connection: Mutex::new(connection) })
    }

    /// Runs `look` on the connection. Several statements that must see one state need a transaction
    /// ([`Connection::unchecked_transaction`]) around them.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        // A panic in somebody's closure leaves a reading connection as good as before: its transaction ended in unwinding.
        look(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number that differs from the last one this reader gave if another connection has committed since: a cheap way to
    /// know that nothing is new.
    ///
    /// # Errors
    /// What kept SQLite from looking.
    ///
    /// # Source
    /// <https://sqlite.org/pragma.html#pragma_data_version>
    pub fn data_version(&self) -> Result<i64, Error> {
        self.read(|connection| connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0)))
            .map_err(|error| Error::from_sqlite(&self.path, error))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
