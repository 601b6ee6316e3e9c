//! Puts a file where it belongs and says whether that changed anything. Owns that a second call changes nothing, and that a
//! rehearsal changes nothing at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use highwater_fs::{FsError, Mode, RealFs, RelPath, Staged};
use serde::Serialize;

/// What is compared at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 16;
/// The bits of a mode that are compared.
const MODE_BITS: u32 = 0o7777;

/// What became of a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Put {
    /// It was not there.
    Made,
    /// It was there and is another now.
    Changed,
    /// It was there as it is to be.
    AsItWas,
}

impl Put {
    /// As people read it.
    pub(crate) fn word(self, rehearse: bool) -> &'static str {
        match (self, rehearse) {
            (Self::Made, false) => "made",
            (Self::Changed, false) => "changed",
            (Self::Made, true) => "would make",
            (Self::Changed, true) => "would change",
            (Self::AsItWas, _) => "as it was",
        }
    }
}

/// Puts these bytes at a path, durably, with this mode; `rehearse` only says what it would come to.
///
/// # Errors
/// What the disk says; a directory in its place.
pub(crate) fn file(path: &Path, bytes: &[u8], mode: u32, rehearse: bool) -> io::Result<Put> {
    from(path, || Ok(bytes), mode, rehearse)
}

/// The same with the bytes of another file.
///
/// # Errors
/// As [`file()`].
pub(crate) fn copy(from_file: &Path, path: &Path, mode: u32, rehearse: bool) -> io::Result<Put> {
    from(path, || File::open(from_file), mode, rehearse)
}

fn from<R: Read>(path: &Path, open: impl Fn() -> io::Result<R>, mode: u32, rehearse: bool) -> io::Result<Put> {
    let put = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {
            return Err(io::Error::new(ErrorKind::IsADirectory, "a directory is in its place"));
        }
        Ok(meta) if meta.is_file() && same(File::open(path)?, open()?)? => {
            if meta.mode() & MODE_BITS == mode {
                return Ok(Put::AsItWas);
            }
            if !rehearse {
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
            return Ok(Put::Changed);
        }
        Ok(_) => Put::Changed,
        Err(error) if error.kind() == ErrorKind::NotFound => Put::Made,
        Err(error) => return Err(error),
    };
    if !rehearse {
        write(path, &mut open()?, mode)?;
    }
    Ok(put)
}

fn write(path: &Path, bytes: &mut impl Read, mode: u32) -> io::Result<()> {
    let unnamed = || io::Error::new(ErrorKind::InvalidInput, "it is no file's path");
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| RelPath::new(name).ok());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fs = RealFs::open(directory).map_err(of_disk)?;
    let mut staged = Staged::create(&fs, &name.ok_or_else(unnamed)?, Mode::Exact(mode)).map_err(of_disk)?;
    io::copy(bytes, &mut staged)?;
    staged.publish().map_err(of_disk)
}

/// The caller names the path.
fn of_disk(error: FsError) -> io::Error {
    match error {
        FsError::Io { source, .. } | FsError::Pair { source, .. } => source,
        other => io::Error::other(other),
    }
}

/// Whether two files hold the same.
///
/// # Errors
/// What the disk says; one of them is not there.
pub(crate) fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    if !fs::metadata(a)?.is_file() || !fs::metadata(b)?.is_file() {
        return Ok(false);
    }
    same(File::open(a)?, File::open(b)?)
}

fn same(mut a: impl Read, mut b: impl Read) -> io::Result<bool> {
    let (mut of_a, mut of_b) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    loop {
        let (a_len, b_len) = (fill(&mut a, &mut of_a)?, fill(&mut b, &mut of_b)?);
        if of_a[..a_len] != of_b[..b_len] {
            return Ok(false);
        }
        if a_len == 0 {
            return Ok(true);
        }
    }
}

fn fill(from: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match from.read(&mut chunk[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}
