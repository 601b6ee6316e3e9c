//! The outbox: finished episodes as the archives that are sent. Owns that an episode is packed once and every retry sends those
//! very bytes, and which episodes are parked until a person or newer code lets them go on.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use highwater_fs::{ConfineError, Fs, FsError, Mode, RealFs, RelPath, Staged, collect_stale, ensure_dir, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::holds::Holds;
use super::keep::Shelf;
use super::refused::Refused;
use crate::archive::meta::recorded_commit;
use crate::archive::{PackError, Packer};
use crate::digest::Sha256Digest;
use crate::index::Commit;
use crate::name::EpisodeId;

/// How an archive's name ends.
const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// What is known of each archive, and why each parked episode is: a file an episode, apart from the archives, so that no name of
/// an episode can be another's.
const PACKED_DIR: &str = ".packed";
const PARKED_DIR: &str = ".parked";
/// Where the upload of each is that goes on after a break.
const SENDING_DIR: &str = ".sending";
/// Largest of those files, in bytes.
const NOTE_BYTES_MAX: u64 = 64 * 1024;
/// How much of an archive is read at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// How far `shipped/` was gone through for what need not stay.
const SHELF_NOTE: &str = ".shelf.json";

/// An archive that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The commit of the code that recorded the episode, as its `meta.json` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// What the episode holds.
    pub content_sha256: Sha256Digest,
    /// Of the archive.
    pub sha256: Sha256Digest,
    /// Of the archive.
    pub size_bytes: u64,
    /// What the episode's directory held; archives that an older version packed do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
}

/// Why an episode is not sent again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parking {
    /// The receiver, or `shipped/`, has another one of its name.
    Conflict,
    /// The gate does not accept the code that recorded it: it is asked again.
    Gate,
    /// It cannot be packed.
    Unpackable,
    /// The receiver refuses it: it is tried again ever more seldom.
    Refused,
}

/// A parked episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Since when.
    pub at: Timestamp,
    /// The commit that the gate judged, where it was the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Why.
    pub parking: Parking,
    /// How it was refused, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What was told of it.
    pub told: String,
}

/// Where an archive's upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sending {
    /// Of the archive: another one's upload is not this one's.
    sha256: Sha256Digest,
    /// Its address at the receiver: path and query, for who calls and where is the configuration's.
    place: String,
}

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
    /// The episode cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A name cannot be one of a file.
    #[error(transparent)]
    Name(#[from] ConfineError),
}

/// The outbox of one host.
pub struct Outbox {
    fs: RealFs,
    dir: PathBuf,
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
        let fs = RealFs::open(dir)?;
        for kept in [PACKED_DIR, PARKED_DIR, SENDING_DIR] {
            ensure_dir(&fs, &RelPath::new(kept)?, Mode::Umask)?;
        }
        Ok(Self { fs, dir: dir.to_path_buf() })
    }

    /// The outbox as it is, to be looked at; `None` where there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn look(dir: &Path) -> Result<Option<Self>, OutboxError> {
        match RealFs::open(dir) {
            Ok(fs) => Ok(Some(Self { fs, dir: dir.to_path_buf() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
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
        for dir in [RelPath::root(), RelPath::new(PACKED_DIR)?, RelPath::new(PARKED_DIR)?, RelPath::new(SENDING_DIR)?] {
            collect_stale(&self.fs, &dir)?;
        }
        Ok(())
    }

    /// The archive of an episode that was packed; `None` where there is none, or it is not what was packed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn parcel(&self, episode: &EpisodeId) -> Result<Option<Parcel>, OutboxError> {
        let Some(parcel) = self.note::<Parcel>(PACKED_DIR, episode)? else { return Ok(None) };
        let archive = RelPath::new(archive_name(episode))?;
        let mut reader = match self.fs.reader(&archive) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (mut hash, mut size_bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            let failed = |source| OutboxError::Read { path: self.archive(episode), source };
            let read = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            hash.update(&chunk[..read]);
            size_bytes += read as u64;
        }
        let whole = parcel.size_bytes == size_bytes && parcel.sha256 == Sha256Digest::new(hash.finalize().into());
        if !whole {
            tracing::warn!(%episode, "its archive in the outbox is damaged and is packed again");
        }
        Ok(whole.then_some(parcel))
    }

    /// Packs an episode. Its hashes are durable before the archive has its name.
    ///
    /// # Errors
    /// When it cannot be packed, or what the disk says.
    pub fn pack(&self, packer: &mut Packer, root: &Path, episode: &EpisodeId) -> Result<Parcel, OutboxError> {
        let mut staged = Staged::create(&self.fs, &RelPath::new(archive_name(episode))?, Mode::Umask)?;
        let packed = packer.pack(root, episode, &mut staged)?;
        // A commit that cannot be read is none: the gate says what it makes of that.
        let commit = packed.content.meta.as_deref().and_then(|meta| recorded_commit(meta).ok().flatten());
        let parcel = Parcel {
            commit,
            content_sha256: packed.content.content_sha256,
            sha256: packed.sha256,
            size_bytes: packed.size_bytes,
            holds: Some(Holds::of(&packed.content)),
        };
        self.write(PACKED_DIR, episode, &parcel)?;
        staged.publish()?;
        Ok(parcel)
    }

    /// Drops an episode's archive: the receiver has it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn drop_parcel(&self, episode: &EpisodeId) -> Result<(), OutboxError> {
        self.remove(&RelPath::new(archive_name(episode))?)?;
        self.note_sending(episode, None)?;
        self.remove(&note_path(PACKED_DIR, episode)?)
    }

    /// Where the upload of these bytes is, if one was begun.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sending(&self, episode: &EpisodeId, parcel: &Parcel) -> Result<Option<String>, OutboxError> {
        let sending = self.note::<Sending>(SENDING_DIR, episode)?;
        Ok(sending.filter(|sending| sending.sha256 == parcel.sha256).map(|sending| sending.place))
    }

    /// Keeps where the upload of these bytes is, or that there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn note_sending(&self, episode: &EpisodeId, upload: Option<(&Parcel, &str)>) -> Result<(), OutboxError> {
        match upload {
            Some((parcel, place)) => {
                self.write(SENDING_DIR, episode, &Sending { sha256: parcel.sha256, place: place.to_owned() })
            }
            None => self.remove(&note_path(SENDING_DIR, episode)?),
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
        self.read(&RelPath::new(SHELF_NOTE)?)
    }

    /// Keeps how far `shipped/` was gone through.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn set_shelf(&self, shelf: &Shelf) -> Result<(), OutboxError> {
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

    fn remove(&self, path: &RelPath) -> Result<(), OutboxError> {
        match self.fs.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn archive_name(episode: &EpisodeId) -> String {
    format!("{episode}{ARCHIVE_SUFFIX}")
}

fn note_path(dir: &str, episode: &EpisodeId) -> Result<RelPath, OutboxError> {
    Ok(RelPath::new(dir)?.join(format!("{episode}.json"))?)
}
