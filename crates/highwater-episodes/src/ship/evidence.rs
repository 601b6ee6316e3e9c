//! What shows that an archive's content is elsewhere too. Owns every way to know it: a receiver that named it, a directory or another
//! archive that was looked at just now, and a person's own edit. Nothing else makes an [`Evidence`], and without one no archive leaves the
//! outbox.

use std::fs::File;
use std::path::Path;

use super::here::Root;
use super::outbox::Parcel;
use crate::archive::{TreeLimits, content_of, look_at};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

/// That one content is elsewhere than in its archive, and durable there; or that whoever recorded it made another of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    content_sha256: Sha256Digest,
}

impl Evidence {
    fn of(content_sha256: Sha256Digest) -> Self {
        Self { content_sha256 }
    }

    /// Whether it is of what was packed so.
    pub(super) fn is_of(&self, parcel: &Parcel) -> bool {
        self.content_sha256 == parcel.content_sha256
    }

    /// A receiver named what it has under the archive's name: its bytes, or what they hold.
    pub(super) fn named(parcel: &Parcel, bytes: Option<Sha256Digest>, content: Option<Sha256Digest>) -> Option<Self> {
        let is_it = bytes == Some(parcel.sha256) || content == Some(parcel.content_sha256);
        is_it.then_some(Self::of(parcel.content_sha256))
    }

    /// Looks whether a directory holds what was packed, and makes that durable; `None` where it does not, or nobody can tell.
    pub(super) fn in_directory(dir: &Path, episode: &EpisodeId, parcel: &Parcel) -> Option<Self> {
        let limits = TreeLimits::default;
        let is_still = |holds: super::Holds| look_at(dir, episode, limits()).is_ok_and(|now| holds.is_still(&now));
        let is_it = parcel.holds.is_some_and(is_still)
            || content_of(dir, episode, limits()).is_ok_and(|now| now.content_sha256 == parcel.content_sha256);
        // Whoever wrote its files may never have synced them.
        let is_durable = || File::open(dir).is_ok_and(|dir| rustix::fs::syncfs(dir).is_ok());
        (is_it && is_durable()).then_some(Self::of(parcel.content_sha256))
    }

    /// The same content was read from its directory just now, and its new archive is durable.
    pub(super) fn packed_anew(old: &Parcel, new: &Parcel) -> Option<Self> {
        (old.content_sha256 == new.content_sha256).then_some(Self::of(old.content_sha256))
    }

    /// The very directory that was packed is packed again: what it held, its owner edited away.
    pub(super) fn edited(old: &Parcel, now: Root) -> Option<Self> {
        now.is(old.root).then_some(Self::of(old.content_sha256))
    }

    /// Another archive of the same content was read just now, with these bytes.
    pub(super) fn in_archive(parcel: &Parcel, other: &Parcel, read: Option<(Sha256Digest, u64)>) -> Option<Self> {
        let is_whole = read == Some((other.sha256, other.size_bytes));
        (is_whole && other.content_sha256 == parcel.content_sha256).then_some(Self::of(parcel.content_sha256))
    }
}
