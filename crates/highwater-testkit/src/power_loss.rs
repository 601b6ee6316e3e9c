//! A real file system that loses its power: what was not synced is gone, what was synced must be there.
//!
//! A loop device over a sparse file, shut down by the file system itself (`FS_IOC_SHUTDOWN` with `NOLOGFLUSH`, through
//! `xfs_io`), unmounted, and mounted again, which replays its journal as after a power cut.
//!
//! The machine goes on, though: a sync that is under way when the file system is shut down may return that all is well, on either
//! file system and to any program. Only what was answered before [`Disk::cut_power`] is called was answered before the cut.
//!
//! # Source
//! `ioctl_xfs_goingdown(2)`, `xfs_io(8)` command `shutdown`

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::keeper::Keeper;
use crate::mount::patiently;
use crate::not_here::NotHere;

/// Size of the disk; the least that `mkfs.xfs` takes, and sparse.
const DISK_BYTES: u64 = 320 * 1024 * 1024;

/// `$1` is a private directory, `$2` the file system, `$3` the size in bytes.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
device=
clean() {
    umount -l "$1/mount" 2>/dev/null || :
    [ -z "$device" ] || losetup -d "$device"
    rm -f "$1/image"
    rmdir "$1/mount" "$1"
}
trap 'clean "$1"' EXIT
mkdir "$1/mount"
truncate -s "$3" "$1/image"
device=$(losetup --find --show "$1/image")
"mkfs.$2" -q "$device" >&2
mount -t "$2" "$device" "$1/mount"
echo "$device"
read -r _ || :
"#;

/// The file systems that can lose power here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4, journal with ordered data.
    Ext4,
    /// XFS.
    Xfs,
}

impl FileSystem {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ext4, Self::Xfs];

    /// The name that `mount -t` and `mkfs.` take.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A mounted disk whose power can be cut. Needs root, loop devices, and `xfsprogs` for either file system.
#[derive(Debug)]
pub struct Disk {
    // Dropped before the directory it works in.
    keeper: Keeper,
    file_system: FileSystem,
    mount: PathBuf,
    _directory: TempDir,
}

impl Disk {
    /// Makes and mounts an empty disk.
    ///
    /// # Errors
    /// [`NotHere`] with what is lacking.
    pub fn mount(file_system: FileSystem) -> Result<Self, NotHere> {
        let name = file_system.name();
        let not_here = |error: &dyn std::fmt::Display| NotHere(format!("a disk with {name} cannot be made: {error}"));
        if !Uid::effective().is_root() {
            return Err(not_here(&"it needs root"));
        }
        Command::new("xfs_io").arg("-V").output().map_err(|error| {
            not_here(&format_args!("xfs_io of xfsprogs cuts the power, and cannot be run: {error}"))
        })?;
        let directory = tempfile::Builder::new().prefix("power-loss-").tempdir().map_err(|error| not_here(&error))?;
        let path = directory.path().to_str().ok_or_else(|| not_here(&"the temporary directory is not UTF-8"))?;
        let keeper =
            Keeper::start(SCRIPT, &[path, name, &DISK_BYTES.to_string()], None).map_err(|error| not_here(&error))?;
        Ok(Self { keeper, file_system, mount: directory.path().join("mount"), _directory: directory })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power. Whoever still writes gets an I/O error from now on.
    ///
    /// # Errors
    /// The file system could not be shut down.
    pub fn cut_power(&self) -> io::Result<()> {
        let output = Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mount).output()?;
        // `xfs_io` answers 0 to some failures, but says them.
        if output.status.success() && output.stderr.is_empty() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Mounts the disk again after [`Disk::cut_power`]. Processes that had files open on it must have ended.
    ///
    /// # Errors
    /// A process still uses the old mount, or the file system does not mount again.
    pub fn restore_power(&self) -> io::Result<()> {
        patiently("umount", &[self.mount.as_ref()])?;
        let (name, device) = (self.file_system.name(), self.keeper.ready());
        patiently("mount", &["-t".as_ref(), name.as_ref(), device.as_ref(), self.mount.as_ref()])
    }

    /// Both at once, for when nobody has a file open: what is on the disk afterwards is what a power cut left.
    ///
    /// # Errors
    /// As for the two.
    pub fn lose_power(&self) -> io::Result<()> {
        self.cut_power()?;
        self.restore_power()
    }
}
