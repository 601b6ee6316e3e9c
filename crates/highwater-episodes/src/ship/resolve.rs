//! Ending a conflict: the receiver, or `shipped/`, has another episode of a name, and a person says which of the two it is to be.
//! Owns what is set aside; nothing is removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;

use super::evidence::Evidence;
use super::here::Here;
use super::outbox::{Outbox, OutboxError, Parcel, Parked, Parking};
use super::parked::finished_at;
use super::retire::Shelves;
use super::scan::sync_dir;
use crate::name::EpisodeId;

/// The directory, in `episodes/` and in `shipped/`, of what a person decided against. A scan passes it over.
pub const ASIDE_DIR: &str = ".review";
/// Most episodes of one name that are set aside.
const ASIDE_NAMES_MAX: u32 = 1_000;

/// Which one it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The one that is to be sent from here.
    Local,
    /// The one that is there.
    Remote,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where the other one lies now, if it was here.
    pub aside: Option<PathBuf>,
    /// The archive of this host's, where that may be its only copy: it stays, parked.
    pub archive: Option<PathBuf>,
    /// What the receiver said, or what was found.
    pub told: String,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is not parked.
    #[error("{0} is not parked: there is no conflict to be resolved")]
    NotParked(EpisodeId),
    /// It is parked for something else.
    #[error("{episode} is parked, but not because of a conflict: {told}")]
    NoConflict {
        /// Which.
        episode: EpisodeId,
        /// Why it is parked.
        told: String,
    },
    /// Its marker was written since: what is there now was never refused.
    #[error("{0} is parked no more: its directory was finished anew since, and the next pass sends what is there now")]
    Mended(EpisodeId),
    /// The disk says no.
    #[error("{} cannot be set aside", path.display())]
    Io {
        /// What was to be moved.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The outbox says no.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// The conflict that can be ended, as it is listed.
///
/// # Errors
/// When there is none, or the disk refuses.
pub fn conflict(shelves: &Shelves, outbox: &Outbox, episode: &EpisodeId) -> Result<Parked, ResolveError> {
    let parked = outbox.parked(episode)?.ok_or_else(|| ResolveError::NotParked(episode.clone()))?;
    if !parked.parking.is_conflict() {
        return Err(ResolveError::NoConflict { episode: episode.clone(), told: parked.told });
    }
    let dir = shelves.episodes.join(episode.as_str());
    let finished_at = finished_at(&dir).filter(|_| Here::at(&dir).is_ok_and(Here::is_finished));
    if finished_at.is_some_and(|at| parked.is_mended(at, Timestamp::MAX)) {
        return Err(ResolveError::Mended(episode.clone()));
    }
    Ok(parked)
}

/// Ends a conflict. Called again after a kill it goes on where it was; the caller keeps passes out.
///
/// # Errors
/// When there is none, or the disk refuses.
pub fn resolve(shelves: &Shelves, outbox: &Outbox, episode: &EpisodeId, keep: Keep) -> Result<Resolved, ResolveError> {
    let parked = conflict(shelves, outbox, episode)?;
    // Where `shipped/` has another one, the receiver's is this host's: it was sent.
    let shelf = match keep {
        Keep::Remote if parked.parking == Parking::Conflict => &shelves.episodes,
        Keep::Local | Keep::Remote => &shelves.shipped,
    };
    // What is being recorded, and what is no directory, is none of the two.
    let is_one = shelf == &shelves.shipped || Here::at(&shelf.join(episode.as_str())).is_ok_and(Here::is_finished);
    let aside = if is_one { set_aside(shelf, episode)? } else { None };
    let mut archive = None;
    if shelf == &shelves.episodes && outbox.archive(episode).exists() {
        let is_gone = match outbox.lying(episode)?.whole() {
            Some(parcel) => match lies_aside(shelf, episode, &parcel) {
                Some(evidence) => outbox.let_go(episode, &parcel, &evidence)?,
                None => false,
            },
            None => false,
        };
        archive = (!is_gone).then(|| outbox.archive(episode));
    }
    // Last: as long as it is parked, all of this can be said again.
    if archive.is_some() {
        let told = format!("its archive stays: {}", parked.told);
        outbox.park(episode, &Parked { parking: Parking::Gone, told, ..parked.clone() })?;
    } else {
        outbox.unpark(episode)?;
    }
    Ok(Resolved { aside, archive, told: parked.told })
}

/// What shows that what was packed lies aside, since now or since a kill that came behind it. Another one of its name is no copy of it.
fn lies_aside(shelf: &Path, episode: &EpisodeId, parcel: &Parcel) -> Option<Evidence> {
    let dir = shelf.join(ASIDE_DIR);
    let asides = (0..ASIDE_NAMES_MAX).map(|number| dir.join(format!("{episode}.{number}")));
    let is_directory = |aside: &PathBuf| fs::symlink_metadata(aside).is_ok_and(|found| found.is_dir());
    asides.filter(is_directory).find_map(|aside| Evidence::in_directory(&aside, episode, parcel))
}

fn set_aside(shelf: &Path, episode: &EpisodeId) -> Result<Option<PathBuf>, ResolveError> {
    let from = shelf.join(episode.as_str());
    let failed = |source| ResolveError::Io { path: from.clone(), source };
    match fs::symlink_metadata(&from) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let dir = shelf.join(ASIDE_DIR);
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    for number in 0..ASIDE_NAMES_MAX {
        let to = dir.join(format!("{episode}.{number}"));
        match renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => {
                sync_dir(&dir).and_then(|()| sync_dir(shelf)).map_err(failed)?;
                return Ok(Some(to));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    Err(failed(io::Error::other(format!("{} holds {ASIDE_NAMES_MAX} of this name", dir.display()))))
}
