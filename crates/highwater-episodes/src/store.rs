//! Where episodes lie, as archives by host and episode. Owns what a store promises; [`FileStore`] keeps the promise in a directory.
//!
//! Storing is three steps, so that many uploads can share the last: [`Store::stage`] a copy that nobody sees, [`Store::place`] it
//! without replacing anything, [`Store::settle`] so that its name would survive a power cut. An answer comes after the third.
//!
//! An upload that may break off and go on is a [`Partial`]: a copy that stays until somebody forgets it.

mod file;
mod other_disk;
mod partial;

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use highwater_fs::{FsError, Op};
use sha2::{Digest as _, Sha256};

use crate::archive::{Extent, SEAL_BYTES, Seal};
use crate::digest::Sha256Digest;
use crate::name::{EpisodeId, EpisodeKey, HostId};
use crate::odd::Odd;
use crate::shut::Shut;

pub use file::{ARCHIVE_SUFFIX, EPISODES_DIR, FileStore, MARK_FILE, STAGING_DIR};
pub use other_disk::OtherDisk;
pub use partial::{Found, Partial, Partials, Progress, UploadId, UploadIdError};

/// What is read of an episode at a time, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// Where episodes lie. Its calls wait for a disk or a server, so they belong on a thread that may.
pub trait Store: Send + Sync + fmt::Debug {
    /// Begins a copy that nobody sees.
    ///
    /// # Errors
    /// The store cannot be written.
    fn stage(&self) -> Result<Box<dyn Staging>, StoreError>;

    /// Gives a synced copy its name, unless the name is taken. Not yet durable: see [`Store::settle`].
    ///
    /// # Errors
    /// The store cannot be written; the copy is as it was.
    fn place(&self, staging: &dyn Staging, key: &EpisodeKey) -> Result<Placement, StoreError>;

    /// Forgets a copy, which has been placed or is not wanted. What cannot be removed is, when the store is opened again.
    fn discard(&self, staging: Box<dyn Staging>);

    /// Makes the names of a host's episodes durable, whoever placed them.
    ///
    /// # Errors
    /// The store cannot be written; whether they are durable is unknown.
    fn settle(&self, host: &HostId) -> Result<(), StoreError>;

    /// How large an episode is; `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be read, or [something odd](StoreError::Odd) has its place, or it [alone](StoreError::Shut) cannot be looked at: then
    /// nobody knows what became of the episode.
    fn stat(&self, key: &EpisodeKey) -> Result<Option<u64>, StoreError>;

    /// Which bytes an episode's name stands for: where two of one name are alike, it stood for the same ones between them. `None` where there
    /// is none.
    ///
    /// # Errors
    /// As [`Store::stat`].
    fn standing(&self, key: &EpisodeKey) -> Result<Option<Standing>, StoreError>;

    /// An episode's bytes from one on; `None` where there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    fn read(&self, key: &EpisodeKey, from_byte: u64) -> Result<Option<Box<dyn Read + Send>>, StoreError>;

    /// A copy's bytes from one on, to be looked at before it is placed.
    ///
    /// # Errors
    /// The store cannot be read.
    fn read_staged(&self, staging: &dyn Staging, from_byte: u64) -> Result<Box<dyn Read + Send>, StoreError>;

    /// The hosts that have a place here, sorted.
    ///
    /// # Errors
    /// The store cannot be read.
    fn hosts(&self) -> Result<Vec<HostId>, StoreError>;

    /// The episodes of a host, sorted.
    ///
    /// # Errors
    /// The store cannot be read, or this host's part of it [alone](StoreError::Shut) cannot.
    fn episodes(&self, host: &HostId) -> Result<Box<dyn Iterator<Item = EpisodeId> + Send>, StoreError>;

    /// What has the place of an episode or of a host and is neither, by its name, and which hosts' part cannot be read; a plain file beside
    /// the directories of hosts is none of them.
    ///
    /// # Errors
    /// The store cannot be read.
    fn oddities(&self) -> Result<Oddities, StoreError> {
        Ok(Oddities::default())
    }

    /// Which of these hosts' directories are on another file system than the copies that are being made: nothing of them can be stored.
    ///
    /// # Errors
    /// The store cannot be read.
    fn other_disks(&self, hosts: &[HostId]) -> Result<Vec<OtherDisk>, StoreError> {
        let _ = hosts;
        Ok(Vec::new())
    }

    /// Sets an episode aside, and says where it lies then.
    ///
    /// # Errors
    /// The store cannot be written; the episode is in its place, aside, or in both.
    fn quarantine(&self, key: &EpisodeKey, why: &str) -> Result<String, StoreError>;

    /// How many bytes can still be stored: where several file systems take part in it, on the fullest of them.
    ///
    /// # Errors
    /// The store cannot be asked, or [nothing](StoreError::NoCopies) can.
    fn room_bytes(&self) -> Result<u64, StoreError>;

    /// That what is stored lies where it should: whoever is told that something is stored finds it there. One that has no place of its own is
    /// always there.
    ///
    /// # Errors
    /// It is [elsewhere](StoreError::Elsewhere), or that cannot be told.
    fn in_its_place(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Where uploads are kept that break off; `None` of a store that keeps none.
    fn partials(&self) -> Option<&dyn Partials> {
        None
    }
}

/// A copy on its way into a store.
pub trait Staging: Send + fmt::Debug {
    /// Appends bytes.
    ///
    /// # Errors
    /// The store cannot be written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Makes the bytes durable; nothing is appended after it.
    ///
    /// # Errors
    /// The store cannot be written; the copy is of no use then.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// What the store calls it.
    fn name(&self) -> &str;

    /// Whether discarding it leaves it where it is, because it is somebody else's to forget.
    fn stays(&self) -> bool {
        false
    }
}

/// What a store knows the bytes of an episode by, in its own words: file and times, or a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing(pub String);

/// What has the place of an episode or of a host, and is neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Whose place it is, or is in.
    pub host: HostId,
    /// Of which episode; of a host's own there is none.
    pub episode: Option<EpisodeId>,
    /// What it is.
    pub odd: Odd,
}

/// What a person must see to before all of a store can be told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oddities {
    /// What has a place that is not its own.
    pub odd: Vec<Oddity>,
    /// The hosts whose episodes cannot be listed, and why.
    pub shut: Vec<(HostId, Shut)>,
}

/// Whether an episode's place is empty: what is odd there, or cannot be looked at, keeps it from being taken for gone.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn is_missing(store: &dyn Store, key: &EpisodeKey) -> Result<bool, StoreError> {
    match store.stat(key) {
        Err(StoreError::Odd(_) | StoreError::Shut(_)) => Ok(false),
        stored => Ok(stored?.is_none()),
    }
}

/// What was found at the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Nothing: the copy is there now.
    New,
    /// An episode, which is as it was.
    AlreadyThere,
}

/// What an archive holds, whatever packed it. `None` of a receiver's means that only equal bytes are equal.
pub trait ContentHash: Send + Sync + fmt::Debug {
    /// Reads the archive of an episode to its end.
    ///
    /// # Errors
    /// It is no archive of that episode, or cannot be read.
    fn of(
        &self,
        episode: &EpisodeId,
        archive: &mut (dyn Read + Send),
        extent: Extent,
    ) -> Result<Sha256Digest, ContentHashError>;
}

/// An archive whose content cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("the archive cannot be read")]
pub struct ContentHashError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The SHA-256 and the size of what is stored under a key, from its bytes; `None` where there is nothing.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn hash(store: &dyn Store, key: &EpisodeKey) -> Result<Option<(Sha256Digest, u64)>, StoreError> {
    let Some(mut bytes) = store.read(key, 0)? else { return Ok(None) };
    hash_of(&mut *bytes).map(Some).map_err(|source| StoreError::Unread { key: key.clone(), source })
}

/// The same of a copy that nobody sees yet.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn hash_staged(store: &dyn Store, staging: &dyn Staging) -> Result<(Sha256Digest, u64), StoreError> {
    let mut bytes = store.read_staged(staging, 0)?;
    hash_of(&mut *bytes).map_err(|source| FsError::Io { op: Op::Read, path: staging.name().into(), source }.into())
}

/// The seal of a stored archive of so many bytes; `None` where it has none, or is not there any more.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn seal(store: &dyn Store, key: &EpisodeKey, size_bytes: u64) -> Result<Option<Seal>, StoreError> {
    let Some(at) = size_bytes.checked_sub(SEAL_BYTES as u64) else { return Ok(None) };
    Ok(store.read(key, at)?.and_then(|mut end| seal_of(&mut *end)))
}

/// How long a stored archive is, and whether it is sealed as this episode; `None` where there is none.
///
/// # Errors
/// The store cannot be read.
pub fn extent(store: &dyn Store, key: &EpisodeKey) -> Result<Option<Extent>, StoreError> {
    let Some(size_bytes) = store.stat(key)? else { return Ok(None) };
    let seal = seal(store, key, size_bytes)?;
    Ok(Some(Extent { size_bytes, is_sealed: seal.is_some_and(|seal| seal.episode == key.episode) }))
}

/// The same of a copy of so many bytes that nobody sees yet.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn extent_staged(
    store: &dyn Store,
    staging: &dyn Staging,
    size_bytes: u64,
    episode: &EpisodeId,
) -> Result<Extent, StoreError> {
    let seal = match size_bytes.checked_sub(SEAL_BYTES as u64) {
        Some(at) => seal_of(&mut *store.read_staged(staging, at)?),
        None => None,
    };
    Ok(Extent { size_bytes, is_sealed: seal.is_some_and(|seal| seal.episode == *episode) })
}

/// What cannot be read is told of by whoever reads all of it.
fn seal_of(end: &mut dyn Read) -> Option<Seal> {
    let mut tail = Vec::with_capacity(SEAL_BYTES);
    end.take(SEAL_BYTES as u64).read_to_end(&mut tail).ok()?;
    Seal::read(&tail)
}

fn hash_of(bytes: &mut dyn Read) -> io::Result<(Sha256Digest, u64)> {
    let (mut hash, mut size_bytes, mut part) = (Sha256::new(), 0, vec![0; READ_BYTES]);
    loop {
        match bytes.read(&mut part) {
            Ok(0) => return Ok((Sha256Digest::new(hash.finalize().into()), size_bytes)),
            Ok(read) => {
                hash.update(&part[..read]);
                size_bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a person does where another directory lies in the place of the one that a store was opened with.
pub(crate) const ELSEWHERE_NEXT: &str =
    "put it back, or mount its disk; or restart the receiver, which then takes what is there now";

/// A store that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused.
    #[error("the store cannot be used")]
    Disk(#[from] FsError),
    /// Another directory lies in its place than the one that it was opened with.
    #[error("{} is not the directory that the store was opened with: was it moved away, or is its disk mounted?", .path.display())]
    Elsewhere {
        /// Where the episodes, or the directory that they are in, should be.
        path: PathBuf,
    },
    /// Something that is no file has an episode's place, or something that is no directory its host's.
    #[error("the store cannot be used")]
    Odd(#[from] Odd),
    /// Something that is no directory has the place of the copies that are being made: nothing can be stored.
    #[error("nothing can be stored")]
    NoCopies(#[source] Odd),
    /// A host's directory is on another file system than the copies that are being made: nothing of that host can be stored.
    #[error("the store cannot be used")]
    OtherDisk(#[from] OtherDisk),
    /// An episode's file, or its host's directory, cannot be read, while those beside it can.
    #[error("the store cannot be used")]
    Shut(#[from] Shut),
    /// An episode's bytes cannot be read.
    #[error("{key} cannot be read")]
    Unread {
        /// Which.
        key: EpisodeKey,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if crate::index::is_full(error))
    }
}
