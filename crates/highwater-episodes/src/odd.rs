//! What lies where a file or a directory of ours belongs, and is none: a directory, a symlink, a pipe. Owns what a person is told of it.
//!
//! Nothing here makes, follows or removes such a thing, and nothing is concluded from it: what belongs there is neither there nor gone.

use std::error::Error;
use std::path::{Path, PathBuf};

use highwater_engine::shell::quoted;
use highwater_fs::{Fs, Kind, RelPath, Stat};

use crate::shut::Shut;

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {found}, where {belongs} belongs", .path.display())]
pub struct Odd {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub found: Kind,
    /// What belongs there.
    pub belongs: Kind,
}

impl Odd {
    /// Refuses what is no file in the place of one; a symlink is what it leads to, and nothing may be there.
    pub(crate) fn is_none_at(path: &Path) -> Result<(), Self> {
        let found = match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Kind::Dir,
            Ok(meta) if !meta.is_file() => Kind::Other,
            // What cannot be looked at is told of by who opens it.
            _ => return Ok(()),
        };
        Err(Self { path: path.to_path_buf(), found, belongs: Kind::File })
    }

    /// What has a directory's place and is none, a symlink too.
    #[must_use]
    pub fn in_place_of_dir(path: &Path) -> Option<Self> {
        // What cannot be looked at is told of by who enters it.
        let kind = std::fs::symlink_metadata(path).ok()?.file_type();
        let found = match kind {
            kind if kind.is_dir() => return None,
            kind if kind.is_symlink() => Kind::Symlink,
            kind if kind.is_file() => Kind::File,
            _ => Kind::Other,
        };
        Some(Self { path: path.to_path_buf(), found, belongs: Kind::Dir })
    }

    /// Refuses what is no file, a symlink too, in the place of one.
    pub(crate) fn is_none_of(fs: &dyn Fs, path: &RelPath, stat: &Stat) -> Result<(), Self> {
        if stat.kind == Kind::File {
            return Ok(());
        }
        Err(Self { path: fs.locate(path), found: stat.kind, belongs: Kind::File })
    }

    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        format!("move {} away, out of the receiver's directory", quoted(&self.path.display().to_string()))
    }

    /// The one that an error comes of, where it does.
    #[must_use]
    pub fn of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
            .find_map(|error| error.downcast_ref())
    }

    /// What a person does about an error: what is to be done about the odd thing that it comes of, or about one that cannot be
    /// read, else what is said here.
    #[must_use]
    pub fn next_of(error: &(dyn Error + 'static), otherwise: impl Into<String>) -> String {
        let shut = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source())
            .find_map(|error| error.downcast_ref::<Shut>());
        match (Self::of(error), shut) {
            (Some(odd), _) => odd.next(),
            (None, Some(shut)) => shut.next(),
            (None, None) => otherwise.into(),
        }
    }
}
