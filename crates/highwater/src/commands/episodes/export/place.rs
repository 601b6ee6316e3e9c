//! The place of an export. Owns that only an earlier export is ever replaced: not an index, not a receiver's own files, and nothing that
//! is no file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_episodes::index::{LINE_BYTES_MAX, Row};
use highwater_episodes::reindex::Files;

use super::super::COLUMNS;

/// How a file of Parquet begins.
const PARQUET: &[u8] = b"PAR1";
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
    let another = "name another file, or remove this one";
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
        Ok(_) if has_lock(path) => refused("an index, for its lock is beside it", another),
        Ok(_) => match is_export(path) {
            Ok(true) => Ok(()),
            Ok(false) => refused("a file that is no export", another),
            Err(error) => refused(&format!("a file that cannot be read ({error})"), another),
        },
    }
}

/// Whether a file of that name would be the index, or lie with the episodes or beside their index in a receiver's directory.
fn is_of_receiver(path: &Path, files: &Files) -> bool {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(dir) = dir.canonicalize() else { return false };
    let roots = [files.index.parent(), Some(&*files.episodes)];
    roots.into_iter().flatten().filter_map(|root| root.canonicalize().ok()).any(|root| dir.starts_with(root))
}

/// Whether the lock of an index is beside it: of another receiver, that is.
fn has_lock(path: &Path) -> bool {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".");
    lock.push(LOCK_SUFFIX);
    Path::new(&lock).exists()
}

/// Whether a file is an export in one of the formats, or has nothing in it.
fn is_export(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(LINE_BYTES_MAX as u64).read_to_end(&mut head)?;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Columns may be added by a newer version.
    let columns = format!("{},{},", COLUMNS[0], COLUMNS[1]);
    Ok(head.is_empty()
        || head.starts_with(PARQUET)
        || line.starts_with(columns.as_bytes())
        || Row::from_line(line).is_ok())
}
