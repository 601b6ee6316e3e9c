//! What a pass would do, told beforehand. Owns how little of an episode is read for that.

use std::io::Read as _;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::Stop;

use super::{Place, index_failed, store_failed};
use crate::archive::{ReadError, Reader};
use crate::name::EpisodeKey;
use crate::odd::Odd;
use crate::shut::Shut;
use crate::store::StoreError;

/// How much of an archive is read for what it begins with, in bytes: its first block is in it.
const BEGINNING_BYTES: u64 = 256 << 10;

/// What a pass would do with an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// Its tombstone was taken out of the index.
    PutBack(EpisodeKey),
    /// It is stored and has no row.
    Index(EpisodeKey),
    /// It is stored, has no row, and already its beginning or its end shows that it is no episode: why.
    Aside(EpisodeKey, String),
    /// It is stored and has a row, with which it would be compared.
    Verify(EpisodeKey),
    /// It has a row and is not stored.
    Orphan(EpisodeKey),
    /// It was withdrawn, and is stored all the same: a person withdraws it again.
    Left(EpisodeKey),
    /// It is no episode and has the place of one: a person moves it away.
    Odd(Odd),
    /// It cannot be read, whatever it is: a person lets this user read it.
    Shut(Shut),
}

impl Place {
    /// What a pass would do, by host and episode, without doing any of it.
    ///
    /// # Errors
    /// As a pass.
    pub fn outlook(&self, mut each: impl FnMut(Outlook)) -> Result<(), Stop> {
        for row in self.index.lost_tombstones().map_err(|error| index_failed(&error))? {
            each(Outlook::PutBack(row.key()));
        }
        let (mut reader, mut failed) = (None, None);
        self.each_to_read(|key, has_row| {
            if has_row {
                each(Outlook::Verify(key));
                return true;
            }
            match self.begins_as_none(&mut reader, &key) {
                Ok(Some(why)) => each(Outlook::Aside(key, why)),
                Ok(None) => each(Outlook::Index(key)),
                Err(StoreError::Shut(shut)) => each(Outlook::Shut(shut)),
                // Since it was listed: it is told below.
                Err(StoreError::Odd(_)) => {}
                Err(error) => failed = Some(store_failed(&error)),
            }
            failed.is_none()
        })?;
        if let Some(stop) = failed {
            return Err(stop);
        }
        self.each_stray(|orphans, left| {
            orphans.iter().for_each(|row| each(Outlook::Orphan(row.key())));
            left.iter().for_each(|row| each(Outlook::Left(row.key())));
            Ok(())
        })?;
        let (odd, shut) = self.oddities()?;
        odd.for_each(|odd| each(Outlook::Odd(odd)));
        shut.for_each(|shut| each(Outlook::Shut(shut)));
        Ok(())
    }

    /// Why a stored file is no archive of its episode, as far as its beginning and its seal tell.
    fn begins_as_none(&self, reader: &mut Option<Reader>, key: &EpisodeKey) -> Result<Option<String>, StoreError> {
        let Some(size) = self.store.stat(key)? else { return Ok(None) };
        if let Some(seal) = self.seal(key, size)?
            && !self.unpack
        {
            let other =
                (seal.episode != key.episode).then(|| ReadError::SealedAs { episode: seal.episode.to_string() });
            return Ok(other.map(|error| with_causes(&error)));
        }
        let Some(source) = self.store.read(key, 0)? else { return Ok(None) };
        let reader = match reader {
            Some(reader) => reader,
            // Without memory nothing can be told of it.
            empty => match Reader::new(self.limits) {
                Ok(made) => empty.insert(made),
                Err(_) => return Ok(None),
            },
        };
        Ok(match reader.read(source.take(BEGINNING_BYTES), Some(size), &key.episode) {
            Ok(_) | Err(ReadError::Window { .. }) => None,
            // It goes on behind what was read.
            Err(ReadError::Truncated { .. }) if size > BEGINNING_BYTES => None,
            Err(error) => error.is_of_archive().then(|| with_causes(&error)),
        })
    }
}
