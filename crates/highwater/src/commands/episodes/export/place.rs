//! The place of an export. Owns that only an earlier export is ever replaced: not an index, not a receiver's own files, and nothing that
//! is no file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_episodes::reindex::Files;
use highwater_episodes::ship::places::{Nearness, Site};

use super::mark::is_export;

/// Most directories of a receiver's that are looked at, of each that holds some: hosts, and what was set aside.
const DIRS_MAX: usize = 100_000;
/// What the lock of an index is called, after the index.
const LOCK_SUFFIX: &str = "lock";

/// Says whether an export may be written there.
///
/// # Errors
/// When something is there that is no earlier export, or the place is a receiver's.
pub(super) fn free(path: &Path, files: &Files) -> Result<(), Diagnosis> {
    let refused = |found: &str, next: &str| {
        Err(Diagnosis::refusal(
            "HW-EPI-205",
            format!("found {found}, expected an earlier export to replace, or nothing"),
            next,
        )
        .in_file(path)
        .at_field("--out"))
    };
    let another = "name another file, or remove this one if it is not needed";
    if is_of_receiver(path, files) {
        return refused(
            "a place in the receiver's directory",
            "name a file elsewhere: what lies there is the receiver's",
        );
    }
    match path.symlink_metadata() {
        // What else is wrong with it is told by whoever writes.
        Err(_) => Ok(()),
        Ok(there) if there.is_symlink() => refused("a link", "name the file itself, or `-` for the output"),
        Ok(there) if there.is_dir() => refused("a directory", "name a file in it"),
        Ok(there) if !there.is_file() => {
            refused("a device, a pipe or a socket", "pass it on instead: `--out -` is the output")
        }
        Ok(_) if is_index(path, files) => refused("the receiver's index by another name", another),
        Ok(_) if has_lock(path) => refused("an index, for its lock is beside it", another),
        Ok(_) => match is_export(path) {
            Ok(true) => Ok(()),
            Ok(false) => refused("a file without the mark of an export", another),
            Err(error) => refused(&format!("a file that cannot be read ({error})"), another),
        },
    }
}

/// Whether a file of that name would be the index, or lie with the episodes or beside their index in a receiver's directory, whatever name
/// or mount leads there.
fn is_of_receiver(path: &Path, files: &Files) -> bool {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Site::of(dir);
    let roots: Vec<&Path> = [files.index.parent(), Some(&*files.episodes)].into_iter().flatten().collect();
    // A mount may begin at any of them.
    let below = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flat_map(|entries| {
        let dirs = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        dirs.take(DIRS_MAX).map(|entry| entry.path())
    });
    let all = roots.iter().map(|root| root.to_path_buf()).chain(below);
    all.map(|own| dir.near(&Site::of(&own))).any(|near| matches!(near, Some(Nearness::Same | Nearness::Within)))
}

/// Whether a file is the index itself, by another name.
fn is_index(path: &Path, files: &Files) -> bool {
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    id(path).is_some_and(|there| Some(there) == id(&files.index))
}

/// Whether the lock of an index is beside it: of another receiver, that is.
fn has_lock(path: &Path) -> bool {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".");
    lock.push(LOCK_SUFFIX);
    Path::new(&lock).exists()
}
