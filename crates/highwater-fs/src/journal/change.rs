//! Putting a change together, up to its commit point.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::intent::{Intent, Step, TargetFault};
use super::{Journal, JournalError};
use crate::publish::pump;
use crate::{Fs, FsError, Kind, Mode, Op, RelPath, publish};

/// A change that is being put together; [`commit`](Change::commit) makes it happen.
///
/// Each step takes the change and gives it back, so that one that failed cannot be committed.
/// Dropped, or failed, it is forgotten by the next [`Journal::begin`] or [`Journal::recover`].
#[derive(Debug)]
#[must_use]
pub struct Change<'j> {
    journal: &'j Journal<'j>,
    intent: Intent,
}

impl<'j> Change<'j> {
    pub(super) fn new(journal: &'j Journal<'j>) -> Self {
        Self { journal, intent: Intent::new(journal.home.clone()) }
    }

    /// Adds a file to write, replacing what is at `target`; directories are made as needed.
    ///
    /// The content is written and synced at once, beside the journal.
    ///
    /// # Errors
    /// When the target cannot be part of this change, or the content not be read; else what the
    /// disk says.
    pub fn write(mut self, target: &RelPath, mode: Mode, content: impl Read) -> Result<Self, JournalError> {
        self.admit(target)?;
        let fs = self.journal.fs;
        let staged = self.journal.staged(self.intent.steps().len());
        let mut file = fs.create(&staged, mode)?;
        let (mut len, mut sha256) = (0, Sha256::new());
        pump(
            content,
            |source| JournalError::Content { target: target.clone(), source },
            |bytes| {
                sha256.update(bytes);
                len += bytes.len() as u64;
                Ok(file.append(bytes)?)
            },
        )?;
        file.sync()?;
        self.add(Step::Write { target: target.clone(), len, sha256: sha256.finalize().into() })
    }

    /// Adds a file to remove; it may be gone already.
    ///
    /// # Errors
    /// When the target cannot be part of this change; else what the disk says.
    pub fn remove(mut self, target: &RelPath) -> Result<Self, JournalError> {
        self.admit(target)?;
        self.add(Step::Remove { target: target.clone() })
    }

    /// Makes the change happen, in the order in which its files were added.
    ///
    /// When this returns, every file is in place and would survive a power cut.
    ///
    /// # Errors
    /// What the disk says. The next recovery then finishes the change or forgets it, whole; until
    /// it has run no other change can begin.
    pub fn commit(self) -> Result<(), JournalError> {
        if self.intent.steps().is_empty() {
            return Ok(());
        }
        let Journal { fs, home, .. } = self.journal;
        // Before the intent that needs them is there, the contents must be there for good.
        fs.sync_dir(home)?;
        publish(*fs, &self.journal.intent(), &self.intent.render(), Mode::Umask)?;
        self.journal.finish(&self.intent)?;
        self.journal.tidy((0..self.intent.steps().len()).map(|n| self.journal.staged(n)));
        Ok(())
    }

    /// Refuses now what could not be carried out after the commit point.
    fn admit(&mut self, target: &RelPath) -> Result<(), JournalError> {
        let refused = |source| JournalError::Target { target: target.clone(), source };
        self.intent.admit(target).map_err(refused)?;
        match self.journal.fs.stat(target)? {
            Some(stat) if stat.kind != Kind::File => Err(refused(TargetFault::NotAFile)),
            _ => Ok(()),
        }
    }

    fn add(mut self, step: Step) -> Result<Self, JournalError> {
        let target = step.target().clone();
        self.intent.push(step).map_err(|source| JournalError::Target { target, source })?;
        Ok(self)
    }
}

/// The SHA-256 of a file.
pub(super) fn hash(fs: &dyn Fs, path: &RelPath) -> Result<[u8; 32], FsError> {
    let mut sha256 = Sha256::new();
    let failed = |source| FsError::Io { op: Op::Read, path: fs.locate(path), source };
    pump(fs.reader(path)?, failed, |bytes| {
        sha256.update(bytes);
        Ok(())
    })?;
    Ok(sha256.finalize().into())
}
