//! A disk in memory that can be crashed at any operation.
//!
//! [`SimFs`] is an [`Fs`] that knows what a real disk knows and hides: which bytes and which names
//! are durable and which are only pending. [`SimFs::crash_at`] cuts the power at an operation,
//! [`SimFs::reboot`] chooses what of the pending survived, [`SimFs::inject`] makes operations fail.
//! Everything follows from the calls and the seeds; there is no clock. [`crash_everywhere`] and its
//! siblings try a [`Scenario`] against all of it.
//!
//! # The disk
//! - A file's bytes are durable after a sync of the file; a name after a sync of its directory.
//! - At a crash each pending write and each pending name lives or dies by itself. A write may live
//!   whole, as a prefix, as zeros, or with any of its 512-byte sectors missing. A name may outlive
//!   the bytes.
//! - The two halves of a rename, the new name and the loss of the old, are two names, as POSIX has
//!   it. Journalling file systems keep them together; [`SimFs::with_atomic_renames`] does too, for
//!   what cannot do without: moving a directory, or exchanging two names.
//! - A failed sync of a file leaves its pending bytes readable and clean: a later sync succeeds and
//!   saves none of them. (A failed sync of a directory leaves its names pending: file systems keep
//!   names in a journal, and stop when that fails.)
//! - Permissions and symlinks are durable with what they belong to. Nobody is denied anything.
//!
//! # A scenario
//! Whoever writes files says what must hold, and lets it be tried:
//!
//! ```
//! use highwater_fs::{Fs, Mode, RelPath, collect_stale, publish};
//! use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere, forget_each_sync};
//!
//! /// A page is replaced: afterwards it is the old one or the new one, and the new one if we said so.
//! struct PageIsReplaced(RelPath);
//!
//! impl Scenario for PageIsReplaced {
//!     fn before(&self) -> SimFs {
//!         let fs = SimFs::new();
//!         publish(&fs, &self.0, b"old", Mode::Umask).unwrap();
//!         fs
//!     }
//!     fn steps(&self) -> usize {
//!         1
//!     }
//!     fn work(&self, fs: &SimFs) -> usize {
//!         usize::from(publish(fs, &self.0, b"new", Mode::Umask).is_ok())
//!     }
//!     fn recover(&self, fs: &SimFs) -> Result<(), String> {
//!         collect_stale(fs, &RelPath::root()).map(|_| ()).map_err(|error| error.to_string())
//!     }
//!     fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
//!         match (fs.read(&self.0, 100).as_deref(), acknowledged) {
//!             (Ok(b"new"), _) | (Ok(b"old"), 0) => Ok(()),
//!             (found, _) => Err(format!("{found:?}")),
//!         }
//!     }
//! }
//!
//! let page = PageIsReplaced(RelPath::new("page.md")?);
//! crash_everywhere(&page)?;
//! fail_everywhere(&page)?;
//! assert!(forget_each_sync(&page)?.iter().all(|omission| omission.noticed.is_some()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contents;
mod crash;
mod disk;
mod explore;
mod fault;
mod pending;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_fs::{Entry, Fs, FsError, FsFile, Mode, Op, RawFile, RelPath, Stat};
use nix::errno::Errno;

pub use self::contents::Contents;
pub use self::crash::Survival;
pub use self::explore::{
    Omission, Scenario, Tally, Violation, crash_everywhere, crash_once_everywhere, fail_everywhere, forget_each_sync,
    forget_syncs, random_runs, tree,
};
pub use self::fault::{At, Fault, FaultKind, Step};

use self::disk::{Disk, Ino};
use self::fault::{Switchboard, Verdict};

/// A disk in memory that can be crashed and made to fail; its clones are the same disk.
#[derive(Clone)]
pub struct SimFs(Arc<Mutex<State>>);

struct State {
    disk: Disk,
    switchboard: Switchboard,
}

impl SimFs {
    /// An empty disk.
    pub fn new() -> Self {
        Self::of(Disk::new())
    }

    /// Makes each rename and exchange one pending thing, durable with a sync of the directory it
    /// goes to.
    #[must_use]
    pub fn with_atomic_renames(self) -> Self {
        self.state().disk.atomic_renames = true;
        self
    }

    /// Makes every link fail as one to another file system does.
    #[must_use]
    pub fn without_hard_links(self) -> Self {
        self.state().disk.hard_links = false;
        self
    }

    /// Makes a directory a file system of its own: nothing is renamed, exchanged or linked into it or out of it. That may be
    /// one by its number of a device or, as where a directory is mounted on another, not.
    #[must_use]
    pub fn with_mount(self, directory: &RelPath) -> Self {
        self.state().disk.mounts.push(directory.clone());
        self
    }

    /// Cuts the power at this operation, counted from 0: it and all after it do nothing and fail.
    pub fn crash_at(&self, operation: usize) {
        self.state().switchboard.crash_at = Some(operation);
    }

    /// Whether an operation came after the power was cut.
    pub fn has_crashed(&self) -> bool {
        self.state().switchboard.has_crashed()
    }

    /// Adds a fault to those there are.
    pub fn inject(&self, fault: Fault) {
        self.state().switchboard.inject(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state().switchboard.heal();
    }

    /// The operations so far, in order; their number is the next one's.
    pub fn trace(&self) -> Vec<Step> {
        self.state().switchboard.trace.clone()
    }

    /// How many operations there were so far.
    pub fn operations(&self) -> usize {
        self.state().switchboard.trace.len()
    }

    /// How many writes and names are pending: what a crash now would decide on.
    pub fn pending(&self) -> usize {
        self.state().disk.pending.len()
    }

    /// The disk as it is found after a crash now, with everything on it durable, no fault and no
    /// crash ahead, and operations counted from 0. This one stays as it is.
    #[must_use]
    pub fn reboot(&self, survival: Survival) -> Self {
        Self::of(crash::reboot(&self.state().disk, survival))
    }

    /// Plants a durable symlink, which [`Fs`] has no operation for.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, or when a directory on the way is missing.
    pub fn symlink(&self, path: &RelPath, to: impl AsRef<Path>) -> Result<(), FsError> {
        self.state().disk.symlink(path, to.as_ref())
    }

    /// Replaces a file, whole and durably, by one operation: what the COMMIT of a database is to its file. Whether a database
    /// keeps that promise is shown on a real disk.
    ///
    /// # Errors
    /// A fault that was injected, and a directory that is not there.
    pub fn save(&self, path: &RelPath, bytes: &[u8]) -> Result<(), FsError> {
        self.act(Op::Write, path, |disk| disk.save(path, bytes))
    }

    /// All of a file by one operation: what [`SimFs::save`] put there.
    ///
    /// # Errors
    /// A fault that was injected, and a file that is not there.
    pub fn load(&self, path: &RelPath) -> Result<Contents, FsError> {
        self.act(Op::Read, path, |disk| {
            let ino = disk.open(Op::Read, path)?;
            Ok(disk.file(ino).seen.clone())
        })
    }

    /// Everything on the disk, as [`tree`] says it, without asking the disk: no operation is counted.
    pub fn contents(&self) -> BTreeMap<RelPath, Option<Contents>> {
        self.state().disk.contents()
    }

    /// The same disk, with what is pending on it, for another try; no fault and no crash ahead.
    fn fork(&self) -> Self {
        Self::of(self.state().disk.clone())
    }

    /// A number that two disks share when what a crash with [`Survival::Nothing`] leaves is the same.
    fn fingerprint(&self) -> u64 {
        self.state().disk.fingerprint()
    }

    fn of(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(State { disk, switchboard: Switchboard::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation, asks whether it may happen, and lets it.
    fn act<T>(&self, op: Op, path: &RelPath, act: impl FnOnce(&mut Disk) -> Result<T, FsError>) -> Result<T, FsError> {
        let mut state = self.state();
        let State { disk, switchboard } = &mut *state;
        let failed = |source| FsError::Io { op, path: located(path), source };
        match switchboard.next(op, path) {
            Verdict::Proceed | Verdict::Short | Verdict::Forget => act(disk),
            Verdict::Fail(error) => Err(failed(error)),
            Verdict::LoseAnswer => act(disk).and_then(|_| Err(failed(Errno::EIO.into()))),
        }
    }
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimFs")
            .field("operations", &state.switchboard.trace.len())
            .field("pending", &state.disk.pending.len())
            .finish_non_exhaustive()
    }
}

impl Fs for SimFs {
    fn locate(&self, path: &RelPath) -> PathBuf {
        located(path)
    }

    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        let ino = self.act(Op::Create, path, |disk| disk.create(path, mode))?;
        Ok(self.open(path, ino))
    }

    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        let ino = self.act(Op::Append, path, |disk| disk.open(Op::Append, path))?;
        Ok(self.open(path, ino))
    }

    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        let ino = self.act(Op::Read, path, |disk| disk.open(Op::Read, path))?;
        Ok(Box::new(SimReader { fs: self.clone(), path: path.clone(), ino, at: 0 }))
    }

    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.act(Op::Mkdir, path, |disk| disk.mkdir(path, mode))
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Rename, to, |disk| disk.rename(from, to))
    }

    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Rename, to, |disk| disk.rename_new(from, to))
    }

    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.act(Op::Exchange, b, |disk| disk.exchange(a, b))
    }

    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Link, to, |disk| disk.link(from, to))
    }

    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        self.act(Op::Unlink, path, |disk| disk.unlink(path))
    }

    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
        let mut state = self.state();
        let State { disk, switchboard } = &mut *state;
        let failed = |source| FsError::Io { op: Op::SyncDir, path: located(dir), source };
        match switchboard.next(Op::SyncDir, dir) {
            Verdict::Proceed | Verdict::Short => disk.sync_dir(dir),
            Verdict::Forget => Ok(()),
            Verdict::Fail(error) => Err(failed(error)),
            Verdict::LoseAnswer => {
                disk.sync_dir(dir)?;
                Err(failed(Errno::EIO.into()))
            }
        }
    }

    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        self.act(Op::List, dir, |disk| disk.list(dir))
    }

    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.act(Op::Stat, path, |disk| disk.stat(path))
    }
}

impl SimFs {
    fn open(&self, path: &RelPath, ino: Ino) -> FsFile {
        let raw = SimFile { fs: self.clone(), path: path.clone(), ino };
        FsFile::new(located(path), Box::new(raw))
    }
}

struct SimFile {
    fs: SimFs,
    path: RelPath,
    ino: Ino,
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.fs.state();
        let State { disk, switchboard } = &mut *state;
        match switchboard.next(Op::Write, &self.path) {
            Verdict::Proceed | Verdict::Forget => Ok(disk.append(self.ino, bytes)),
            Verdict::Short => Ok(disk.append(self.ino, &bytes[..bytes.len().div_ceil(2)])),
            Verdict::Fail(error) => Err(error),
            Verdict::LoseAnswer => {
                disk.append(self.ino, bytes);
                Err(Errno::EIO.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawFile for SimFile {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        let State { disk, switchboard } = &mut *state;
        let verdict = switchboard.next(Op::Truncate, &self.path);
        if let Verdict::Fail(error) = verdict {
            return Err(error);
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(Errno::EFBIG))?;
        disk.truncate(self.ino, len);
        if matches!(verdict, Verdict::LoseAnswer) { Err(Errno::EIO.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.fs.state();
        let State { disk, switchboard } = &mut *state;
        match switchboard.next(Op::Sync, &self.path) {
            Verdict::Proceed | Verdict::Short => disk.sync(self.ino),
            Verdict::Forget => {}
            Verdict::Fail(error) => {
                disk.call_clean(self.ino);
                return Err(error);
            }
            Verdict::LoseAnswer => {
                disk.sync(self.ino);
                return Err(Errno::EIO.into());
            }
        }
        Ok(())
    }
}

struct SimReader {
    fs: SimFs,
    path: RelPath,
    ino: Ino,
    at: usize,
}

impl Read for SimReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.fs.state();
        let State { disk, switchboard } = &mut *state;
        if let Verdict::Fail(error) = switchboard.next(Op::Read, &self.path) {
            return Err(error);
        }
        let read = disk.read(self.ino, self.at, buffer);
        self.at += read;
        Ok(read)
    }
}

fn located(path: &RelPath) -> PathBuf {
    Path::new("/").join(path)
}
