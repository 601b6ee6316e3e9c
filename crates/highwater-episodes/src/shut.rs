//! A file or a directory of a store that cannot be read while those beside it can. Owns which errors say so, and what a person is told.
//!
//! Nothing is concluded from it: what it holds is neither there nor gone.

use std::io;
use std::path::PathBuf;

use highwater_engine::shell::quoted_path;
use rustix::io::Errno;

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be read: {why}", .path.display())]
pub struct Shut {
    /// Where it lies.
    pub path: PathBuf,
    /// What the system said.
    pub why: String,
    is_refused: bool,
}

impl Shut {
    /// What keeps this one from being read, where the error may be of it alone: it is not this user's to read, or its blocks cannot be had.
    pub(crate) fn of(path: PathBuf, source: &io::Error) -> Option<Self> {
        let is_refused = source.kind() == io::ErrorKind::PermissionDenied;
        let is_of_one = is_refused || source.raw_os_error() == Some(Errno::IO.raw_os_error());
        is_of_one.then(|| Self { path, why: source.to_string(), is_refused })
    }

    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        let path = quoted_path(&self.path);
        match self.is_refused {
            true => format!("let this user read {path} (`chown`, `chmod u+rX`)"),
            false => format!("check the disk of {path}"),
        }
    }
}
