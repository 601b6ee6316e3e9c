//! Who asks: of all processes and all preparations that have the same request in hand, one. Owns that lease, a file beside the place of
//! the answer whose lock is the lease; a killed holder lets it go.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::answers;
use super::request::RequestKey;

/// How the file's name ends.
const SUFFIX: &str = ".lease";
/// How often a file that another has just removed is made anew.
const TRIES_MAX: u32 = 16;

/// The right to ask; it ends with this value.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    _file: File,
}

impl Lease {
    /// The right to ask, unless another has it. The directory is there.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn try_take(root: &Path, request: RequestKey) -> io::Result<Option<Self>> {
        let path = root.join(format!("{}{SUFFIX}", answers::path(request)));
        for _ in 0..TRIES_MAX {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // Who had it may have removed its name since it was opened.
            let (own, named) = (file.metadata()?, fs::metadata(&path));
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
                return Ok(Some(Self { path, _file: file }));
            }
        }
        Ok(None)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // While it is locked: nobody else can have taken it by this name. One that stays is taken by the next.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_it_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let request: RequestKey = "ab".repeat(32).parse().unwrap();
        let shelf = root.path().join(answers::ANSWERS).join("ab");
        fs::create_dir_all(&shelf).unwrap();
        // What a kill left.
        fs::write(shelf.join(format!("{request}{SUFFIX}")), "").unwrap();
        let first = Lease::try_take(root.path(), request).unwrap();
        assert!(first.is_some());
        assert!(Lease::try_take(root.path(), request).unwrap().is_none());
        drop(first);
        assert!(fs::read_dir(&shelf).unwrap().next().is_none());
        assert!(Lease::try_take(root.path(), request).unwrap().is_some());
    }
}
