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
}

/// The episodes that are here, finished and parked, by name. Makes nothing; without an outbox there are none.
///
/// # Errors
/// What the disk says.
pub fn parked(episodes: &Path, outbox: &Path) -> Result<Vec<ParkedEpisode>, OutboxError> {
    let Some(outbox) = Outbox::look(outbox)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for episode_id in outbox.parked_names()? {
        // One that somebody took away, or whose marker was written anew since, is parked no more.
        let Some(finished_at) = finished_at(&episodes.join(episode_id.as_str()).join(MARKER)) else { continue };
        if let Some(parked) = outbox.parked(&episode_id)?.filter(|parked| finished_at <= parked.at) {
            all.push(ParkedEpisode { episode_id, parked });
        }
    }
    Ok(all)
}

fn finished_at(marker: &Path) -> Option<Timestamp> {
    let modified: io::Result<_> = fs::symlink_metadata(marker).and_then(|marker| marker.modified());
    Some(Timestamp::try_from(modified.ok()?).unwrap_or(Timestamp::MIN))
}

/// What a person is told of them, the first few by name; `None` where there are none.
#[must_use]
pub fn told(parked: &[ParkedEpisode]) -> Option<String> {
    let named: Vec<_> =
        parked.iter().take(NAMED_EPISODES).map(|one| format!("{} ({})", one.episode_id, one.parked.parking)).collect();
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
