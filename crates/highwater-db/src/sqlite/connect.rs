//! Opening a database file: to write, or to read beside a writer.
//!
//! Owns the settings of every connection. Does not know schemas (see [`super::migration`]).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::birth;
use super::error::{Cause, Error};

/// How long a connection waits for another's lock, unless told.
pub const BUSY_TIMEOUT_SECS: u64 = 10;
/// Page cache of the writer. A bound, so that memory stays flat however many rows there are.
pub const WRITER_CACHE_KIB: u32 = 8 * 1024;
/// Page cache of a reader.
pub const READER_CACHE_KIB: u32 = 2 * 1024;
/// What is kept of the write-ahead log once a large transaction is checkpointed.
pub const WAL_KEPT_BYTES: u64 = 16 * 1024 * 1024;
/// Prepared statements that a connection keeps.
pub const STATEMENTS_KEPT: usize = 64;

/// Four letters in a database's header that say whose it is.
///
/// # Source
/// <https://sqlite.org/pragma.html#pragma_application_id>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationId(pub [u8; 4]);

impl ApplicationId {
    pub(super) fn as_pragma(self) -> i32 {
        i32::from_be_bytes(self.0)
    }

    fn from_pragma(value: i32) -> Self {
        Self(value.to_be_bytes())
    }
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self([0; 4]) {
            return f.write_str("none");
        }
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A database file: where it is, whose it is, and how connections to it behave.
#[derive(Debug, Clone)]
pub struct Database {
    path: PathBuf,
    application_id: ApplicationId,
    busy_timeout: Duration,
}

impl Database {
    /// The database at `path`, which carries `application_id`. Opens nothing yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, application_id: ApplicationId) -> Self {
        let path = path.as_ref();
        // Absolute, so that errors say where, and so that no name can begin with "file:", which SQLite takes for a URI.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, application_id, busy_timeout: Duration::from_secs(BUSY_TIMEOUT_SECS) }
    }

    /// Waits so long for another connection's lock before it is [`Error::Busy`].
    #[must_use]
    pub fn busy_timeout(mut self, wait: Duration) -> Self {
        self.busy_timeout = wait;
        self
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id that the file carries.
    #[must_use]
    pub fn application_id(&self) -> ApplicationId {
        self.application_id
    }

    /// The same settings for another file, such as a backup of this one.
    #[must_use]
    pub fn at(&self, path: impl AsRef<Path>) -> Self {
        Self { busy_timeout: self.busy_timeout, ..Self::new(path, self.application_id) }
    }

    /// Opens the file to read and write, making it where there is none (mode 0600, its directory synced).
    ///
    /// # Errors
    /// The file is not this database, or cannot be written; see [`Error`].
    pub fn read_write(&self) -> Result<Connection, Error> {
        self.read_write_furnished(|_| Ok(()))
    }

    /// As [`Database::read_write`]; a file that it makes is given its content by `furnish` before anyone can find it.
    ///
    /// # Errors
    /// As [`Database::read_write`], and what `furnish` says.
    pub fn read_write_furnished(
        &self,
        furnish: impl FnOnce(&mut Connection) -> Result<(), Error>,
    ) -> Result<Connection, Error> {
        match self.refuse_empty() {
            Err(Error::Missing { .. }) => birth::create(&self.path, self.application_id, furnish)?,
            found => found?,
        }
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Where writing is not allowed, SQLite opens for reading without a word.
        if connection.is_readonly(MAIN_DB).map_err(|error| self.error(error))? {
            return Err(Error::NoAccess {
                path: self.path.clone(),
                source: Cause::Os(io::ErrorKind::PermissionDenied.into()),
            });
        }
        self.check_application_id(&connection)?;

        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(|error| self.error(error))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(Error::NoWal { path: self.path.clone(), mode });
        }
        // `fullfsync` asks macOS to empty the drive's cache too; elsewhere a sync does so, and it changes nothing.
        self.set(
            &connection,
            &format!(
                "PRAGMA synchronous = FULL;
                 PRAGMA fullfsync = ON;
                 PRAGMA checkpoint_fullfsync = ON;
                 PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -{WRITER_CACHE_KIB};
                 PRAGMA journal_size_limit = {WAL_KEPT_BYTES};"
            ),
        )?;
        Ok(connection)
    }

    /// Opens the file to read, also beside a writer; never makes one.
    ///
    /// # Errors
    /// There is no file, or it is not this database, or it cannot be read; see [`Error`].
    pub fn read_only(&self) -> Result<Connection, Error> {
        self.refuse_empty()?;
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        self.check_application_id(&connection)?;
        self.set(&connection, &format!("PRAGMA cache_size = -{READER_CACHE_KIB};"))?;
        Ok(connection)
    }

    fn open(&self, access: OpenFlags) -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| self.error(error))?;
        connection.busy_timeout(self.busy_timeout).map_err(|error| self.error(error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // A mapped page that cannot be read is a SIGBUS; sorts that outgrow the cache go to disk; a damaged page is told
        // when it is read, before it is copied elsewhere.
        self.set(&connection, "PRAGMA mmap_size = 0; PRAGMA temp_store = FILE; PRAGMA cell_size_check = ON;")?;
        Ok(connection)
    }

    /// An empty file is a valid new database to SQLite, and a lost one to us.
    fn refuse_empty(&self) -> Result<(), Error> {
        match fs::metadata(&self.path) {
            Ok(found) if found.is_file() && found.len() == 0 => {
                Err(Error::NotADatabase { path: self.path.clone(), found: "it is empty (0 bytes)" })
            }
            Ok(found) if found.is_file() => Ok(()),
            Ok(_) => Err(Error::NotADatabase { path: self.path.clone(), found: "it is not a file" }),
            Err(error) => Err(Error::from_os(&self.path, "look at", error)),
        }
    }

    fn check_application_id(&self, connection: &Connection) -> Result<(), Error> {
        let found = connection.pragma_query_one(None, "application_id").map_err(|error| self.error(error))?;
        let found = ApplicationId::from_pragma(found);
        if found == self.application_id {
            return Ok(());
        }
        Err(Error::WrongApplicationId { path: self.path.clone(), expected: self.application_id, found })
    }

    fn set(&self, connection: &Connection, pragmas: &str) -> Result<(), Error> {
        connection.execute_batch(pragmas).map_err(|error| self.error(error))
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::from_sqlite(&self.path, source)
    }
}
