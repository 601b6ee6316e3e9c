//! From an archive to what it holds, in one pass over bytes that come from anywhere, with nothing unpacked to a disk. Owns what is
//! read and what is refused; what becomes of a refused archive is another room's.
//!
//! Read are archives of older shippers too, as GNU tar and Python's tarfile write them: any owner, mode, order and time, directories
//! without entries, PAX and GNU long names, several zstd frames. Their content hash is that of the same files packed here.

use std::io::Read;

use sha2::{Digest as _, Sha256};

use super::meta::{META_BYTES_MAX, META_NAME};
use super::{ENTRIES_MAX, PATH_BYTES_MAX, PATHS_BYTES_MAX, UNPACKED_BYTES_MAX, WINDOW_LOG_MAX};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

mod entry;
mod fault;
mod frames;
mod list;

pub use super::header::HeaderError;
use entry::Entries;
pub use fault::{EntryFault, ReadError};
use frames::{Frames, Room};
use list::{Facts, List};

/// Most an archive may grow when it is unpacked, as a factor.
pub const RATIO_MAX: u64 = 1_000;
/// An archive that unpacks to no more than this is not judged by its ratio, in bytes.
pub const RATIO_FLOOR_BYTES: u64 = 64 << 20;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes unpacked.
    pub bytes: u64,
    /// Bytes unpacked for a byte of the archive, judged beyond [`RATIO_FLOOR_BYTES`]. An hour of telemetry that says nothing shrinks by
    /// some hundreds; a gigabyte of zeros, as in a bomb, by thirty thousand. Where the archive's size is known, it is
    /// judged against that, so that a quiet beginning is no fault. One that ends with a seal is not judged by it.
    pub ratio: u64,
    /// Files and directories.
    pub entries: u64,
    /// The zstd window as a power of two: so many bytes of memory; no more than [`WINDOW_LOG_MAX`] counts.
    pub window_log: u32,
    /// Bytes of a path; no more than [`PATH_BYTES_MAX`] counts.
    pub path_bytes: usize,
    /// Bytes of all paths together; no more than [`PATHS_BYTES_MAX`] counts.
    pub paths_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: UNPACKED_BYTES_MAX,
            ratio: RATIO_MAX,
            entries: ENTRIES_MAX,
            window_log: WINDOW_LOG_MAX,
            path_bytes: PATH_BYTES_MAX,
            paths_bytes: PATHS_BYTES_MAX,
        }
    }
}

impl Limits {
    fn bounded(self) -> Self {
        Self {
            window_log: self.window_log.min(WINDOW_LOG_MAX),
            path_bytes: self.path_bytes.min(PATH_BYTES_MAX),
            paths_bytes: self.paths_bytes.min(PATHS_BYTES_MAX),
            ..self
        }
    }
}

/// What is known of an archive that lies somewhere whole, before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long it is: the length of a file, not what somebody said.
    pub size_bytes: u64,
    /// Whether it ends with the seal of its episode. A packer of ours made it then, which packs what it finds, a disk image of
    /// zeros too; who only says so gains no more work than [`Limits::bytes`] allows to any.
    pub is_sealed: bool,
}

/// What an archive is and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// How many they are.
    pub size_bytes: u64,
    /// What the episode in it holds, whatever packed it.
    pub content_sha256: Sha256Digest,
    /// How many entries it has, directories among them.
    pub entries: u64,
    /// How many of them are regular files.
    pub files: u64,
    /// How many bytes are in the files.
    pub bytes: u64,
    /// The bytes of `EPISODE/meta.json`, cut off past what [`recorded_commit`](super::meta::recorded_commit) reads.
    pub meta: Option<Vec<u8>>,
}

/// Reads one archive after the other, with the buffers and the zstd context of the first.
pub struct Reader {
    limits: Limits,
    room: Room,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader that keeps to these limits.
    ///
    /// # Errors
    /// When zstd has no memory for a context, or no such window.
    pub fn new(limits: Limits) -> Result<Self, ReadError> {
        let limits = limits.bounded();
        Ok(Self { room: Room::new(limits.window_log)?, limits })
    }

    /// Reads the archive of that episode to its end. `size_bytes` is how long the archive is, where that is known and nobody who
    /// could be wrong has said it: the length of a file, not a header.
    ///
    /// # Errors
    /// When the archive is not whole, holds what an episode cannot hold, exceeds a limit, or its bytes cannot be read.
    pub fn read(
        &mut self,
        source: impl Read,
        size_bytes: Option<u64>,
        episode: &EpisodeId,
    ) -> Result<Archive, ReadError> {
        self.read_within(source, size_bytes, self.limits, episode)
    }

    /// Reads an archive that lies somewhere whole. What was packed here is read, however well it compresses.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_whole(&mut self, source: impl Read, extent: Extent, episode: &EpisodeId) -> Result<Archive, ReadError> {
        let ratio = if extent.is_sealed { u64::MAX } else { self.limits.ratio };
        self.read_within(source, Some(extent.size_bytes), Limits { ratio, ..self.limits }, episode)
    }

    fn read_within(
        &mut self,
        source: impl Read,
        size_bytes: Option<u64>,
        limits: Limits,
        episode: &EpisodeId,
    ) -> Result<Archive, ReadError> {
        let frames = Frames::begin(source, &mut self.room, limits, size_bytes)?;
        let mut entries = Entries::new(frames, limits, episode);
        let mut list = List::default();
        let (mut bytes, mut meta) = (0_u64, None);
        while let Some(entry) = entries.next_entry()? {
            let mut hash = Sha256::new();
            let mut kept = (!entry.dir && entry.below() == META_NAME.as_bytes()).then(Vec::new);
            entries.body(entry.size, |part| {
                hash.update(part);
                if let Some(meta) = &mut kept {
                    // One byte more than is allowed, so that it is seen to be too long.
                    meta.extend_from_slice(&part[..part.len().min(META_BYTES_MAX + 1 - meta.len())]);
                }
            })?;
            bytes += entry.size;
            meta = meta.or(kept);
            let facts = (!entry.dir).then(|| Facts {
                executable: entry.executable,
                size: entry.size,
                sha256: Sha256Digest::new(hash.finalize().into()),
                mtime_secs: entry.mtime_secs,
            });
            list.add(entry.below(), facts);
        }
        let (count, frames) = (list.len(), entries.into_frames());
        let (sha256, size_bytes) = frames.finish();
        let (content_sha256, files) = list.content()?;
        Ok(Archive { sha256, size_bytes, content_sha256, entries: count, files, bytes, meta })
    }
}
