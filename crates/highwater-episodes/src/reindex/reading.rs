//! Reading one stored episode. Owns that one which is sealed is hashed and believed, and another is unpacked, or each of them where no seal is
//! to be believed; what is made of it is the job's.

use std::sync::{Mutex, PoisonError};

use super::{Facts, Place};
use crate::archive::{ReadError, Reader, Seal};
use crate::name::EpisodeKey;
use crate::store::{StoreError, extent, seal};

impl Place {
    /// The seal of an archive of so many bytes; `None` where it has none, or is not there any more.
    pub(super) fn seal(&self, key: &EpisodeKey, size_bytes: u64) -> Result<Option<Seal>, StoreError> {
        seal(&*self.store, key, size_bytes)
    }

    /// What reading an episode to its end came to, with a reader of those that rest; `None` where it is no longer stored.
    pub(super) fn facts(
        &self,
        key: &EpisodeKey,
        readers: &Mutex<Vec<Reader>>,
    ) -> Result<Option<Result<Facts, ReadError>>, StoreError> {
        let size = self.store.stat(key)?;
        if let Some(size) = size
            && !self.unpack
            && let Some(seal) = self.seal(key, size)?
            && let Some(source) = self.store.read(key, 0)?
        {
            let facts = seal.check(source, size, &key.episode).map(|sealed| Facts {
                sha256: sealed.sha256,
                size_bytes: sealed.size_bytes,
                content_sha256: seal.content_sha256,
                commit: seal.commit,
            });
            return Ok(Some(facts));
        }
        let Some(source) = self.store.read(key, 0)? else { return Ok(None) };
        let resting = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match resting.map_or_else(|| Reader::new(self.limits), Ok) {
            Ok(reader) => reader,
            Err(error) => return Ok(Some(Err(error))),
        };
        let read = match extent(&*self.store, key)? {
            Some(extent) => reader.read_whole(source, extent, &key.episode),
            None => reader.read(source, size, &key.episode),
        };
        readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok(Some(read.map(Facts::from)))
    }
}
