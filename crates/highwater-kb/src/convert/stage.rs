//! A document's bytes, copied once to a private file and hashed on the way. Owns what may be copied: a regular file of any name,
//! which is not too large and does not change meanwhile. What is converted and kept is this copy, whatever becomes of the file.

use std::fs::File;
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
    pub fn copy_open(mut file: File, path: &Path, into: &Path, limits: &Limits) -> Result<Self, ConvertError> {
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
        let path = std::path::absolute(path).map_err(ConvertError::Unreadable)?;
        let staged = Self::copy_bytes(&mut file, before.len(), &path, into)?;
        let after = file.metadata().map_err(ConvertError::Unreadable)?;
        let state = |of: &std::fs::Metadata| (of.len(), of.mtime(), of.mtime_nsec());
        if state(&before) != state(&after) || staged.bytes != before.len() {
            return Err(ConvertError::Changed);
        }
        Ok(staged)
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
        let (content, sha256, bytes) = copied(from, copy, expected, disk)?;
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

/// Copies as many bytes as the file had, and looks whether there are more.
fn copied(
    from: &mut impl Read,
    mut to: File,
    bytes: u64,
    disk: impl Fn(io::Error) -> ConvertError,
) -> Result<(ContentId, String, u64), ConvertError> {
    let (mut blake3, mut sha256, mut total) = (blake3::Hasher::new(), Sha256::new(), 0);
    let mut from = from.take(bytes.saturating_add(1));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ConvertError::Unreadable(error)),
        };
        blake3.update(&buffer[..count]);
        sha256.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(&disk)?;
        total += count as u64;
    }
    Ok((ContentId::of_hash(&blake3.finalize()), hex::encode(sha256.finalize()), total))
}
