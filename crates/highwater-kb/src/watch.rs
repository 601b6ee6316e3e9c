//! Directories that are watched: which documents appeared or changed in them and have come to rest. Owns that; what becomes of a
//! document is the addition's.
//!
//! The kernel's word that something happened is a hint and nothing more: the directory it names is looked at again, and what is
//! there is compared with what was there. So a lost event, a directory that was moved, a network file system that tells nothing and
//! a start after an hour away are all one case, and a look at everything finds what nobody told of.

mod hints;
#[cfg(target_os = "linux")]
mod kernel;
mod look;
mod rest;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use hints::{Hint, Hints, WATCHED_DIRS_MAX};

use crate::add::scan::ScanError;
use look::{Look, State};
use rest::Resting;

/// How long a file must have been left alone before it is added, in seconds, where nothing else is said.
pub const SETTLE_SECS: u64 = 2;
/// How often everything is looked at in any case, in seconds, where nothing else is said.
pub const RESCAN_SECS: u64 = 300;

/// What a look came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Documents that are new, or others than before, and have come to rest.
    pub ready: Vec<PathBuf>,
    /// Documents that were there before.
    pub gone: Vec<PathBuf>,
    /// What was named and is not there now.
    pub missing: Vec<PathBuf>,
    /// How long until something may have come to rest; `None` where nothing is on its way.
    pub again: Option<Duration>,
}

/// Files and directories that are watched.
#[derive(Debug)]
pub struct Watched {
    named: Vec<PathBuf>,
    base: PathBuf,
    settle: Duration,
    /// What was handed over, as it was then.
    known: HashMap<PathBuf, State>,
    resting: Resting,
}

impl Watched {
    /// Watches what was named for the base in this directory. The first look finds everything new.
    ///
    /// # Errors
    /// When what was named is not there.
    pub fn new(named: &[PathBuf], base: &Path, settle: Duration) -> Result<Self, ScanError> {
        let mut all = Vec::with_capacity(named.len());
        for path in named {
            let failed = |source| ScanError { path: path.clone(), source };
            let absolute = std::path::absolute(path).map_err(failed)?;
            absolute.metadata().map_err(failed)?;
            all.push(absolute);
        }
        Ok(Self { named: all, base: base.to_owned(), settle, known: HashMap::new(), resting: Resting::default() })
    }

    /// Looks at everything; whatever is watched from then on tells of itself. `now` is time since some beginning.
    pub fn look(&mut self, hints: Option<&Hints>, now: Duration) -> Seen {
        let base = self.base.clone();
        let mut look = Look::new(&base, hints);
        self.named.iter().for_each(|named| look.deep(named));
        self.seen(look, now)
    }

    /// Looks at these directories alone, and at what is on its way.
    pub fn look_at(&mut self, directories: &BTreeSet<PathBuf>, hints: Option<&Hints>, now: Duration) -> Seen {
        let base = self.base.clone();
        let mut look = Look::new(&base, hints);
        for directory in directories {
            for named in self.named.iter().filter(|named| named.parent() == Some(directory)) {
                look.deep(named);
            }
            if self.named.iter().any(|named| directory.starts_with(named)) {
                look.shallow(directory);
            }
        }
        self.seen(look, now)
    }

    fn seen(&mut self, look: Look<'_>, now: Duration) -> Seen {
        let mut seen = Seen::default();
        for (file, state) in &look.files {
            match self.known.get(file) == Some(state) {
                true => self.resting.forget(file),
                false => self.resting.note(file, *state, now),
            }
        }
        // What is on its way is looked at wherever it lies.
        for (file, noted) in self.resting.files() {
            match State::at(&file) {
                None => self.resting.forget(&file),
                Some(state) if state != noted => self.resting.note(&file, state, now),
                Some(_) => {}
            }
        }
        for (file, state) in self.resting.rested(now, self.settle) {
            self.known.insert(file.clone(), state);
            seen.ready.push(file);
        }
        seen.ready.sort_unstable();
        seen.missing = self.named.iter().filter(|named| look.missing.contains(*named)).cloned().collect();
        let is_hidden = |file: &Path| seen.missing.iter().any(|missing| file.starts_with(missing));
        let went = self.known.keys().filter(|file| look.lacks(file) && !is_hidden(file));
        seen.gone = went.cloned().collect();
        seen.gone.sort_unstable();
        for file in &seen.gone {
            self.known.remove(file);
        }
        seen.again = self.resting.next(now, self.settle);
        seen
    }
}

#[cfg(test)]
mod tests;
