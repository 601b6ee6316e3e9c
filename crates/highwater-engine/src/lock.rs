//! The lock: at most one pass at a time per resource (R1). Owns the traits; `lock/file.rs` is flock(2), and a database crate
//! brings its own. The engine knows no SQL: a lock's session is lent to the job as it is.

mod file;

use std::any::Any;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::contact::CONTROL_AGE_MS;
use crate::diagnosis::Diagnosis;
use crate::job::Stop;

pub use file::{FileLock, HELD_TRIES_MAX};

/// What two locks have in common when they are the same lock under two names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LockIdentity {
    /// A file that is there.
    Inode {
        /// Its device.
        device: u64,
        /// Its inode.
        inode: u64,
    },
    /// A file that is not there yet: its directory's real path and its name.
    Path(PathBuf),
    /// A key in a database.
    Key(String),
}

/// A lock that can be tried.
#[async_trait]
pub trait Lock: Send + Sync + 'static {
    /// How it is written in a config: `file:/var/lock/x.lock`.
    fn describe(&self) -> String;
    /// What makes it the same lock as another.
    ///
    /// # Errors
    /// [`Diagnosis`] when it cannot be told.
    fn identity(&self) -> Result<LockIdentity, Diagnosis>;
    /// Takes it if it is free; `None` when someone else holds it.
    ///
    /// # Errors
    /// [`Stop`] when it can be neither taken nor found held: permissions, a missing directory, a server that does not answer.
    async fn try_take(&self) -> Result<Option<Box<dyn Held>>, Stop>;
    /// Who holds it, as far as the machine can tell; for messages only.
    fn holder_hint(&self) -> Option<String> {
        None
    }
}

/// Whether a lock is still held; asked before every commit, so it is cheap and does not block.
pub type Probe = Box<dyn Fn() -> bool + Send + Sync>;

/// A lock that is held; dropping it lets it go.
#[async_trait]
pub trait Held: Send + 'static {
    /// Tells whether it is still held.
    fn probe(&self) -> Probe;
    /// What the lock lives in, for work that must be fenced by it: a database session, or nothing.
    fn session(&mut self) -> &mut (dyn Any + Send);
    /// Lets it go before this ends, where dropping it would only begin to.
    async fn release(self: Box<Self>) {}
}

/// The locks of a pass, asked between items. As with the controls, items faster than [`CONTROL_AGE_MS`] share an answer.
pub(crate) struct LockWatch {
    probes: Vec<Probe>,
    /// When they were last found held, by [`Clock::elapsed`].
    held_at: Mutex<Option<Duration>>,
}

impl LockWatch {
    pub(crate) fn new(probes: Vec<Probe>) -> Self {
        Self { probes, held_at: Mutex::new(None) }
    }

    pub(crate) fn held(&self, clock: &dyn Clock) -> bool {
        let now = clock.elapsed();
        let mut held_at = self.held_at.lock().unwrap_or_else(PoisonError::into_inner);
        if held_at.is_some_and(|at| now.saturating_sub(at) < Duration::from_millis(CONTROL_AGE_MS)) {
            return true;
        }
        let held = self.probes.iter().all(|held| held());
        *held_at = held.then_some(now);
        held
    }
}
