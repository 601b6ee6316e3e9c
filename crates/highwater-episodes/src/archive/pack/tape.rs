//! The tar stream of a tree, pulled a chunk at a time. Owns what is in the archive and in which order, that each file is read once
//! and was the same before and after, and the content hash that comes of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::chunk::Chunk;
use super::{Content, PackError};
use crate::archive::content::{ContentFile, ContentHasher};
use crate::archive::header::{BLOCK_BYTES, HEADERS_BYTES_MAX, Head};
use crate::archive::look::Looking;
use crate::archive::meta::{META_BYTES_MAX, META_NAME};
use crate::archive::tree::{Stamp, Tree, open_dir, open_file};
use crate::digest::Sha256Digest;

/// Two blocks of zeros end an archive.
const END_BYTES: usize = 2 * BLOCK_BYTES;

/// The stream, as far as it was pulled.
pub(super) struct Tape<'t> {
    tree: &'t Tree,
    next: usize,
    /// The directories on the way to the one that is read from, each with the length of its path, `/` included.
    way: Vec<(OwnedFd, usize)>,
    /// The path of the last of them.
    here: &'t [u8],
    current: Option<Current<'t>>,
    padding: usize,
    headers: Vec<u8>,
    content: ContentHasher,
    looking: Looking,
    meta: Option<Vec<u8>>,
}

struct Current<'t> {
    path: &'t [u8],
    name: &'t OsStr,
    file: File,
    stamp: Stamp,
    left: u64,
    hash: Sha256,
    meta: Option<Vec<u8>>,
}

impl Current<'_> {
    /// Reads some of what the file had when it was opened; more is never asked for.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(room.len());
        let read = loop {
            match self.file.read(&mut room[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => break read?,
            }
        };
        let bytes = &room[..read];
        self.hash.update(bytes);
        if let Some(meta) = &mut self.meta {
            // One byte more than is allowed, so that it is seen to be too long.
            meta.extend_from_slice(&bytes[..read.min(META_BYTES_MAX + 1 - meta.len())]);
        }
        self.left -= read as u64;
        Ok(read)
    }
}

impl<'t> Tape<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        let here = tree.found(0).map_or(&b""[..], |top| top.path);
        Self {
            tree,
            next: 0,
            way: Vec::new(),
            here,
            current: None,
            padding: 0,
            headers: Vec::with_capacity(HEADERS_BYTES_MAX),
            content: ContentHasher::default(),
            looking: Looking::default(),
            meta: None,
        }
    }

    /// Fills an empty chunk; `false` with the last of the stream.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<bool, PackError> {
        chunk.clear();
        loop {
            let room = chunk.free().len();
            if let Some(current) = &mut self.current {
                if current.left > 0 {
                    if room == 0 {
                        return Ok(true);
                    }
                    let read = current.read(chunk.free()).map_err(|source| self.broken(source))?;
                    chunk.take(read);
                } else {
                    self.close()?;
                }
            } else if self.padding > 0 {
                if room == 0 {
                    return Ok(true);
                }
                let zeros = self.padding.min(room);
                chunk.zeros(zeros);
                self.padding -= zeros;
            } else if room < HEADERS_BYTES_MAX.max(END_BYTES) {
                return Ok(true);
            } else if self.next < self.tree.len() {
                self.open()?;
                chunk.push(&self.headers);
            } else {
                self.walk_to(b"")?;
                chunk.zeros(END_BYTES);
                return Ok(false);
            }
        }
    }

    /// What was read, when the last of the stream was pulled.
    pub(super) fn finish(self) -> Content {
        Content { content_sha256: self.content.finish(), look: self.looking.end(), meta: self.meta }
    }

    /// Goes on to the next path and writes its headers.
    fn open(&mut self) -> Result<(), PackError> {
        let found = self.tree.found(self.next).expect("invariant: it is within the tree");
        self.next += 1;
        self.headers.clear();
        let path = found.path;
        if found.dir.is_some() {
            self.walk_to(path)?;
            Head { path, executable: false, size: 0, mtime_secs: 0 }.write(&mut self.headers);
            return Ok(());
        }
        let slash = path.iter().rposition(|byte| *byte == b'/').expect("invariant: a file lies below the top");
        let (dir, name) = (&path[..=slash], OsStr::from_bytes(&path[slash + 1..]));
        self.walk_to(dir)?;
        let (here, _) = self.way.last().expect("invariant: the top is never left before the end");
        let file = open_file(here, name).map_err(|errno| self.lost(path, errno))?;
        let stamp = Stamp::open(&file).map_err(|errno| self.lost(path, errno))?;
        if !stamp.is_file() {
            return Err(self.changing(path));
        }
        let bytes = self.looking.file(self.tree.below(path), &stamp);
        let limit = self.tree.limits().bytes;
        if bytes > limit {
            return Err(PackError::TooMuch { path: self.tree.locate(path), what: "bytes", limit });
        }
        let executable = stamp.mode & 0o100 != 0;
        Head { path, executable, size: stamp.size, mtime_secs: stamp.mtime.0 }.write(&mut self.headers);
        let meta = (self.tree.below(path) == META_NAME.as_bytes()).then(Vec::new);
        let (file, left) = (File::from(file), stamp.size);
        self.current = Some(Current { path, name, file, stamp, left, hash: Sha256::new(), meta });
        Ok(())
    }

    /// Ends the file that was read, if it is still the one it was.
    fn close(&mut self) -> Result<(), PackError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let Current { path, name, stamp, hash, meta, .. } = current;
        let (here, _) = self.way.last().expect("invariant: the top is never left before the end");
        let now = Stamp::named(here, name).map_err(|errno| self.lost(path, errno))?;
        if now != stamp {
            return Err(self.changing(path));
        }
        self.meta = self.meta.take().or(meta);
        self.padding = usize::try_from(stamp.size.next_multiple_of(BLOCK_BYTES as u64) - stamp.size)
            .expect("invariant: less than a block");
        self.content.file(&ContentFile {
            path: self.tree.below(path),
            executable: stamp.mode & 0o100 != 0,
            size: stamp.size,
            sha256: Sha256Digest::new(hash.finalize().into()),
            mtime_secs: stamp.mtime.0,
        });
        Ok(())
    }

    /// Leaves directories that do not lead to `dir`, if they hold what they held when they were listed, and enters those that do.
    fn walk_to(&mut self, dir: &'t [u8]) -> Result<(), PackError> {
        while let Some((open, len)) = self.way.last() {
            let path = &self.here[..*len];
            if dir.starts_with(path) {
                break;
            }
            let now = Stamp::open(open).map_err(|errno| self.lost(path, errno))?;
            if !now.same_names(self.tree.stamp(path)) {
                return Err(self.changing(path));
            }
            self.way.pop();
        }
        let mut from = self.way.last().map_or(0, |(_, len)| *len);
        while from < dir.len() {
            let slash =
                dir[from..].iter().position(|byte| *byte == b'/').expect("invariant: a directory ends in a slash");
            let to = from + slash + 1;
            let name = OsStr::from_bytes(&dir[from..to - 1]);
            let opened = match self.way.last() {
                Some((open, _)) => open_dir(open, name),
                None => open_dir(&self.tree.dir, OsStr::new(".")),
            };
            let opened = opened.map_err(|errno| self.lost(&dir[..to], errno))?;
            // Whether it is the one that was listed is seen when it is left.
            self.way.push((opened, to));
            from = to;
        }
        self.here = dir;
        Ok(())
    }

    fn changing(&self, path: &[u8]) -> PackError {
        PackError::Changing { path: self.tree.locate(path) }
    }

    /// What was there when it was listed and cannot be opened now.
    fn lost(&self, path: &[u8], errno: Errno) -> PackError {
        match errno {
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => self.changing(path),
            other => self.tree.failed(path, other),
        }
    }

    /// Reading the current file failed.
    fn broken(&self, source: io::Error) -> PackError {
        let path = self.current.as_ref().map_or(&b""[..], |current| current.path);
        match source.kind() {
            io::ErrorKind::UnexpectedEof => self.changing(path),
            _ => PackError::Read { path: self.tree.locate(path), source },
        }
    }
}
