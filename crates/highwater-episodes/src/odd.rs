//! What lies where a file or a directory of ours belongs, and is none: a directory, a symlink, a pipe. Owns what a person is told of it.
//!
//! Nothing here makes, follows or removes such a thing, and nothing is concluded from it: what belongs there is neither there nor gone.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use highwater_engine::shell::quoted_path;
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
    /// What belongs there holds rows, or what was withdrawn: who moves the odd thing away without putting that back loses it.
    pub rows: Option<Rows>,
}

/// Where the file is that belongs in the place of an odd thing, and holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// The odd thing is a symlink that leads to it.
    Behind(PathBuf),
    /// The odd thing is a symlink that leads there, where nothing is.
    Nowhere(PathBuf),
    /// Nobody knows.
    Unknown,
}

impl Rows {
    fn behind(path: &Path) -> Self {
        let Ok(leads_to) = std::fs::read_link(path) else { return Self::Unknown };
        match std::fs::canonicalize(path) {
            Ok(file) if file.is_file() => Self::Behind(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::Nowhere(path.parent().unwrap_or(Path::new("")).join(leads_to))
            }
            _ => Self::Unknown,
        }
    }
}

impl Odd {
    /// Refuses what is no file in the place of one; a symlink is what it leads to, and nothing may be there.
    pub(crate) fn is_none_in_place_of(path: &Path) -> Result<(), Self> {
        let found = match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Kind::Dir,
            Ok(meta) if !meta.is_file() => Kind::Other,
            // What cannot be looked at is told of by who opens it.
            _ => return Ok(()),
        };
        Err(Self { path: path.to_path_buf(), found, belongs: Kind::File, rows: None })
    }

    /// The same in the place of rows.
    pub(crate) fn is_none_at(path: &Path) -> Result<(), Self> {
        Self::is_none_in_place_of(path).map_err(|odd| Self { rows: Some(Rows::behind(path)), ..odd })
    }

    /// A symlink in the place of rows: whoever reads them follows it, and no receiver starts.
    #[must_use]
    pub fn in_place_of_rows(path: &Path) -> Option<Self> {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
        let rows = || Some(Rows::behind(path));
        is_link.then(|| Self { path: path.to_path_buf(), found: Kind::Symlink, belongs: Kind::File, rows: rows() })
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
        Some(Self { path: path.to_path_buf(), found, belongs: Kind::Dir, rows: None })
    }

    /// Refuses what is no file, a symlink too, in the place of rows.
    pub(crate) fn is_none_of(fs: &dyn Fs, path: &RelPath, stat: &Stat) -> Result<(), Self> {
        if stat.kind == Kind::File {
            return Ok(());
        }
        let path = fs.locate(path);
        let rows = Some(Rows::behind(&path));
        Err(Self { path, found: stat.kind, belongs: Kind::File, rows })
    }

    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        let place = quoted_path(&self.path);
        match &self.rows {
            None => format!("move {place} away, out of the receiver's directory"),
            Some(Rows::Unknown) => format!(
                "move {place} away, out of the receiver's directory, and put back the file that belongs there, if it ever was: without it \
                 what was withdrawn can be received again"
            ),
            // By another name first: a receiver that runs would take what is half copied for a torn file.
            Some(Rows::Behind(file)) => {
                let mut copy = self.path.clone().into_os_string();
                copy.push(".new");
                let copy = quoted_path(Path::new(&copy));
                format!(
                    "put the file that it leads to in its place, for what was withdrawn is told in it: \
                     `cp -p -- {} {copy} && mv -- {copy} {place}`",
                    quoted_path(file)
                )
            }
            Some(Rows::Nowhere(file)) => format!(
                "mount what {0} lies on, to which it leads and where nothing is, and put that file in the place of {place}; where it is \
                 lost, move the link away: `highwater reindex` makes rows anew, and what was withdrawn can be received again",
                quoted_path(file)
            ),
        }
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
