//! What lies under an archive's name. Owns that a note is evidence about bytes and nothing else: one that does not fit what lies there is
//! no word on it, and neither is a missing one. The archive is read then, and a note is made of what it is.
//!
//! "Damaged" is only what is no whole archive of its episode by its own seal, or by all of it where it has none.

use std::io::{self, Read as _};

use highwater_engine::diagnosis::with_causes;
use highwater_engine::shell::quoted_path;
use highwater_fs::{Fs as _, Kind, RelPath};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{CHUNK_BYTES, Outbox, OutboxError, PACKED_DIR, Parcel, archive_name, is_odd};
use crate::archive::meta::recorded_commit;
use crate::archive::{EntryFault, Limits, ReadError, Reader, SEAL_BYTES, Seal};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

/// What lies under an archive's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lying {
    /// Nothing.
    Nothing,
    /// A whole archive of the episode.
    Whole(Parcel),
    /// A whole archive of another episode, which somebody moved there.
    Anothers(EpisodeId),
    /// Something else, and why it is no whole archive of the episode.
    Broken(String),
}

impl Lying {
    /// What is known of the archive, where it is whole.
    #[must_use]
    pub fn whole(self) -> Option<Parcel> {
        match self {
            Self::Whole(parcel) => Some(parcel),
            Self::Nothing | Self::Anothers(_) | Self::Broken(_) => None,
        }
    }
}

/// What is noted under an episode's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// Of the archive that has the name, or is about to have it.
    #[serde(flatten)]
    pub(super) parcel: Parcel,
    /// Of the one that has the name until then: a kill may come between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Box<Parcel>>,
}

impl Noted {
    /// Which of the two has these bytes.
    pub(super) fn of(self, bytes: (Sha256Digest, u64)) -> Option<Parcel> {
        let fits = |parcel: &Parcel| (parcel.sha256, parcel.size_bytes) == bytes;
        if fits(&self.parcel) { Some(self.parcel) } else { self.before.map(|before| *before).filter(fits) }
    }
}

impl Outbox {
    /// Reads what lies under an archive's name, to its end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn lying(&self, episode: &EpisodeId) -> Result<Lying, OutboxError> {
        let archive = RelPath::new(archive_name(episode))?;
        let file = match self.fs.stat(&archive)? {
            None => return Ok(Lying::Nothing),
            Some(stat) if stat.kind != Kind::File => return Ok(Lying::Broken("it is no file".to_owned())),
            Some(stat) => stat.id,
        };
        let Some(bytes) = self.hashed(&archive)? else { return Ok(Lying::Nothing) };
        self.knows(episode, file)?;
        let noted = self.note::<Noted>(PACKED_DIR, episode)?;
        let is_noted = noted.is_some();
        if let Some(parcel) = noted.and_then(|noted| noted.of(bytes)) {
            return Ok(Lying::Whole(parcel));
        }
        match self.read_whole(&archive, bytes.1, episode)? {
            Ok(parcel) => {
                let was = if is_noted { "was of another one" } else { "was not there" };
                tracing::warn!(%episode, "the note of its archive in the outbox {was}: the archive is whole, and is noted anew");
                self.write(PACKED_DIR, episode, &parcel)?;
                Ok(Lying::Whole(parcel))
            }
            Err(error) => {
                if let Some(owner) = self.owner_of(&archive, bytes.1, &error)? {
                    tracing::warn!(%episode, %owner, "what has its archive's name in the outbox is another episode's archive");
                    return Ok(Lying::Anothers(owner));
                }
                let why = with_causes(&error);
                tracing::warn!(%episode, why, "its archive in the outbox is damaged");
                Ok(Lying::Broken(why))
            }
        }
    }

    /// What a person is told of what has an archive's name and is no whole archive of its episode.
    pub(in crate::ship) fn told_of(&self, episode: &EpisodeId, lying: &Lying) -> String {
        match lying {
            Lying::Nothing => "there is no archive of it in the outbox".to_owned(),
            Lying::Whole(_) => "its archive in the outbox is whole".to_owned(),
            Lying::Broken(why) => format!("its archive in the outbox is damaged ({why}): it is not sent, and stays"),
            Lying::Anothers(owner) => {
                let word = |of: &EpisodeId| quoted_path(&self.archive(of));
                format!(
                    "the archive that has its name in the outbox is whole, and {owner}'s: it is not sent under another name, and stays; once no \
                     archive in `outbox` has the name of {owner}, `mv -n {} {}` puts it back, and the next pass sends it",
                    word(episode),
                    word(owner)
                )
            }
        }
    }

    /// Whose an archive is that cannot be read as the one of its name, where it is a whole one of the episode that it says it is of.
    fn owner_of(
        &self,
        archive: &RelPath,
        size_bytes: u64,
        error: &ReadError,
    ) -> Result<Option<EpisodeId>, OutboxError> {
        let said = match error {
            ReadError::SealedAs { episode } => Some(episode.as_str()),
            ReadError::Entry { fault: EntryFault::Outside { found, .. }, .. } => found.as_deref(),
            _ => None,
        };
        let Some(owner) = said.and_then(|said| EpisodeId::new(said).ok()) else { return Ok(None) };
        Ok(self.read_whole(archive, size_bytes, &owner)?.is_ok().then_some(owner))
    }

    /// What an archive of so many bytes says of itself; or why it is no whole one of the episode. Of which directory it was, nobody knows.
    fn read_whole(
        &self,
        archive: &RelPath,
        size_bytes: u64,
        episode: &EpisodeId,
    ) -> Result<Result<Parcel, ReadError>, OutboxError> {
        let failed = |source| OutboxError::Read { path: self.fs.locate(archive), source };
        let mut tail = Vec::with_capacity(SEAL_BYTES);
        if let Some(at) = size_bytes.checked_sub(SEAL_BYTES as u64) {
            let end = self.fs.reader_from(archive, at)?;
            end.take(SEAL_BYTES as u64).read_to_end(&mut tail).map_err(failed)?;
        }
        let source = self.fs.reader(archive)?;
        let read = match Seal::read(&tail) {
            Some(seal) => seal.check(source, size_bytes, episode).map(|sealed| Parcel {
                commit: seal.commit,
                content_sha256: seal.content_sha256,
                sha256: sealed.sha256,
                size_bytes: sealed.size_bytes,
                holds: None,
                root: None,
            }),
            None => Reader::new(Limits::default())
                .and_then(|mut reader| reader.read(source, Some(size_bytes), episode))
                .map(|archive| Parcel {
                    commit: archive.meta.as_deref().and_then(|meta| recorded_commit(meta).ok().flatten()),
                    content_sha256: archive.content_sha256,
                    sha256: archive.sha256,
                    size_bytes: archive.size_bytes,
                    holds: None,
                    root: None,
                }),
        };
        match read {
            Ok(parcel) => Ok(Ok(parcel)),
            Err(ReadError::Io(source)) => Err(failed(source)),
            Err(error) if error.is_of_archive() => Ok(Err(error)),
            Err(error) => Err(failed(io::Error::other(error))),
        }
    }

    /// The hash and the size of an archive; `None` where there is none.
    pub(super) fn hashed(&self, archive: &RelPath) -> Result<Option<(Sha256Digest, u64)>, OutboxError> {
        let mut reader = match self.fs.reader(archive) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (mut hash, mut size_bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(Some((Sha256Digest::new(hash.finalize().into()), size_bytes))),
                Ok(read) => {
                    hash.update(&chunk[..read]);
                    size_bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Of a directory in its place it is told when it is packed.
                Err(error) if is_odd(error.kind()) => return Ok(None),
                Err(source) => return Err(OutboxError::Read { path: self.fs.locate(archive), source }),
            }
        }
    }
}
