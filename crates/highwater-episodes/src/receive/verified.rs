//! `HEAD` of an episode by who may let go of a copy for it. Owns that the answer is of what was read just then, whether it has a row or not:
//! what a row says is what was stored once, and a disk may have lost it since.

use std::io::{self, Read};

use axum::http::HeaderMap;
use highwater_engine::diagnosis::with_causes;
use sha2::{Digest as _, Sha256};

use super::admit::{busy, cannot};
use super::problem::{Problem, known};
use super::{Foundation, Receiver, blocking};
use crate::digest::Sha256Digest;
use crate::index::{IndexError, Missed, Row};
use crate::name::EpisodeKey;
use crate::store::{StoreError, extent};
use crate::wire::VERIFY_HEADER;

/// What is read at a time of what lies behind an archive.
const READ_BYTES: usize = 256 * 1024;

/// What an episode is, as it was read, or as its row says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) sha256: Sha256Digest,
    pub(super) size_bytes: u64,
    /// What it holds; `None` where it is no archive, or that is not known.
    pub(super) content_sha256: Option<Sha256Digest>,
}

impl From<Row> for Seen {
    fn from(Row { sha256, size_bytes, content_sha256, .. }: Row) -> Self {
        Self { sha256, size_bytes, content_sha256 }
    }
}

/// Whether a request asks for it.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key(VERIFY_HEADER)
}

impl Receiver {
    /// Reads an episode, with or without a row: what it is. One that is not what its row says is told, here and in the log.
    pub(super) async fn verified(&self, key: EpisodeKey, row: Option<Row>) -> Result<Seen, Problem> {
        // It reads as much as an upload does.
        let _slot = self.unroomed_slot(&key.host, 0)?;
        let (on, before) = (self.on.clone(), row.clone());
        let (key, seen) = blocking(move || {
            let seen = standing(&on, &key, before.as_ref());
            (key, seen)
        })
        .await?;
        let seen = seen?;
        let Some(seen) = seen else { return Err(Problem::new(&known::NO_SUCH_EPISODE)) };
        // Where its bytes are the row's, what is in them is what was received, whatever the row says of it.
        let differs = |row: &Row| (seen.sha256, seen.size_bytes) != (row.sha256, row.size_bytes);
        let Some(row) = row.filter(differs) else { return Ok(seen) };
        self.counters.found_damaged();
        tracing::error!(
            episode = %key,
            row.sha256 = %row.sha256,
            stored.sha256 = %seen.sha256,
            stored.bytes = seen.size_bytes,
            "a stored episode is damaged: it is not what its row says; who sends it again mends it"
        );
        Err(Problem::new(&known::DAMAGED).digests(("sha256", row.sha256), ("stored_sha256", seen.sha256)))
    }
}

/// Reads what is stored under a key, and looks whether it stands there still with the row that it had, or without one: reading takes minutes
/// where it is large.
fn standing(on: &Foundation, key: &EpisodeKey, row: Option<&Row>) -> Result<Option<Seen>, Problem> {
    let store = |error: StoreError| cannot(&error, error.is_full());
    let index = |error: IndexError| cannot(&error, error.is_full());
    let before = on.store.standing(key).map_err(store)?;
    let seen = look(on, key).map_err(store)?;
    // It may have been moved away with all the others.
    on.store.in_its_place().map_err(store)?;
    let is_withdrawn = matches!(on.index.missed(key).map_err(index)?, Some(Missed::Withdrawn { .. }));
    if is_withdrawn
        || on.index.find(key).map_err(index)?.as_ref() != row
        || on.store.standing(key).map_err(store)? != before
    {
        return Err(busy("what is stored, or its row, became another while it was read"));
    }
    Ok(seen)
}

/// Reads what is stored under a key; `None` where there is nothing.
fn look(on: &Foundation, key: &EpisodeKey) -> Result<Option<Seen>, StoreError> {
    let Some(extent) = extent(&*on.store, key)? else { return Ok(None) };
    let Some(stored) = on.store.read(key, 0)? else { return Ok(None) };
    let mut stored = Hashing { of: stored, hash: Sha256::new(), size_bytes: 0, failed: None };
    let content_sha256 = on.content.as_ref().and_then(|content| match content.of(&key.episode, &mut stored, extent) {
        Ok(content) => Some(content),
        Err(error) => {
            tracing::info!(episode = %key, error = %with_causes(&error), "what is stored is no archive of the episode");
            None
        }
    });
    let unread = |source| StoreError::Unread { key: key.clone(), source };
    let mut rest = vec![0; READ_BYTES];
    loop {
        if let Some(error) = stored.failed.take() {
            return Err(unread(error));
        }
        match stored.read(&mut rest) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(unread(error)),
            _ => {}
        }
    }
    let sha256 = Sha256Digest::new(stored.hash.finalize().into());
    Ok(Some(Seen { sha256, size_bytes: stored.size_bytes, content_sha256 }))
}

/// A reader that hashes what goes through it.
struct Hashing<R> {
    of: R,
    hash: Sha256,
    size_bytes: u64,
    /// What the disk said, which who reads an archive may take for the archive's fault.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.of.read(to) {
            Ok(read) => {
                self.hash.update(&to[..read]);
                self.size_bytes += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}
