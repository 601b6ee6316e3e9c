//! Copying an episode's directory to another file system. Owns that all of it is on the disk when it returns, and what is not copied.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{RetireError, failed};
use crate::ship::scan::sync_dir;

/// Most directories below each other that are copied.
const DEPTH_MAX: usize = 64;

/// Copies files, directories, permissions and times, each synced.
pub(super) fn copy_tree(from: &Path, to: &Path, depth: usize) -> Result<(), RetireError> {
    if depth == DEPTH_MAX {
        return Err(failed(from)(io::Error::other(format!("more than {DEPTH_MAX} directories below each other"))));
    }
    fs::create_dir(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed(&source))?;
        if kind.is_dir() {
            copy_tree(&source, &target, depth + 1)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        } else {
            return Err(failed(&source)(io::Error::other("neither a file nor a directory")));
        }
    }
    let metadata = fs::metadata(from).map_err(failed(from))?;
    fs::set_permissions(to, metadata.permissions()).map_err(failed(to))?;
    sync_dir(to).map_err(failed(to))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RetireError> {
    let mut source = File::open(from).map_err(failed(from))?;
    let metadata = source.metadata().map_err(failed(from))?;
    let mut target = File::create_new(to).map_err(failed(to))?;
    io::copy(&mut source, &mut target).map_err(failed(to))?;
    target.set_permissions(metadata.permissions()).map_err(failed(to))?;
    let modified = metadata.modified().map_err(failed(from))?;
    target.set_modified(modified).and_then(|()| target.sync_all()).map_err(failed(to))
}
