//! Whether a directory that a person names is one of hosts. Owns what shows that it is another: nothing would be found in it, and that would
//! be told as if nothing were missing.

use std::fs;
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;

use crate::receive::INDEX_FILE;
use crate::store::{ARCHIVE_SUFFIX, EPISODES_DIR};

/// Most entries of a directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Refuses a directory that holds something else than directories of hosts with their archives. What cannot be read is left to who reads it.
pub(super) fn of_hosts(episodes: &Path, index: &Path) -> Result<(), Diagnosis> {
    let refused = |message: String, next: &str| {
        Err(Diagnosis::refusal("HW-EPI-203", message, next).in_file(episodes).at_field("--episodes-root"))
    };
    let expected = format!("expected directories of hosts, with their archives: `HOST/EPISODE{ARCHIVE_SUFFIX}`");
    let is_dir = |name: &str| episodes.join(name).is_dir();
    if is_dir(EPISODES_DIR) && (episodes.join(INDEX_FILE).is_file() || is_dir("outbox") || is_dir("shipped")) {
        let found = format!("found a directory that holds `{EPISODES_DIR}` itself, {expected}");
        let next = "of a receiver name its `episodes`; what a host ships has no index";
        return refused(found, next);
    }
    let (mut others, mut is_any, mut stray) = (None, false, None);
    for entry in entries(episodes) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if is_archive(&name) && path.is_file() {
            stray.get_or_insert(name);
            continue;
        }
        for entry in entries(&path).filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            let found = entry.file_name().to_string_lossy().into_owned();
            if is_archive(&found) {
                is_any = true;
                break;
            }
            others.get_or_insert(format!("{name}/{found}"));
        }
        if is_any {
            break;
        }
    }
    if let (false, Some(name)) = (is_any, stray) {
        return refused(format!("found the archive {name} in it, {expected}"), "name the directory above this one");
    }
    match others {
        Some(other) if !is_any && !index.exists() => refused(
            format!("found {other} and no archive, {expected}"),
            "name the `episodes` of a receiver; what a host ships, or has shipped, has no index",
        ),
        _ => Ok(()),
    }
}

fn is_archive(name: &str) -> bool {
    name.ends_with(ARCHIVE_SUFFIX)
}

fn entries(dir: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let read = fs::symlink_metadata(dir).ok().filter(fs::Metadata::is_dir).and_then(|_| fs::read_dir(dir).ok());
    read.into_iter().flatten().flatten().take(ENTRIES_MAX)
}
