//! Asking SQLite whether a database holds together.

use rusqlite::Connection;

use super::error::{Error, path_of};

/// Findings that are listed of a damaged database; the rest say no more.
pub const FINDINGS_MAX: u32 = 100;

/// Reads every page of the database and checks that rows and pages are whole. Takes time in proportion to the file; indexes
/// are not compared with their tables.
///
/// # Errors
/// [`Error::Damaged`] with what was found; otherwise what kept SQLite from looking.
///
/// # Source
/// <https://sqlite.org/pragma.html#pragma_quick_check>
pub fn quick_check(connection: &Connection) -> Result<(), Error> {
    let mut findings: Vec<String> = Vec::new();
    connection
        .pragma(None, "quick_check", FINDINGS_MAX, |row| {
            findings.push(row.get(0)?);
            Ok(())
        })
        .map_err(|error| Error::on(connection, error))?;
    if findings == ["ok"] {
        return Ok(());
    }
    Err(Error::Damaged { path: path_of(connection), findings })
}
