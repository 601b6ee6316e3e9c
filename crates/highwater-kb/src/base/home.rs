//! Where a base lies: its files, its rows, and the lock that every change of it holds. Owns how each is reached; there are two, a
//! directory, and what the tests simulate.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{ApplicationId, Backups, Database, Error, migrate};
use highwater_fs::{Fs, FsError, RealFs};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::HOME;
use super::rows::MIGRATIONS;

/// What the rows' file says of whose it is: highwater's knowledge base.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWKB");
/// The rows' file.
const ROWS: &str = "kb.db";
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
}

impl Directory {
    /// The base whose root this is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(root: &Path) -> Result<Self, FsError> {
        Ok(Self { root: root.to_owned(), fs: RealFs::open(root)? })
    }

    fn own(&self, name: &str) -> PathBuf {
        self.root.join(HOME).join(name)
    }
}

impl Home for Directory {
    fn fs(&self) -> &dyn Fs {
        &self.fs
    }

    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        let database = Database::new(self.own(ROWS), APPLICATION_ID);
        let furnish = |new: &mut Connection| migrate(new, MIGRATIONS, now, |_| Ok(())).map(drop);
        let mut rows = database.read_write_furnished(furnish)?;
        let backups = Backups::new(&database, self.own(BACKUPS));
        migrate(&mut rows, MIGRATIONS, now, |_| backups.take(now).map(drop))?;
        Ok(rows)
    }

    fn open_reader(&self) -> Result<Connection, Error> {
        Database::new(self.own(ROWS), APPLICATION_ID).read_only()
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
