//! Where stored episodes and their index lie. Owns how the two are opened, also where they are not in one directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::diagnosis::{Diagnosis, mends_disk, with_causes};
use highwater_fs::{Fs, FsError, Kind, RealFs, RelPath};

use super::level::of_hosts;
use crate::index::{IndexError, IndexLock, JsonlIndex, Recovered, begins_with_rows};
use crate::odd::Odd;
use crate::receive::{INDEX_FILE, QUARANTINE_DIR};
use crate::store::{EPISODES_DIR, FileStore};
use crate::survey::{SurveyError, known};

/// How the lock of an index is called, after the index.
const LOCK_SUFFIX: &str = ".lock";

/// How much of a file that is named as an index is looked through for a row, in bytes.
const FOREIGN_BYTES_MAX: u64 = 64 << 20;

/// A disk that several own.
type SharedFs = Arc<dyn Fs>;

/// Where episodes and index lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The directory of hosts.
    pub episodes: PathBuf,
    /// The index's file.
    pub index: PathBuf,
}

impl Files {
    /// Those of a receiver's directory.
    #[must_use]
    pub fn of_root(root: &Path) -> Self {
        Self { episodes: root.join(EPISODES_DIR), index: root.join(INDEX_FILE) }
    }

    /// Those of a directory of episodes, with the index beside it unless it is named.
    ///
    /// # Errors
    /// When the directory is not there or is none of hosts, or what is named as the index is another file, which is left as it is.
    pub fn of_episodes(episodes: &Path, index: Option<&Path>) -> Result<Self, Diagnosis> {
        let episodes = episodes.canonicalize().map_err(|error| unusable(episodes, &error))?;
        let index = match index {
            Some(index) => {
                let index = std::path::absolute(index).map_err(|error| unusable(index, &error))?;
                of_rows(&index)?;
                index
            }
            None => split(&episodes)?.0.join(INDEX_FILE),
        };
        of_hosts(&episodes, &index)?;
        Ok(Self { episodes, index })
    }

    /// The episodes, where they are those of the rows: of a disk that is not mounted nothing is told, and below its mount point nothing is
    /// done. What is set aside of them goes to `quarantine` beside their directory.
    ///
    /// # Errors
    /// When they are no directory, or [not those of the rows](crate::survey::Elsewhere).
    pub fn open_store(&self) -> Result<FileStore<SharedFs>, Diagnosis> {
        let (store, is_directory) = self.store()?;
        match known(&store, self) {
            Ok(_) => self.directory(store, is_directory),
            Err(SurveyError::Elsewhere(elsewhere)) => Err(elsewhere.refusal()),
            Err(SurveyError::Index(error)) => Err(unusable(&self.index, &error)),
            Err(SurveyError::Store(error)) => Err(unusable(&self.episodes, &error)),
        }
    }

    /// The same whatever the rows say: for who looks into that, and by a person's word that what has a row is really gone.
    ///
    /// # Errors
    /// When they are no directory.
    pub fn open_store_as_it_is(&self) -> Result<FileStore<SharedFs>, Diagnosis> {
        let (store, is_directory) = self.store()?;
        self.directory(store, is_directory)
    }

    /// The episodes, and whether they are a directory.
    fn store(&self) -> Result<(FileStore<SharedFs>, bool), Diagnosis> {
        let (parent, name) = split(&self.episodes)?;
        let failed = |error: &(dyn std::error::Error + 'static)| unusable(parent, error);
        let fs: SharedFs = Arc::new(RealFs::open(parent).map_err(|error| failed(&error))?);
        let is_there = fs.stat(&name).map_err(|error| failed(&error))?;
        let store = FileStore::open_at(fs, name, quarantine()).map_err(|error| failed(&error))?;
        Ok((store, is_there.is_some_and(|stat| stat.kind == Kind::Dir)))
    }

    fn directory(&self, store: FileStore<SharedFs>, is_directory: bool) -> Result<FileStore<SharedFs>, Diagnosis> {
        let (parent, name) = split(&self.episodes)?;
        let none = || unusable(parent, &io::Error::other(format!("there is no directory `{name}` in it")));
        is_directory.then_some(store).ok_or_else(none)
    }

    /// The index, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_index(&self) -> Result<(JsonlIndex<SharedFs>, Recovered), Diagnosis> {
        let (parent, name) = split(&self.index)?;
        let fs: SharedFs = Arc::new(RealFs::open(parent).map_err(|error| unusable(parent, &error))?);
        let lock = IndexLock::at(beside(&self.index, LOCK_SUFFIX));
        JsonlIndex::open(fs, name, quarantine(), lock).map_err(|error| unusable(&self.index, &error))
    }
}

/// Refuses a file that is named as an index and holds something else.
fn of_rows(index: &Path) -> Result<(), Diagnosis> {
    let begins = begins_with_rows(index, FOREIGN_BYTES_MAX).map_err(|error| match Odd::of(&error) {
        // Whoever named it has a use for what lies there.
        Some(_) => {
            Diagnosis { next: "name a file of its own, or none there yet".to_owned(), ..unusable(index, &error) }
                .at_field("--index")
        }
        None => unusable(index, &error),
    })?;
    if begins {
        return Ok(());
    }
    let message = "found a file of which no line is a row, expected an index, an empty file, or nothing";
    let next = "name another file, or move this one away: rows are appended to an index alone";
    Err(Diagnosis::refusal("HW-EPI-209", message, next).in_file(index).at_field("--index"))
}

/// A path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn quarantine() -> RelPath {
    RelPath::new(QUARANTINE_DIR).expect("invariant: a plain name")
}

/// The directory that a path is in, and its name there.
fn split(path: &Path) -> Result<(&Path, RelPath), Diagnosis> {
    let unnamed = || unusable(path, &io::Error::other("it has no name of its own"));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(unnamed()) };
    Ok((parent, RelPath::new(name).map_err(|error| unusable(path, &error))?))
}

pub(super) fn unusable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Diagnosis {
    let next = mends_disk(error, at_fault(error).unwrap_or(path)).unwrap_or_else(|| {
        let name =
            "name a receiver's directory, which holds `episodes` and `index.jsonl`, and let this user write in it";
        Odd::next_of(error, name)
    });
    let told = match fills_disk(error) {
        // Nothing that was asked for is wrong.
        true => Diagnosis::failure("HW-EPI-203", with_causes(error), next),
        false => Diagnosis::refusal("HW-EPI-203", with_causes(error), next),
    };
    told.in_file_once(path)
}

/// Whether the disk has no room for what was to be written.
fn fills_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut kinds = causes.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.any(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// The file beside or below a place that an error is about.
fn at_fault<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Path> {
    let next = |error: &&'e (dyn std::error::Error + 'static)| (*error).source();
    let mut causes = std::iter::successors(Some(error), next);
    causes.find_map(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(IndexError::Unread { path, .. }), _) | (_, Some(FsError::Io { path, .. })) => Some(path.as_path()),
        _ => None,
    })
}
