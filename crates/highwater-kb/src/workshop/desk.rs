//! Where a pass prepares: a directory of its own in the base, with private copies of what is converted. Owns its lease, which tells
//! the directory of a pass that lives from one that a kill left behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::base::BaseLock;

/// Where they are, from the base's root.
const DESKS: &str = ".highwater/desks";
/// What each is called, with a mark behind it.
const PREFIX: &str = "pass-";
/// The file whose lock is the lease.
const LEASE: &str = "lease";

/// A directory for one pass; it goes with this value.
#[derive(Debug)]
pub(super) struct Desk {
    directory: TempDir,
    _lease: File,
}

impl Desk {
    /// Makes one, and removes those whose passes are gone. The base lock keeps one that is being made from looking like one that was
    /// left.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn open(root: &Path, held: &BaseLock) -> io::Result<Self> {
        let desks = root.join(DESKS);
        fs::create_dir_all(&desks)?;
        self::desks(root, held, true)?;
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&desks)?;
        let lease = File::create_new(directory.path().join(LEASE))?;
        flock(&lease, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { directory, _lease: lease })
    }

    /// The directory.
    #[must_use]
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}

/// The desks of a base.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Desks {
    /// At how many a pass prepares. None comes while the base lock is held.
    pub leased: u64,
    /// How many were left by passes that are gone.
    pub left: u64,
}

/// Looks at the desks of a base and, with `clears`, removes those that were left.
///
/// # Errors
/// What the disk says.
pub fn desks(root: &Path, _held: &BaseLock, clears: bool) -> io::Result<Desks> {
    let entries = match fs::read_dir(root.join(DESKS)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Desks::default()),
        Err(error) => return Err(error),
    };
    let mut desks = Desks::default();
    for entry in entries {
        let entry = entry?;
        match entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            false => {}
            true if is_leased(&entry.path())? => desks.leased += 1,
            true => {
                if clears {
                    match fs::remove_dir_all(entry.path()) {
                        // A pass that ends removes its own in this very moment, and has no need of the base lock.
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
                desks.left += 1;
            }
        }
    }
    Ok(desks)
}

fn is_leased(desk: &Path) -> io::Result<bool> {
    match OpenOptions::new().read(true).write(true).open(desk.join(LEASE)) {
        Ok(lease) => Ok(flock(&lease, FlockOperation::NonBlockingLockExclusive).is_err()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_that_a_kill_left_is_removed_and_one_in_use_is_not() {
        let root = tempfile::tempdir().unwrap();
        let held = BaseLock::new(());
        let lives = Desk::open(root.path(), &held).unwrap();
        let left = root.path().join(DESKS).join("pass-left");
        fs::create_dir_all(left.join("document-1")).unwrap();
        fs::write(left.join(LEASE), "").unwrap();
        let bare = root.path().join(DESKS).join("pass-bare");
        fs::create_dir(&bare).unwrap();
        let second = Desk::open(root.path(), &held).unwrap();
        assert!(lives.path().exists() && second.path().exists());
        assert!(!left.exists() && !bare.exists());
        assert_eq!(desks(root.path(), &held, true).unwrap(), Desks { leased: 2, left: 0 });
        let path = second.path();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_pass_that_ends_while_another_begins_is_in_nobodys_way() {
        let root = tempfile::tempdir().unwrap();
        let held = BaseLock::new(());
        for _ in 0..2_000 {
            let ends = Desk::open(root.path(), &held).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| drop(ends));
                desks(root.path(), &held, true).unwrap();
            });
        }
    }
}
