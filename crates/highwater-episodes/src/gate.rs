//! The version gate (R12): whose code is recent enough that what it recorded is let in. Owns which commits are accepted and for
//! how long a reading of them holds; how a request says its commit, and what it is answered, is the receiver's.
//!
//! A commit is accepted while it is among the newest of the repository, or as long as an operator allows it. What cannot be read
//! for a while leaves the last reading in force; what never could be read accepts nothing and refuses nothing.

mod allowed;
mod judge;
mod settings;
mod window;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use highwater_engine::clock::SharedClock;

use crate::index::Commit;

pub use allowed::{ALLOWED_BYTES_MAX, ALLOWED_LINES_MAX, Allowed, AllowedError, allow, read as read_allowed};
pub use judge::Judge;
pub use settings::{GateSettings, WINDOW_COMMITS, WINDOW_COMMITS_MAX, WindowCommits};
pub use window::{Source, Window, WindowError};

/// The file of what operators let in, in the receiver's directory.
pub const ALLOWED_FILE: &str = "gate-allowed.jsonl";
/// How often the repository is read again, in seconds.
pub const REFRESH_SECS: u64 = 5;

/// What the gate says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is among the newest.
    Current,
    /// It has left the window, and an operator lets it in.
    Allowed,
    /// It is neither.
    Outdated {
        /// The newest commit that is accepted.
        head: Commit,
    },
    /// The repository could not be read yet: nothing is known.
    Unready,
}

/// What was read last, and what is wrong since.
#[derive(Debug, Default)]
struct Known {
    window: Option<Window>,
    allowed: Vec<Allowed>,
    /// Why the last reading failed, as it was told.
    faults: Vec<String>,
}

/// The gate of a repository.
#[derive(Debug, Clone)]
pub struct VersionGate {
    source: Arc<Source>,
    allowed: Arc<PathBuf>,
    clock: SharedClock,
    known: Arc<RwLock<Known>>,
}

impl VersionGate {
    /// A gate that has read nothing yet; `allowed` is the file of what operators let in.
    #[must_use]
    pub fn new(source: Source, allowed: PathBuf, clock: SharedClock) -> Self {
        Self { source: Arc::new(source), allowed: Arc::new(allowed), clock, known: Arc::default() }
    }

    /// Reads the repository and what operators let in. What cannot be read is told once and leaves the last reading in force.
    pub async fn refresh(&self) {
        let (source, allowed) = (Arc::clone(&self.source), Arc::clone(&self.allowed));
        let read = tokio::task::spawn_blocking(move || (source.read(), read_allowed(&allowed))).await;
        let Ok((window, allowed)) = read else { return };
        let mut faults = Vec::new();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match window {
            Ok(window) => known.window = Some(window),
            Err(error) => faults.push(told(&error)),
        }
        match allowed {
            Ok(allowed) => known.allowed = allowed,
            Err(error) => faults.push(told(&error)),
        }
        for fault in faults.iter().filter(|fault| !known.faults.contains(fault)) {
            let in_force =
                if known.window.is_some() { "the last reading stays in force" } else { "uploads are put off" };
            tracing::warn!(gate.fault = %fault, "the version gate could not be read; {in_force}");
        }
        if faults.is_empty() && !known.faults.is_empty() {
            tracing::info!("the version gate is read again");
        }
        known.faults = faults;
    }

    /// Refreshes for ever.
    pub async fn keep_fresh(self) {
        loop {
            self.refresh().await;
            self.clock.glance(Duration::from_secs(REFRESH_SECS)).await;
        }
    }

    /// How a commit stands now.
    #[must_use]
    pub fn judge(&self, commit: &Commit) -> Standing {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        match &known.window {
            Some(window) if window.contains(commit) => Standing::Current,
            _ if known.allowed.iter().any(|allowed| allowed.commit == *commit && allowed.stands(now)) => {
                Standing::Allowed
            }
            Some(window) => Standing::Outdated { head: window.head().clone() },
            None => Standing::Unready,
        }
    }

    /// The newest commit that is accepted, once the repository was read.
    #[must_use]
    pub fn head(&self) -> Option<Commit> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.window.as_ref().map(|window| window.head().clone())
    }

    /// Why the last reading failed; empty where it did not.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).faults.clone()
    }
}

/// An error with its causes, on one line.
fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
