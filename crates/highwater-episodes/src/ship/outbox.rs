//! The outbox: finished episodes as the archives that are sent. Owns that an episode is packed once and every retry sends those
//! very bytes, and which episodes are parked until a person or newer code lets them go on. How an archive leaves is the door's.

mod door;
mod lying;
mod note;
mod own;
mod owner;
mod review;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use highwater_engine::diagnosis::with_causes;
use highwater_fs::{
    ConfineError, FileId, Fs, FsError, Kind, Mode, RealFs, RelPath, Staged, collect_stale, ensure_dir, publish,
};
use jiff::Timestamp;
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use super::here::Here;
use super::holds::Holds;
use super::keep::Shelf;
use super::settled::settled;
use crate::archive::meta::recorded_commit;
use crate::archive::{PackError, Packer};
use crate::name::EpisodeId;

use lying::Noted;
use note::Sending;
use own::Own;

pub use door::Aside;
pub use lying::Lying;
pub use note::{Parcel, Parked, Parking};
pub use own::{Stray, strays};
pub(super) use owner::OWNER_NOTE;
pub use owner::Theirs;
pub use review::AsideFault;

/// How an archive's name ends.
const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// What is known of each archive, and why each parked episode is: a file an episode, apart from the archives, so that no name of
/// an episode can be another's.
const PACKED_DIR: &str = ".packed";
const PARKED_DIR: &str = ".parked";
/// Where the upload of each is that goes on after a break.
const SENDING_DIR: &str = ".sending";
/// Largest of those files, in bytes.
pub(super) const NOTE_BYTES_MAX: u64 = 2 << 20;
/// How much of an archive is read at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// How far `shipped/` was gone through for what need not stay.
pub(super) const SHELF_NOTE: &str = ".shelf.json";

/// Why the outbox failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk says no.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An archive cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// This user cannot make a file in the outbox: no episode can be packed.
    #[error("{} cannot be written", path.display())]
    Shut {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The episode cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A name cannot be one of a file.
    #[error(transparent)]
    Name(#[from] ConfineError),
    /// What the outbox keeps for itself is not as it should be.
    #[error(transparent)]
    Stray(Box<Stray>),
    /// What has its name in the outbox must make room, and cannot be set aside.
    #[error("the archive that has its name in the outbox cannot be set aside")]
    Aside(#[source] Box<AsideFault>),
}

impl OutboxError {
    /// Whether it is of one episode alone: a directory lies where a file of its own would, or what has its name cannot make room.
    #[must_use]
    pub fn is_odd(&self) -> bool {
        match self {
            Self::Read { source, .. } => is_odd(source.kind()),
            Self::Fs(error) => is_odd(error.kind()),
            Self::Aside(_) => true,
            Self::Shut { .. } | Self::Pack(_) | Self::Name(_) | Self::Stray(_) => false,
        }
    }

    /// What is told of one that holds up its own episode alone, with what mends it.
    #[must_use]
    pub fn told_odd(&self) -> String {
        match self {
            Self::Aside(fault) => format!("{}; {}", with_causes(self), fault.next()),
            _ => format!(
                "{}: something in the outbox has its name and is none of its archives; move it away",
                with_causes(self)
            ),
        }
    }
}

fn is_odd(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory)
}

/// What packing came to.
#[derive(Debug)]
pub struct Packed {
    /// The new archive.
    pub parcel: Parcel,
    /// Where the one lies now that had its name, where that may be the only copy of what it holds.
    pub aside: Option<PathBuf>,
}

/// The outbox of one host.
pub struct Outbox {
    fs: RealFs,
    dir: PathBuf,
    /// Which file was read under an archive's name, or put there, last: what another file holds is not known by its note.
    known: Mutex<HashMap<EpisodeId, FileId>>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Opens the outbox in a directory that is there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(dir: &Path) -> Result<Self, OutboxError> {
        let outbox = Self { fs: RealFs::open(dir)?, dir: dir.to_path_buf(), known: Mutex::default() };
        for own in [Own::Packed, Own::Parked, Own::Sending] {
            let made = ensure_dir(&outbox.fs, &RelPath::new(own.name())?, Mode::Umask);
            outbox.unless_stray(own, made.map_err(OutboxError::from))?;
        }
        Ok(outbox)
    }

    /// The outbox as it is, to be looked at; `None` where there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn look(dir: &Path) -> Result<Option<Self>, OutboxError> {
        match RealFs::open(dir) {
            Ok(fs) => Ok(Some(Self { fs, dir: dir.to_path_buf(), known: Mutex::default() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What keeps this user from making files in the outbox itself.
    pub(super) fn shut(&self) -> Option<OutboxError> {
        let errno = access(&self.dir, Access::WRITE_OK | Access::EXEC_OK).err()?;
        Some(OutboxError::Shut { path: self.dir.clone(), source: errno.into() })
    }

    /// Where an episode's archive lies.
    #[must_use]
    pub fn archive(&self, episode: &EpisodeId) -> PathBuf {
        self.dir.join(archive_name(episode))
    }

    /// Removes what a kill left half written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn tidy(&self) -> Result<(), OutboxError> {
        collect_stale(&self.fs, &RelPath::root())?;
        for own in [Own::Packed, Own::Parked, Own::Sending] {
            let tidied = collect_stale(&self.fs, &RelPath::new(own.name())?);
            self.unless_stray(own, tidied.map_err(OutboxError::from))?;
        }
        self.tidy_aside()
    }

    /// What is noted of the archive that has an episode's name; whether it is whole is not looked at.
    ///
    /// # Errors
    /// What the disk says.
    pub fn noted(&self, episode: &EpisodeId) -> Result<Option<Parcel>, OutboxError> {
        Ok(self.note::<Noted>(PACKED_DIR, episode)?.map(|noted| noted.parcel))
    }

    /// Packs a finished episode. Its hashes are durable before the archive has its name; an archive that has the name already makes room.
    ///
    /// # Errors
    /// When it cannot be packed, or is not finished, or what the disk says.
    pub fn pack(
        &self,
        packer: &mut Packer,
        root: &Path,
        episode: &EpisodeId,
        now: impl Fn() -> Timestamp,
    ) -> Result<Packed, OutboxError> {
        let changing = || PackError::Changing { path: root.to_path_buf() };
        let here = || Here::at(root).map_err(|source| OutboxError::Read { path: root.to_path_buf(), source });
        let before = here()?;
        if matches!(before, Here::Recording(_)) {
            return Err(changing().into());
        }
        // Before much is packed for nothing.
        settled(None, root, episode, now())?;
        let mut staged = Staged::create(&self.fs, &RelPath::new(archive_name(episode))?, Mode::Umask)?;
        let packed = packer.pack(root, episode, &mut staged)?;
        // Somebody may have gone on recording, or have put another in its place.
        let directory = match here()? {
            Here::Finished(directory) if before == Here::Finished(directory) => directory,
            _ => return Err(changing().into()),
        };
        // That may have taken an hour.
        settled(Some(&packed.content.look), root, episode, now())?;
        // A commit that cannot be read is none: the gate says what it makes of that.
        let commit = packed.content.meta.as_deref().and_then(|meta| recorded_commit(meta).ok().flatten());
        let parcel = Parcel {
            commit,
            content_sha256: packed.content.content_sha256,
            sha256: packed.sha256,
            size_bytes: packed.size_bytes,
            holds: Some(Holds::of(&packed.content)),
            root: Some(directory),
        };
        let aside = self.publish(staged, episode, &parcel, now())?;
        Ok(Packed { parcel, aside })
    }

    /// Notes how an episode's directory is that holds what was packed of it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn note_parcel(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<(), OutboxError> {
        self.write(PACKED_DIR, episode, parcel)
    }

    /// The episodes of which an archive is here, by name; whether it is whole is not looked at.
    ///
    /// # Errors
    /// What the disk says.
    pub fn packed_names(&self) -> Result<Vec<EpisodeId>, OutboxError> {
        let name = |name: &OsString| EpisodeId::new(name.to_str()?.strip_suffix(ARCHIVE_SUFFIX)?).ok();
        let mut names = Vec::new();
        for entry in self.fs.list(&RelPath::root())? {
            if let Some(episode) = name(&entry.name)
                && self.is_packed(&episode)?
            {
                names.push(episode);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether an archive of an episode is here, whatever is noted of it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn is_packed(&self, episode: &EpisodeId) -> Result<bool, OutboxError> {
        Ok(self.fs.stat(&RelPath::new(archive_name(episode))?)?.is_some_and(|stat| stat.kind == Kind::File))
    }

    /// Where the upload of these bytes is, if one was begun.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sending(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<Option<String>, OutboxError> {
        let sending = self.unless_stray(Own::Sending, self.note::<Sending>(SENDING_DIR, episode))?.flatten();
        Ok(sending.filter(|sending| sending.sha256 == parcel.sha256).map(|sending| sending.place))
    }

    /// Keeps where the upload of these bytes is, or that there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn note_sending(&self, episode: &EpisodeId, upload: Option<(&Parcel, &str)>) -> Result<(), OutboxError> {
        match upload {
            Some((parcel, place)) => {
                let sending = Sending { sha256: parcel.sha256, place: place.to_owned() };
                let written = match self.write(SENDING_DIR, episode, &sending) {
                    // Without the note it is sent from its beginning after a break.
                    Err(error) if error.is_odd() => {
                        tracing::warn!(%episode, error = %with_causes(&error), "where its upload is cannot be noted");
                        Ok(())
                    }
                    written => written,
                };
                self.unless_stray(Own::Sending, written).map(drop)
            }
            None => {
                let removed = self.remove(&note_path(SENDING_DIR, episode)?);
                self.unless_stray(Own::Sending, removed).map(drop)
            }
        }
    }

    /// Why an episode is parked, if it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn parked(&self, episode: &EpisodeId) -> Result<Option<Parked>, OutboxError> {
        self.note(PARKED_DIR, episode)
    }

    /// Of which episodes it is noted that they are parked, by name.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn parked_names(&self) -> Result<Vec<EpisodeId>, OutboxError> {
        let notes = match self.fs.list(&RelPath::new(PARKED_DIR)?) {
            Ok(notes) => notes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let name = |note: &OsString| EpisodeId::new(note.to_str()?.strip_suffix(".json")?).ok();
        Ok(notes.iter().filter_map(|note| name(&note.name)).collect())
    }

    /// Parks an episode.
    ///
    /// # Errors
    /// What the disk says.
    pub fn park(&self, episode: &EpisodeId, parked: &Parked) -> Result<(), OutboxError> {
        self.write(PARKED_DIR, episode, parked)
    }

    /// Lets a parked episode go on.
    ///
    /// # Errors
    /// What the disk says.
    pub fn unpark(&self, episode: &EpisodeId) -> Result<(), OutboxError> {
        self.remove(&note_path(PARKED_DIR, episode)?)
    }

    /// How far `shipped/` was gone through; `None` where that is not known.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn shelf(&self) -> Result<Option<Shelf>, OutboxError> {
        Ok(self.unless_stray(Own::Shelf, self.read(&RelPath::new(SHELF_NOTE)?))?.flatten())
    }

    /// Keeps how far `shipped/` was gone through.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn set_shelf(&self, shelf: &Shelf) -> Result<(), OutboxError> {
        // What is no file of ours is not replaced either.
        if self.stray(Own::Shelf)?.is_some_and(|stray| !stray.is_unread()) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(shelf).expect("invariant: a note is words, numbers and times");
        Ok(publish(&self.fs, &RelPath::new(SHELF_NOTE)?, &bytes, Mode::Umask)?)
    }

    fn note<T: for<'de> Deserialize<'de>>(&self, dir: &str, episode: &EpisodeId) -> Result<Option<T>, OutboxError> {
        self.read(&note_path(dir, episode)?)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, path: &RelPath) -> Result<Option<T>, OutboxError> {
        let bytes = match self.fs.read(path, NOTE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_odd(error.kind()) => {
                tracing::warn!(note = ?path, "what was noted in the outbox is no file: move it away");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_slice(&bytes) {
            Ok(note) => Ok(Some(note)),
            Err(error) => {
                tracing::warn!(note = ?path, %error, "what was noted in the outbox cannot be read");
                Ok(None)
            }
        }
    }

    fn write(&self, dir: &str, episode: &EpisodeId, note: &impl Serialize) -> Result<(), OutboxError> {
        let bytes = serde_json::to_vec(note).expect("invariant: a note is words, numbers and times");
        Ok(publish(&self.fs, &note_path(dir, episode)?, &bytes, Mode::Umask)?)
    }

    /// Removes a note of ours; what is none stays.
    fn remove(&self, path: &RelPath) -> Result<(), OutboxError> {
        match self.fs.unlink(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_odd(error.kind()) => Ok(()),
            removed => Ok(removed?),
        }
    }
}

fn archive_name(episode: &EpisodeId) -> String {
    format!("{episode}{ARCHIVE_SUFFIX}")
}

fn note_path(dir: &str, episode: &EpisodeId) -> Result<RelPath, OutboxError> {
    Ok(RelPath::new(dir)?.join(format!("{episode}.json"))?)
}
