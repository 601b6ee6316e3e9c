//! A small file system of one's own, to be filled up or made read-only while a test looks.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::keeper::Keeper;
use crate::mount::patiently;
use crate::not_here::NotHere;

/// Bytes written at a time when the disk is filled: large first, then to the last byte.
const FILL_STEPS_BYTES: [usize; 3] = [64 * 1024, 512, 1];
const FILLER: &str = ".filler";

/// `$1` is the directory to mount on, `$2` the size in bytes.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
trap 'umount -l "$1"; rmdir "$1"' EXIT
mount -t tmpfs -o "size=$2,mode=0777" tmpfs "$1"
echo ready
read -r _ || :
"#;

/// A `tmpfs` of a few pages or more. Needs root.
#[derive(Debug)]
pub struct SmallDisk {
    // Dropped before the directory it is mounted on.
    _keeper: Keeper,
    directory: TempDir,
}

impl SmallDisk {
    /// Mounts an empty file system of `size_bytes`, rounded up to whole pages.
    ///
    /// # Errors
    /// [`NotHere`] where this process may not mount.
    pub fn mount(size_bytes: u64) -> Result<Self, NotHere> {
        if !Uid::effective().is_root() {
            return Err(NotHere("mounting a small file system needs root".to_owned()));
        }
        let not_here = |error: io::Error| NotHere(format!("a small file system cannot be mounted: {error}"));
        let directory = tempfile::Builder::new().prefix("small-disk-").tempdir().map_err(not_here)?;
        let mount =
            directory.path().to_str().ok_or_else(|| NotHere("the temporary directory is not UTF-8".to_owned()))?;
        let keeper = Keeper::start(SCRIPT, &[mount, &size_bytes.to_string()], None).map_err(not_here)?;
        Ok(Self { _keeper: keeper, directory })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// Writing failed for another reason than that it is full.
    pub fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.filler())?;
        for step_bytes in FILL_STEPS_BYTES {
            let step = vec![0; step_bytes];
            loop {
                match filler.write_all(&step) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Takes away what [`SmallDisk::fill`] wrote.
    ///
    /// # Errors
    /// It was not filled.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    /// Makes it read-only, or writable again.
    ///
    /// # Errors
    /// A file on it is open for writing.
    pub fn set_read_only(&self, read_only: bool) -> io::Result<()> {
        let access = if read_only { "remount,ro" } else { "remount,rw" };
        patiently("mount", &["-o".as_ref(), access.as_ref(), self.path().as_ref()])
    }

    fn filler(&self) -> PathBuf {
        self.path().join(FILLER)
    }
}
