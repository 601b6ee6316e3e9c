//! How a database file comes into being: whole, under a private name, and only then under its own.
//!
//! So whoever finds the file finds a database that carries its application id, has the content that its maker gave it, is in
//! WAL mode and is readable by its owner alone; an empty file is never ours, and is refused instead of being taken for a new database after a disk lost its content.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::{TempDir, TempPath};

use super::connect::ApplicationId;
use super::durable::{sync_file, sync_name};
use super::error::{Error, directory_of};

/// Mode of a new database file; SQLite gives its `-wal` and `-shm` the same.
const MODE: u32 = 0o600;
/// What a leftover of a crash is called after.
const PURPOSE: &str = "new";

/// Makes a database at `path` with what `furnish` puts in it. One that appeared meanwhile is left as it is: somebody else was first.
///
/// # Errors
/// The directory is absent, full or not writable.
pub(super) fn create(
    path: &Path,
    application_id: ApplicationId,
    furnish: impl FnOnce(&mut Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    match bear(path, application_id, furnish) {
        // Whoever was first has also swept our nursery away, so that any step of ours may have failed.
        Err(_) if path.exists() => return Ok(()),
        born => born?,
    }
    sync_name(path)?;
    sweep(path);
    Ok(())
}

fn bear(
    path: &Path,
    application_id: ApplicationId,
    furnish: impl FnOnce(&mut Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    let (_nursery, unborn) = nursery(path, PURPOSE)?;
    let refused = |error| Error::from_sqlite_on(path, &unborn, error);
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&unborn, access).map_err(refused)?;
    connection.pragma_update(None, "application_id", application_id.as_pragma()).map_err(refused)?;
    furnish(&mut connection)?;
    // After the content, which so is in the file itself.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(refused)?;
    connection.close().map_err(|(_, error)| refused(error))?;
    sync_file(&unborn)?;
    TempPath::try_from_path(&unborn)
        .and_then(|unborn| Ok(unborn.persist_noclobber(path)?))
        .map_err(|error| Error::from_os(path, "create", error))
}

/// A private directory beside `path`, with an empty file of the database's mode in it; gone with everything in it when
/// dropped. `purpose` tells a person what a leftover of a crash was for.
///
/// # Errors
/// The directory is absent, full or not writable.
pub(super) fn nursery(path: &Path, purpose: &str) -> Result<(TempDir, PathBuf), Error> {
    let name = path.file_name().unwrap_or_default();
    let directory = directory_of(path);
    let nursery = tempfile::Builder::new()
        .prefix(&nursery_prefix(path, purpose))
        .tempdir_in(directory)
        .map_err(|error| Error::from_os(directory, "create a file in", error))?;
    let unborn = nursery.path().join(name);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unborn)
        .map_err(|error| Error::from_os(path, "create", error))?;
    Ok((nursery, unborn))
}

fn nursery_prefix(path: &Path, purpose: &str) -> String {
    format!(".{}.{purpose}-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes the nurseries of a database that is born: a killed creator's, or one of somebody who is late. That something is
/// left is no reason to refuse a good database.
fn sweep(path: &Path) {
    let prefix = nursery_prefix(path, PURPOSE);
    let entries = fs::read_dir(directory_of(path)).into_iter().flatten().flatten();
    for nursery in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
        if let Err(error) = fs::remove_dir_all(nursery.path()) {
            tracing::debug!(path = %nursery.path().display(), %error, "a leftover cannot be removed");
        }
    }
}
