//! The two syncs that make a new file outlast a power cut: the file's own, then its directory's.

use std::fs::File;
use std::path::Path;

use super::error::{Error, directory_of};

/// Syncs the file at `path`, which no SQLite connection may have open. SQLite, as built here, has synced it too; what a file
/// is published on should not hang on how it was built.
///
/// # Errors
/// The operating system's, with the path.
pub(super) fn sync_file(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::from_os(path, "sync", error))
}

/// Syncs the directory that holds `path`, so that its name there is durable.
///
/// # Errors
/// The operating system's, with the directory.
pub(super) fn sync_name(path: &Path) -> Result<(), Error> {
    sync_file(directory_of(path))
}
