//! The files of an episode's directory as they are from outside: whether one is still the file that was read shows without reading
//! it. Owns what counts and how it is hashed.
//!
//! What a file holds changes no faster than its inode says: whoever writes to it, sets its times or puts another in its place cannot
//! keep all of its number, its size and its times. The device does not count: it may have another number after a boot.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::pack::PackError;
use super::tree::{Stamp, Tree, TreeLimits};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

/// What a look shows of the files of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Regular files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// When the last of them was written, in seconds since 1970; 0 where there is none.
    pub written_secs: i64,
    /// Of all of them: path, inode, mode, size, and both times in nanoseconds.
    pub sha256: Sha256Digest,
}

/// A look that takes in one file after the other, in the order of their paths.
#[derive(Debug, Default)]
pub(super) struct Looking {
    hash: Sha256,
    files: u64,
    bytes: u64,
    written_secs: Option<i64>,
}

impl Looking {
    /// Takes in a file by its path below the episode; how many bytes there are by now.
    pub(super) fn file(&mut self, path: &[u8], stamp: &Stamp) -> u64 {
        self.hash.update((path.len() as u64).to_le_bytes());
        self.hash.update(path);
        stamp.add_to(&mut self.hash);
        self.files += 1;
        self.bytes = self.bytes.saturating_add(stamp.size);
        self.written_secs = self.written_secs.max(Some(stamp.mtime.0));
        self.bytes
    }

    pub(super) fn end(self) -> Look {
        Look {
            files: self.files,
            bytes: self.bytes,
            written_secs: self.written_secs.unwrap_or_default(),
            sha256: Sha256Digest::new(self.hash.finalize().into()),
        }
    }
}

/// Looks at the files of an episode; reads none.
///
/// # Errors
/// As [`super::content_of`].
pub fn look_at(root: &Path, episode: &EpisodeId, limits: TreeLimits) -> Result<Look, PackError> {
    looked_at(root, episode, limits, |_, _, _| {})
}

/// A look, and which file was written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How all of them are.
    pub look: Look,
    /// The file that was written last, but for the one that it is compared with.
    pub last: Option<(PathBuf, Moment)>,
    /// When that one was.
    pub marker: Option<Moment>,
}

/// A file's time: seconds since 1970, and nanoseconds.
pub type Moment = (i64, i64);

/// Looks at the files of an episode, and which of them was written last; the one of this name at its root is told apart.
///
/// # Errors
/// As [`look_at`].
pub fn written(root: &Path, episode: &EpisodeId, limits: TreeLimits, marker: &str) -> Result<Written, PackError> {
    let (mut last, mut marked): (Option<(PathBuf, Moment)>, _) = (None, None);
    let look = looked_at(root, episode, limits, |tree, path, stamp| {
        if tree.below(path) == marker.as_bytes() {
            marked = Some(stamp.mtime);
        } else if last.as_ref().is_none_or(|(_, before)| *before < stamp.mtime) {
            last = Some((tree.locate(path), stamp.mtime));
        }
    })?;
    Ok(Written { look, last, marker: marked })
}

fn looked_at(
    root: &Path,
    episode: &EpisodeId,
    limits: TreeLimits,
    mut each: impl FnMut(&Tree, &[u8], &Stamp),
) -> Result<Look, PackError> {
    let tree = Tree::list(root, episode, limits)?;
    let mut looking = Looking::default();
    for index in 0..tree.len() {
        let found = tree.found(index).expect("invariant: it is within the tree");
        if found.dir.is_some() {
            continue;
        }
        let below = tree.below(found.path);
        let stamp = tree.stamp_of(below).map_err(|errno| tree.failed(found.path, errno))?;
        if !stamp.is_file() {
            return Err(PackError::Changing { path: tree.locate(found.path) });
        }
        looking.file(below, &stamp);
        each(&tree, found.path, &stamp);
    }
    Ok(looking.end())
}
