//! Lock files: whether a pass could take them. None is taken here: a lock that the doctor held for a moment would be one
//! that a pass misses.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use highwater_engine::lock::{FileLock, Lock, LockIdentity};
use highwater_engine::name::ResourceName;
use highwater_engine::settings::LockAddress;
use rustix::fs::{Access, access};

use super::report::Report;
use crate::config::{Config, ResourceConfig};

/// File systems on which flock(2) may not keep other hosts out, as the kernel names them.
const NETWORK: [&str; 10] = ["nfs", "nfs4", "smbfs", "smb3", "cifs", "afs", "coda", "9p", "ceph", "fuse.ceph"];

pub(super) fn check(config: &Config, report: &mut Report) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut seen: HashMap<LockIdentity, &ResourceName> = HashMap::new();
    for (name, resource) in &config.resources {
        let LockAddress::File(path) = &resource.lock;
        let lock = FileLock::new(path.to_path_buf(), true);
        if let Err((found, fix)) = usable(path, config.state_dir()).and_then(|()| local(path, resource, &mounts)) {
            report.fix("lock", format_args!("{name}: {}: {found}", path.display()), fix);
            continue;
        }
        if let Ok(identity) = lock.identity()
            && let Some(other) = seen.insert(identity, name)
        {
            let found = format!("{name} and {other} are one lock under two names: {}", path.display());
            report.fix("lock", found, "name one resource in every job that uses it, and remove the other");
            continue;
        }
        let now = lock.holder_hint().map_or_else(|| "free".to_owned(), |holder| format!("held by {holder}"));
        report.ok("lock", format_args!("{name}: {}, {now}", path.display()));
    }
}

/// Whether it can be opened, or made where it is not there; the locks of the state directory are made with it.
fn usable(path: &Path, state: &Path) -> Result<(), (String, String)> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && path.starts_with(state) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            if !directory.is_dir() {
                return Err(("its directory is not there".to_owned(), format!("mkdir -p {}", directory.display())));
            }
            access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
                (
                    format!("it cannot be made: {error}"),
                    format!("make it for the user of the passes: touch {}", path.display()),
                )
            })
        }
        Err(error) => Err((
            format!("it cannot be opened: {error}"),
            "let the user of the passes read it, or name another path in `lock`".to_owned(),
        )),
    }
}

fn local(path: &Path, resource: &ResourceConfig, mounts: &str) -> Result<(), (String, String)> {
    let there = path.ancestors().find_map(|path| path.canonicalize().ok()).unwrap_or_default();
    match kind_of_mount(&there, mounts) {
        Some(kind) if NETWORK.contains(&kind) && !resource.settings.allow_network_fs => Err((
            format!("it lies on {kind}, where flock may not keep other hosts out"),
            "name a local path in `lock`, or set `allow-network-fs = true` if you know that flock holds there"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The kind of file system that a real path lies on.
///
/// # Source
/// proc_pid_mountinfo(5): the fifth word is the mount point, the first after ` - ` the kind.
fn kind_of_mount<'m>(path: &Path, mounts: &'m str) -> Option<&'m str> {
    let read = |line: &'m str| {
        let (mount, kind) = line.split_once(" - ")?;
        // Spaces are written as octal.
        let point = PathBuf::from(mount.split(' ').nth(4)?.replace("\\040", " "));
        Some((point, kind.split(' ').next()?))
    };
    let below = mounts.lines().filter_map(read).filter(|(point, _)| path.starts_with(point));
    // Of several on one point the last one is seen.
    below.max_by_key(|(point, _)| point.as_os_str().len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_on_the_deepest_mount_above_it() {
        let mounts = "\
            21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 21 0:40 / /srv/share rw - nfs4 nas:/share rw,vers=4.2\n\
            31 30 8:2 / /srv/share/local\\040disk rw master:2 - xfs /dev/sdb1 rw\n";
        for (path, kind) in [
            ("/run/lock", "ext4"),
            ("/srv/share", "nfs4"),
            ("/srv/shared", "ext4"),
            ("/srv/share/a/b", "nfs4"),
            ("/srv/share/local disk/x", "xfs"),
        ] {
            assert_eq!(kind_of_mount(Path::new(path), mounts), Some(kind), "{path}");
        }
        assert_eq!(kind_of_mount(Path::new("/"), ""), None);
    }
}
