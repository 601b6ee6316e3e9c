//! The disk as this house uses it: the [`Fs`] trait and the file it hands out.
//!
//! Owns what an operation promises; how it is done is the implementation's. It offers no way to
//! overwrite bytes in place: a file is written once, appended to, or replaced whole.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::{FsError, Op, RelPath};

/// The most entries [`Fs::list`] reads from one directory.
pub const LIST_ENTRIES_MAX: usize = 4_000_000;

/// A disk below one root.
///
/// Nothing outside the root can be reached: a [`RelPath`] cannot name it, and no operation follows
/// a symlink, neither on the way nor at the end. An operation that meets one says "not a
/// directory" or "too many symbolic links", except those that are about the name itself (`stat`,
/// `rename`, `exchange`, `link`, `unlink`).
///
/// Nothing is durable by itself. A file's bytes are after [`FsFile::sync`] or [`Fs::sync_files`]; its name is after
/// [`Fs::sync_dir`] of the directory it lies in, and that directory's own name after a sync of
/// *its* directory.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Where a person finds `path`, for messages and other programs.
    fn locate(&self, path: &RelPath) -> PathBuf;

    /// Creates a file that must not be there yet, not even as a symlink, and opens it for
    /// appending.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; else what the disk says.
    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError>;

    /// Opens an existing regular file for appending.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else what the disk says.
    fn append(&self, path: &RelPath) -> Result<FsFile, FsError>;

    /// Opens an existing regular file for reading from its start.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else what the disk says.
    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError>;

    /// The same from a byte of it on; beyond its end there is nothing to read.
    ///
    /// # Errors
    /// As [`Fs::reader`].
    fn reader_from(&self, path: &RelPath, offset: u64) -> Result<Box<dyn Read + Send>, FsError> {
        let mut reader = self.reader(path)?;
        io::copy(&mut (&mut reader).take(offset), &mut io::sink()).map_err(|source| FsError::Io {
            op: Op::Read,
            path: self.locate(path),
            source,
        })?;
        Ok(reader)
    }

    /// How many bytes can still be written in a directory, which may be on another file system than the root; [`u64::MAX`] on a disk that
    /// does not say.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else what the disk says.
    fn room_bytes(&self, dir: &RelPath) -> Result<u64, FsError> {
        match self.stat(dir)? {
            Some(_) => Ok(u64::MAX),
            None => Err(FsError::Io { op: Op::Stat, path: self.locate(dir), source: io::ErrorKind::NotFound.into() }),
        }
    }

    /// Whether the path by which the root was opened leads to it still: somebody may have moved it away, or put another in its place. Of a
    /// disk that was opened by no path it is always so.
    ///
    /// # Errors
    /// What the disk says.
    fn is_in_its_place(&self) -> Result<bool, FsError> {
        Ok(true)
    }

    /// Makes one directory.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; else what the disk says.
    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError>;

    /// Moves `from` to `to`, replacing at once a file or an empty directory that was there.
    ///
    /// Two names of one file are left as they are, both.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError>;

    /// Moves a file to a name that must not be taken, at once.
    ///
    /// Linux does it with `RENAME_NOREPLACE`, macOS with `RENAME_EXCL`. On a file system that cannot, the file gets a
    /// second name and loses the first: a crash between the two leaves both.
    ///
    /// # Errors
    /// `AlreadyExists` when `to` is taken; else what the disk says.
    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError>;

    /// Swaps two names at once; both must be there.
    ///
    /// Linux does it with `RENAME_EXCHANGE`, macOS with `RENAME_SWAP`, which only APFS and HFS+
    /// know. A file system that cannot says `InvalidInput` or `Unsupported`, and nothing has
    /// changed; there is no fallback, for two renames would not be one.
    ///
    /// # Errors
    /// What the disk says.
    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError>;

    /// Gives a file a second name, which must not be taken.
    ///
    /// # Errors
    /// `AlreadyExists` when `to` is taken; else what the disk says.
    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError>;

    /// Removes the name of a file or symlink.
    ///
    /// # Errors
    /// `NotFound` when it is not there; else what the disk says.
    fn unlink(&self, path: &RelPath) -> Result<(), FsError>;

    /// Makes the bytes and the lengths of several files durable, in no order that could be relied on.
    ///
    /// # Errors
    /// Of the files that failed, what [`FsFile::sync`] says of the first. Whether the others are durable is then unknown.
    fn sync_files(&self, files: &mut [&mut FsFile]) -> Result<(), FsError> {
        files.iter_mut().try_for_each(|file| file.sync())
    }

    /// Makes the entries of a directory durable: what was created in it, moved in or out, removed.
    ///
    /// # Errors
    /// What the disk says; whether the entries are durable is then unknown.
    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError>;

    /// The same for several directories, in no order that could be relied on.
    ///
    /// # Errors
    /// Of the directories that failed, what [`Fs::sync_dir`] says of the first. Whether the others are durable is then unknown.
    fn sync_dirs(&self, dirs: &[&RelPath]) -> Result<(), FsError> {
        dirs.iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// Lists a directory, sorted by the bytes of the names.
    ///
    /// # Errors
    /// When it holds more than [`LIST_ENTRIES_MAX`]; else what the disk says.
    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError>;

    /// Says what a name is, without following a symlink; `None` when there is nothing.
    ///
    /// # Errors
    /// What the disk says.
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError>;

    /// Reads a whole file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `NotFound`, `FileTooLarge`, or what the disk says.
    fn read(&self, path: &RelPath, bytes_max: u64) -> Result<Vec<u8>, FsError> {
        let mut bytes = Vec::new();
        let mut reader = self.reader(path)?.take(bytes_max.saturating_add(1));
        let located = || self.locate(path);
        reader.read_to_end(&mut bytes).map_err(|source| FsError::Io { op: Op::Read, path: located(), source })?;
        if bytes.len() as u64 > bytes_max {
            return Err(FsError::TooLarge { path: located(), limit: bytes_max, unit: "bytes" });
        }
        Ok(bytes)
    }
}

/// A disk that is lent or shared is a disk.
macro_rules! the_same_disk {
    ($($disk:ty),*) => {$(
        impl<F: Fs + ?Sized> Fs for $disk {
            fn locate(&self, path: &RelPath) -> PathBuf {
                (**self).locate(path)
            }
            fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
                (**self).create(path, mode)
            }
            fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
                (**self).append(path)
            }
            fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
                (**self).reader(path)
            }
            fn reader_from(&self, path: &RelPath, offset: u64) -> Result<Box<dyn Read + Send>, FsError> {
                (**self).reader_from(path, offset)
            }
            fn room_bytes(&self, dir: &RelPath) -> Result<u64, FsError> {
                (**self).room_bytes(dir)
            }
            fn is_in_its_place(&self) -> Result<bool, FsError> {
                (**self).is_in_its_place()
            }
            fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
                (**self).mkdir(path, mode)
            }
            fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
                (**self).rename(from, to)
            }
            fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
                (**self).rename_new(from, to)
            }
            fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
                (**self).exchange(a, b)
            }
            fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
                (**self).link(from, to)
            }
            fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
                (**self).unlink(path)
            }
            fn sync_files(&self, files: &mut [&mut FsFile]) -> Result<(), FsError> {
                (**self).sync_files(files)
            }
            fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
                (**self).sync_dir(dir)
            }
            fn sync_dirs(&self, dirs: &[&RelPath]) -> Result<(), FsError> {
                (**self).sync_dirs(dirs)
            }
            fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
                (**self).list(dir)
            }
            fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
                (**self).stat(path)
            }
            fn read(&self, path: &RelPath, bytes_max: u64) -> Result<Vec<u8>, FsError> {
                (**self).read(path, bytes_max)
            }
        }
    )*};
}

the_same_disk!(&F, Arc<F>);

/// An open file that bytes are appended to.
///
/// The first failed [`sync`](FsFile::sync) poisons it: the kernel has dropped the pages it could
/// not write and calls them clean, so that a second sync would succeed without having saved
/// anything. A poisoned file refuses everything; what it holds on the disk is unknown.
///
/// As an [`io::Write`] it is unbuffered, and `flush` makes nothing durable.
pub struct FsFile {
    path: PathBuf,
    raw: Box<dyn RawFile>,
    poisoned: bool,
}

impl FsFile {
    /// Wraps what a disk opened at `path` (as a person finds it).
    pub fn new(path: PathBuf, raw: Box<dyn RawFile>) -> Self {
        Self { path, raw, poisoned: false }
    }

    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// What the disk says; some of the bytes may have been written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.trusted()?;
        let path = &self.path;
        self.raw.write_all(bytes).map_err(|source| FsError::Io { op: Op::Write, path: path.clone(), source })
    }

    /// Cuts the file to `len` bytes, or stretches it with zeros.
    ///
    /// # Errors
    /// What the disk says.
    pub fn truncate(&mut self, len: u64) -> Result<(), FsError> {
        self.trusted()?;
        self.raw.truncate(len).map_err(|source| self.failed(Op::Truncate, source))
    }

    /// Makes the bytes and the length durable.
    ///
    /// # Errors
    /// What the disk says; the file is then poisoned.
    pub fn sync(&mut self) -> Result<(), FsError> {
        self.trusted()?;
        self.raw.sync().map_err(|source| {
            self.poisoned = true;
            self.failed(Op::Sync, source)
        })
    }

    fn trusted(&self) -> Result<(), FsError> {
        if self.poisoned { Err(FsError::Poisoned { path: self.path.clone() }) } else { Ok(()) }
    }

    fn failed(&self, op: Op, source: io::Error) -> FsError {
        FsError::Io { op, path: self.path.clone(), source }
    }
}

impl Write for FsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.trusted().map_err(io::Error::other)?;
        self.raw.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for FsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsFile").field("path", &self.path).field("poisoned", &self.poisoned).finish_non_exhaustive()
    }
}

/// What a disk supplies for an open file; [`FsFile`] adds the path to its errors, and the poison.
///
/// Its `write` appends, and may write less than it was given.
pub trait RawFile: Write + Send {
    /// Cuts the file to `len` bytes, or stretches it with zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes the bytes and the length durable.
    ///
    /// # Errors
    /// What the disk says.
    fn sync(&mut self) -> io::Result<()>;
}

/// The permissions of what is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// 0666 for a file and 0777 for a directory, less the process's umask, which the kernel takes
    /// off at creation (and replaces by the directory's default ACL where there is one): the
    /// umask need not be read, which no program can do without changing it for a moment.
    #[default]
    Umask,
    /// Exactly these permission bits, whatever the umask.
    Exact(u32),
}

/// What kind of thing a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symlink, wherever it leads.
    Symlink,
    /// A pipe, a socket or a device.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Dir => "a directory",
            Self::Symlink => "a symlink",
            Self::Other => "a pipe, a socket or a device",
        })
    }
}

/// A name in a directory, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name; any bytes but `/` and NUL.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes; means nothing but for a file.
    pub len: u64,
    /// Its permission bits, as `0o7777` masks them.
    pub mode: u32,
    /// Which file it is, whatever its name.
    pub id: FileId,
    /// When it was changed.
    pub changed: Changed,
}

/// When a file was changed, by the clock of its file system, in nanoseconds. Where two are alike it was not changed between them, unless
/// within one tick of that clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changed {
    /// When its bytes were written last; whoever owns it can set that.
    pub written_nanos: i128,
    /// When anything of it was changed last, these times too; nobody can set that.
    pub touched_nanos: i128,
}

/// Which file it is: two names with one id are two names of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file on it.
    pub inode: u64,
}
