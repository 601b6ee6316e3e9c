//! What went wrong with which file: the one error of every disk operation.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An operation of a disk, as messages and traces name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Walking through a directory on the way to a path.
    Enter,
    /// Creating a file that was not there.
    Create,
    /// Opening a file to append to it.
    Append,
    /// Opening or reading a file.
    Read,
    /// Writing to an open file.
    Write,
    /// Cutting or stretching an open file.
    Truncate,
    /// Making an open file's bytes durable.
    Sync,
    /// Making a directory.
    Mkdir,
    /// Moving a file or directory, over what was there.
    Rename,
    /// Swapping two names.
    Exchange,
    /// Giving a file a second name.
    Link,
    /// Removing a file's name.
    Unlink,
    /// Making a directory's entries durable.
    SyncDir,
    /// Listing a directory.
    List,
    /// Asking what a path is.
    Stat,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Enter => "enter",
            Op::Create => "create",
            Op::Append => "append to",
            Op::Read => "read",
            Op::Write => "write",
            Op::Truncate => "truncate",
            Op::Sync => "sync",
            Op::Mkdir => "make directory",
            Op::Rename => "rename",
            Op::Exchange => "exchange",
            Op::Link => "link",
            Op::Unlink => "unlink",
            Op::SyncDir => "sync directory",
            Op::List => "list",
            Op::Stat => "stat",
        })
    }
}

/// A disk operation that failed: which one, on what, and why.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The disk refused.
    #[error("cannot {op} {}", .path.display())]
    Io {
        /// What was tried.
        op: Op,
        /// On what, as a person finds it.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk refused an operation on two paths.
    #[error("cannot {op} {} to {}", .from.display(), .to.display())]
    Pair {
        /// What was tried.
        op: Op,
        /// The first path, as a person finds it.
        from: PathBuf,
        /// The second path, as a person finds it.
        to: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A sync of this file failed before: what it holds is unknown, and syncing again would lie.
    #[error("{} cannot be trusted: an earlier sync of it failed", .path.display())]
    Poisoned {
        /// The file, as a person finds it.
        path: PathBuf,
    },
    /// There is more than the caller is ready to hold.
    #[error("{} holds more than {limit} {unit}", .path.display())]
    TooLarge {
        /// The file or directory, as a person finds it.
        path: PathBuf,
        /// How much would have been fine.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
}

impl FsError {
    /// What the disk said, in the standard library's words.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            FsError::Io { source, .. } | FsError::Pair { source, .. } => source.kind(),
            FsError::Poisoned { .. } => io::ErrorKind::Other,
            FsError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
        }
    }

    /// What the disk said, in the system's own number, where there is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            FsError::Io { source, .. } | FsError::Pair { source, .. } => source.raw_os_error(),
            FsError::Poisoned { .. } | FsError::TooLarge { .. } => None,
        }
    }
}
