//! What is noted of `shipped/` between two passes. Owns how that is written, and that it stays small.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use highwater_engine::ledger::{DoneItem, DonePlace};
use highwater_fs::{Fs as _, RealFs, RelPath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::newest::before;
use super::{is_a_day_ago, received};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::ship::outbox::{NOTE_BYTES_MAX, SHELF_NOTE};
use crate::ship::retire::has_episodes;

/// The most episodes of which the receiver did not say what it has, and that wait to be asked for again.
const WAITING_MAX: usize = 500;
/// The most that it lost and that are asked for again; the others are counted.
const LOST_MAX: usize = 1_000;
/// The most of which it is noted that they stay for good.
const STAYS_MAX: usize = 2_000;

/// How far the shelf was gone through, between two passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// What is up to here is gone, waits, or stays for good.
    pub(super) removed: DonePlace,
    /// The last row that was gone through: without it, or with another one there, the ledger is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) passed: Option<Passed>,
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
    /// What stays for good, by its newest row: it is no longer what was sent, or nobody says what that was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stays: Vec<Stays>,
    /// How many more the receiver lost than are among these.
    #[serde(default)]
    pub(super) lost_more: u64,
    /// Whether more wait than are among these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) waits_more: bool,
    /// When they were last asked for.
    #[serde(default)]
    pub(super) more_asked: Timestamp,
    /// All that was gone through is being gone through again, for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) again: Option<Again>,
    /// When it was last told what of that the receiver lost.
    #[serde(default)]
    pub(super) told_lost_at: Timestamp,
    /// When it was last told which rows are of a time to come.
    #[serde(default)]
    pub(super) told_ahead_at: Timestamp,
}

/// A row that was gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passed {
    place: DonePlace,
    key: String,
    recorded_at: Timestamp,
}

impl From<&DoneItem> for Passed {
    fn from(item: &DoneItem) -> Self {
        Self { place: item.place, key: item.key.to_string(), recorded_at: item.recorded_at }
    }
}

/// Which way rows are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Those that were not gone through before.
    On,
    /// Those that were, for what is beyond the lists.
    Again,
}

/// How far what was gone through is gone through again, for those that are beyond the lists, and what of them is so still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    #[serde(default)]
    at: DonePlace,
    to: DonePlace,
    /// How many are lost, and not in the list.
    more: u64,
    /// Whether others wait, and are not in the list.
    #[serde(default)]
    waits: bool,
}

impl Again {
    /// Whether this row is not gone through again any more.
    fn is_behind(&self, place: DonePlace) -> bool {
        place <= self.at || place > self.to
    }
}

/// An episode that stays for good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stays {
    place: DonePlace,
    episode: EpisodeId,
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
    let mut shelf = noted().unwrap_or_default();
    let there = |episode: &&EpisodeId| shipped.join(episode.as_str()).is_dir();
    // Of those beyond the list it is not known which they are.
    if !has_episodes(shipped) {
        shelf.lost_more = 0;
    }
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
    /// Behind which row the ledger shows whether it is the one that was gone through.
    pub(super) fn shown_behind(&self) -> DonePlace {
        self.passed.as_ref().map(|passed| before(passed.place)).unwrap_or_default()
    }

    /// Begins at the beginning where the ledger is another than was gone through: it was lost, or an older copy took its place. By the first
    /// row that it has behind [`Shelf::shown_behind`].
    pub(super) fn knows(&mut self, row: Option<&DoneItem>) {
        let is_known = match &self.passed {
            Some(passed) => row.is_some_and(|row| Passed::from(row) == *passed),
            None => row.is_none_or(|row| row.place > self.removed),
        };
        if !is_known {
            let told = Self { waiting: std::mem::take(&mut self.waiting), told: self.told, ..Self::default() };
            *self = Self {
                looked_at: self.looked_at,
                told_lost_at: self.told_lost_at,
                told_ahead_at: self.told_ahead_at,
                ..told
            };
        }
    }

    /// Behind which row is gone on; `None` where nothing is gone through again.
    pub(super) fn at(&self, way: Way) -> Option<DonePlace> {
        match way {
            Way::On => Some(self.removed),
            Way::Again => self.again.map(|again| again.at),
        }
    }

    /// Notes that a row was gone through.
    pub(super) fn pass(&mut self, way: Way, item: &DoneItem) {
        match (way, &mut self.again) {
            (Way::Again, Some(again)) => again.at = item.place,
            _ => self.removed = item.place,
        }
        if self.passed.as_ref().is_none_or(|passed| passed.place < item.place) {
            self.passed = Some(item.into());
        }
    }

    /// Notes that all up to here was gone through, and whether what is behind it is nothing to go through now.
    pub(super) fn reach(&mut self, way: Way, place: DonePlace, is_end: bool, now: Timestamp) {
        match (way, &mut self.again) {
            (Way::On, _) => self.removed = place,
            (Way::Again, Some(again)) => {
                again.at = place;
                if is_end || place >= again.to {
                    self.went_again(now);
                }
            }
            (Way::Again, None) => {}
        }
    }

    /// All that was to be gone through again was. Then it is known what is beyond the lists.
    fn went_again(&mut self, now: Timestamp) {
        if let Some(again) = self.again.take() {
            (self.lost_more, self.waits_more, self.more_asked) = (again.more, again.waits, now);
        }
    }

    /// What is left of it is not due: so much is beyond the lists as was before, at least.
    pub(super) fn ends_again(&mut self, now: Timestamp) {
        if let Some(again) = self.again.take() {
            self.lost_more = self.lost_more.max(again.more);
            (self.waits_more, self.more_asked) = (self.waits_more || again.waits, now);
        }
    }

    /// The rows of those that the receiver lost, as far as they are in the list.
    pub(super) fn lost_places(&self) -> BTreeSet<DonePlace> {
        self.waiting.iter().filter(|waiting| waiting.lost).map(|waiting| waiting.place).collect()
    }

    /// Whether a row is behind those that are gone through again.
    pub(super) fn is_behind_again(&self, place: DonePlace) -> bool {
        self.again.is_none_or(|again| place > again.to)
    }

    /// Notes one that stays; of its name it is the newest.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.waiting.retain(|other| other.episode != waiting.episode);
        let has_room = if waiting.lost { self.lost().count() < LOST_MAX } else { !self.is_full() };
        if has_room {
            self.waiting.push(waiting);
            return;
        }
        if !self.is_beyond() && self.again.is_none() {
            self.more_asked = waiting.asked;
        }
        match (&mut self.again, waiting.lost) {
            // One that is not gone through again yet is counted then.
            (Some(again), true) => again.more += u64::from(again.is_behind(waiting.place)),
            (Some(again), false) => again.waits |= again.is_behind(waiting.place),
            (None, true) => self.lost_more += 1,
            (None, false) => self.waits_more = true,
        }
    }

    /// Notes one that stays for good; whether there was room for it.
    pub(super) fn stay(&mut self, place: DonePlace, episode: EpisodeId) -> bool {
        let has_room = self.stays.len() < STAYS_MAX;
        if has_room {
            self.stays.push(Stays { place, episode });
        }
        has_room
    }

    /// Has those asked for that were gone through and neither wait nor stay for good, whatever made that so: a ledger or a note that is older
    /// than the other. By the newest rows of all that is there, without those that are held here.
    pub(super) fn look_again(
        &mut self,
        newest: &BTreeMap<EpisodeId, DonePlace>,
        held: &BTreeSet<EpisodeId>,
        now: Timestamp,
    ) {
        self.stays.retain(|stays| newest.get(&stays.episode) == Some(&stays.place));
        // All of it is gone through again then.
        if self.is_beyond() || self.again.is_some() {
            return;
        }
        let stay = self.stays.iter().map(|stays| (stays.place, &stays.episode));
        let wait = self.waiting.iter().map(|waiting| (waiting.place, &waiting.episode));
        let known: BTreeSet<_> = stay.chain(wait).collect();
        let is_missed =
            |episode: &EpisodeId, place: DonePlace| place <= self.removed && !known.contains(&(place, episode));
        let missed = newest.iter().filter(|(episode, place)| is_missed(episode, **place) && !held.contains(*episode));
        // The oldest first.
        let missed: BTreeMap<DonePlace, EpisodeId> = missed.map(|(episode, place)| (*place, episode.clone())).collect();
        if missed.is_empty() {
            return;
        }
        // They count, too.
        self.counted_since = Timestamp::default();
        for (place, episode) in missed {
            let is_full = self.is_full();
            self.wait(Waiting::new(place, episode, false, now));
            if is_full {
                break;
            }
        }
    }

    /// Notes that one counts no more: it is gone, or the receiver lost it, and what cannot go is no reason for others to.
    pub(super) fn counts_no_more(&mut self, item: &DoneItem) {
        let bytes = received(item).map_or(0, |(_, receipt)| receipt.holds.bytes);
        if item.place <= self.counted {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Whether there is no room for one more that waits and is not lost.
    fn is_full(&self) -> bool {
        self.waiting.len() - self.lost().count() >= WAITING_MAX
    }

    /// Whether the lists do not hold all that they should: what else was gone through, only going through it again shows.
    fn is_beyond(&self) -> bool {
        self.lost_more > 0 || self.waits_more || self.stays.len() >= STAYS_MAX
    }

    /// Begins at the beginning for those that are beyond the lists, once a day, and once there is room for one of them. Meanwhile what is new
    /// is gone through as ever.
    pub(super) fn go_back(&mut self, now: Timestamp) {
        let has_room = self.lost_more > 0 && self.lost().count() < LOST_MAX || self.waits_more && !self.is_full();
        if self.is_beyond() && self.again.is_none() && (has_room || is_a_day_ago(self.more_asked, now)) {
            self.again = Some(Again { at: DonePlace::default(), to: self.removed, more: 0, waits: false });
        }
    }

    /// Those that are known to stay for good.
    pub(super) fn stay_for_good(&self) -> impl Iterator<Item = (DonePlace, String)> {
        self.stays.iter().map(|stays| (stays.place, stays.episode.to_string()))
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
