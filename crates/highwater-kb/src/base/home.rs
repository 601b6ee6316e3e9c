//! Where a base lies: its files, its rows, and the lock that every change of it holds. Owns how each is reached; there are two, a
//! directory, and what the tests simulate.

mod still;
mod swap;

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{ApplicationId, Backups, Database, Error, migrate, take_in_log};
use highwater_fs::{FileId, Fs, FsError, Kind, RealFs, RelPath};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;

use super::rows::MIGRATIONS;
use super::{HOME, layout};
use crate::error::KbError;

/// What the rows' file says of whose it is: highwater's knowledge base.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWKB");
/// The rows' file.
const ROWS: &str = "kb.db";
/// Those that are made anew, until they take its place.
const ROWS_ANEW: &str = "kb.db.anew";
/// What SQLite keeps beside the rows' file: it belongs to that file and to no other.
const BESIDE_ROWS: [&str; 2] = ["-wal", "-shm"];
/// Where their backups go.
const BACKUPS: &str = "kb.db.backups";
/// The file that is locked.
const LOCK: &str = "base.lock";

/// Where a base lies.
pub trait Home: Send + Sync + fmt::Debug {
    /// Its files.
    fn fs(&self) -> &dyn Fs;

    /// A connection to its rows, which are brought up to date.
    ///
    /// # Errors
    /// What the database says.
    fn open(&self, now: Timestamp) -> Result<Connection, Error>;

    /// A connection that only reads them, beside whoever writes; nothing is brought up to date.
    ///
    /// # Errors
    /// What the database says.
    fn open_reader(&self) -> Result<Connection, Error>;

    /// Whether there are rows; where there are none, [`Home::open`] makes some that tell of nothing.
    fn has_rows(&self) -> bool {
        true
    }

    /// Which rows there are: others, once they were made again. `None` where that cannot happen.
    fn which_rows(&self) -> Option<FileId> {
        None
    }

    /// Files of rows that were being made again by one who was killed, and how long each is. Who asks holds the base lock, so nobody is at it.
    ///
    /// # Errors
    /// What the disk says.
    fn left_of_rebuilds(&self, _held: &BaseLock) -> Result<Vec<(RelPath, u64)>, FsError> {
        Ok(Vec::new())
    }

    /// Called after each COMMIT on such a connection, before anything is built on it.
    ///
    /// # Errors
    /// The COMMIT may not be durable.
    fn settle(&self, rows: &mut Connection) -> Result<(), Error>;

    /// The base lock, unless somebody has it. It is held for one commit at a time.
    ///
    /// # Errors
    /// What the disk says.
    fn try_lock(&self) -> io::Result<Option<BaseLock>>;
}

/// The base lock: held as long as this lives.
pub struct BaseLock(#[allow(dead_code, reason = "held, not looked at")] Box<dyn Any + Send>);

impl BaseLock {
    /// The lock that lives as long as `held`.
    pub fn new(held: impl Any + Send) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for BaseLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BaseLock")
    }
}

/// A base in a directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    fs: RealFs,
    rows: &'static str,
}

impl Directory {
    /// The base whose root this is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(root: &Path) -> Result<Self, FsError> {
        Ok(Self { root: root.to_owned(), fs: RealFs::open(root)?, rows: ROWS })
    }

    /// The same base.
    pub(super) fn again(&self) -> Result<Self, FsError> {
        Self::open(&self.root)
    }

    /// The same base with rows that are made anew beside those that it has. What an earlier attempt left of them goes.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn anew(&self) -> Result<Self, FsError> {
        let anew = self.as_anew()?;
        for file in anew.files_of_rows() {
            if anew.fs.stat(&file)?.is_some() {
                anew.fs.unlink(&file)?;
            }
        }
        Ok(anew)
    }

    /// The same base with those that were made anew.
    pub(super) fn as_anew(&self) -> Result<Self, FsError> {
        Ok(Self { rows: ROWS_ANEW, ..Self::open(&self.root)? })
    }

    /// Puts rows that were made anew in the place of those that are there: of those that can be `used`, so that there are rows at every moment.
    /// Says where those are that were there.
    ///
    /// # Errors
    /// [`KbError::RowsOpen`], and what the disk or the old rows say.
    pub(super) fn replace_rows(&self, anew: &Self, used: bool, why: &str) -> Result<Vec<RelPath>, KbError> {
        if used {
            self.take_in_log()?;
        }
        let _locked = self.lock_rows()?;
        // The rows themselves, which are all in their file once nobody has them open.
        if anew.has_log()? || (used && self.has_log()?) {
            return Err(KbError::RowsOpen);
        }
        let put = if used { swap::take_place } else { swap::swap };
        Ok(put(&self.fs, self.rows, anew.rows, why)?)
    }

    /// Whether something of the rows is not in their own file yet.
    fn has_log(&self) -> Result<bool, FsError> {
        let [_, wal, _] = self.files_of_rows();
        Ok(self.fs.stat(&wal)?.is_some_and(|wal| wal.len > 0))
    }

    /// Takes all that was committed into the rows' own file: what lies beside it is of no use then.
    fn take_in_log(&self) -> Result<(), KbError> {
        let taken = Database::new(self.own(self.rows), APPLICATION_ID)
            .busy_timeout(Duration::ZERO)
            .read_write()
            .and_then(|rows| take_in_log(&rows));
        match taken {
            Ok(true) => Ok(()),
            Ok(false) | Err(Error::Busy { .. }) => Err(KbError::RowsOpen),
            Err(error) => Err(KbError::rows("put its rows into their file")(error)),
        }
    }

    /// Locks the rows' files against whoever has them open, or opens them: SQLite locks them as long as it has. Who closes rows whose file
    /// lies elsewhere by then would remove what lies beside the new one, and with it what was committed there.
    ///
    /// This process has none of them open through SQLite, whose locks would go when these do.
    ///
    /// # Source
    /// <https://sqlite.org/howtocorrupt.html> section 4.2
    fn lock_rows(&self) -> Result<Vec<File>, KbError> {
        let [rows, _, shm] = self.files_of_rows();
        let mut locked = Vec::new();
        for file in [rows, shm] {
            if self.fs.stat(&file)?.is_none_or(|stat| stat.kind != Kind::File) {
                continue;
            }
            let doing = KbError::io("lock its rows");
            let file = OpenOptions::new().read(true).write(true).open(self.fs.locate(&file)).map_err(&doing)?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => locked.push(file),
                Err(Errno::AGAIN | Errno::ACCESS) => return Err(KbError::RowsOpen),
                Err(errno) => return Err(doing(errno.into())),
            }
        }
        Ok(locked)
    }

    /// The rows' file, and what SQLite keeps beside it.
    fn files_of_rows(&self) -> [RelPath; 3] {
        files_of(self.rows)
    }

    fn own(&self, name: &str) -> PathBuf {
        self.root.join(HOME).join(name)
    }
}

/// The file of rows that are called so, and what SQLite keeps beside it.
fn files_of(rows: &str) -> [RelPath; 3] {
    let [wal, shm] = BESIDE_ROWS;
    ["", wal, shm].map(|end| layout(&format!("{HOME}/{rows}{end}")))
}

impl Home for Directory {
    fn fs(&self) -> &dyn Fs {
        &self.fs
    }

    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        let database = Database::new(self.own(self.rows), APPLICATION_ID);
        let furnish = |new: &mut Connection| migrate(new, MIGRATIONS, now, |_| Ok(())).map(drop);
        let mut rows = database.read_write_furnished(furnish)?;
        let backups = Backups::new(&database, self.own(BACKUPS));
        migrate(&mut rows, MIGRATIONS, now, |_| backups.take(now).map(drop))?;
        Ok(rows)
    }

    fn open_reader(&self) -> Result<Connection, Error> {
        let file = std::path::absolute(self.own(self.rows)).unwrap_or_else(|_| self.own(self.rows));
        match Database::new(&file, APPLICATION_ID).read_only() {
            // What lies beside them is made by who reads them, and cannot be made there. A log with something in it is not passed over.
            Err(Error::NoAccess { .. }) if still::is_still(&file) && !self.has_log().unwrap_or(true) => {
                still::open(&file)
            }
            opened => opened,
        }
    }

    fn has_rows(&self) -> bool {
        self.own(self.rows).exists()
    }

    fn which_rows(&self) -> Option<FileId> {
        let [rows, ..] = self.files_of_rows();
        self.fs.stat(&rows).ok().flatten().map(|rows| rows.id)
    }

    fn left_of_rebuilds(&self, _held: &BaseLock) -> Result<Vec<(RelPath, u64)>, FsError> {
        let mut left = Vec::new();
        for file in files_of(ROWS_ANEW) {
            left.extend(self.fs.stat(&file)?.map(|stat| (file, stat.len)));
        }
        Ok(left)
    }

    /// SQLite returns from a COMMIT when it is durable.
    fn settle(&self, _: &mut Connection) -> Result<(), Error> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<Option<BaseLock>> {
        let path = self.own(LOCK);
        let file: File = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(BaseLock::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}
