//! Which episodes are parked, and why, for people. Owns how one is told; what parks an episode and what lets it go on is the job's.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;

use highwater_engine::job::{CommitCx, Stop};
use jiff::Timestamp;
use serde::Serialize;

use super::here::Here;
use super::outbox::{Aside, AsideFault, Outbox, OutboxError, Parked, Parking, Stray};
use super::scan::MARKER;
use super::{Ship, disk};
use crate::name::EpisodeId;

/// Parked episodes that a pass and a look at the host name.
const NAMED_EPISODES: usize = 5;
/// Where all of them are listed.
const LISTS_ALL: &str = "`highwater episodes resolve` lists them, each with why";

impl fmt::Display for Parking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::Gate => "code not accepted",
            Self::Unpackable => "cannot be packed",
            Self::Refused => "refused",
            Self::Shelf => "another in `shipped`",
            Self::Gone => "not sent",
            Self::Recording => "being recorded again",
            Self::Displaced => "something else in its directory's place",
        })
    }
}

/// A parked episode, with its name.
#[derive(Debug, Clone, Serialize)]
pub struct ParkedEpisode {
    /// Which.
    pub episode_id: EpisodeId,
    /// Why, and since when.
    #[serde(flatten)]
    pub parked: Parked,
    /// Its directory is gone, or something else has its name: its archive in the outbox may be the only copy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub directory_gone: bool,
}

impl ParkedEpisode {
    /// Why, in few words.
    #[must_use]
    pub fn why(&self) -> String {
        let gone = if self.directory_gone { ", its directory is gone" } else { "" };
        format!("{}{gone}", self.parked.parking)
    }
}

/// The episodes that are here and parked, by name: finished, or packed where somebody removed the directory since. Makes nothing; without
/// an outbox there are none.
///
/// # Errors
/// What the disk says.
pub fn parked(episodes: &Path, outbox: &Path) -> Result<Vec<ParkedEpisode>, OutboxError> {
    let Some(outbox) = Outbox::look(outbox)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for episode_id in outbox.parked_names()? {
        let Some(parked) = outbox.parked(&episode_id)? else { continue };
        let dir = episodes.join(episode_id.as_str());
        let here = Here::at(&dir).map_err(|source| OutboxError::Read { path: dir.clone(), source })?;
        // One whose marker was written anew since is parked no more, nor is one that somebody took away.
        let (is_parked, directory_gone) = match finished_at(&dir).filter(|_| here.is_finished()) {
            Some(finished_at) => (!parked.is_mended(finished_at, Timestamp::MAX), false),
            None if parked.parking == Parking::Displaced => (here.is_odd() && !outbox.is_packed(&episode_id)?, false),
            None => {
                let is_reopened = outbox.noted(&episode_id)?.is_some_and(|parcel| here.is_reopened(&parcel));
                // Where its directory is gone since, or another's, the next pass sends its archive.
                let waits = parked.parking != Parking::Recording || is_reopened;
                (waits && outbox.is_packed(&episode_id)?, !is_reopened)
            }
        };
        if is_parked {
            all.push(ParkedEpisode { episode_id, parked, directory_gone });
        }
    }
    Ok(all)
}

/// The episodes whose archive waits to be sent by the next pass although no finished directory has their name, by name, with what is in its
/// place. Makes nothing.
///
/// # Errors
/// What the disk says.
pub fn waiting(episodes: &Path, outbox: &Path) -> Result<Vec<(EpisodeId, Here)>, OutboxError> {
    let Some(outbox) = Outbox::look(outbox)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for episode in outbox.packed_names()? {
        let dir = episodes.join(episode.as_str());
        let here = Here::at(&dir).map_err(|source| OutboxError::Read { path: dir.clone(), source })?;
        // What is parked is told of as such, but for one that waited for its recorder.
        let is_parked = outbox.parked(&episode)?.is_some_and(|parked| {
            let is_reopened =
                || outbox.noted(&episode).is_ok_and(|noted| noted.is_some_and(|of| here.is_reopened(&of)));
            !parked.parking.is_of_place() || (parked.parking == Parking::Recording && is_reopened())
        });
        if !here.is_finished() && !is_parked {
            all.push((episode, here));
        }
    }
    Ok(all)
}

/// What a person is told of archives that wait so.
#[must_use]
pub fn told_waiting(waiting: &[(EpisodeId, Here)]) -> Option<String> {
    let named: Vec<_> = waiting.iter().take(NAMED_EPISODES).map(|(episode, _)| episode.to_string()).collect();
    let more = match waiting.len().saturating_sub(NAMED_EPISODES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let wait = if waiting.len() == 1 { "archive waits" } else { "archives wait" };
    (!waiting.is_empty()).then(|| {
        format!(
            "{} {wait} in the outbox whose directory is gone, and the next pass sends what is whole: {}{more}",
            waiting.len(),
            named.join(", ")
        )
    })
}

/// What keeps archives from being set aside in an outbox, as far as a look shows. Makes nothing.
///
/// # Errors
/// What the disk says.
pub fn aside_fault(outbox: &Path) -> Result<Option<AsideFault>, OutboxError> {
    Outbox::look(outbox)?.map_or(Ok(None), |outbox| outbox.aside_fault())
}

/// Forgets what was told of something in the place of a directory, where that is away.
fn clear_displaced(episodes: &Path, outbox: &Outbox) -> Result<(), OutboxError> {
    for episode in outbox.parked_names()? {
        let dir = episodes.join(episode.as_str());
        let is_away = || {
            Here::at(&dir).map_err(|source| OutboxError::Read { path: dir.clone(), source }).map(|here| !here.is_odd())
        };
        if outbox.parked(&episode)?.is_some_and(|parked| parked.parking == Parking::Displaced) && is_away()? {
            outbox.unpark(&episode)?;
        }
    }
    Ok(())
}

/// The archives in an outbox that were set aside, each the only copy of what it holds for all that is known. Makes nothing.
///
/// # Errors
/// What the disk says.
pub fn aside(outbox: &Path) -> Result<Vec<Aside>, OutboxError> {
    Outbox::look(outbox)?.map_or_else(|| Ok(Vec::new()), |outbox| outbox.aside())
}

/// What a person is told of archives that were set aside.
#[must_use]
pub fn told_aside(aside: &[Aside]) -> Option<String> {
    let named: Vec<_> = aside.iter().take(NAMED_EPISODES).map(|one| one.archive.display().to_string()).collect();
    let (are, more) = match (aside.len(), aside.len().saturating_sub(NAMED_EPISODES)) {
        (1, _) => ("archive lies aside and may be the only copy of its episode", String::new()),
        (_, 0) => ("archives lie aside, each maybe the only copy of an episode", String::new()),
        (_, more) => ("archives lie aside, each maybe the only copy of an episode", format!(" and {more} more")),
    };
    (!aside.is_empty()).then(|| format!("{} {are}: {}{more}", aside.len(), named.join(", ")))
}

/// When the marker in a directory was written.
pub(super) fn finished_at(dir: &Path) -> Option<Timestamp> {
    let modified: io::Result<_> = fs::symlink_metadata(dir.join(MARKER)).and_then(|marker| marker.modified());
    Some(Timestamp::try_from(modified.ok()?).unwrap_or(Timestamp::MIN))
}

/// What a person is told of them, the first few by name; `None` where there are none.
#[must_use]
pub fn told(parked: &[ParkedEpisode]) -> Option<String> {
    let named: Vec<_> =
        parked.iter().take(NAMED_EPISODES).map(|one| format!("{} ({})", one.episode_id, one.why())).collect();
    let are = if parked.len() == 1 { "episode is" } else { "episodes are" };
    let more = match parked.len().saturating_sub(NAMED_EPISODES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!parked.is_empty()).then(|| format!("{} {are} parked, for a person: {}{more}", parked.len(), named.join(", ")))
}

impl Ship {
    /// Tells of what is parked, in each pass: its item was of an earlier round.
    pub(super) async fn tell_parked(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        let (episodes, dir, outbox) = (self.place.shelves.episodes.clone(), self.place.outbox.clone(), self.outbox()?);
        let (all, strays) = Self::on_disk(move || {
            let all = clear_displaced(&episodes, &outbox).and_then(|()| parked(&episodes, &dir));
            let all = all.and_then(|all| Ok((all, outbox.strays()?)));
            all.map_err(|error| disk(&error, &dir))
        })
        .await?;
        cx.notes.extend(strays.iter().map(Stray::note));
        cx.notes.extend(told(&all).map(|told| format!("{told}; {LISTS_ALL}")));
        // Those of this pass; what lay aside before was told then.
        let aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
        let more = aside.len().saturating_sub(NAMED_EPISODES);
        cx.notes.extend(aside.iter().take(NAMED_EPISODES).map(|path| {
            format!(
                "another episode has the name of an archive that may be the only copy: it lies in {} now; `highwater episodes resolve` says how \
                 it is sent",
                path.display()
            )
        }));
        cx.notes.extend((more > 0).then(|| format!("{more} more archives were set aside")));
        Ok(())
    }
}
