//! Which knowledge base a command is about: the one that is named, else the nearest above the working directory. Owns how it is found,
//! and how the base lock is waited for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::diagnosis::Diagnosis;
use highwater_kb::add::{LOCK_LOOK_MS, LOCK_WAIT_SECS};
use highwater_kb::{Base, BaseLock, Directory, Generation, Home, KbError, Snapshot};

use super::typed::about;
use super::{BUSY, NO_BASE};
use crate::wiring::kb::{is_base, root};

/// A base.
pub(super) struct Place {
    /// Its directory, from `/` on.
    pub(super) root: PathBuf,
    /// As it was named.
    named: Option<PathBuf>,
    pub(super) clock: SystemClock,
}

impl Place {
    /// The base that is named, else the nearest one at or above the working directory.
    ///
    /// # Errors
    /// A refusal where there is none, or it is another user's.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Diagnosis> {
        let found = match named {
            Some(named) => Some(named.to_owned()),
            None => {
                let working = std::env::current_dir().unwrap_or_default();
                working.ancestors().find(|above| is_base(above)).map(Path::to_owned)
            }
        };
        let found = found.ok_or_else(|| {
            Diagnosis::refusal(
                NO_BASE,
                "there is no knowledge base here, nor in a directory above",
                "name it: `--kb DIR`; or make one: `highwater kb init DIR`",
            )
        })?;
        Ok(Self { root: root(&found)?, named: named.map(Path::to_owned), clock: SystemClock::new() })
    }

    /// What is told, with each command about this base from where it was called.
    pub(super) fn told_here(&self, told: &str) -> String {
        about(told, self.named.as_deref())
    }

    /// Its files.
    ///
    /// # Errors
    /// When the directory cannot be entered.
    pub(super) fn home(&self) -> Result<Arc<dyn Home>, Diagnosis> {
        Ok(Arc::new(Directory::open(&self.root).map_err(|error| self.failed(&KbError::from(error)))?))
    }

    /// A reader of its newest generation.
    ///
    /// # Errors
    /// What its rows say.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Diagnosis> {
        Snapshot::open(self.home()?).map_err(|error| self.failed(&error))
    }

    /// Opens it to change it, under its lock. What is committed and was not written to `wiki/` and `raw/` yet is written first, also by one
    /// who is refused then.
    ///
    /// # Errors
    /// What its rows say, a lock that another has for long, and what cannot be written still.
    pub(super) async fn locked(&self) -> Result<(Base, BaseLock), Diagnosis> {
        let (base, lock, _) = self.caught_up().await?;
        Ok((base, lock))
    }

    /// The same, with the generation that was written only now: who calls again what was told as committed may have asked for that one.
    ///
    /// # Errors
    /// As [`Place::locked`].
    pub(super) async fn caught_up(&self) -> Result<(Base, BaseLock, Option<Generation>), Diagnosis> {
        let (mut base, lock) = self.opened().await?;
        let late = match base.finish(&lock).map_err(|error| self.failed(&error))? {
            Some(_) => base.head().map_err(|error| self.failed(&error))?,
            None => None,
        };
        Ok((base, lock, late))
    }

    /// Opens it under its lock, as it was left.
    ///
    /// # Errors
    /// What its rows say, and a lock that another has for long.
    pub(super) async fn opened(&self) -> Result<(Base, BaseLock), Diagnosis> {
        let home = self.home()?;
        let lock = self.lock(&*home).await?;
        let base = Base::open(home, self.clock.now()).map_err(|error| self.failed(&error))?;
        Ok((base, lock))
    }

    /// Its lock.
    ///
    /// # Errors
    /// Where another has it for long.
    pub(super) async fn lock(&self, home: &dyn Home) -> Result<BaseLock, Diagnosis> {
        for _ in 0..LOCK_WAIT_SECS * 1000 / LOCK_LOOK_MS {
            match home.try_lock() {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) => self.clock.sleep(Duration::from_millis(LOCK_LOOK_MS)).await,
                Err(error) => return Err(self.failed(&KbError::io("be locked")(error))),
            }
        }
        let message = format!("another change of it has held its lock for {LOCK_WAIT_SECS} s");
        Err(Diagnosis::failure(BUSY, message, "let that one end, and call again").in_file(&self.root))
    }

    /// What went wrong in it, for people.
    pub(super) fn failed(&self, error: &KbError) -> Diagnosis {
        highwater_kb::add::diagnosis(error).in_file(&self.root)
    }
}
