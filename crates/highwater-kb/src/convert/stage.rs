//! A document's bytes, copied once to a private file and hashed on the way; or hashed where they lie, by who may know them already.
//! Owns what may be read so: a regular file of any name, which is not too large and does not change meanwhile. What is converted and
//! kept is the copy, whatever becomes of the file.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::error::ConvertError;
use super::limits::Limits;
use crate::content::ContentId;

/// How much is copied at a time, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// The longest suffix of a name that says what a file is.
const SUFFIX_BYTES_MAX: usize = 10;
/// What a private directory is called, with a mark behind it.
const DIRECTORY: &str = "convert-";
/// The directory that the document lies in, from its private directory.
pub(super) const BESIDE: &str = "beside";

/// A private copy of a document; it goes with this value.
#[derive(Debug)]
pub struct Staged {
    directory: TempDir,
    name: String,
    /// What its bytes are called.
    pub content: ContentId,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How large it is.
    pub bytes: u64,
}

impl Staged {
    /// Copies the file at `path` into a directory of its own below `into`. A symlink at its end is not followed; what is no
    /// file is never opened for longer than it takes to see that.
    ///
    /// # Errors
    /// [`ConvertError`], which says what it is instead, or what is in the way.
    pub fn copy(path: &Path, into: &Path, limits: &Limits) -> Result<Self, ConvertError> {
        Self::copy_open(opened(path)?, path, into, limits)
    }

    /// The same of a file that is open, by who has a rule of their own which links are followed. Its path says its suffix, and in
    /// which directory the images lie that it may show. A pipe that was opened so that its reader waits is waited for.
    ///
    /// # Errors
    /// As [`Staged::copy`].
    pub fn copy_open(file: File, path: &Path, into: &Path, limits: &Limits) -> Result<Self, ConvertError> {
        whole(file, limits, |file, expected| {
            let path = std::path::absolute(path).map_err(ConvertError::Unreadable)?;
            let staged = Self::copy_bytes(file, expected, &path, into)?;
            let bytes = staged.bytes;
            Ok((staged, bytes))
        })
    }

    /// The same of bytes that are kept elsewhere; its path says what it says for [`Staged::copy_open`], but that one which is a name
    /// alone lies in no directory: nothing lies beside it.
    ///
    /// # Errors
    /// As [`Staged::copy`].
    pub fn copy_kept(mut bytes: impl Read, path: &Path, into: &Path, limits: &Limits) -> Result<Self, ConvertError> {
        let limit = limits.document_bytes;
        let staged = Self::copy_bytes(&mut bytes, limit, path, into)?;
        match staged.bytes {
            bytes if bytes > limit => Err(ConvertError::Large { bytes, limit }),
            _ => Ok(staged),
        }
    }

    /// Copies what is expected to be so many bytes, and one more where there are more.
    fn copy_bytes(from: &mut impl Read, expected: u64, path: &Path, into: &Path) -> Result<Self, ConvertError> {
        let disk = |source| ConvertError::Disk { path: into.to_owned(), source };
        let directory = tempfile::Builder::new().prefix(DIRECTORY).tempdir_in(into).map_err(disk)?;
        let name = format!("document.{}", suffix_of(path));
        let copy = File::create_new(directory.path().join(&name)).map_err(disk)?;
        let mut sha256 = Sha256::new();
        let (content, bytes) = hashed(from, expected, |read| {
            sha256.update(read);
            (&copy).write_all(read).map_err(disk)
        })?;
        let sha256 = hex::encode(sha256.finalize());
        if let Some(beside) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            symlink(beside, directory.path().join(BESIDE)).map_err(disk)?;
        }
        Ok(Self { directory, name, content, sha256, bytes })
    }

    /// The copy.
    #[must_use]
    pub fn document(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// The private directory.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the copy is called in it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The suffix of a name as [`super::Format::of`] takes it: in lower case; empty where it says nothing.
#[must_use]
pub fn suffix_of(path: &Path) -> String {
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    let says = suffix.len() <= SUFFIX_BYTES_MAX && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if says { suffix.to_ascii_lowercase() } else { String::new() }
}

/// What the bytes of the file at `path` are called now, without a copy of them: it is as [`Staged::copy`] finds it, and refused alike.
///
/// # Errors
/// As [`Staged::copy`], but for what is in the way of a copy.
pub fn content_of(path: &Path, limits: &Limits) -> Result<ContentId, ConvertError> {
    whole(opened(path)?, limits, |file, expected| hashed(file, expected, |_| Ok(())))
}

/// What `read` makes of a file, and of how many bytes; it is given how many are expected. The file may be read, and stays as it is meanwhile.
fn whole<T>(
    mut file: File,
    limits: &Limits,
    read: impl FnOnce(&mut File, u64) -> Result<(T, u64), ConvertError>,
) -> Result<T, ConvertError> {
    let before = file.metadata().map_err(ConvertError::Unreadable)?;
    let kind = before.file_type();
    if !kind.is_file() {
        return Err(ConvertError::NotAFile(match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_fifo() => "a pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        }));
    }
    let limit = limits.document_bytes;
    if before.len() > limit {
        return Err(ConvertError::Large { bytes: before.len(), limit });
    }
    let (made, bytes) = read(&mut file, before.len())?;
    let after = file.metadata().map_err(ConvertError::Unreadable)?;
    let state = |of: &Metadata| (of.len(), of.mtime(), of.mtime_nsec());
    if state(&before) != state(&after) || bytes != before.len() {
        return Err(ConvertError::Changed);
    }
    Ok(made)
}

/// Without NONBLOCK the open of a pipe would wait for its other end.
fn opened(path: &Path) -> Result<File, ConvertError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(ConvertError::Symlink),
        Err(Errno::NXIO) => Err(ConvertError::NotAFile("a socket")),
        Err(errno) => Err(ConvertError::Unreadable(errno.into())),
    }
}

/// Reads as many bytes as the file had, and looks whether there are more; `each` is given all that is read. Says what they are called,
/// and how many they are.
fn hashed(
    from: &mut impl Read,
    bytes: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), ConvertError>,
) -> Result<(ContentId, u64), ConvertError> {
    let (mut blake3, mut total) = (blake3::Hasher::new(), 0);
    let expected = bytes.saturating_add(1);
    let mut from = from.take(expected);
    // Most documents are small: a buffer that none of them fills would cost more than they do.
    let mut buffer = vec![0; usize::try_from(expected).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES)];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ConvertError::Unreadable(error)),
        };
        blake3.update(&buffer[..count]);
        each(&buffer[..count])?;
        total += count as u64;
    }
    Ok((ContentId::of_hash(&blake3.finalize()), total))
}
