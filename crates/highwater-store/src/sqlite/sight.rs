//! How the ledger is looked at: beside a writer, or as a still file.
//!
//! SQLite reads a database in WAL mode through two files beside it, and makes them where they are not: it leaves them behind,
//! and it cannot where the directory may not be written. So a file that nobody has open is read as what it then is, a plain
//! file that does not change (`immutable`). Owns noticing that it did: a writer makes its log before it changes anything, and
//! what was read until then is read again beside it.
//!
//! # Source
//! <https://sqlite.org/wal.html#read_only_databases>, <https://sqlite.org/uri.html#uriimmutable>

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use highwater_db::sqlite::connect::STATEMENTS_KEPT;
use highwater_db::sqlite::{ApplicationId, Database, Error};
use rusqlite::{Connection, OpenFlags};

use super::fault::Step;

/// A connection that only reads, for callers to take turns with.
#[derive(Debug)]
pub(super) struct Sight {
    database: Database,
    view: Mutex<View>,
}

impl Sight {
    pub(super) fn open(database: &Database) -> Result<Self, Error> {
        Ok(Self { database: database.clone(), view: Mutex::new(View::open(database, 0)?) })
    }

    /// Runs `look` on one state of the file: once, or again when a writer came meanwhile.
    pub(super) fn read<T>(&self, look: impl Fn(&Connection) -> Step<T>) -> Step<T> {
        // A panic in somebody's closure leaves a reading connection as good as before.
        self.view.lock().unwrap_or_else(PoisonError::into_inner).read(&self.database, |connection| {
            let state = connection.unchecked_transaction()?;
            look(&state)
        })
    }

    /// What differs from the last one given if anybody has committed since: a cheap way to know that nothing is new.
    pub(super) fn version(&self) -> Step<Version> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let data_version = view.read(&self.database, |connection| {
            Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
        })?;
        Ok(Version { view: view.number, data_version })
    }
}

/// Runs `look` on a connection of its own, that takes no one's turn.
pub(super) fn look_once<T>(database: &Database, look: impl Fn(&Connection) -> Step<T>) -> Step<T> {
    View::open(database, 0)?.read(database, look)
}

/// Which state of the file was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    view: u64,
    /// SQLite's, of one connection.
    data_version: i64,
}

/// A connection, and what the file was like if it was still.
#[derive(Debug)]
struct View {
    connection: Connection,
    still: Option<Stamp>,
    /// How many there were before it.
    number: u64,
}

impl View {
    fn open(database: &Database, number: u64) -> Result<Self, Error> {
        let still = Stamp::of(database.path());
        let connection = if still.is_some() { open_still(database)? } else { database.read_only()? };
        Ok(Self { connection, still, number })
    }

    fn read<T>(&mut self, database: &Database, look: impl Fn(&Connection) -> Step<T>) -> Step<T> {
        if !self.holds(database) {
            *self = Self::open(database, self.number + 1)?;
        }
        let seen = look(&self.connection);
        if self.holds(database) {
            return seen;
        }
        // A writer came while it was read. Beside it, whatever happens, a read sees one state.
        *self = Self { connection: database.read_only()?, still: None, number: self.number + 1 };
        look(&self.connection)
    }

    fn holds(&self, database: &Database) -> bool {
        self.still.is_none() || self.still == Stamp::of(database.path())
    }
}

/// The least that SQLite makes its index of a log; a shorter one was never filled, for want of room, and nobody uses it.
///
/// # Source
/// <https://sqlite.org/walformat.html#the_wal_index_file_format>
const LOG_INDEX_BYTES_MIN: u64 = 32 * 1024;

/// What a file is like that nobody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified_at: (i64, i64),
}

impl Stamp {
    /// `None` where a writer's log lies beside it, or there is nothing to read.
    fn of(path: &Path) -> Option<Self> {
        if has_log(path) {
            return None;
        }
        let found = fs::metadata(path).ok().filter(|found| found.is_file() && found.len() > 0)?;
        Some(Self { inode: found.ino(), bytes: found.len(), modified_at: (found.mtime(), found.mtime_nsec()) })
    }
}

/// Whether a writer's log lies beside the file. Where the disk is full it cannot be begun: what is left then is an empty log
/// and an index too short to be one, which nobody reads or writes, and which a reader has no room to make whole.
fn has_log(path: &Path) -> bool {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::symlink_metadata(&name)
    };
    match beside("-wal") {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Ok(log) if log.is_file() && log.len() == 0 => {
            beside("-shm").is_ok_and(|index| !index.is_file() || index.len() >= LOG_INDEX_BYTES_MIN)
        }
        _ => true,
    }
}

/// Opens a file that does not change, with the settings of [`Database::read_only`].
fn open_still(database: &Database) -> Result<Connection, Error> {
    let failed = |error| Error::from_sqlite(database.path(), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(still_uri(database.path()), flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection
        .execute_batch("PRAGMA mmap_size = 0; PRAGMA temp_store = FILE; PRAGMA cell_size_check = ON;")
        .map_err(failed)?;
    let found: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let (expected, found) = (database.application_id(), ApplicationId(found.to_be_bytes()));
    if found != expected {
        return Err(Error::WrongApplicationId { path: database.path().to_owned(), expected, found });
    }
    Ok(connection)
}

fn still_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            other => write!(uri, "%{other:02X}").expect("invariant: a string takes what is written"),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_so_that_a_uri_means_it() {
        assert_eq!(still_uri(Path::new("/a b/c?d#e%/ü.db")), "file:/a%20b/c%3Fd%23e%25/%C3%BC.db?immutable=1");
    }
}
