//! What archives hold, for whoever compares two of them without knowing how either was packed.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use super::{Extent, Limits, Reader};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::store::{ContentHash, ContentHashError};

/// Tells what archives hold, by readers that are used again.
#[derive(Debug, Default)]
pub struct ArchiveContent {
    limits: Limits,
    readers: Mutex<Vec<Reader>>,
}

impl ContentHash for ArchiveContent {
    fn of(
        &self,
        episode: &EpisodeId,
        archive: &mut (dyn Read + Send),
        extent: Extent,
    ) -> Result<Sha256Digest, ContentHashError> {
        let failed = |error: super::ReadError| ContentHashError(Box::new(error));
        let resting = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = resting.map_or_else(|| Reader::new(self.limits), Ok).map_err(failed)?;
        let read = reader.read_whole(archive, extent, episode);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        read.map(|archive| archive.content_sha256).map_err(failed)
    }
}
