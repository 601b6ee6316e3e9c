//! Where a base lies: its files, its rows, and the lock that every change of it holds. Owns how each is reached; there are two, a
//! directory, and what the tests simulate.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{ApplicationId, Backups, Database, Error, migrate};
use highwater_fs::{FileId, Fs, FsError, Kind, Quarantine, RealFs, RelPath};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;

use super::project::QUARANTINE;
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

    /// Puts rows that were made anew in the place of those that are there. Says where those are that were there.
    ///
    /// # Errors
    /// [`KbError::RowsOpen`], and what the disk says.
    pub(super) fn replace_rows(&self, anew: &Self, why: &str) -> Result<Vec<RelPath>, KbError> {
        let _locked = self.lock_rows()?;
        // The rows themselves, which are all in their file once nobody has them open.
        if anew.fs.stat(&anew.files_of_rows()[1])?.is_some_and(|wal| wal.len > 0) {
            return Err(KbError::RowsOpen);
        }
        Ok(swap(&self.fs, self.rows, anew.rows, why)?)
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

/// Puts a file of rows that nobody has open in the place of another, which is set aside with the reason. Between the two there is none: then
/// it is to be made again.
fn swap(fs: &dyn Fs, rows: &str, anew: &str, why: &str) -> Result<Vec<RelPath>, FsError> {
    let quarantine = Quarantine::new(fs, layout(QUARANTINE));
    let mut aside = Vec::new();
    // The file first: without it nobody takes what lies beside it for that of another.
    for file in files_of(rows) {
        if fs.stat(&file)?.is_some() {
            aside.push(quarantine.set_aside(&file, why)?.path);
        }
    }
    // Also what an earlier call removed, and could not make durable: a log that comes back would be taken for that of the new rows.
    fs.sync_dir(&layout(HOME))?;
    let ([from, ..], [to, ..]) = (files_of(anew), files_of(rows));
    fs.rename_new(&from, &to)?;
    fs.sync_dir(&layout(HOME))?;
    Ok(aside)
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
        Database::new(self.own(self.rows), APPLICATION_ID).read_only()
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

#[cfg(test)]
mod tests {
    use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere, tree};

    use super::*;

    /// New rows take the place of old ones.
    struct Swapping;

    impl Swapping {
        /// As a rebuild does it: what an earlier one left is made anew.
        fn swapped(fs: &SimFs) -> Result<(), FsError> {
            let [anew, ..] = files_of(ROWS_ANEW);
            fs.save(&anew, b"new")?;
            swap(fs, ROWS, ROWS_ANEW, "a test").map(drop)
        }

        fn has_rows(fs: &SimFs) -> Result<bool, FsError> {
            Ok(fs.stat(&files_of(ROWS)[0])?.is_some())
        }
    }

    impl Scenario for Swapping {
        fn before(&self) -> SimFs {
            let fs = SimFs::new().with_atomic_renames();
            highwater_fs::ensure_dir(&fs, &layout(HOME), highwater_fs::Mode::Umask).unwrap();
            for (file, bytes) in files_of(ROWS).iter().zip([b"old", b"wal", b"shm"]) {
                fs.save(file, bytes).unwrap();
            }
            fs
        }

        fn steps(&self) -> usize {
            1
        }

        fn work(&self, fs: &SimFs) -> usize {
            usize::from(Self::swapped(fs).is_ok())
        }

        fn recover(&self, fs: &SimFs) -> Result<(), String> {
            match Self::has_rows(fs) {
                Ok(true) => Ok(()),
                _ => Self::swapped(fs).map_err(|error| error.to_string()),
            }
        }

        fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
            let tree = tree(fs).map_err(|error| error.to_string())?;
            let rows = files_of(ROWS).map(|file| tree.get(&file).cloned().flatten());
            match rows.each_ref().map(Option::as_deref) {
                [Some(b"new"), None, None] => {}
                [Some(b"old"), Some(b"wal"), Some(b"shm")] if acknowledged == 0 => {}
                _ => return Err(format!("{acknowledged} acknowledged, and there are {rows:?}")),
            }
            for bytes in [&b"old"[..], b"wal"] {
                if !tree.values().flatten().any(|there| there == bytes) {
                    return Err(format!("{bytes:?} are nowhere"));
                }
            }
            Ok(())
        }
    }

    #[test]
    fn r05_rows_are_old_or_new_and_beside_new_ones_lies_nothing_of_old_ones_wherever_the_power_is_cut() {
        let tally = crash_everywhere(&Swapping).unwrap_or_else(|found| panic!("{found}"));
        assert!(tally.disks > 20, "{tally:?}");
        fail_everywhere(&Swapping).unwrap_or_else(|found| panic!("{found}"));
    }
}
