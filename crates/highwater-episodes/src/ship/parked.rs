//! Which episodes are parked, and why, for people. Owns how one is told; what parks an episode and what lets it go on is the job's.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use highwater_engine::job::{CommitCx, Stop};
use jiff::Timestamp;
use serde::Serialize;

use super::outbox::{Outbox, OutboxError, Parked, Parking};
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
    /// Its directory is gone: its archive in the outbox may be the only copy.
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
        // One whose marker was written anew since is parked no more, nor is one that somebody took away.
        let (is_parked, directory_gone) = match finished_at(&dir) {
            Some(finished_at) => (!parked.is_mended(finished_at, Timestamp::MAX), false),
            None => (is_gone(&dir) && outbox.is_packed(&episode_id)?, true),
        };
        if is_parked {
            all.push(ParkedEpisode { episode_id, parked, directory_gone });
        }
    }
    Ok(all)
}

/// Whether nothing is there.
pub(super) fn is_gone(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
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
        let (episodes, outbox) = (self.place.shelves.episodes.clone(), self.place.outbox.clone());
        let all = Self::on_disk(move || parked(&episodes, &outbox).map_err(|error| disk(&error, &outbox))).await?;
        cx.notes.extend(told(&all).map(|told| format!("{told}; {LISTS_ALL}")));
        Ok(())
    }
}
