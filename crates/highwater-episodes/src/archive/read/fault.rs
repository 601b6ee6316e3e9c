//! Why an archive is refused, and at which entry. Owns the wording.

use std::io;

use crate::archive::header::HeaderError;

/// An archive that was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its bytes could not be had. Nothing is known about the archive.
    #[error("the archive cannot be read")]
    Io(#[source] io::Error),
    /// zstd had no memory. Nothing is known about the archive.
    #[error("zstd failed")]
    Memory(#[source] io::Error),
    /// Not zstd, or damaged.
    #[error("it is no zstd, or damaged, at byte {at}: {fault}")]
    Zstd {
        /// How many bytes of the archive were read.
        at: u64,
        /// What zstd says.
        fault: String,
    },
    /// It needs a larger window than is allowed.
    #[error("it was compressed with a window of more than {} MiB; pack it again without --long or --ultra", (1_u64 << log) >> 20)]
    Window {
        /// The largest that is allowed, as a power of two.
        log: u32,
    },
    /// It ends before its end.
    #[error("it ends after {at} bytes, in the middle of entry {entry}")]
    Truncated {
        /// How long it is.
        at: u64,
        /// Which entry was being read, counted from 1.
        entry: u64,
    },
    /// Something comes after its end.
    #[error("something comes after the end of the archive")]
    Trailing,
    /// Its seal is of another episode.
    #[error("it was packed as {episode}")]
    SealedAs {
        /// Which.
        episode: String,
    },
    /// Its bytes are not those that were sealed.
    #[error("it is damaged: its bytes are not those that were sealed")]
    Unsealed,
    /// It unpacks to more bytes than an episode may have.
    #[error("it unpacks to more than {limit} bytes")]
    Bytes {
        /// How many are allowed.
        limit: u64,
    },
    /// It unpacks to far more than its own size.
    #[error("it unpacks to more than {limit} times its size")]
    Ratio {
        /// How many times are allowed.
        limit: u64,
    },
    /// It has more entries than an episode may have.
    #[error("it has more than {limit} entries")]
    Entries {
        /// How many are allowed.
        limit: u64,
    },
    /// All its paths together are too long.
    #[error("its paths are longer than {limit} bytes together")]
    Paths {
        /// How many are allowed.
        limit: u64,
    },
    /// An entry that has no place in an episode.
    #[error("entry {entry}{}: {fault}", .path.as_ref().map(|path| format!(", {path}")).unwrap_or_default())]
    Entry {
        /// Which one, counted from 1.
        entry: u64,
        /// Its path as a message shows it, where it is known.
        path: Option<String>,
        /// What is wrong with it.
        fault: EntryFault,
    },
}

impl ReadError {
    /// Whether it is the archive that is at fault, rather than this machine: reading it again ends the same way.
    #[must_use]
    pub fn is_of_archive(&self) -> bool {
        !matches!(self, Self::Io(_) | Self::Memory(_))
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Its header is none.
    #[error(transparent)]
    Header(HeaderError),
    /// Its path leads upwards.
    #[error("its path has a component \"..\"")]
    Parent,
    /// Its path begins at the root.
    #[error("its path is absolute")]
    Absolute,
    /// Its path has a component that is empty or a dot.
    #[error("its path has a component that is empty or \".\"")]
    Component,
    /// Its path has a NUL.
    #[error("its path has a NUL")]
    Nul,
    /// Its path is too long.
    #[error("its path is longer than {limit} bytes")]
    PathBytes {
        /// How many are allowed.
        limit: usize,
    },
    /// It is not below the directory that bears the episode's name.
    #[error("it is not in a directory {top:?}")]
    Outside {
        /// The episode.
        top: String,
        /// The first name of its path, where it is text: an archive of another episode has that one's.
        found: Option<String>,
    },
    /// There was one of that path before.
    #[error("there are two of that path")]
    Duplicate,
    /// What its path makes a directory is a file.
    #[error("a file of the archive is its directory")]
    BelowFile,
    /// A hard or symbolic link.
    #[error("it is a link; an episode holds files and directories alone")]
    Link,
    /// A device or a fifo.
    #[error("it is a device or a fifo; an episode holds files and directories alone")]
    Device,
    /// A sparse file, written as one.
    #[error("it is written as a sparse file; pack it without --sparse")]
    Sparse,
    /// Of a kind that is not known.
    #[error("it is of the unknown kind {0:?}")]
    Foreign(char),
    /// A directory that has bytes.
    #[error("it is a directory with {0} bytes in it")]
    DirBytes(u64),
    /// What extends it is too long.
    #[error("what extends it is longer than {limit} bytes")]
    ExtensionBytes {
        /// How many are allowed.
        limit: usize,
    },
    /// Too many headers extend it.
    #[error("more than {limit} headers extend it")]
    Extensions {
        /// How many are allowed.
        limit: u32,
    },
    /// A PAX header that cannot be read.
    #[error("its PAX {0} cannot be read")]
    Pax(&'static str),
    /// A header extends it, and it is not there.
    #[error("a header extends it, and the archive ends before it")]
    Missing,
}
