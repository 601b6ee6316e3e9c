//! What is noted of `shipped/` between two passes. Owns how that is written, and that it stays small.

use std::path::Path;

use highwater_engine::ledger::DonePlace;
use highwater_fs::{Fs as _, RealFs, RelPath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_a_day_ago;
use super::newest::before;
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::ship::outbox::{NOTE_BYTES_MAX, SHELF_NOTE};

/// The most episodes of which the receiver did not say what it has, and that wait to be asked for again.
const WAITING_MAX: usize = 2_000;
/// The most that it lost and that are asked for again; the others are counted.
const LOST_MAX: usize = 1_000;

/// How far the shelf was gone through, between two passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// What is up to here is gone, waits, or stays for good.
    pub(super) removed: DonePlace,
    /// What is behind it and up to here is counted.
    pub(super) counted: DonePlace,
    /// How many bytes that is.
    pub(super) bytes: u64,
    /// Since when it is counted.
    pub(super) counted_since: Timestamp,
    /// When `shipped/` was last looked at for what has no receipt.
    #[serde(default)]
    pub(super) looked_at: Timestamp,
    /// The names of what has none, as they were told last; without one nothing was to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<Sha256Digest>,
    /// What is due and stays until it is asked for again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) waiting: Vec<Waiting>,
    /// How many more the receiver lost than are among these.
    #[serde(default)]
    pub(super) lost_more: u64,
    /// The first of those, to which a pass goes back to ask for them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lost_from: Option<DonePlace>,
    /// When they were last asked for.
    #[serde(default)]
    pub(super) more_asked: Timestamp,
    /// They are being asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) again: Option<Again>,
    /// When it was last told what of that the receiver lost.
    #[serde(default)]
    pub(super) told_lost_at: Timestamp,
    /// When it was last told which rows are of a time to come.
    #[serde(default)]
    pub(super) told_ahead_at: Timestamp,
}

/// How far was gone through when those that are beyond the list were to be asked for again, and how many of them are lost still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    pub(super) to: DonePlace,
    more: u64,
}

/// An episode that is due, and stays for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    /// Its row.
    pub(super) place: DonePlace,
    pub(super) episode: EpisodeId,
    /// Whether the receiver said that it does not have it, or has another; else it said nothing of it, or it could not be removed.
    #[serde(default)]
    pub(super) lost: bool,
    /// When it was last asked for; of one that is lost, when the receiver last said so.
    pub(super) asked: Timestamp,
    /// It is lost, and by what is set now it is not due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) early: bool,
    /// Its row is of a time to come, by this: a clock was ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ahead: Option<Timestamp>,
}

/// What a receiver said that it does not have any more, as the last pass noted it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostThere {
    /// The episodes whose directory is there.
    pub episodes: Vec<EpisodeId>,
    /// How many more there were.
    pub more: u64,
    /// When it said so, of the one of which it did so first.
    pub asked: Option<Timestamp>,
}

impl LostThere {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.episodes.len() as u64 + self.more
    }
}

/// The episodes below `shipped` that a receiver said it does not have any more, as the last pass noted it in this outbox. Where nothing
/// can be read there are none.
#[must_use]
pub fn lost(outbox: &Path, shipped: &Path) -> LostThere {
    let noted = || {
        let note = RelPath::new(SHELF_NOTE).ok()?;
        let bytes = RealFs::open(outbox).ok()?.read(&note, NOTE_BYTES_MAX).ok()?;
        serde_json::from_slice::<Shelf>(&bytes).ok()
    };
    let shelf = noted().unwrap_or_default();
    let there = |episode: &&EpisodeId| shipped.join(episode.as_str()).is_dir();
    LostThere {
        episodes: shelf.lost().filter(there).cloned().collect(),
        more: shelf.lost_more,
        asked: shelf.lost_asked(),
    }
}

impl Waiting {
    /// One whose row is of a time to come.
    pub(super) fn ahead(place: DonePlace, episode: EpisodeId, recorded_at: Timestamp, now: Timestamp) -> Self {
        Self { ahead: Some(recorded_at), ..Self::new(place, episode, false, now) }
    }

    pub(super) fn new(place: DonePlace, episode: EpisodeId, lost: bool, asked: Timestamp) -> Self {
        Self { place, episode, lost, asked, early: false, ahead: None }
    }
}

impl Shelf {
    /// Notes one that stays; of its name it is the newest.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.waiting.retain(|other| other.episode != waiting.episode);
        if waiting.lost && self.lost().count() >= LOST_MAX {
            if self.lost_from.is_none() && self.again.is_none() {
                self.more_asked = waiting.asked;
            }
            self.lost_from.get_or_insert(waiting.place);
            match &mut self.again {
                Some(again) => again.more += 1,
                None => self.lost_more += 1,
            }
        } else {
            self.waiting.push(waiting);
        }
    }

    /// Whether no more can wait of which nobody knows.
    pub(super) fn is_full(&self, besides: usize) -> bool {
        self.waiting.len() - self.lost().count() + besides >= WAITING_MAX
    }

    /// Goes back to those that are beyond the list, once a day, and once it has room.
    pub(super) fn go_back(&mut self, now: Timestamp) {
        let has_room = self.lost().count() < LOST_MAX;
        if self.lost_more > 0 && self.again.is_none() && (has_room || is_a_day_ago(self.more_asked, now)) {
            self.again = Some(Again { to: self.removed, more: 0 });
            self.removed = self.lost_from.take().map(before).unwrap_or_default().min(self.removed);
        }
    }

    /// What is up to this place was gone through. Then it is known how many of those are lost still.
    pub(super) fn went(&mut self, place: DonePlace, now: Timestamp) {
        if let Some(again) = self.again.take_if(|again| place >= again.to) {
            (self.lost_more, self.more_asked) = (again.more, now);
        }
    }

    /// When the receiver said of those that it lost that it did, of the one of which that is longest ago.
    pub(super) fn lost_asked(&self) -> Option<Timestamp> {
        let named = self.waiting.iter().filter(|waiting| waiting.lost).map(|waiting| waiting.asked);
        named.chain((self.lost_more > 0).then_some(self.more_asked)).min()
    }

    /// Those whose rows are of a time to come, with that.
    pub(super) fn ahead(&self) -> impl Iterator<Item = (&EpisodeId, Timestamp)> {
        self.waiting.iter().filter_map(|waiting| Some((&waiting.episode, waiting.ahead?)))
    }

    /// Those of which the receiver said that it does not have what was sent.
    pub fn lost(&self) -> impl Iterator<Item = &EpisodeId> {
        self.waiting.iter().filter(|waiting| waiting.lost).map(|waiting| &waiting.episode)
    }
}
