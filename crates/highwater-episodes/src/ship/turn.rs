//! Whose turn it is at an outbox. Owns that no two of different state directories, whose locks do not know of each other, work in one outbox
//! at the same time: passes, and a person's word on what waits there.

use std::fs::File;
use std::io;
use std::path::Path;

use highwater_engine::lock::{FileLock, Lock as _};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The outbox while somebody works in it: its directory is locked by flock(2), so that nothing is left in it. On a file system without such
/// locks everyone gets it.
#[derive(Debug)]
pub struct Turn(Option<File>);

impl Turn {
    /// Takes it; `None` where another has it.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn take(outbox: &Path) -> io::Result<Option<Self>> {
        let directory = File::open(outbox)?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            Ok(()) => Ok(Some(Self(Some(directory)))),
            Err(errno) => {
                tracing::debug!(outbox = %outbox.display(), %errno, "the outbox cannot be locked");
                Ok(Some(Self(None)))
            }
        }
    }
}

/// In so many words: a process that is being spawned meanwhile has a copy of the descriptor until it execs.
impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // If it fails, closing the directory lets go of it.
            let _ = flock(directory, FlockOperation::Unlock);
        }
    }
}

/// Who works in an outbox now, as far as the machine can tell; nothing is taken for it.
#[must_use]
pub fn at_work(outbox: &Path) -> Option<String> {
    FileLock::new(outbox, true).holder_hint()
}
