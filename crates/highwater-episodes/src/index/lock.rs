//! The lock under which rows are appended: flock(2) on a file beside the index. Owns taking it and letting go.
//!
//! It is held for one append, so whoever waits for it waits as long as another's sync takes. A process that dies lets go; one that
//! hangs is waited for so long and no longer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::IndexError;

/// Longest wait for another that holds it, in seconds.
pub const LOCK_WAIT_SECS: u64 = 60;
/// Between two tries, in milliseconds.
const LOCK_TRY_MILLIS: u64 = 2;
/// How often the lock is taken again because its file was unlinked in between.
const TRIES_MAX: usize = 16;

/// Who may append.
#[derive(Debug, Clone)]
pub struct IndexLock {
    path: Option<PathBuf>,
    wait: Duration,
}

impl IndexLock {
    /// A lock that other processes share: the file at this path, which is made when it is not there.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), wait: Duration::from_secs(LOCK_WAIT_SECS) }
    }

    /// No lock, for an index that nobody else can reach.
    #[must_use]
    pub fn alone() -> Self {
        Self { path: None, wait: Duration::ZERO }
    }

    /// The same with another longest wait.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Waits for it and takes it.
    pub(super) fn hold(&self) -> Result<HeldLock, IndexError> {
        let Some(path) = &self.path else { return Ok(HeldLock(None)) };
        let failed = |source| IndexError::Lock { path: path.clone(), source };
        for _ in 0..TRIES_MAX {
            let file = open(path).map_err(failed)?;
            self.wait_for(&file).map_err(failed)?;
            let ours = file.metadata().map_err(failed)?;
            // Somebody may have unlinked it between open and flock: then the next one would lock another file.
            if std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                return Ok(HeldLock(Some(file)));
            }
        }
        Err(failed(std::io::Error::other(format!("it was replaced {TRIES_MAX} times while it was being locked"))))
    }
}

impl IndexLock {
    fn wait_for(&self, file: &File) -> std::io::Result<()> {
        let mut clock = None;
        loop {
            match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => return Ok(()),
                Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Its time counts from here on.
            if clock.get_or_insert_with(SystemClock::new).elapsed() >= self.wait {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("another process has held it for {} seconds (`lslocks` shows which)", self.wait.as_secs()),
                ));
            }
            std::thread::park_timeout(Duration::from_millis(LOCK_TRY_MILLIS));
        }
    }
}

/// Opened without creating first: in a sticky directory the kernel refuses O_CREAT on another user's file.
fn open(path: &Path) -> std::io::Result<File> {
    match OpenOptions::new().read(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        }
        opened => opened,
    }
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub(super) struct HeldLock(Option<File>);

/// Unlocks in so many words: a process that is being spawned meanwhile has a copy of the descriptor until it execs.
impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // If it fails, closing the file lets go of it.
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}
