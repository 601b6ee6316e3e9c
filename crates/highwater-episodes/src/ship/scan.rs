//! Which episodes are finished: directories that hold the marker, the oldest first. Owns what is passed over and what is told of
//! it; reads one directory and a file's name in each of its own, so that what was shipped costs nothing.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::name::EpisodeId;
use crate::shut::Shut;

/// The file that says an episode is finished.
pub const MARKER: &str = "done.marker";
/// Most directories that one scan looks at.
const SCAN_ENTRIES_MAX: usize = 1_000_000;
/// Most names that are told of those passed over.
const TOLD_NAMES_MAX: usize = 5;

/// A finished episode.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finished {
    /// When its marker was written.
    pub finished_at: Timestamp,
    /// Which.
    pub episode: EpisodeId,
}

/// The first few of what may be many.
#[derive(Debug, PartialEq, Eq)]
pub struct Few<T> {
    /// These.
    pub first: Vec<T>,
    /// How many more there are.
    pub more: u64,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl<T> Few<T> {
    fn add(&mut self, one: T) {
        if self.first.len() < TOLD_NAMES_MAX {
            self.first.push(one);
        } else {
            self.more += 1;
        }
    }

    /// How many are not among the first, for behind their names; nothing where there is none.
    #[must_use]
    pub fn and_more(&self) -> String {
        if self.more > 0 { format!(" and {} more", self.more) } else { String::new() }
    }
}

impl Few<OsString> {
    /// Their names, and how many more there are.
    #[must_use]
    pub fn named(&self) -> String {
        let names: Vec<_> = self.first.iter().map(|name| format!("{name:?}")).collect();
        names.join(", ") + &self.and_more()
    }
}

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What is finished, the oldest first.
    pub finished: Vec<Finished>,
    /// Directories without the marker: they are still being recorded.
    pub recording: usize,
    /// Names that no episode can have, though a marker says that they are finished.
    pub misnamed: Few<OsString>,
    /// Directories in which something that is no file has the marker's name.
    pub odd_markers: Few<OsString>,
    /// Symlinks where an episode's directory would be: they are not followed.
    pub symlinks: Few<OsString>,
    /// Directories that cannot be looked into: whether they are finished is not known.
    pub shut: Few<Shut>,
}

/// Why there is nothing to scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root is a symlink, or no directory.
    #[error("{} is {found}, expected a directory", path.display())]
    NotADirectory {
        /// The root.
        path: PathBuf,
        /// What it is.
        found: NoDirectory,
    },
    /// More than a scan looks at.
    #[error("{} holds more than {SCAN_ENTRIES_MAX} entries", path.display())]
    TooMany {
        /// The root.
        path: PathBuf,
    },
    /// The disk says no.
    #[error("{} cannot be read", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// What is where a directory belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDirectory {
    /// A link, which is not followed.
    Symlink,
    /// A file, a device.
    Else,
}

impl NoDirectory {
    /// What a person does.
    #[must_use]
    pub fn next(self) -> &'static str {
        match self {
            Self::Symlink => "name the directory itself: a link is not followed",
            Self::Else => "name a directory there, or move away what is in its place",
        }
    }
}

impl fmt::Display for NoDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symlink",
            Self::Else => "something else",
        })
    }
}

/// What keeps a directory from being made: something that is none has its place, or that of one that it would lie in.
#[must_use]
pub fn in_the_way(dir: &Path) -> Option<ScanError> {
    let is_other = |at: &&Path| fs::metadata(at).is_ok_and(|found| !found.is_dir());
    let path = dir.ancestors().find(is_other)?.to_path_buf();
    Some(ScanError::NotADirectory { path, found: NoDirectory::Else })
}

/// Checks that a root is a directory itself, not what a symlink leads to.
///
/// # Errors
/// When it is a symlink, something else, or not there.
pub fn check_root(root: &Path) -> Result<(), ScanError> {
    let kind =
        fs::symlink_metadata(root).map_err(|source| ScanError::Io { path: root.to_path_buf(), source })?.file_type();
    let found = match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => return Ok(()),
        (_, true) => NoDirectory::Symlink,
        _ => NoDirectory::Else,
    };
    Err(ScanError::NotADirectory { path: root.to_path_buf(), found })
}

/// Looks for what is finished.
///
/// # Errors
/// When the root is no directory, cannot be read, or holds too much.
pub fn scan(root: &Path) -> Result<Scan, ScanError> {
    check_root(root)?;
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ScanError::Io { path, source }
    };
    let mut scan = Scan::default();
    for (seen, entry) in fs::read_dir(root).map_err(failed(root))?.enumerate() {
        if seen == SCAN_ENTRIES_MAX {
            return Err(ScanError::TooMany { path: root.to_path_buf() });
        }
        let entry = entry.map_err(failed(root))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(failed(&entry.path()))?;
        if kind.is_symlink() {
            scan.symlinks.add(name);
            continue;
        }
        if !kind.is_dir() {
            continue;
        }
        let marker = entry.path().join(MARKER);
        let finished_at = match fs::symlink_metadata(&marker) {
            Ok(marker) if marker.is_file() => marker.modified().map_err(failed(&entry.path()))?,
            Ok(_) => {
                scan.odd_markers.add(name);
                continue;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                scan.recording += 1;
                continue;
            }
            Err(error) => match Shut::of(entry.path(), &error) {
                // What nobody takes for an episode's, as an ext4's `lost+found`, is none's trouble.
                Some(shut) => {
                    if name.to_str().is_some_and(|name| EpisodeId::new(name).is_ok()) {
                        scan.shut.add(shut);
                    }
                    continue;
                }
                None => return Err(failed(&marker)(error)),
            },
        };
        match name.to_str().and_then(|name| EpisodeId::new(name).ok()) {
            Some(episode) => {
                let finished_at = Timestamp::try_from(finished_at).unwrap_or(Timestamp::MIN);
                scan.finished.push(Finished { finished_at, episode });
            }
            None => scan.misnamed.add(name),
        }
    }
    scan.finished.sort_unstable();
    Ok(scan)
}

impl Scan {
    /// Tells the log what no pass takes for an episode.
    pub(super) fn log(&self) {
        for (passed_over, told) in [
            (&self.misnamed, "a finished directory cannot be an episode's: rename it"),
            (
                &self.odd_markers,
                "its `done.marker` is no file: it does not count as finished; write a file in its place",
            ),
            (&self.symlinks, "a symlink where an episode's directory would be is not followed"),
        ] {
            for name in &passed_over.first {
                tracing::warn!(?name, "{told}");
            }
            if passed_over.more > 0 {
                tracing::warn!(more = passed_over.more, "{told}");
            }
        }
    }
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// What the disk says.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn episode(root: &Path, name: &str, finished_secs: Option<u64>) {
        fs::create_dir_all(root.join(name)).unwrap();
        let Some(secs) = finished_secs else { return };
        let marker = File::create(root.join(name).join(MARKER)).unwrap();
        marker.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs)).unwrap();
    }

    #[test]
    fn the_oldest_finished_come_first_and_what_is_no_episode_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        episode(root, "b", Some(10));
        episode(root, "a", Some(20));
        episode(root, "c", Some(10));
        episode(root, "recording", None);
        episode(root, ".retired", Some(1));
        episode(root, "two words", Some(1));
        fs::write(root.join("file"), "").unwrap();
        symlink(root.join("a"), root.join("link")).unwrap();
        fs::create_dir_all(root.join("odd").join(MARKER)).unwrap();
        let found = scan(root).unwrap();
        let names: Vec<_> = found.finished.iter().map(|f| f.episode.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
        assert_eq!(
            (found.recording, found.misnamed.named(), found.odd_markers.named(), found.symlinks.named()),
            (1, "\"two words\"".to_owned(), "\"odd\"".to_owned(), "\"link\"".to_owned())
        );
        (0..6).for_each(|n| episode(root, &format!("two words {n}"), Some(1)));
        let misnamed = scan(root).unwrap().misnamed;
        assert!(misnamed.first.len() == 5 && misnamed.named().ends_with(" and 2 more"), "{misnamed:?}");
    }

    #[test]
    fn a_root_that_is_a_symlink_or_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("link")).unwrap();
        let said = |path: &str| scan(&dir.path().join(path)).unwrap_err().to_string();
        assert!(said("link").ends_with("is a symlink, expected a directory"));
        assert!(said("none").ends_with("none cannot be read"));
    }
}
