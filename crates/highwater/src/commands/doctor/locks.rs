//! Lock files: whether a pass could take them. None is taken here: a lock that the doctor held for a moment would be one
//! that a pass misses.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use highwater_engine::lock::{FileLock, Lock, LockIdentity};
use highwater_engine::name::ResourceName;
use highwater_engine::settings::LockAddress;
use rustix::fs::{Access, access};

use super::report::Report;
use crate::config::{Config, ResourceConfig};

pub(super) fn check(config: &Config, report: &mut Report) {
    let mut seen: HashMap<LockIdentity, &ResourceName> = HashMap::new();
    for (name, resource) in &config.resources {
        let LockAddress::File(path) = &resource.lock else { continue };
        let lock = FileLock::new(path.to_path_buf(), true);
        if let Err((found, fix)) = usable(path, config.state_dir()).and_then(|()| local(&lock, resource)) {
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

fn local(lock: &FileLock, resource: &ResourceConfig) -> Result<(), (String, String)> {
    match lock.network_file_system() {
        Some(kind) if !resource.settings.allow_network_fs => Err((
            format!("it lies on {kind}, where flock may not keep other hosts out"),
            "name a local path in `lock`, or set `allow-network-fs = true` if you know that flock holds there"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}
