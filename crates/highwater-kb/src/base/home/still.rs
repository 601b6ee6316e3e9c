//! Rows that nobody can change, since their file system is mounted to read alone. Owns when they are taken for such, and how they are read:
//! SQLite wants to make files beside a database that it reads, unless it is told that it stays as it is.
//!
//! # Source
//! <https://sqlite.org/wal.html#read_only_databases>, <https://sqlite.org/uri.html#uriimmutable>

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use highwater_db::sqlite::rusqlite::{Connection, OpenFlags};
use highwater_db::sqlite::{ApplicationId, Error};
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::APPLICATION_ID;

/// How it is read: as every database here, with a cache of 2 MiB.
const SETTINGS: &str =
    "PRAGMA mmap_size = 0; PRAGMA temp_store = FILE; PRAGMA cell_size_check = ON; PRAGMA cache_size = -2048;";

/// Whether nobody can write to a file by the path at which it is, nor lay another beside it.
pub(super) fn is_still(file: &Path) -> bool {
    statvfs(file).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// A connection to rows that stay as they are, all of which are in their file.
pub(super) fn open(file: &Path) -> Result<Connection, Error> {
    let told = |error| Error::from_sqlite(file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let rows = Connection::open_with_flags(address(file), flags).map_err(told)?;
    rows.execute_batch(SETTINGS).map_err(told)?;
    let found: i32 = rows.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(told)?;
    match ApplicationId(found.to_be_bytes()) {
        found if found == APPLICATION_ID => Ok(rows),
        found => Err(Error::WrongApplicationId { path: file.to_owned(), expected: APPLICATION_ID, found }),
    }
}

/// The address of a file, which says that it stays as it is.
fn address(file: &Path) -> String {
    let mut address = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte => drop(write!(address, "%{byte:02X}")),
        }
    }
    address.push_str("?immutable=1");
    address
}
