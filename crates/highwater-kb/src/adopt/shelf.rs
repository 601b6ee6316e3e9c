//! The directories of an older base. Owns what of them is looked at: regular files with names that can stand in a line. Whatever else
//! lies there is a person's, stays, and is told of.

use std::io::{self, Read as _};

use highwater_fs::{Fs, FsError, Kind, RelPath};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::registry::is_one_name;
use super::survey::NotTaken;
use crate::content::ContentId;
use crate::path::FilePath;

/// How much of a file is held while it is hashed, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// What a file's bytes are called, in both ways, and how many they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) content: ContentId,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

/// The files of a directory below `wiki/`, in the order of their names; none where it is not there.
pub(super) fn list(disk: &dyn Fs, directory: &str, not_taken: &mut Vec<NotTaken>) -> Result<Vec<FilePath>, FsError> {
    let Ok(at) = RelPath::new(directory) else { return Ok(Vec::new()) };
    match kind(disk, &at)? {
        None => return Ok(Vec::new()),
        Some(Kind::Dir) => {}
        Some(_) => {
            not_taken.push(NotTaken::new(directory, "it is no directory of the base"));
            return Ok(Vec::new());
        }
    }
    let mut files = Vec::new();
    for entry in disk.list(&at)? {
        let shown = entry.name.to_string_lossy();
        // What a program hides is none of the wiki's.
        if shown.starts_with('.') || entry.kind == Kind::Dir {
            continue;
        }
        let path = entry.name.to_str().filter(|name| is_one_name(name)).map(|name| format!("{directory}/{name}"));
        let not = |why| NotTaken::new(&format!("{directory}/{shown}"), why);
        match (entry.kind, path.map(FilePath::new)) {
            (Kind::File, Some(Ok(path))) => files.push(path),
            (Kind::Symlink, _) => not_taken.push(not("it is a symlink")),
            (Kind::File, _) => not_taken.push(not("its name cannot stand in a list")),
            _ => not_taken.push(not("it is no file")),
        }
    }
    Ok(files)
}

/// What is at a path; a way that leads through something else than directories leads nowhere.
pub(super) fn kind(disk: &dyn Fs, path: &RelPath) -> Result<Option<Kind>, FsError> {
    match disk.stat(path) {
        Ok(stat) => Ok(stat.map(|stat| stat.kind)),
        Err(error) if leads_nowhere(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a regular file is there.
pub(super) fn is_file(disk: &dyn Fs, path: &FilePath) -> Result<bool, FsError> {
    Ok(kind(disk, &path.to_rel())? == Some(Kind::File))
}

/// The bytes of a file, of at most so many; what is wrong with it, as a part of a sentence.
pub(super) fn read(disk: &dyn Fs, path: &FilePath, bytes_max: u64) -> Result<Result<Vec<u8>, String>, FsError> {
    match disk.read(&path.to_rel(), bytes_max) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(FsError::TooLarge { .. }) => Ok(Err(format!("it has more than {bytes_max} bytes"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound || leads_nowhere(&error) => {
            Ok(Err("it is not there".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Hashes a file.
pub(super) fn print(disk: &dyn Fs, path: &FilePath) -> Result<Print, FsError> {
    let failed = |source| FsError::Io { op: highwater_fs::Op::Read, path: disk.locate(&path.to_rel()), source };
    let mut reader = disk.reader(&path.to_rel())?;
    let (mut blake3, mut sha256, mut bytes) = (blake3::Hasher::new(), Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                blake3.update(&buffer[..count]);
                sha256.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let content = ContentId::of_hash(&blake3.finalize());
    Ok(Print { content, sha256: hex::encode(sha256.finalize()), bytes })
}

fn leads_nowhere(error: &FsError) -> bool {
    let is_link = match error {
        FsError::Io { source, .. } => source.raw_os_error() == Some(Errno::LOOP.raw_os_error()),
        _ => false,
    };
    is_link || error.kind() == io::ErrorKind::NotADirectory
}
