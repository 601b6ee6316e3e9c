//! The directory in which archives lie aside, as a place. Owns what keeps an archive from being set aside there, and what mends that: it
//! holds up one episode, and no other.

use std::io;
use std::path::PathBuf;

use highwater_engine::shell::quoted_path;
use highwater_fs::{Fs as _, FsError, Kind, Mode, RelPath, ensure_dir};
use rustix::fs::{Access, access};

use super::{Outbox, OutboxError};
use crate::index::is_full;

/// Where archives are set aside.
pub(super) const ASIDE_DIR: &str = ".review";
/// Most archives of one name that are set aside.
pub(super) const ASIDE_NAMES_MAX: u32 = 1_000;

/// Why an archive cannot be set aside.
#[derive(Debug, thiserror::Error)]
pub enum AsideFault {
    /// Something else has the directory's name.
    #[error("{} is {kind}, expected a directory of the outbox", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// What is moved there would have to be copied.
    #[error("{} lies on another file system than the outbox", path.display())]
    Elsewhere {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing can be written there.
    #[error("nothing can be written to {}", path.display())]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// As many of one name lie there as may.
    #[error("{} holds {ASIDE_NAMES_MAX} archives of this name", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
    },
}

impl AsideFault {
    /// What mends it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::NoDirectory { path, .. } => format!(
                "move it away: `mv -n {} {}`; the next pass makes the directory",
                quoted_path(path),
                quoted_path(&path.with_extension("old"))
            ),
            Self::Elsewhere { path } => format!(
                "an archive is renamed to be set aside, and never copied: `umount {0}`, or move what is mounted there away, so that it is a \
                 directory of the outbox's own file system",
                quoted_path(path)
            ),
            Self::Unwritable { path, source } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                format!("mount it to write: `mount -o remount,rw {}`, or unmount it", quoted_path(path))
            }
            Self::Unwritable { path, .. } => {
                format!("let the user of the shipper write it: `chmod u+rwx {}`", quoted_path(path))
            }
            Self::Full { .. } => {
                "send or remove what lies there of this name: `highwater episodes resolve` says how each is sent"
                    .to_owned()
            }
        }
    }
}

impl Outbox {
    /// What keeps archives from being set aside, as far as a look shows; makes nothing.
    ///
    /// # Errors
    /// What the disk says.
    pub fn aside_fault(&self) -> Result<Option<AsideFault>, OutboxError> {
        let dir = RelPath::new(ASIDE_DIR)?;
        let path = self.fs.locate(&dir);
        let (Some(stat), here) = (self.fs.stat(&dir)?, self.fs.stat(&RelPath::root())?) else { return Ok(None) };
        let kind = match stat.kind {
            Kind::Dir if here.is_some_and(|here| here.id.device != stat.id.device) => {
                return Ok(Some(AsideFault::Elsewhere { path }));
            }
            Kind::Dir => {
                let may = |path| access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
                // Who may not write the outbox itself is told of that.
                return Ok(match may(&path) {
                    Err(errno) if may(&self.dir).is_ok() => Some(AsideFault::Unwritable { path, source: errno.into() }),
                    _ => None,
                });
            }
            Kind::Symlink => "a symlink",
            Kind::File => "a file",
            _ => "no directory",
        };
        Ok(Some(AsideFault::NoDirectory { path, kind }))
    }

    /// The directory, made where it is not there.
    pub(super) fn aside_dir(&self) -> Result<RelPath, OutboxError> {
        if let Some(fault) = self.aside_fault()? {
            return Err(fault.into());
        }
        let dir = RelPath::new(ASIDE_DIR)?;
        ensure_dir(&self.fs, &dir, Mode::Umask).map_err(|error| self.unset(error))?;
        Ok(dir)
    }

    /// Why something could not be done in the directory.
    pub(super) fn unset(&self, error: FsError) -> OutboxError {
        let path = self.dir.join(ASIDE_DIR);
        match error.kind() {
            _ if is_full(&error) => error.into(),
            io::ErrorKind::CrossesDevices => AsideFault::Elsewhere { path }.into(),
            kind => AsideFault::Unwritable { path, source: io::Error::new(kind, error) }.into(),
        }
    }
}

impl From<AsideFault> for OutboxError {
    fn from(fault: AsideFault) -> Self {
        Self::Aside(Box::new(fault))
    }
}
