//! A change of many files that is one change.
//!
//! The new contents are written beside each other in the journal's own directory and synced; then
//! the *intent*, which names their targets, is published there. That is the commit point. Before
//! it a crash undoes the change, by forgetting it; after it [`Journal::recover`] finishes it. Only
//! when every target is in place and durable does the intent go, and after it the contents.
//!
//! The contents stay where they are until then, as second names of their targets' files, so that
//! recovery is the same walk forward however often it is cut short, and needs to guess nothing.
//!
//! Owns the intent and the order of the steps. It is not a lock: one change is under way in a
//! journal at a time, and the caller holds whatever lock says so. Nor is it isolation: who reads
//! the targets meanwhile may see some old and some new. And a target that somebody else replaces
//! between a crash and the recovery is replaced again.

mod change;
mod intent;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

pub use self::change::Change;
pub use self::intent::{CHANGE_FILES_MAX, INTENT_BYTES_MAX, TargetFault};

use self::change::hash;
use self::intent::{Intent, Step};
use crate::publish::{collect_stale_of, duplicate, make_dir};
use crate::{Entry, Fs, FsError, Kind, Mode, Op, Quarantine, Quarantined, RelPath, ensure_dir, is_partial};

/// The name of the intent in the journal's directory.
const INTENT_NAME: &str = "intent";

/// How the contents of a change are named there: `staged-0`, `staged-1`, …
const STAGED_PREFIX: &str = "staged-";

/// The intent record of a tree of files: a directory that holds at most one unfinished change.
#[derive(Debug)]
pub struct Journal<'a> {
    fs: &'a dyn Fs,
    home: RelPath,
    quarantine: Quarantine<'a>,
}

/// What [`Journal::recover`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Recovery {
    /// There was nothing to do.
    Clean,
    /// A change was finished; all of its files, this many, are in place now.
    Finished {
        /// How many files it wrote or removed.
        files: usize,
    },
    /// A change that had not been committed was forgotten; its targets are as they were.
    Discarded {
        /// How many leftovers were removed.
        files: usize,
    },
    /// A change was damaged and could not be finished; intent and contents are in quarantine.
    SetAside {
        /// Where they lie; the intent is the last.
        quarantined: Vec<Quarantined>,
        /// What was wrong.
        why: String,
    },
}

/// Why a change did not happen, or not yet.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused. After a failed commit the next recovery either finishes the change or
    /// forgets it, whole.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An earlier change is unfinished: recover first.
    #[error("{} holds an unfinished change; recover it first", .home.display())]
    Unrecovered {
        /// The journal's directory, as a person finds it.
        home: PathBuf,
    },
    /// The content of a target could not be read.
    #[error("cannot read the new content of {target}")]
    Content {
        /// What was to be written.
        target: RelPath,
        /// What the reader said.
        source: io::Error,
    },
    /// A target cannot be part of this change.
    #[error("cannot change {target}")]
    Target {
        /// What was to be written or removed.
        target: RelPath,
        /// Why not.
        source: TargetFault,
    },
}

impl<'a> Journal<'a> {
    /// Opens the journal in `home`, making the directory, durably, if it is not there.
    ///
    /// # Errors
    /// When the path leaves no room for the names in it; else what the disk says.
    pub fn open(fs: &'a dyn Fs, home: RelPath, quarantine: Quarantine<'a>) -> Result<Self, JournalError> {
        home.join(format!("{STAGED_PREFIX}{CHANGE_FILES_MAX}")).map_err(|error| FsError::Io {
            op: Op::Mkdir,
            path: fs.locate(&home),
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })?;
        ensure_dir(fs, &home, Mode::Umask)?;
        Ok(Self { fs, home, quarantine })
    }

    /// Begins a change, forgetting one that was begun and not committed.
    ///
    /// # Errors
    /// `Unrecovered` when one was committed and not finished; else what the disk says.
    pub fn begin(&self) -> Result<Change<'_>, JournalError> {
        let left = self.leftovers()?;
        if left.intent {
            return Err(JournalError::Unrecovered { home: self.fs.locate(&self.home) });
        }
        self.forget(&left)?;
        Ok(Change::new(self))
    }

    /// Finishes or forgets what a crash left, and sets aside what is damaged.
    ///
    /// It may be cut short at any point and called again, any number of times.
    ///
    /// # Errors
    /// What the disk says, and when something that is not a file or not a directory has come to
    /// stand in a target's way; the change stays committed, for a later recovery to finish.
    pub fn recover(&self) -> Result<Recovery, JournalError> {
        let left = self.leftovers()?;
        if !left.intent {
            let files = self.forget(&left)?;
            return Ok(if files == 0 { Recovery::Clean } else { Recovery::Discarded { files } });
        }
        // Nothing may happen to a target before the intent is certain to outlive it.
        self.fs.sync_dir(&self.home)?;
        match self.read_intent()? {
            Err(why) => self.set_aside(&left, why),
            Ok(intent) => {
                let files = intent.steps().len();
                self.finish(&intent)?;
                self.tidy(left.staged.into_iter().chain(left.partials));
                Ok(Recovery::Finished { files })
            }
        }
    }

    /// Carries out a committed change, from wherever an earlier attempt was cut short.
    fn finish(&self, intent: &Intent) -> Result<(), FsError> {
        let dirs = |step: &Step| step.target().ancestors().collect::<Vec<_>>();
        let written = intent.steps().iter().filter(|step| matches!(step, Step::Write { .. }));
        // Sorted, so that a directory comes before those in it.
        let needed: BTreeSet<_> = written.flat_map(dirs).collect();
        for dir in needed.iter().filter(|dir| dir.parent().is_some()) {
            make_dir(self.fs, dir, Mode::Umask)?;
        }
        for (n, step) in intent.steps().iter().enumerate() {
            match step {
                Step::Write { target, .. } => self.place(&self.staged(n), target)?,
                Step::Remove { target } => remove(self.fs, target)?,
            }
        }
        let removed_from = intent.steps().iter().filter_map(|step| step.target().parent());
        let mut touched: BTreeSet<_> = needed.iter().cloned().collect();
        for dir in removed_from {
            if touched.contains(&dir) || self.fs.stat(&dir)?.is_some() {
                touched.insert(dir);
            }
        }
        self.fs.sync_dirs(&touched.iter().collect::<Vec<_>>())?;

        remove(self.fs, &self.intent())?;
        // Before the contents go, the intent that needs them must be gone for good.
        self.fs.sync_dir(&self.home)?;
        Ok(())
    }

    /// Puts a staged content at its target, unless it is there.
    fn place(&self, staged: &RelPath, target: &RelPath) -> Result<(), FsError> {
        collect_stale_of(self.fs, target)?;
        if self.is_placed(staged, target)? {
            return Ok(());
        }
        duplicate(self.fs, staged, target)
    }

    fn is_placed(&self, staged: &RelPath, target: &RelPath) -> Result<bool, FsError> {
        Ok(match (self.fs.stat(staged)?, self.fs.stat(target)?) {
            (Some(staged), Some(target)) => staged.id == target.id,
            _ => false,
        })
    }

    /// Reads the intent and holds every content against it that is not in place yet; the inner
    /// error is damage.
    fn read_intent(&self) -> Result<Result<Intent, String>, FsError> {
        let path = self.intent();
        if self.fs.stat(&path)?.is_none_or(|stat| stat.kind != Kind::File) {
            return Ok(Err("the intent is not a file".into()));
        }
        let bytes = match self.fs.read(&path, INTENT_BYTES_MAX) {
            Err(error @ FsError::TooLarge { .. }) => return Ok(Err(error.to_string())),
            read => read?,
        };
        let intent = match Intent::parse(self.home.clone(), &bytes) {
            Ok(intent) => intent,
            Err(damage) => return Ok(Err(damage.to_string())),
        };
        for (n, step) in intent.steps().iter().enumerate() {
            let Step::Write { target, len, sha256 } = step else {
                continue;
            };
            let staged = self.staged(n);
            if self.is_placed(&staged, target)? {
                continue; // and whatever a person wrote into it since then is theirs
            }
            match self.fs.stat(&staged)? {
                Some(stat) if stat.kind == Kind::File && stat.len == *len => {}
                Some(_) => {
                    return Ok(Err(format!("{staged} (for {target}) is not of {len} bytes")));
                }
                None => return Ok(Err(format!("{staged} (for {target}) is missing"))),
            }
            if hash(self.fs, &staged)? != *sha256 {
                return Ok(Err(format!("{staged} (for {target}) does not match its SHA-256")));
            }
        }
        Ok(Ok(intent))
    }

    /// Sets the contents aside and then the intent: without it they would pass for leftovers.
    fn set_aside(&self, left: &Leftovers, why: String) -> Result<Recovery, JournalError> {
        let mut quarantined = Vec::with_capacity(left.staged.len() + 1);
        for what in left.staged.iter().chain([&self.intent()]) {
            quarantined.push(self.quarantine.set_aside(what, &why)?);
        }
        Ok(Recovery::SetAside { quarantined, why })
    }

    /// What lies in the journal's directory, as far as it is ours.
    fn leftovers(&self) -> Result<Leftovers, FsError> {
        let mut left = Leftovers::default();
        for Entry { name, kind } in self.fs.list(&self.home)? {
            let Ok(path) = self.home.join(&name) else {
                continue;
            };
            let text = name.to_string_lossy();
            if text == INTENT_NAME {
                left.intent = true;
            } else if kind != Kind::File {
                // not ours
            } else if text.strip_prefix(STAGED_PREFIX).is_some_and(|n| n.parse::<usize>().is_ok()) {
                left.staged.push(path);
            } else if is_partial(&name) {
                left.partials.push(path);
            }
        }
        Ok(left)
    }

    /// Removes the leftovers of a change that was not committed, and says how many they were.
    fn forget(&self, left: &Leftovers) -> Result<usize, FsError> {
        let files = left.staged.len() + left.partials.len();
        if files > 0 {
            // The intent may have been removed without that being durable: were it to come back
            // after a power cut, it would miss them.
            self.fs.sync_dir(&self.home)?;
        }
        left.staged.iter().chain(&left.partials).try_for_each(|path| remove(self.fs, path))?;
        Ok(files)
    }

    /// Removes what a finished change needs no longer; what cannot go now is forgotten later.
    fn tidy(&self, leftovers: impl IntoIterator<Item = RelPath>) {
        for path in leftovers {
            let _ = self.fs.unlink(&path);
        }
    }

    fn intent(&self) -> RelPath {
        self.inside(INTENT_NAME)
    }

    fn staged(&self, n: usize) -> RelPath {
        self.inside(&format!("{STAGED_PREFIX}{n}"))
    }

    fn inside(&self, name: &str) -> RelPath {
        self.home.join(name).expect("invariant: `open` has seen that there is room")
    }
}

/// What a change left in the journal's directory.
#[derive(Debug, Default)]
struct Leftovers {
    intent: bool,
    staged: Vec<RelPath>,
    partials: Vec<RelPath>,
}

/// Removes a name if it is there.
fn remove(fs: &dyn Fs, path: &RelPath) -> Result<(), FsError> {
    match fs.unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
