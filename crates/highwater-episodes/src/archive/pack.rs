//! From an episode's directory to its canonical archive, in one pass: each file is read once, and hashed, compressed and written
//! as it is read. Owns what a pack yields and how it fails; the archive's shape is the tape's.
//!
//! The archive is a tar of the directory under the episode's name, its paths in the order of their bytes, nobody's uid and gid, and
//! nothing in it that is not in the content hash but empty directories. The same files packed with the same settings by the same
//! version of zstd are the same bytes; with other settings they are the same content.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::CompressionSettings;
use super::look::Look;
use super::meta::recorded_commit;
use super::seal::Seal;
use super::tree::{Tree, TreeLimits};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

mod chunk;
mod compressor;
mod pipeline;
mod tape;

use chunk::Chunk;
use compressor::Compressor;
use tape::Tape;

/// How much of the tar stream is made at a time, in bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// How much is written at a time, in bytes.
const PIECE_BYTES: usize = 128 << 10;
/// An episode of up to so many chunks is packed by the thread that asks for it; others are not worth the start of two threads.
const ALONE_CHUNKS: usize = 8;

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Of the bytes that were written.
    pub sha256: Sha256Digest,
    /// How many were written.
    pub size_bytes: u64,
    /// What the episode holds, whatever packs it.
    pub content: Content,
}

/// What a directory of an episode holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its content hash.
    pub content_sha256: Sha256Digest,
    /// How its files were when they were read.
    pub look: Look,
    /// The bytes of its `meta.json`, cut off past what [`recorded_commit`] reads.
    pub meta: Option<Vec<u8>>,
}

/// Why an episode was not packed. What was written until then is no archive.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The episode itself is not a directory.
    #[error("{path:?} is {kind}, expected the directory of an episode")]
    Root {
        /// The episode.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Something in it is neither a file nor a directory.
    #[error("{path:?} is {kind}; an episode holds files and directories alone")]
    Kind {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// It grew, shrank, was replaced or went away while it was packed: the episode is still being written.
    #[error("{path:?} changed while it was packed")]
    Changing {
        /// A file, or a directory in which names came or went.
        path: PathBuf,
    },
    /// It may still be written, although it is said to be finished.
    #[error(
        "{path:?} {found}, and was written less than {within_secs} seconds ago: the episode may still be written; {next}"
    )]
    Unsettled {
        /// The file that was written last.
        path: PathBuf,
        /// What shows it.
        found: &'static str,
        /// For how long it must stand still.
        within_secs: i64,
        /// When it goes.
        next: &'static str,
    },
    /// The episode is larger than one may be.
    #[error("{path:?} is one too many: an episode has at most {limit} {what}")]
    TooMuch {
        /// Where the limit was met.
        path: PathBuf,
        /// Of what there is too much.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// It could not be read.
    #[error("{path:?} cannot be read")]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("the archive cannot be written")]
    Write(#[source] io::Error),
    /// zstd failed, for lack of memory.
    #[error("zstd failed")]
    Zstd(#[source] io::Error),
    /// A thread could not be started.
    #[error("a thread to pack with cannot be started")]
    Thread(#[source] io::Error),
    /// Another step of the pack failed; its error is the one that is returned.
    #[error("the pack ended")]
    Ended,
}

/// Packs one episode after the other, with the buffers and the zstd context of the first.
pub struct Packer {
    compressor: Compressor,
    limits: TreeLimits,
    chunk: Chunk,
    piece: Chunk,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Packer {
    /// A packer that compresses in this way.
    ///
    /// # Errors
    /// When zstd has no memory for a context.
    pub fn new(settings: &CompressionSettings, limits: TreeLimits) -> Result<Self, PackError> {
        let compressor = Compressor::new(settings).map_err(PackError::Zstd)?;
        Ok(Self { compressor, limits, chunk: Chunk::new(CHUNK_BYTES), piece: Chunk::new(PIECE_BYTES) })
    }

    /// Packs the episode whose directory is `root`. What `out` takes is neither flushed nor synced.
    ///
    /// # Errors
    /// When it is no directory, holds something that does not belong there, changes meanwhile, or cannot be read or written.
    pub fn pack(&mut self, root: &Path, episode: &EpisodeId, mut out: impl Write) -> Result<Packed, PackError> {
        let tree = Tree::list(root, episode, self.limits)?;
        let mut tape = Tape::new(&tree);
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        let mut write = |bytes: &[u8]| {
            hash.update(bytes);
            size_bytes += bytes.len() as u64;
            out.write_all(bytes).map_err(PackError::Write)
        };
        let Self { compressor, chunk, piece, .. } = self;
        compressor.begin()?;
        piece.clear();
        let mut hand_on = |piece: &mut Chunk| -> Result<(), PackError> {
            write(piece.taken())?;
            piece.clear();
            Ok(())
        };
        let mut more = true;
        for _ in 0..ALONE_CHUNKS {
            more = tape.fill(chunk)?;
            compressor.add(chunk.taken(), piece, &mut hand_on)?;
            if !more {
                compressor.end(piece, &mut hand_on)?;
                break;
            }
        }
        if more {
            pipeline::run(&mut tape, compressor, piece, |piece| write(piece.taken()))?;
        }
        let content = tape.finish();
        let seal = Seal {
            episode: episode.clone(),
            before_sha256: Sha256Digest::new(hash.clone().finalize().into()),
            content_sha256: content.content_sha256,
            // What cannot be read as one is none, as it is for who indexes it.
            commit: content.meta.as_deref().and_then(|meta| recorded_commit(meta).ok().flatten()),
        };
        let seal = seal.frame();
        hash.update(&seal);
        size_bytes += seal.len() as u64;
        out.write_all(&seal).map_err(PackError::Write)?;
        let sha256 = Sha256Digest::new(hash.finalize().into());
        Ok(Packed { sha256, size_bytes, content })
    }
}

/// What the directory of an episode holds, without packing it.
///
/// # Errors
/// As [`Packer::pack`], except for what is about writing.
pub fn content_of(root: &Path, episode: &EpisodeId, limits: TreeLimits) -> Result<Content, PackError> {
    let tree = Tree::list(root, episode, limits)?;
    let (mut tape, mut chunk) = (Tape::new(&tree), Chunk::new(CHUNK_BYTES));
    while tape.fill(&mut chunk)? {}
    Ok(tape.finish())
}
