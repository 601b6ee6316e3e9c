//! The ledger in one SQLite file. Owns the file: how it is opened, read, written, backed up and closed. What is in it is
//! owned by the modules below, one for each thing, with its statements in a folder of the same name.
//!
//! One thread writes ([`highwater_db::sqlite::Writer`]); reads run beside it on connections of their own (`sight`) and see
//! what is committed. The ledger never reads a clock: every time in it was told by a caller.

mod check;
mod column;
mod control;
mod done;
mod event;
mod fault;
mod fence;
mod intent;
mod item;
mod job;
mod ledger;
mod mend;
mod notice;
mod overrides;
mod pass;
mod pin;
mod plan;
mod prune;
mod quarantine;
mod record;
mod resource;
mod retry;
mod run;
mod seen;
mod sight;
mod skip;
mod standing;
mod watermark;
mod worklist;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use highwater_db::sqlite::{
    ApplicationId, Backups, Database, Error, Migration, Writer, backup, migrate, pending, quick_check,
};
use highwater_engine::ledger::{LedgerError, LedgerFault, LedgerResult};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use self::control::Probe;
use self::fault::{Step, no_thread, of_database, other, read_only};
use self::sight::{Sight, look_once};
use crate::check::CheckLine;

/// What the file's header says of whose it is: highwater's ledger.
const APPLICATION_ID: ApplicationId = ApplicationId(*b"HWLG");
/// The schema, step by step. A released step never changes.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "ledger", sql: include_str!("../migrations/sqlite/0001_ledger.sql") },
    Migration { number: 2, name: "retry_index", sql: include_str!("../migrations/sqlite/0002_retry_index.sql") },
    Migration { number: 3, name: "overrides", sql: include_str!("../migrations/sqlite/0003_overrides.sql") },
    Migration { number: 4, name: "mended", sql: include_str!("../migrations/sqlite/0004_mended.sql") },
];
/// Where backups are, beside the file.
const BACKUPS_DIRECTORY: &str = "backups";
/// What the ledger of a state directory is called.
const LEDGER_NAME: &str = "ledger.db";
/// How often a backup is taken.
const BACKUP_EVERY_HOURS: i64 = 24;

const OPENING: &str = "open it";
/// What the thread of long work is called.
const ASIDE_NAME: &str = "ledger-aside";

/// What a ledger is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read and write; made where there is none, brought up to date where it is older.
    ReadWrite,
    /// To read what is there; whatever would write is refused.
    ReadOnly,
}

/// A ledger in one SQLite file.
pub struct SqliteLedger {
    database: Database,
    backups: Backups,
    sight: Sight,
    probe: Probe,
    /// `None` when opened to read only.
    writer: Option<Writer>,
    /// The latest time that a caller told, in microseconds.
    told_us: AtomicI64,
}

impl SqliteLedger {
    /// Opens the ledger at `path`. With [`Access::ReadWrite`] it is made where there is none (its directory must be there), and
    /// an older one is backed up into `backups/` beside it, then migrated.
    ///
    /// # Errors
    /// With the path: [`LedgerFault::NotThere`] without a file or a directory, [`LedgerFault::Newer`] where a newer program
    /// wrote it, [`LedgerFault::Older`] where an older one did and it is opened to read, [`LedgerFault::Foreign`] where it is
    /// something else, [`LedgerFault::Damaged`], [`LedgerFault::Denied`], [`LedgerFault::Full`].
    pub fn open(path: impl AsRef<Path>, now: Timestamp, access: Access) -> LedgerResult<Self> {
        let database = Database::new(path, APPLICATION_ID);
        let backups = backups_of(&database);
        let opened = |error| of_database(error, database.path(), OPENING);
        let writer = match access {
            Access::ReadWrite => {
                let furnish = |new: &mut Connection| migrate(new, MIGRATIONS, now, |_| Ok(())).map(drop);
                let mut connection = database.read_write_furnished(furnish).map_err(opened)?;
                migrate(&mut connection, MIGRATIONS, now, |_| backups.take(now).map(drop)).map_err(opened)?;
                Some(Writer::start(connection).map_err(opened)?)
            }
            Access::ReadOnly => {
                refuse_older(&database)?;
                None
            }
        };
        let sight = Sight::open(&database).map_err(opened)?;
        let probe = Probe::new(Sight::open(&database).map_err(opened)?);
        Ok(Self { backups, sight, probe, writer, told_us: AtomicI64::new(now.as_microsecond()), database })
    }

    /// Keeps so many backups instead of seven.
    #[must_use]
    pub fn keeping_backups(mut self, backups: usize) -> Self {
        self.backups = self.backups.keep(backups);
        self
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// Takes a backup into `backups/` beside the file when the last one is a day old, and keeps seven. Returns it, if one was
    /// taken; none is while another process takes one.
    ///
    /// # Errors
    /// What kept the ledger from being read or the backup from being written.
    pub async fn backup_if_due(&self, now: Timestamp) -> LedgerResult<Option<PathBuf>> {
        let backups = self.backups.clone();
        self.aside("take a backup", move |_| {
            if !backup::due(backups.last_taken_at(now)?, now, SignedDuration::from_hours(BACKUP_EVERY_HOURS)) {
                return Ok(None);
            }
            match backups.take(now) {
                Ok(taken) => Ok(Some(taken.path)),
                Err(Error::Busy { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Takes a backup now.
    ///
    /// # Errors
    /// As for [`SqliteLedger::backup_if_due`]; also while another process takes one.
    pub async fn backup(&self, now: Timestamp) -> LedgerResult<PathBuf> {
        let backups = self.backups.clone();
        self.aside("take a backup", move |_| Ok(backups.take(now)?.path)).await
    }

    /// The newest backup of the ledger at `path` that is whole; the ledger itself may be damaged or gone.
    ///
    /// # Errors
    /// The directory of backups cannot be read.
    pub fn newest_good_backup(path: impl AsRef<Path>) -> LedgerResult<Option<PathBuf>> {
        let database = Database::new(path, APPLICATION_ID);
        let newest = backups_of(&database).newest_good_backup();
        newest
            .map(|found| found.map(|backup| backup.path))
            .map_err(|error| of_database(error, database.path(), "look for its backups"))
    }

    /// Reads every page of the file and checks that it holds together. Takes time in proportion to the file.
    ///
    /// # Errors
    /// [`LedgerFault::Damaged`] with what was found.
    pub async fn quick_check(&self) -> LedgerResult<()> {
        self.aside("check it", |database| look_once(database, |db| Ok(quick_check(db)?))).await
    }

    /// Checks the file, and that every figure is what a count of the rows gives. Takes time in proportion to the file.
    ///
    /// # Errors
    /// What kept the ledger from being read; what is wrong with it is in the lines.
    pub async fn check(&self) -> LedgerResult<Vec<CheckLine>> {
        self.aside("check it", |database| look_once(database, check::check)).await
    }

    /// Finishes what was handed in and closes the file cleanly. Nothing can be written after.
    ///
    /// # Errors
    /// What kept SQLite from closing it; what was written is safe.
    pub async fn close(&self) -> LedgerResult<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.stop().await.map_err(|error| of_database(error, self.path(), "close it"))
    }

    /// Runs `look` on one state of the ledger, on the caller's thread: reads are a page at most.
    fn read<T>(&self, doing: &str, look: impl Fn(&Connection) -> Step<T>) -> LedgerResult<T> {
        self.sight.read(look).map_err(|failure| failure.into_ledger(self.path(), doing))
    }

    /// Runs `work` as one transaction that takes the write lock first. It is durable when this returns.
    async fn write<T, F>(&self, doing: &str, work: F) -> LedgerResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Step<T> + Send + 'static,
    {
        self.on_writer(doing, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await
    }

    /// Repeats a bounded transaction until it says that nothing is left to do, so that others have their turn in between.
    async fn write_until_done<F>(&self, doing: &str, work: F) -> LedgerResult<()>
    where
        F: Fn(&Connection) -> Step<bool> + Clone + Send + 'static,
    {
        while !self.write(doing, work.clone()).await? {}
        Ok(())
    }

    /// Runs `work` on the writing connection, with transactions of its own.
    async fn on_writer<T, F>(&self, doing: &str, work: F) -> LedgerResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Step<T> + Send + 'static,
    {
        let Some(writer) = &self.writer else { return read_only(self.path(), doing) };
        match writer.run(work).await {
            Ok(result) => result.map_err(|failure| failure.into_ledger(self.path(), doing)),
            Err(error) => Err(other(self.path(), doing, error)),
        }
    }

    /// Runs long work that needs no turn at the writer on a thread of its own.
    async fn aside<T, F>(&self, doing: &str, work: F) -> LedgerResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> Step<T> + Send + 'static,
    {
        let database = self.database.clone();
        let (reply, answer) = oneshot::channel();
        // Not one of the runtime's: where the system has none to give, that one would panic.
        let begun = thread::Builder::new().name(ASIDE_NAME.to_owned()).spawn(move || {
            // A caller that is gone does not need the result.
            let _ = reply.send(work(&database));
        });
        if let Err(error) = begun {
            return Err(no_thread(self.path(), doing, error));
        }
        match answer.await {
            Ok(result) => result.map_err(|failure| failure.into_ledger(self.path(), doing)),
            Err(error) => Err(other(self.path(), doing, error)),
        }
    }

    /// Remembers the time that a caller told, for what the ledger has to date by itself.
    fn told(&self, at: Timestamp) {
        self.told_us.fetch_max(at.as_microsecond(), Ordering::Relaxed);
    }

    /// The latest time that a caller told.
    fn last_told(&self) -> Timestamp {
        Timestamp::from_microsecond(self.told_us.load(Ordering::Relaxed)).expect("invariant: it was a timestamp")
    }
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLedger").field("path", &self.path()).finish_non_exhaustive()
    }
}

fn backups_of(database: &Database) -> Backups {
    // Beside a ledger of another name, which lies among a person's own files, the directory says whose it is.
    let directory = match database.path().file_name() {
        Some(name) if name != LEDGER_NAME => {
            let mut name = name.to_owned();
            name.push(format!(".{BACKUPS_DIRECTORY}"));
            database.path().with_file_name(name)
        }
        _ => database.path().with_file_name(BACKUPS_DIRECTORY),
    };
    Backups::new(database, directory)
}

/// One who only reads cannot bring an older ledger up to date.
fn refuse_older(database: &Database) -> LedgerResult<()> {
    let older = look_once(database, |db| Ok(!pending(db, MIGRATIONS)?.is_empty()));
    if !older.map_err(|failure| failure.into_ledger(database.path(), OPENING))? {
        return Ok(());
    }
    let path = database.path().display();
    let message = format!("ledger {path}: cannot read it: an older program wrote it, expected one that is up to date");
    Err(LedgerError::new(LedgerFault::Older, message))
}
