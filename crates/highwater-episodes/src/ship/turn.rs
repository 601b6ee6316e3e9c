//! Whose turn it is at an outbox. Owns that two passes of different state directories, whose locks do not know of each other, do not work
//! in one outbox at the same time.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The outbox while a pass works in it: its directory is locked by flock(2), so that nothing is left in it.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<Option<File>>);

impl Turn {
    /// Takes it; `false` where another has it. On a file system without such locks everyone gets it.
    pub(super) fn take(&self, outbox: &Path) -> io::Result<bool> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        let directory = File::open(outbox)?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Ok(()) => *held = Some(directory),
            Err(errno) => {
                tracing::debug!(outbox = %outbox.display(), %errno, "the outbox cannot be locked");
            }
        }
        Ok(true)
    }

    /// Lets others have it.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
