//! An episode's directory as it is found: every path in the order of its bytes, and how each directory was when it was listed.
//! Owns the walk, its limits, and what may lie in an episode: directories and regular files. Reads no file.
//!
//! Every step goes from a directory's descriptor to a name in it and refuses a symlink, so that nobody who can write into an
//! episode can have files of others packed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use sha2::{Digest as _, Sha256};

use super::pack::PackError;
use super::{DEPTH_MAX, ENTRIES_MAX, PATH_BYTES_MAX, PATHS_BYTES_MAX, UNPACKED_BYTES_MAX};
use crate::name::EpisodeId;

const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
// Without NONBLOCK the open of a pipe would wait for its other end.
const FILE_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How much an episode may hold. What is packed within the defaults is read back within the defaults of [`super::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Files and directories.
    pub entries: u64,
    /// Bytes of a path, the episode's own name and a directory's `/` included; no more than [`PATH_BYTES_MAX`] counts.
    pub path_bytes: usize,
    /// Bytes of all paths together; no more than [`PATHS_BYTES_MAX`] counts.
    pub paths_bytes: usize,
    /// Directories below each other.
    pub depth: usize,
    /// Bytes of all files together.
    pub bytes: u64,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            entries: ENTRIES_MAX,
            path_bytes: PATH_BYTES_MAX,
            paths_bytes: PATHS_BYTES_MAX,
            depth: DEPTH_MAX,
            bytes: UNPACKED_BYTES_MAX,
        }
    }
}

/// What tells whether a file or directory is still the one it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) id: (u64, u64),
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    #[allow(clippy::unnecessary_cast, reason = "Linux and macOS differ in the widths")]
    fn of(stat: &fs::Stat) -> Self {
        Self {
            id: (stat.st_dev as u64, stat.st_ino as u64),
            mode: stat.st_mode as u32,
            size: stat.st_size as u64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// Of what is open.
    pub(super) fn open(file: impl AsFd) -> rustix::io::Result<Self> {
        fs::fstat(file).map(|stat| Self::of(&stat))
    }

    /// Of what bears that name by now.
    pub(super) fn named(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Self> {
        fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Self::of(&stat))
    }

    /// Adds all of it to a hash but the device.
    pub(super) fn add_to(&self, hash: &mut Sha256) {
        hash.update(self.id.1.to_le_bytes());
        hash.update(self.mode.to_le_bytes());
        hash.update(self.size.to_le_bytes());
        for (secs, nanos) in [self.mtime, self.ctime] {
            hash.update(secs.to_le_bytes());
            hash.update(nanos.to_le_bytes());
        }
    }

    /// Whether a directory holds the same names: its other facts may change.
    pub(super) fn same_names(&self, other: &Self) -> bool {
        (self.id, self.mtime) == (other.id, other.mtime)
    }

    pub(super) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.mode as fs::RawMode) == FileType::RegularFile
    }
}

/// Opens a directory, or a file, by its name in another directory.
pub(super) fn open_dir(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    retry_on_intr(|| fs::openat(&dir, name, DIR_FLAGS, Mode::empty()))
}

pub(super) fn open_file(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    retry_on_intr(|| fs::openat(&dir, name, FILE_FLAGS, Mode::empty()))
}

/// A path of the tree.
#[derive(Debug, Clone, Copy)]
struct Item {
    at: u32,
    /// Without the `/` that follows a directory's.
    len: u32,
    /// Of a directory: which of the stamps is its.
    dir: Option<u32>,
}

/// A file or a directory of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'t> {
    /// With the episode's name in front; a directory's ends in `/`.
    pub(super) path: &'t [u8],
    /// Of a directory: how it was when it was listed.
    pub(super) dir: Option<&'t Stamp>,
}

/// The directory of an episode.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    pub(super) dir: OwnedFd,
    top_bytes: usize,
    paths: Vec<u8>,
    items: Vec<Item>,
    stamps: Vec<Stamp>,
    limits: TreeLimits,
}

impl Tree {
    /// Lists what lies in that directory, to be packed under the episode's name.
    pub(super) fn list(root: &Path, episode: &EpisodeId, limits: TreeLimits) -> Result<Self, PackError> {
        let dir = open_root(root)?;
        let mut tree = Self {
            root: root.to_owned(),
            dir,
            top_bytes: episode.as_str().len() + 1,
            paths: Vec::new(),
            items: Vec::new(),
            stamps: Vec::new(),
            limits: TreeLimits {
                path_bytes: limits.path_bytes.min(PATH_BYTES_MAX),
                paths_bytes: limits.paths_bytes.min(PATHS_BYTES_MAX),
                ..limits
            },
        };
        let again = open_dir(&tree.dir, OsStr::new(".")).map_err(|errno| tree.failed(b"", errno))?;
        tree.enter(again, b"", episode.as_str().as_bytes(), 1)?;
        let paths = &tree.paths;
        tree.items.sort_unstable_by(|a, b| path(paths, a).cmp(path(paths, b)));
        Ok(tree)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn limits(&self) -> &TreeLimits {
        &self.limits
    }

    pub(super) fn found(&self, index: usize) -> Option<Found<'_>> {
        let item = self.items.get(index)?;
        let from = item.at as usize;
        let to = from + item.len as usize + usize::from(item.dir.is_some());
        Some(Found { path: &self.paths[from..to], dir: item.dir.map(|stamp| &self.stamps[stamp as usize]) })
    }

    /// How a directory was when it was listed; its path with the episode's name in front.
    pub(super) fn stamp(&self, dir: &[u8]) -> &Stamp {
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        let index = self.items.binary_search_by(|item| path(&self.paths, item).cmp(dir));
        let stamp = index.ok().and_then(|index| self.items[index].dir);
        &self.stamps[stamp.expect("invariant: the directory of what was listed was listed") as usize]
    }

    /// How the file is by now at this path below the episode's own directory.
    pub(super) fn stamp_of(&self, below: &[u8]) -> rustix::io::Result<Stamp> {
        Stamp::named(&self.dir, OsStr::from_bytes(below))
    }

    /// The part of a path below the episode's own directory.
    pub(super) fn below<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.top_bytes..).unwrap_or_default()
    }

    /// Where on the disk that is.
    pub(super) fn locate(&self, path: &[u8]) -> PathBuf {
        match self.below(path) {
            b"" => self.root.clone(),
            below => self.root.join(OsStr::from_bytes(below)),
        }
    }

    pub(super) fn failed(&self, path: &[u8], errno: Errno) -> PackError {
        PackError::Read { path: self.locate(path), source: errno.into() }
    }

    /// Adds a file, or a directory that was like that before it is listed.
    fn add(&mut self, parent: &[u8], name: &[u8], dir: Option<Stamp>) -> Result<(), PackError> {
        let at = self.paths.len();
        self.paths.extend_from_slice(parent);
        self.paths.extend_from_slice(name);
        let len = self.paths.len() - at;
        if dir.is_some() {
            self.paths.push(b'/');
        }
        let over = [
            (self.paths.len() - at > self.limits.path_bytes, "bytes in a path", self.limits.path_bytes as u64),
            (self.paths.len() > self.limits.paths_bytes, "bytes in all paths", self.limits.paths_bytes as u64),
            (self.items.len() as u64 >= self.limits.entries, "files and directories", self.limits.entries),
        ];
        if let Some((_, what, limit)) = over.into_iter().find(|(over, ..)| *over) {
            return Err(PackError::TooMuch { path: self.locate(&self.paths[at..]), what, limit });
        }
        let small = |number: usize| u32::try_from(number).expect("invariant: all paths together are bounded");
        let stamp = dir.map(|stamp| {
            self.stamps.push(stamp);
            small(self.stamps.len() - 1)
        });
        self.items.push(Item { at: small(at), len: small(len), dir: stamp });
        Ok(())
    }

    /// Adds a directory and lists it, and those in it.
    fn enter(&mut self, dir: OwnedFd, parent: &[u8], name: &[u8], depth: usize) -> Result<(), PackError> {
        let path = [parent, name, b"/"].concat();
        if depth > self.limits.depth {
            let limit = self.limits.depth as u64;
            return Err(PackError::TooMuch { path: self.locate(&path), what: "directories below each other", limit });
        }
        // The stamp first: whatever comes or goes while it is listed makes it another.
        let stamp = Stamp::open(&dir).map_err(|errno| self.failed(&path, errno))?;
        self.add(parent, name, Some(stamp))?;
        let listing = Dir::read_from(&dir).map_err(|errno| self.failed(&path, errno))?;
        let mut dirs = Vec::new();
        for found in listing {
            let found = found.map_err(|errno| self.failed(&path, errno))?;
            let name = found.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match found.file_type() {
                FileType::Unknown => match fs::statat(&dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(errno) => return Err(self.failed(&[&path, name].concat(), errno)),
                },
                known => known,
            };
            match kind {
                FileType::RegularFile => self.add(&path, name, None)?,
                FileType::Directory => {
                    dirs.push(name.to_vec());
                    if self.items.len() + dirs.len() > usize::try_from(self.limits.entries).unwrap_or(usize::MAX) {
                        let (what, limit) = ("files and directories", self.limits.entries);
                        return Err(PackError::TooMuch { path: self.locate(&path), what, limit });
                    }
                }
                other => {
                    let path = self.locate(&[&path, name].concat());
                    return Err(PackError::Kind { path, kind: kind_name(other) });
                }
            }
        }
        for name in dirs {
            let inner = open_dir(&dir, OsStr::from_bytes(&name));
            let inner = inner.map_err(|errno| self.failed(&[&path, name.as_slice()].concat(), errno))?;
            self.enter(inner, &path, &name, depth + 1)?;
        }
        Ok(())
    }
}

fn path<'p>(paths: &'p [u8], item: &Item) -> &'p [u8] {
    &paths[item.at as usize..][..item.len as usize]
}

/// Opens the episode's own directory; symlinks on the way to it are followed, one in its place is not.
fn open_root(root: &Path) -> Result<OwnedFd, PackError> {
    let failed = |errno: Errno| PackError::Read { path: root.to_owned(), source: errno.into() };
    // By its name in its parent: a slash behind a symlink's name would lead through it.
    let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no directory with a name");
        return Err(PackError::Read { path: root.to_owned(), source });
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = retry_on_intr(|| fs::open(parent, flags, Mode::empty())).map_err(failed)?;
    open_dir(&parent, name).map_err(|errno| match fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
            PackError::Root { path: root.to_owned(), kind: kind_name(FileType::from_raw_mode(stat.st_mode)) }
        }
        _ => failed(errno),
    })
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symlink",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "neither a file nor a directory",
    }
}
