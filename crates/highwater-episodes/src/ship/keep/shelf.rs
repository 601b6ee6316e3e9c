//! What is noted of `shipped/` between two passes. Owns how that is written, and that it stays small.

use std::path::Path;

use highwater_engine::ledger::DonePlace;
use highwater_fs::{Fs as _, RealFs, RelPath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// When it was last told what of that the receiver lost.
    #[serde(default)]
    pub(super) told_lost_at: Timestamp,
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
    /// When it was last asked for.
    pub(super) asked: Timestamp,
}

/// The episodes below `shipped` that a receiver said it does not have any more, as the last pass noted it in this outbox; and how many more it
/// noted. Where nothing can be read there are none.
#[must_use]
pub fn lost(outbox: &Path, shipped: &Path) -> (Vec<EpisodeId>, u64) {
    let noted = || {
        let note = RelPath::new(SHELF_NOTE).ok()?;
        let bytes = RealFs::open(outbox).ok()?.read(&note, NOTE_BYTES_MAX).ok()?;
        serde_json::from_slice::<Shelf>(&bytes).ok()
    };
    let shelf = noted().unwrap_or_default();
    let there = shelf.lost().filter(|episode| shipped.join(episode.as_str()).is_dir());
    (there.cloned().collect(), shelf.lost_more)
}

impl Waiting {
    pub(super) fn new(place: DonePlace, episode: EpisodeId, lost: bool, asked: Timestamp) -> Self {
        Self { place, episode, lost, asked }
    }
}

impl Shelf {
    /// Notes one that stays; of its name it is the newest.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.waiting.retain(|other| other.episode != waiting.episode);
        if waiting.lost && self.lost().count() >= LOST_MAX {
            self.lost_more += 1;
        } else {
            self.waiting.push(waiting);
        }
    }

    /// Whether no more can wait of which nobody knows.
    pub(super) fn is_full(&self, besides: usize) -> bool {
        self.waiting.len() - self.lost().count() + besides >= WAITING_MAX
    }

    /// Those of which the receiver said that it does not have what was sent.
    pub fn lost(&self) -> impl Iterator<Item = &EpisodeId> {
        self.waiting.iter().filter(|waiting| waiting.lost).map(|waiting| &waiting.episode)
    }
}
