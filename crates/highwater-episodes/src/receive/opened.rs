//! A receiver's directory: `episodes/`, `index.jsonl`, `quarantine/`, and the lock that keeps a second receiver out. Owns where these
//! lie and the order in which they are opened.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::diagnosis::{Diagnosis, LIMITED, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::lock::{FileLock, Held, Lock as _};
use highwater_fs::{Fs, FsError, RealFs, RelPath};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::index::{Index as _, IndexError, IndexLock, JsonlIndex, Recovered};
use crate::odd::Odd;
use crate::reindex::Files;
use crate::store::{EPISODES_DIR, FileStore, MARK_FILE, StoreError};
use crate::survey::{Elsewhere, Known, SurveyError, known};

/// The index in the receiver's directory.
pub(crate) const INDEX_FILE: &str = "index.jsonl";
/// The lock of the index, beside it.
const INDEX_LOCK_FILE: &str = "index.jsonl.lock";
/// What was set aside.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";
/// The lock of the receiver.
const RECEIVER_LOCK_FILE: &str = ".receiver.lock";

/// A disk that several own.
type SharedFs = Arc<dyn Fs>;

/// A receiver's directory, opened to write.
pub struct Opened {
    /// The episodes.
    pub store: FileStore<SharedFs>,
    /// The index.
    pub index: JsonlIndex<SharedFs>,
    /// What was found there.
    pub found: Recovered,
    /// What has the place of the directory in which things are set aside; until it is away, nothing that is damaged can be mended.
    pub odd: Option<Odd>,
    /// Nobody else receives here while any of these is held.
    pub held: Vec<Box<dyn Held>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("store", &self.store).field("index", &self.index).finish_non_exhaustive()
    }
}

/// A directory that cannot be received into.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or cannot be entered.
    #[error("the receiver's directory cannot be opened")]
    Root(#[source] FsError),
    /// It is the episodes of one.
    #[error(transparent)]
    TooLow(TooLow),
    /// Another receives into it.
    #[error("another receiver has the directory, {}", .lock.display())]
    Taken {
        /// The lock that it holds: a file, or the directory itself.
        lock: PathBuf,
    },
    /// Whether another does cannot be told.
    #[error("the lock of the receiver's directory cannot be taken: {0}")]
    Lock(String),
    /// A limit of the user keeps that from being told.
    #[error("the lock of the receiver's directory cannot be taken: {}", .0.told())]
    Limited(Box<Diagnosis>),
    /// Its episodes cannot be opened.
    #[error("the receiver's episodes cannot be opened")]
    Store(#[from] StoreError),
    /// Another file system belongs in their place.
    #[error(transparent)]
    Elsewhere(Elsewhere),
    /// Its index cannot be opened.
    #[error("the receiver's index cannot be opened")]
    Index(#[from] IndexError),
}

/// A directory is that of a receiver's episodes: what is received into it would lie beside the directories of hosts, and none of what is
/// stored would be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found the directory of episodes of a receiver, expected the receiver's directory, which holds it and `{INDEX_FILE}`"
)]
pub struct TooLow {
    above: PathBuf,
}

impl TooLow {
    /// Whether a directory is one: it has the mark of episodes, or, since older versions made none, their name and an index beside it.
    #[must_use]
    pub fn of(root: &Path) -> Option<Self> {
        let is_file = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
        let is_dir = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        // By the name that it has, whatever a link to it is called.
        let root = root.canonicalize().ok()?;
        let above = root.parent()?;
        let has_its_name = root.file_name().is_some_and(|name| name == EPISODES_DIR);
        let holds_its_own = is_file(root.join(INDEX_FILE)) || is_dir(root.join(EPISODES_DIR));
        let is_of_episodes =
            is_file(root.join(MARK_FILE)) || has_its_name && is_file(above.join(INDEX_FILE)) && !holds_its_own;
        is_of_episodes.then(|| Self { above: above.to_owned() })
    }

    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        format!("set `root` to {}", self.above.display())
    }
}

impl From<SurveyError> for OpenError {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Index(error) => error.into(),
            SurveyError::Store(error) => error.into(),
            SurveyError::Elsewhere(elsewhere) => Self::Elsewhere(elsewhere),
        }
    }
}

/// What has the place of the directory in which things are set aside.
#[must_use]
pub fn odd_quarantine(root: &Path) -> Option<Odd> {
    Odd::in_place_of_dir(&root.join(QUARANTINE_DIR))
}

/// Keeps other receivers out: by a file, as older versions do, and by the directory itself, whose lock nobody takes away with a file.
async fn held(root: &Path) -> Result<Vec<Box<dyn Held>>, OpenError> {
    let mut all = Vec::with_capacity(2);
    for lock in [root.join(RECEIVER_LOCK_FILE), root.to_path_buf()] {
        match FileLock::new(&lock, false).try_take().await {
            Ok(Some(held)) => all.push(held),
            Ok(None) => return Err(OpenError::Taken { lock }),
            Err(Stop::Fail(error)) if error.code == LIMITED => return Err(OpenError::Limited(Box::new(error))),
            // There are file systems that lock files alone.
            Err(Stop::Fail(error)) if !all.is_empty() => {
                tracing::warn!(error = %error.told(), "the receiver's directory is locked by its lock file alone");
            }
            Err(Stop::Fail(error)) => return Err(OpenError::Lock(error.told())),
            Err(_) => return Err(OpenError::Lock("it was stopped".to_owned())),
        }
    }
    Ok(all)
}

/// Whether a receiver has a directory that is there: what a path leads to now need not be what a receiver that runs has opened. Its lock is
/// shared for a moment, which keeps out one that starts just then: it is for whoever knows that one listens already.
///
/// # Errors
/// It cannot be told.
pub fn is_received_into(root: &Path) -> io::Result<bool> {
    for lock in [root.join(RECEIVER_LOCK_FILE), root.to_path_buf()] {
        match fs::metadata(&lock) {
            Ok(meta) if meta.is_file() || meta.is_dir() => {}
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        match flock(File::open(&lock)?, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(true),
            // There are file systems that lock files alone.
            Err(_) if lock == root => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

/// Opens a receiver's directory.
///
/// # Errors
/// It is not there, it is a directory of episodes, its episodes are not, another receives into it, or the disk refuses.
pub async fn open_files(root: &Path) -> Result<Opened, OpenError> {
    let fs: SharedFs = Arc::new(RealFs::open(root).map_err(OpenError::Root)?);
    if let Some(too_low) = TooLow::of(root) {
        return Err(OpenError::TooLow(too_low));
    }
    let held = held(root).await?;
    let named = |name: &str| RelPath::new(name).expect("invariant: these names are plain");
    let index_lock = IndexLock::at(root.join(INDEX_LOCK_FILE));
    let (index, found) = JsonlIndex::open(Arc::clone(&fs), named(INDEX_FILE), named(QUARANTINE_DIR), index_lock)?;
    // Before anything is made in its place.
    let there = FileStore::open(Arc::clone(&fs), &RelPath::root(), named(QUARANTINE_DIR))?;
    let known = known(&there, &Files::of_root(root))?;
    let store = FileStore::open_to_write(fs, &RelPath::root(), named(QUARANTINE_DIR))?;
    if known == Known::ByRows
        && let Err(error) = store.mark()
    {
        // On a full disk it is received from all the same, and marked at the next start.
        tracing::warn!(error = %with_causes(&error), "the directory of the episodes cannot be marked");
    }
    // What was taken out on purpose is forgotten here; what was withdrawn is not.
    let given_up = index.give_up_lost()?;
    if given_up > 0 {
        tracing::warn!(index.lost = given_up, "rows that were taken out of the index before this start are given up");
    }
    Ok(Opened { store, index, found, odd: odd_quarantine(root), held })
}
