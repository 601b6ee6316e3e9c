//! What is noted in the outbox of each episode. Owns how a note is written, and when one that is parked counts as mended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::index::Commit;
use crate::ship::here::Root;
use crate::ship::holds::Holds;
use crate::ship::refused::Refused;

/// An archive that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The commit of the code that recorded the episode, as its `meta.json` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// What the episode holds.
    pub content_sha256: Sha256Digest,
    /// Of the archive.
    pub sha256: Sha256Digest,
    /// Of the archive.
    pub size_bytes: u64,
    /// What the episode's directory held; archives that an older version packed do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// Which directory it was; archives that an older version packed do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
}

/// Why an episode is not sent again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parking {
    /// The receiver, or `shipped/`, has another one of its name.
    Conflict,
    /// The gate does not accept the code that recorded it: it is asked again.
    Gate,
    /// It cannot be packed.
    Unpackable,
    /// The receiver refuses it: it is tried again ever more seldom.
    Refused,
    /// The receiver has it, and `shipped/` has another one of its name.
    Shelf,
    /// Its directory is gone, and its archive is not sent by itself: it may be the only copy.
    Gone,
    /// Somebody took its marker away and goes on recording: its archive waits until it is finished, or its directory is gone.
    Recording,
    /// The receiver has it, and what has the name of its directory is none: told until that is away.
    Displaced,
}

impl Parking {
    /// Whether a person is to say which of two it is to be.
    #[must_use]
    pub fn is_conflict(self) -> bool {
        matches!(self, Self::Conflict | Self::Shelf)
    }

    /// Whether it says something of what is in the directory's place alone: once that is otherwise, it is over.
    pub(in crate::ship) fn is_of_place(self) -> bool {
        matches!(self, Self::Recording | Self::Displaced)
    }
}

/// A parked episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Since when.
    pub at: Timestamp,
    /// The commit that the gate judged, where it was the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Why.
    pub parking: Parking,
    /// When its marker was written, where it was there; an older version noted none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Timestamp>,
    /// How it was refused, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What was told of it.
    pub told: String,
}

impl Parked {
    /// Whether a marker that was written then is another one than when it was parked: a person says that it is mended. By a clock that
    /// went back since, too.
    #[must_use]
    pub fn is_mended(&self, finished_at: Timestamp, now: Timestamp) -> bool {
        match self.marker {
            _ if self.parking.is_of_place() => true,
            Some(marker) => finished_at != marker,
            None => finished_at > self.at || self.at > now,
        }
    }
}

/// Where an archive's upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sending {
    /// Of the archive: another one's upload is not this one's.
    pub(super) sha256: Sha256Digest,
    /// Its address at the receiver: path and query, for who calls and where is the configuration's.
    pub(super) place: String,
}
