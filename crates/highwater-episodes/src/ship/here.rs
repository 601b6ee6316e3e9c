//! What is in the place of an episode's directory. Owns when one counts as finished, how a directory is known again, and what became of
//! one since it was packed; moving and removing it is of who retires.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::holds::Holds;
use super::outbox::Parcel;
use super::retire::{RetireError, Shelves, failed};
use super::scan::MARKER;
use crate::archive::{TreeLimits, content_of, look_at};
use crate::name::EpisodeId;

/// Which directory it is: another one that is made under its name is another one.
///
/// The device does not count: it may have another number after a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its inode; its number alone is soon given to another.
    inode: u64,
    /// When it was made, in nanoseconds since 1970, where the file system says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born_nanos: Option<u64>,
}

impl Root {
    fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self {
            inode: metadata.ino(),
            born_nanos: born.and_then(|born| u64::try_from(born.as_nanos()).ok()).filter(|nanos| *nanos > 0),
        }
    }

    /// Whether this is the directory that was noted. What nothing shows is another one.
    #[must_use]
    pub fn is(self, noted: Option<Self>) -> bool {
        self.born_nanos.is_some() && noted == Some(self)
    }
}

/// What is in the place of an episode's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// Nothing.
    Nothing,
    /// A finished episode.
    Finished(Root),
    /// A directory without the marker: it is being recorded, and nobody's but the recorder's.
    Recording(Root),
    /// A file, a symlink or another thing that is no directory.
    Odd(&'static str),
}

impl Here {
    /// Looks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn at(dir: &Path) -> io::Result<Self> {
        let metadata = match fs::symlink_metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        if !metadata.is_dir() {
            return Ok(Self::Odd(if metadata.is_symlink() { "a symlink" } else { "no directory" }));
        }
        let root = Root::of(&metadata);
        match fs::symlink_metadata(dir.join(MARKER)) {
            Ok(marker) if marker.is_file() => Ok(Self::Finished(root)),
            Ok(_) => Ok(Self::Recording(root)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                // It may have gone between the two looks.
                Ok(if dir.is_dir() { Self::Recording(root) } else { Self::Nothing })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it is a finished episode.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Finished(_))
    }

    /// Whether it is the directory of this archive, in which somebody goes on recording.
    #[must_use]
    pub fn is_reopened(self, parcel: &Parcel) -> bool {
        matches!(self, Self::Recording(root) if root.is(parcel.root))
    }

    /// Whether it is something that is no directory.
    #[must_use]
    pub fn is_odd(self) -> bool {
        matches!(self, Self::Odd(_))
    }

    /// What a person is told of it.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::Nothing => "its directory is gone".to_owned(),
            Self::Finished(_) => "another finished directory has its name".to_owned(),
            Self::Recording(_) => format!("a directory without `{MARKER}` has its name: it is being recorded"),
            Self::Odd(kind) => format!("what has the name of its directory is {kind}"),
        }
    }
}

/// How an episode is since it was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SincePacked {
    /// As it was.
    Same,
    /// It was touched, or copied, and holds what it held: how it is now.
    Touched(Holds, Root),
    /// Somebody edited it: the same directory, with other content.
    Edited,
    /// Another finished directory has its name.
    Another,
    /// Its directory has no marker any more: somebody goes on recording.
    Reopened,
    /// It is gone, or something else that is no finished episode has its name.
    Away(Here),
}

impl Shelves {
    /// What is in the place of an episode's directory.
    ///
    /// # Errors
    /// What the disk says.
    pub fn here(&self, episode: &EpisodeId) -> Result<Here, RetireError> {
        let dir = self.episodes.join(episode.as_str());
        Here::at(&dir).map_err(failed(&dir))
    }

    /// Whether an episode's finished directory looks otherwise than when it was packed, or cannot be looked at. What is not there does not.
    #[must_use]
    pub fn looks_changed(&self, episode: &EpisodeId, parcel: &Parcel) -> bool {
        let packed = parcel.holds.unwrap_or_default();
        let from = self.episodes.join(episode.as_str());
        self.here(episode).is_ok_and(Here::is_finished)
            && !look_at(&from, episode, TreeLimits::default()).is_ok_and(|now| packed.is_still(&now))
    }

    /// What became of an episode's directory since it was packed. Its files are read only where a look does not show that they are as they
    /// were.
    ///
    /// # Errors
    /// What the disk says of where it lies. One that cannot be read is not what was packed.
    pub fn since_packed(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<SincePacked, RetireError> {
        let from = self.episodes.join(episode.as_str());
        let root = match self.here(episode)? {
            Here::Finished(root) => root,
            here if here.is_reopened(parcel) => return Ok(SincePacked::Reopened),
            here => return Ok(SincePacked::Away(here)),
        };
        let packed = parcel.holds.unwrap_or_default();
        if look_at(&from, episode, TreeLimits::default()).is_ok_and(|now| packed.is_still(&now)) {
            let is_noted = parcel.root == Some(root);
            return Ok(if is_noted { SincePacked::Same } else { SincePacked::Touched(packed, root) });
        }
        match content_of(&from, episode, TreeLimits::default()) {
            Ok(now) if now.content_sha256 == parcel.content_sha256 => Ok(SincePacked::Touched(Holds::of(&now), root)),
            read => match self.here(episode)? {
                Here::Finished(now) if now == root => {
                    Ok(if root.is(parcel.root) { SincePacked::Edited } else { SincePacked::Another })
                }
                Here::Finished(_) => Ok(SincePacked::Another),
                here if read.is_ok() && here.is_reopened(parcel) => Ok(SincePacked::Reopened),
                here => Ok(SincePacked::Away(here)),
            },
        }
    }
}
