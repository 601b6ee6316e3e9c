//! Retiring an episode that the receiver has: its directory goes from `episodes/` to `shipped/`, also across file systems. Owns
//! that each step may be killed and made again, and that nothing gets its place that is not what was to be moved.

mod copying;
mod removing;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, RenameFlags, access, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use self::copying::copy_tree;
use self::removing::clear;
pub use self::removing::{AsSent, Cleared};
use super::here::Here;
use super::scan::{check_root, sync_dir};
use crate::archive::{PackError, TreeLimits, content_of, look_at};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

/// Where a copy is made, in `shipped/`, and where what is being removed lies, in either: directories whose names begin with a dot,
/// which no episode's does, so that what a kill left is found without a look at all that was shipped.
const COPYING_DIR: &str = ".copying";
const REMOVING_DIR: &str = ".removing";
/// In the mode of a directory: who owns neither it nor a thing in it moves nothing out of it.
const STICKY_BIT: u32 = 0o1000;

/// Where finished episodes come from and where shipped ones go.
#[derive(Debug, Clone)]
pub struct Shelves {
    /// The directory of what is recorded.
    pub episodes: PathBuf,
    /// The directory of what was shipped.
    pub shipped: PathBuf,
}

/// What retiring came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// It is in `shipped/`, and only there.
    Moved,
    /// It was there already.
    Already,
    /// Another one of that name is there: both are kept.
    Differs {
        /// What the one in `episodes/` holds.
        ours: Sha256Digest,
        /// What the one in `shipped/` holds.
        theirs: Sha256Digest,
    },
}

/// Why it could not be retired.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The disk says no.
    #[error("{} cannot be retired", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// What is removed from a shelf cannot be.
    #[error("{} cannot be removed", path.display())]
    Remove {
        /// What was to be removed.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// What is removed from a shelf is moved to a directory of ours first, and that cannot be used: no episode can be removed there.
    #[error("nothing can be removed by way of {}: it {found}; {next}", path.display())]
    Removing {
        /// That directory.
        path: PathBuf,
        /// What is so of it.
        found: String,
        /// What a person does.
        next: &'static str,
    },
    /// Something is mounted below what is to be removed, and would be removed with it.
    #[error("{} cannot be removed: it is on another mount than the episode that it lies in; unmount it", path.display())]
    Mounted {
        /// Where that begins.
        path: PathBuf,
    },
    /// It changed since it was looked at, and was not removed.
    #[error("{} changed while it was to be removed, and stays", path.display())]
    Edited {
        /// Where it lies.
        path: PathBuf,
    },
    /// A directory that it is moved from, or to, cannot be written by this user: no other episode can be moved either.
    #[error("{} cannot be written", path.display())]
    Shelf {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is to be compared cannot be read.
    #[error("{} cannot be compared", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: PackError,
    },
    /// The copy is not what was copied.
    #[error("the copy of {} differs from it", path.display())]
    Copy {
        /// What was copied.
        path: PathBuf,
    },
    /// Both places are one.
    #[error("{} is the same directory as {}", path.display(), other.display())]
    Same {
        /// Where it is.
        path: PathBuf,
        /// Where it is too.
        other: PathBuf,
    },
    /// What is in its place is no finished episode: it is being recorded, or somebody put something else there.
    #[error("{} is not moved: {found}", path.display())]
    Unfinished {
        /// Where it is.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// It changed while it was copied.
    #[error("{} changed while it was copied to `shipped`", path.display())]
    Changed {
        /// What was copied.
        path: PathBuf,
    },
    /// It is in neither place.
    #[error("{} is gone and was not retired", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
}

impl RetireError {
    /// Whether the file system refuses it, which says nothing of the episode.
    #[must_use]
    pub fn is_of_disk(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Remove { .. }
                | Self::Removing { .. }
                | Self::Mounted { .. }
                | Self::Shelf { .. }
                | Self::Read { source: PackError::Read { .. }, .. }
        )
    }

    /// What it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Remove { path, .. }
            | Self::Removing { path, .. }
            | Self::Mounted { path }
            | Self::Edited { path }
            | Self::Shelf { path, .. }
            | Self::Read { path, .. }
            | Self::Copy { path }
            | Self::Same { path, .. }
            | Self::Unfinished { path, .. }
            | Self::Changed { path }
            | Self::Gone { path } => path,
        }
    }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> RetireError {
    let path = path.to_path_buf();
    move |source| RetireError::Io { path, source }
}

fn unread(dir: &Path) -> impl FnOnce(PackError) -> RetireError {
    let path = dir.to_path_buf();
    move |source| RetireError::Read { path, source }
}

/// What has a name; `None` where nothing has it.
fn found(path: &Path) -> Result<Option<fs::Metadata>, RetireError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

fn there(path: &Path) -> Result<bool, RetireError> {
    Ok(found(path)?.is_some())
}

/// Whether two names lead to one directory.
fn is_one(one: &Path, other: &Path) -> Result<bool, RetireError> {
    let id = |path: &Path| {
        fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).map_err(|error| failed(path)(error))
    };
    Ok(id(one)? == id(other)?)
}

/// What keeps this user from moving a directory out of one that it may write to: it must be able to write to the directory itself, and in a
/// sticky one it must own either. `None` where a look shows nothing.
#[must_use]
pub fn unmovable(dir: &Path) -> Option<RetireError> {
    let refused = |errno: Errno| failed(dir)(errno.into());
    if let Err(errno) = access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        return Some(refused(errno));
    }
    let me = geteuid();
    let (own, above) = (fs::symlink_metadata(dir).ok()?, fs::metadata(dir.parent()?).ok()?);
    let is_anothers = above.mode() & STICKY_BIT != 0 && ![own.uid(), above.uid()].contains(&me.as_raw());
    (is_anothers && !me.is_root()).then(|| refused(Errno::PERM))
}

impl Shelves {
    /// The first of these directories that this user cannot write.
    #[must_use]
    pub fn unwritable(&self) -> Option<RetireError> {
        let (removing, copying) = (self.episodes.join(REMOVING_DIR), self.shipped.join(COPYING_DIR));
        [&self.episodes, &self.shipped, &removing, &copying].into_iter().find_map(|dir| {
            match access(dir, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) | Err(Errno::NOENT) => None,
                Err(errno) => Some(RetireError::Shelf { path: dir.clone(), source: errno.into() }),
            }
        })
    }

    fn from(&self, episode: &EpisodeId) -> PathBuf {
        self.episodes.join(episode.as_str())
    }

    fn to(&self, episode: &EpisodeId) -> PathBuf {
        self.shipped.join(episode.as_str())
    }

    /// Whether an episode was retired: it is in `shipped/` and no longer in `episodes/`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn is_retired(&self, episode: &EpisodeId) -> Result<bool, RetireError> {
        Ok(!there(&self.from(episode))? && there(&self.to(episode))?)
    }

    /// Retires an episode; called again after a kill, it goes on where it was.
    ///
    /// # Errors
    /// What the disk says. The episode is then in `episodes/`, or in both.
    pub fn retire(&self, episode: &EpisodeId) -> Result<Retired, RetireError> {
        let (from, to) = (self.from(episode), self.to(episode));
        match (there(&from)?, there(&to)?) {
            (false, true) => {
                self.tidy(episode);
                // The kill may have come before these.
                self.sync(&to)?;
                Ok(Retired::Already)
            }
            (false, false) => Err(RetireError::Gone { path: from }),
            (true, true) => {
                if is_one(&from, &to)? {
                    return Err(RetireError::Same { path: from, other: to });
                }
                self.finished(episode)?;
                let before = look_at(&from, episode, TreeLimits::default()).map_err(unread(&from))?;
                let (ours, theirs) = (self.content(&from, episode)?, self.content(&to, episode)?);
                if ours == theirs {
                    // The kill may have come before its name there was durable, on another disk than this one's.
                    sync_dir(&self.shipped).map_err(failed(&to))?;
                    self.remove_as(episode, &before)?;
                    Ok(Retired::Moved)
                } else {
                    Ok(Retired::Differs { ours, theirs })
                }
            }
            (true, false) => {
                self.finished(episode)?;
                match renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, &to, RenameFlags::NOREPLACE) {
                    Ok(()) => self.sync(&to)?,
                    Err(Errno::XDEV) => {
                        let before = look_at(&from, episode, TreeLimits::default()).map_err(unread(&from))?;
                        self.copy(&from, &to, episode)?;
                        self.remove_as(episode, &before)?;
                    }
                    Err(errno) => return Err(failed(&from)(errno.into())),
                }
                Ok(Retired::Moved)
            }
        }
    }

    /// Whether an episode's directory is in `shipped/`.
    ///
    /// # Errors
    /// What the disk says: it may be there.
    pub fn is_shipped(&self, episode: &EpisodeId) -> Result<bool, RetireError> {
        Ok(found(&self.to(episode))?.is_some_and(|metadata| metadata.is_dir()))
    }

    /// Whether any episode's directory is in `shipped/`.
    #[must_use]
    pub fn has_shipped(&self) -> bool {
        has_episodes(&self.shipped)
    }

    /// Whether something has its name in `episodes/`.
    ///
    /// # Errors
    /// What the disk says: it may have.
    pub fn is_recorded(&self, episode: &EpisodeId) -> Result<bool, RetireError> {
        there(&self.from(episode))
    }

    /// Whether a finished episode is still in its place.
    fn finished(&self, episode: &EpisodeId) -> Result<(), RetireError> {
        match self.here(episode)? {
            Here::Finished(_) => Ok(()),
            other => Err(RetireError::Unfinished { path: self.from(episode), found: other.told() }),
        }
    }

    fn content(&self, dir: &Path, episode: &EpisodeId) -> Result<Sha256Digest, RetireError> {
        content_of(dir, episode, TreeLimits::default()).map(|content| content.content_sha256).map_err(unread(dir))
    }

    fn sync(&self, to: &Path) -> Result<(), RetireError> {
        sync_dir(&self.shipped).map_err(failed(to))?;
        sync_dir(&self.episodes).map_err(failed(&self.episodes))
    }

    /// Copies to another file system, and compares before it gets its name. What comes to nothing leaves nothing: it may have taken the
    /// last of the disk.
    fn copy(&self, from: &Path, to: &Path, episode: &EpisodeId) -> Result<(), RetireError> {
        let copying = own_dir(&self.shipped, COPYING_DIR)?.join(episode.as_str());
        clear(&copying)?;
        let copied = self.copy_as(from, &copying, to, episode);
        if copied.is_err() {
            clear(&copying)?;
        }
        copied
    }

    fn copy_as(&self, from: &Path, copying: &Path, to: &Path, episode: &EpisodeId) -> Result<(), RetireError> {
        copy_tree(from, copying, 0)?;
        if self.content(from, episode)? != self.content(copying, episode)? {
            return Err(RetireError::Copy { path: from.to_path_buf() });
        }
        renameat_with(rustix::fs::CWD, copying, rustix::fs::CWD, to, RenameFlags::NOREPLACE)
            .map_err(|errno| failed(to)(errno.into()))?;
        sync_dir(&self.shipped).map_err(failed(to))
    }
}

/// Whether a shelf has a directory that may be an episode's.
pub(super) fn has_episodes(shelf: &Path) -> bool {
    let is_one = |entry: &fs::DirEntry| {
        !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    fs::read_dir(shelf).is_ok_and(|entries| entries.flatten().any(|entry| is_one(&entry)))
}

/// A directory of ours on a shelf, made where it is not there; what a symlink leads to is none.
fn own_dir(shelf: &Path, name: &str) -> Result<PathBuf, RetireError> {
    let dir = shelf.join(name);
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(&dir)(error)),
        _ => {}
    }
    check_root(&dir).map_err(|error| failed(&dir)(io::Error::other(error)))?;
    Ok(dir)
}
