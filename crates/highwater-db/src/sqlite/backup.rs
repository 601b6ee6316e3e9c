//! Backups of a database, taken while it is in use, checked before they count, a fixed number kept.
//!
//! A backup is a database by itself: `NAME-20260801T120000Z.db`, to be copied back as it is. Owns the files of that pattern in
//! one directory. Does not decide when (see [`due`]), and never puts a backup back.

use std::cmp::Reverse;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::ErrorCode;

use super::birth::nursery;
use super::check::quick_check;
use super::connect::Database;
use super::durable::{sync_file, sync_name};
use super::error::{Cause, Error};

/// Backups kept unless told otherwise.
pub const BACKUPS_KEPT: usize = 7;

/// UTC, to the second; sorts as it reads.
const TIMESTAMP: &str = "%Y%m%dT%H%M%SZ";
/// What a leftover of a crash is called after.
const PURPOSE: &str = "backup";
/// Mode of a directory of backups that is made here.
const DIRECTORY_MODE: u32 = 0o700;

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// When it was taken, to the second.
    pub taken_at: Timestamp,
}

/// The backups of one database, in one directory.
#[derive(Debug, Clone)]
pub struct Backups {
    database: Database,
    name: String,
    directory: PathBuf,
    kept: usize,
}

impl Backups {
    /// The backups of `database` in `directory`, which is made when the first is taken.
    #[must_use]
    pub fn new(database: &Database, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        Self {
            database: database.clone(),
            name: database.path().file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            directory: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
            kept: BACKUPS_KEPT,
        }
    }

    /// Keeps so many backups, the one just taken among them.
    #[must_use]
    pub fn keep(mut self, backups: usize) -> Self {
        self.kept = backups;
        self
    }

    /// Takes a backup of what is committed by now, beside a live writer, and removes the oldest beyond the number kept.
    ///
    /// The backup appears under its name only when it is whole, checked and synced; a full disk or a kill leaves none. It is
    /// compacted, so row ids that no `INTEGER PRIMARY KEY` pins may differ.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process takes one into the same directory; [`Error::Damaged`] where the database is;
    /// [`Error::DiskFull`]; otherwise what kept it from being read or written.
    ///
    /// # Source
    /// <https://sqlite.org/lang_vacuum.html#vacuum_with_an_into_clause>
    pub fn take(&self, now: Timestamp) -> Result<Backup, Error> {
        let source = self.database.read_only()?;
        self.make_directory()?;
        let _one_at_a_time = self.lock()?;
        self.sweep()?;

        let name = self.file_name(now);
        let backup = Backup { taken_at: self.taken_at(&name).unwrap_or(now), path: self.directory.join(name) };
        let (_nursery, unborn) = nursery(&backup.path, PURPOSE)?;
        let Some(target) = unborn.to_str() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
            return Err(Error::from_os(&backup.path, "write", error));
        };
        source.execute("VACUUM INTO ?1", [target]).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::from_sqlite(self.database.path(), error)
            }
            _ => Error::from_sqlite_on(&backup.path, &unborn, error),
        })?;
        self.check(&unborn)?;
        sync_file(&unborn)?;
        fs::rename(&unborn, &backup.path).map_err(|error| Error::from_os(&backup.path, "create", error))?;
        sync_name(&backup.path)?;
        self.prune(&backup)?;
        Ok(backup)
    }

    /// Every backup there is, newest first; none where there is no directory yet.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Backup>, Error> {
        let mut backups: Vec<Backup> = self
            .entries()?
            .into_iter()
            .filter_map(|path| {
                let taken_at = self.taken_at(path.file_name()?.to_str()?)?;
                Some(Backup { path, taken_at })
            })
            .collect();
        backups.sort_by_key(|backup| Reverse(backup.taken_at));
        Ok(backups)
    }

    /// When the last backup was taken. One from the future, left by a clock that was wrong, does not count.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn last_taken_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        Ok(self.list()?.into_iter().map(|backup| backup.taken_at).find(|taken_at| *taken_at <= now))
    }

    /// The newest backup that [`Backups::verify`] finds good. Bad ones are logged and passed over.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn newest_good_backup(&self) -> Result<Option<Backup>, Error> {
        for backup in self.list()? {
            match self.verify(&backup) {
                Ok(()) => return Ok(Some(backup)),
                Err(error) => tracing::warn!(
                    backup.path = %backup.path.display(),
                    error = &error as &dyn std::error::Error,
                    "a backup is not good, an older one is tried",
                ),
            }
        }
        Ok(None)
    }

    /// Opens a backup and reads every page of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, backup: &Backup) -> Result<(), Error> {
        self.check(&backup.path)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        quick_check(&self.database.at(path).read_only()?)
    }

    fn make_directory(&self) -> Result<(), Error> {
        if self.directory.is_dir() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.directory)
            .map_err(|error| Error::from_os(&self.directory, "create", error))?;
        sync_name(&self.directory)
    }

    /// One backup at a time: whoever holds this knows that every unfinished backup is a dead one's.
    fn lock(&self) -> Result<DirectoryLock, Error> {
        let directory = File::open(&self.directory).map_err(|error| Error::from_os(&self.directory, "open", error))?;
        match directory.try_lock() {
            Ok(()) => Ok(DirectoryLock(directory)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Busy { path: self.directory.clone(), source: Cause::Os(io::ErrorKind::WouldBlock.into()) })
            }
            Err(TryLockError::Error(error)) => Err(Error::from_os(&self.directory, "lock", error)),
        }
    }

    /// Removes what a killed backup left.
    fn sweep(&self) -> Result<(), Error> {
        let unfinished = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix('.')?;
            let (name, _random) = name.split_once(&format!(".{PURPOSE}-"))?;
            self.taken_at(name)
        };
        for path in self.entries()?.iter().filter(|path| unfinished(path).is_some()) {
            fs::remove_dir_all(path).map_err(|error| Error::from_os(path, "remove", error))?;
        }
        Ok(())
    }

    /// An old backup that cannot be removed does not make the new one bad.
    fn prune(&self, taken: &Backup) -> Result<(), Error> {
        let others = self.list()?.into_iter().filter(|backup| backup.path != taken.path);
        for backup in others.skip(self.kept.saturating_sub(1)) {
            if let Err(error) = fs::remove_file(&backup.path) {
                tracing::warn!(backup.path = %backup.path.display(), %error, "an old backup cannot be removed");
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |error| Error::from_os(&self.directory, "list", error);
        match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(error)),
            Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
        }
    }

    fn file_name(&self, taken_at: Timestamp) -> String {
        format!("{}-{}.db", self.name, taken_at.strftime(TIMESTAMP))
    }

    fn taken_at(&self, file_name: &str) -> Option<Timestamp> {
        let stamp = file_name.strip_prefix(&self.name)?.strip_prefix('-')?.strip_suffix(".db")?;
        let taken_at = DateTime::strptime(TIMESTAMP, stamp).ok()?;
        Some(taken_at.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

/// A held lock, let go of by name: closing the file would leave it with any child that another thread is just starting.
struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock on the backups cannot be let go of before the file is closed");
        }
    }
}

/// True when the last backup is `every` old, or there is none.
#[must_use]
pub fn due(last: Option<Timestamp>, now: Timestamp, every: SignedDuration) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= every)
}
