//! What can be wrong with a database file, told apart as a person needs it: each kind has another way out.
//!
//! Owns the reading of SQLite's result codes. Does not decide what becomes of a pass.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::connect::ApplicationId;

/// Bytes written to learn whether a directory still takes any; one page, so that a file system must allocate a block.
const PROBE_BYTES: usize = 4096;

/// What the names of a database's files end with.
const FILE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// How much one of them grows at once, in bytes: the memory that WAL mode shares, a transaction.
const GROWTH_BYTES: u64 = 64 * 1024;

/// What is wrong, and with which file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no file at the path, or no directory for it.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file or directory that was looked for.
        path: PathBuf,
    },
    /// The file is something else, or its first page is destroyed.
    #[error("{} is not a SQLite database: {found}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        found: &'static str,
    },
    /// SQLite met pages that contradict each other or the rows on them.
    #[error("{} is damaged: {}", path.display(), findings.join("; "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, one sentence each; never empty.
        findings: Vec<String>,
    },
    /// The database belongs to another program, or to another part of this one.
    #[error("{} is another program's database: its application id is {found}, expected {expected}", path.display())]
    WrongApplicationId {
        /// The file.
        path: PathBuf,
        /// The id it should carry.
        expected: ApplicationId,
        /// The id it carries.
        found: ApplicationId,
    },
    /// A newer program has migrated the database.
    #[error("{} is at migration {found}, and this program knows migrations up to {known}: use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The highest migration that was applied.
        found: u32,
        /// The highest migration that this program has.
        known: u32,
    },
    /// A migration that was applied is not the one this program has under its number.
    #[error(
        "{}: migration {number} ({name}) was applied with SHA-256 {recorded}, and this program has {expected} under that number",
        path.display()
    )]
    MigrationChanged {
        /// The file.
        path: PathBuf,
        /// The migration's number.
        number: u32,
        /// The migration's name in this program.
        name: &'static str,
        /// The checksum in the database.
        recorded: String,
        /// The checksum of this program's migration.
        expected: String,
    },
    /// The record of applied migrations skips a number.
    #[error("{}: migration {number} is absent from its record of applied migrations", path.display())]
    MigrationGap {
        /// The file.
        path: PathBuf,
        /// The number that should come next.
        number: u32,
    },
    /// A migration left rows whose foreign keys point nowhere; nothing was applied.
    #[error("{}: after the migrations, rows of table {table} refer to rows that do not exist", path.display())]
    DanglingReferences {
        /// The file.
        path: PathBuf,
        /// The first table found with such rows.
        table: String,
    },
    /// The file or its directory cannot be written (or read) by this user, or its file system is read-only.
    #[error("{} cannot be used: permission is denied, or the file system is read-only", path.display())]
    NoAccess {
        /// The file, or the directory that refused.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
    /// The file system, or this user's share of it, is full.
    #[error("there is no space left for {}", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
    /// Another connection held the lock for longer than the busy timeout.
    #[error("{} is held by another connection", path.display())]
    Busy {
        /// The file, or the directory whose lock is held.
        path: PathBuf,
        /// What refused.
        source: Cause,
    },
    /// The file system has no shared memory or locks as WAL mode needs them.
    #[error("{} cannot be put in WAL mode, it stays in {mode:?}: keep it on a local file system", path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that SQLite fell back to.
        mode: String,
    },
    /// The operating system refused, for another reason than the ones above.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// What refused.
        source: Cause,
    },
    /// SQLite refused a statement: a fault of the program, not of the file.
    #[error("SQLite refused a statement on {}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
}

/// Who refused: SQLite or the operating system.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// SQLite's error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system's error, which those who look for one below an error find.
    #[error("{0}")]
    Os(#[from] io::Error),
}

impl Error {
    /// Reads an error that SQLite returned for the database at `path`.
    ///
    /// Codes that do not say why ("unable to open", "disk I/O error") are looked into on the file system.
    #[must_use]
    pub fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        Self::from_sqlite_on(path, path, source)
    }

    /// The same for a file that is to become `path`, and is as yet at `unborn`.
    pub(super) fn from_sqlite_on(path: &Path, unborn: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let Some(code) = source.sqlite_error_code() else {
            return Self::Statement { path, source };
        };
        match code {
            ErrorCode::NotADatabase => Self::NotADatabase { path, found: "its first page is not one of SQLite's" },
            ErrorCode::DatabaseCorrupt => Self::Damaged { path, findings: vec![source.to_string()] },
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::NoAccess { path, source: source.into() },
            ErrorCode::DiskFull => Self::DiskFull { path, source: source.into() },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { path, source: source.into() },
            ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => Self::diagnose(path, unborn, source),
            _ => Self::Statement { path, source },
        }
    }

    /// Reads an error that SQLite returned on `connection`.
    #[must_use]
    pub fn on(connection: &Connection, source: rusqlite::Error) -> Self {
        Self::from_sqlite(&path_of(connection), source)
    }

    /// True where only a backup helps: the file is damaged, or no longer a database.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::NotADatabase { .. })
    }

    /// Reads an error of the operating system met while doing `action` (a verb) to `path`.
    pub(super) fn from_os(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NoAccess { path, source: source.into() }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source: source.into() },
            _ => Self::Io { path, action, source: source.into() },
        }
    }

    /// Asks the file system what SQLite does not tell. The file itself is never opened here (see the module above).
    fn diagnose(path: PathBuf, file: &Path, source: rusqlite::Error) -> Self {
        const ACTION: &str = "open, read or write";
        match fs::metadata(file) {
            Ok(found) if !found.is_file() => return Self::NotADatabase { path, found: "it is not a file" },
            Ok(_) => {}
            Err(error) => return Self::from_os(&path, ACTION, error),
        }
        if let Err(error) = access(file, Access::READ_OK | Access::WRITE_OK) {
            return Self::from_os(&path, ACTION, error.into());
        }
        let directory = directory_of(file);
        if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            return Self::from_os(directory, ACTION, error.into());
        }
        if is_at_limit(file) {
            return Self::from_os(&path, ACTION, Errno::FBIG.into());
        }
        match takes_a_page(directory) {
            Err(error) => Self::from_os(&path, ACTION, error),
            Ok(()) => Self::Io { path, action: ACTION, source: source.into() },
        }
    }
}

/// The path of the database that `connection` is open on; empty for one in memory.
pub(super) fn path_of(connection: &Connection) -> PathBuf {
    connection.path().map(PathBuf::from).unwrap_or_default()
}

/// The directory that a file lies in.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether one of a database's files is about as long as this user may make one: SQLite says of that no more than "disk I/O error".
fn is_at_limit(file: &Path) -> bool {
    let Some(limit) = getrlimit(Resource::Fsize).current else { return false };
    FILE_SUFFIXES.iter().any(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).is_ok_and(|found| found.len().saturating_add(GROWTH_BYTES) > limit)
    })
}

/// Writes one page to an unnamed file in `directory`.
fn takes_a_page(directory: &Path) -> io::Result<()> {
    tempfile::tempfile_in(directory)?.write_all(&[0; PROBE_BYTES])
}
