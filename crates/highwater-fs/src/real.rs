//! The real disk: [`Fs`] on directory descriptors.
//!
//! A path is walked name by name from the root's descriptor, each step refusing a symlink, so that
//! nobody who can write below the root can lead an operation out of it, not even by swapping a
//! directory for a symlink meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{self, AtFlags, Dir, FileType, OFlags, RawMode, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::{Changed, Entry, FileId, Fs, FsError, FsFile, Kind, LIST_ENTRIES_MAX, Mode, Op, RawFile, RelPath, Stat};

/// How many files or directories are synced at a time.
const SYNCS_AT_ONCE_MAX: usize = 8;
/// After so many bytes the disk begins to write what was appended.
const BEGUN_EVERY_BYTES: u64 = 8 << 20;

/// A directory of the real disk, and what lies below it.
///
/// On macOS a sync is `F_FULLFSYNC`, which reaches the platter and not just the drive.
#[derive(Debug)]
pub struct RealFs {
    root: PathBuf,
    dir: OwnedFd,
}

impl RealFs {
    /// Opens the directory that is to be the root; symlinks on the way to it are followed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, FsError> {
        let root = root.as_ref();
        let failed = |source| FsError::Io { op: Op::Enter, path: root.to_owned(), source };
        let absolute = std::path::absolute(root).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            retry_on_intr(|| fs::open(&absolute, flags, fs::Mode::empty())).map_err(|errno| failed(errno.into()))?;
        Ok(Self { root: absolute, dir })
    }

    /// Opens a directory by walking to it from the root.
    fn enter(&self, dir: &RelPath) -> Result<OwnedFd, FsError> {
        let step = |from: &OwnedFd, name: &OsStr| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            retry_on_intr(|| fs::openat(from, name, flags, fs::Mode::empty()))
        };
        let mut walked = self.root.clone();
        let mut here = step(&self.dir, OsStr::new(".")).map_err(|e| refused(Op::Enter, &walked, e))?;
        for name in dir.names() {
            walked.push(name);
            here = step(&here, name).map_err(|errno| {
                // Linux calls a symlink here "not a directory", macOS "too many links".
                let errno = if errno == Errno::LOOP { Errno::NOTDIR } else { errno };
                refused(Op::Enter, &walked, errno)
            })?;
        }
        Ok(here)
    }

    /// Opens the directory that `path` lies in, and names `path` in it.
    fn locate_in<'p>(&self, op: Op, path: &'p RelPath) -> Result<(OwnedFd, &'p OsStr), FsError> {
        let (parent, name) = path.split().ok_or_else(|| refused(op, &self.locate(path), Errno::INVAL))?;
        Ok((self.enter(&parent)?, name))
    }

    /// Opens a regular file that is there.
    fn open_file(&self, op: Op, path: &RelPath, flags: OFlags) -> Result<File, FsError> {
        let failed = |errno| refused(op, &self.locate(path), errno);
        let (dir, name) = self.locate_in(op, path)?;
        // Without NONBLOCK the open of a pipe would wait for its other end.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = retry_on_intr(|| fs::openat(&dir, name, flags, fs::Mode::empty())).map_err(failed)?;
        let stat = fs::fstat(&file).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            FileType::Directory => Err(failed(Errno::ISDIR)),
            _ => Err(failed(Errno::INVAL)),
        }
    }

    /// Does something to two paths at once.
    fn pair(
        &self,
        op: Op,
        from: &RelPath,
        to: &RelPath,
        act: impl FnOnce(&OwnedFd, &OsStr, &OwnedFd, &OsStr) -> rustix::io::Result<()>,
    ) -> Result<(), FsError> {
        let (from_dir, from_name) = self.locate_in(op, from)?;
        let (to_dir, to_name) = self.locate_in(op, to)?;
        act(&from_dir, from_name, &to_dir, to_name).map_err(|errno| FsError::Pair {
            op,
            from: self.locate(from),
            to: self.locate(to),
            source: errno.into(),
        })
    }
}

impl Fs for RealFs {
    fn locate(&self, path: &RelPath) -> PathBuf {
        // Joining nothing would add a slash.
        if path.parent().is_some() { self.root.join(path) } else { self.root.clone() }
    }

    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        let failed = |errno| refused(Op::Create, &self.locate(path), errno);
        let (dir, name) = self.locate_in(Op::Create, path)?;
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| fs::openat(&dir, name, flags, bits(mode, 0o666))).map_err(failed)?;
        set_exactly(&file, mode).map_err(failed)?;
        Ok(FsFile::new(self.locate(path), Box::new(Appended::to(File::from(file)))))
    }

    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        let file = self.open_file(Op::Append, path, OFlags::WRONLY | OFlags::APPEND)?;
        Ok(FsFile::new(self.locate(path), Box::new(Appended::to(file))))
    }

    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        Ok(Box::new(self.open_file(Op::Read, path, OFlags::RDONLY)?))
    }

    fn reader_from(&self, path: &RelPath, offset: u64) -> Result<Box<dyn Read + Send>, FsError> {
        let mut file = self.open_file(Op::Read, path, OFlags::RDONLY)?;
        let failed = |source| FsError::Io { op: Op::Read, path: self.locate(path), source };
        // Not every file system takes a place that no file of its own can have.
        let len = file.metadata().map_err(failed)?.len();
        file.seek(SeekFrom::Start(offset.min(len))).map_err(failed)?;
        Ok(Box::new(file))
    }

    fn room_bytes(&self, dir: &RelPath) -> Result<u64, FsError> {
        let fd = self.enter(dir)?;
        let stat = retry_on_intr(|| fs::fstatvfs(&fd)).map_err(|errno| refused(Op::Stat, &self.locate(dir), errno))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn is_in_its_place(&self) -> Result<bool, FsError> {
        let failed = |errno| refused(Op::Stat, &self.root, errno);
        let ours = fs::fstat(&self.dir).map_err(failed)?;
        // As when it was opened, symlinks on the way are followed.
        match retry_on_intr(|| fs::stat(&self.root)) {
            Ok(there) => Ok((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        let (dir, name) = self.locate_in(Op::Mkdir, path)?;
        fs::mkdirat(&dir, name, bits(mode, 0o777)).map_err(|errno| refused(Op::Mkdir, &self.locate(path), errno))?;
        if matches!(mode, Mode::Exact(_)) {
            set_exactly(&self.enter(path)?, mode).map_err(|errno| refused(Op::Mkdir, &self.locate(path), errno))?;
        }
        Ok(())
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.pair(Op::Rename, from, to, |a, x, b, y| fs::renameat(a, x, b, y))
    }

    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.pair(Op::Rename, from, to, |a, x, b, y| match fs::renameat_with(a, x, b, y, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::linkat(a, x, b, y, AtFlags::empty())?;
                fs::unlinkat(a, x, AtFlags::empty())
            }
            renamed => renamed,
        })
    }

    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.pair(Op::Exchange, a, b, |a, x, b, y| fs::renameat_with(a, x, b, y, RenameFlags::EXCHANGE))
    }

    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.pair(Op::Link, from, to, |a, x, b, y| fs::linkat(a, x, b, y, AtFlags::empty()))
    }

    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        let (dir, name) = self.locate_in(Op::Unlink, path)?;
        fs::unlinkat(&dir, name, AtFlags::empty()).map_err(|errno| refused(Op::Unlink, &self.locate(path), errno))
    }

    fn sync_files(&self, files: &mut [&mut FsFile]) -> Result<(), FsError> {
        together(files.iter_mut(), |file| file.sync())
    }

    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
        // The standard library's sync, not rustix's: it knows what macOS needs.
        File::from(self.enter(dir)?).sync_all().map_err(|source| FsError::Io {
            op: Op::SyncDir,
            path: self.locate(dir),
            source,
        })
    }

    fn sync_dirs(&self, dirs: &[&RelPath]) -> Result<(), FsError> {
        together(dirs.iter(), |dir| self.sync_dir(dir))
    }

    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        let failed = |errno| refused(Op::List, &self.locate(dir), errno);
        let fd = self.enter(dir)?;
        let mut entries = Vec::new();
        for found in Dir::read_from(&fd).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = found.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == LIST_ENTRIES_MAX {
                let limit = LIST_ENTRIES_MAX as u64;
                return Err(FsError::TooLarge { path: self.locate(dir), limit, unit: "entries" });
            }
            let kind = match found.file_type() {
                FileType::Unknown => match stat_at(&fd, OsStr::from_bytes(name)).map_err(failed)? {
                    Some(stat) => stat.kind,
                    None => continue, // gone since it was listed
                },
                known => kind_of(known),
            };
            entries.push(Entry { name: OsStringExt::from_vec(name.to_vec()), kind });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        let Some((parent, name)) = path.split() else {
            return stat_at(&self.dir, OsStr::new(".")).map_err(|errno| refused(Op::Stat, &self.root, errno));
        };
        match self.enter(&parent) {
            Ok(dir) => stat_at(&dir, name).map_err(|errno| refused(Op::Stat, &self.locate(path), errno)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A file that bytes are appended to. What is long begins to be written to the disk while more of it comes, so that less waits for the sync.
struct Appended {
    file: File,
    /// How much came since the disk was last told to begin.
    waiting_bytes: u64,
}

impl Appended {
    fn to(file: File) -> Self {
        Self { file, waiting_bytes: 0 }
    }

    /// Has the disk begin with what came last. Linux does so with what is not written yet when it is told that it will not be read, and
    /// keeps it cached. What fails of that, a later sync says.
    ///
    /// # Source
    /// posix_fadvise(2), `POSIX_FADV_DONTNEED`
    #[cfg(target_os = "linux")]
    fn begin(&mut self) {
        let Ok(end) = self.file.stream_position() else { return };
        let len = std::num::NonZeroU64::new(self.waiting_bytes);
        let _ = fs::fadvise(&self.file, end.saturating_sub(self.waiting_bytes), len, fs::Advice::DontNeed);
    }

    #[cfg(not(target_os = "linux"))]
    fn begin(&mut self) {}
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.waiting_bytes += written as u64;
        if self.waiting_bytes >= BEGUN_EVERY_BYTES {
            self.begin();
            self.waiting_bytes = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawFile for Appended {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.waiting_bytes = 0;
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.waiting_bytes = 0;
        self.file.sync_all()
    }
}

/// Syncs each of them, some at a time, and says what failed of the first that did, once no thread is at work any more. A disk writes what
/// waits for it at once in less time than one after the other, and a journal takes many files into one entry.
fn together<T: Send>(
    syncs: impl ExactSizeIterator<Item = T> + Send,
    sync: impl Fn(T) -> Result<(), FsError> + Sync,
) -> Result<(), FsError> {
    let beside = syncs.len().min(SYNCS_AT_ONCE_MAX).saturating_sub(1);
    let waiting = Mutex::new(syncs.enumerate());
    let first_failed: Mutex<Option<(usize, FsError)>> = Mutex::default();
    let work = || {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((n, one)) = next() {
            if let Err(error) = sync(one) {
                let mut first = first_failed.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(first, _)| n < *first) {
                    *first = Some((n, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..beside {
            // Where no thread can be had, fewer do it: this one at least.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    match first_failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

fn refused(op: Op, path: &Path, errno: Errno) -> FsError {
    FsError::Io { op, path: path.to_owned(), source: errno.into() }
}

fn bits(mode: Mode, by_umask: RawMode) -> fs::Mode {
    match mode {
        Mode::Umask => fs::Mode::from_raw_mode(by_umask),
        Mode::Exact(mode) => fs::Mode::from_raw_mode((mode & 0o777) as RawMode),
    }
}

/// Undoes what the umask took off.
fn set_exactly(fd: &OwnedFd, mode: Mode) -> rustix::io::Result<()> {
    match mode {
        Mode::Umask => Ok(()),
        Mode::Exact(_) => fs::fchmod(fd, bits(mode, 0)),
    }
}

#[allow(clippy::unnecessary_cast, reason = "Linux and macOS differ in the widths")]
fn stat_at(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Option<Stat>> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Stat {
            kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
            len: stat.st_size as u64,
            mode: stat.st_mode as u32 & 0o7777,
            id: FileId { device: stat.st_dev as u64, inode: stat.st_ino },
            changed: Changed {
                written_nanos: nanos(stat.st_mtime as i128, stat.st_mtime_nsec as i128),
                touched_nanos: nanos(stat.st_ctime as i128, stat.st_ctime_nsec as i128),
            },
        })),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn nanos(secs: i128, below: i128) -> i128 {
    secs * 1_000_000_000 + below
}

fn kind_of(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}
