//! Withdrawing: an episode that turned out polluted leaves the store for quarantine, and its key gets a tombstone. Owns the order of
//! the two, so that a crash between them leaves what a second call finishes, and nobody is told what is not so.
//!
//! Withdrawn, the tombstone comes first: from then on uploads and readers are answered that it was withdrawn, also while its bytes
//! are still on their way. To make room the bytes go first: a key without bytes may be given others, a tombstone over bytes may not.

use jiff::Timestamp;

use crate::index::{Appended, Commit, Index, IndexError, Missed, Row, SCHEMA_VERSION};
use crate::name::EpisodeKey;
use crate::store::{Store, StoreError, hash};

/// Longest reason, in bytes: it is part of a row, in which one of its bytes may take six.
pub const WHY_BYTES_MAX: usize = 2_048;

/// What a row that makes a name free says of the withdrawals before it.
const MADE_FREE: &str = "no more: its name was made free";

/// What a tombstone says of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// What is sent under it is refused.
    Kept,
    /// Another episode may be sent under it.
    Free,
}

/// What became of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Which.
    pub key: EpisodeKey,
    /// Where its bytes lie, if they were stored.
    pub aside: Option<String>,
    /// Its tombstone is of this call.
    pub is_new: bool,
}

/// Why an episode was not withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// It has neither row nor bytes.
    #[error("there is no episode {0}: neither a row nor a stored archive")]
    NotThere(EpisodeKey),
    /// The reason is too long to be part of a row.
    #[error("the reason has {0} bytes, expected at most {WHY_BYTES_MAX}")]
    LongWhy(usize),
    /// The index refused.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody stored another one under the name meanwhile.
    #[error("{0} was stored anew meanwhile; it is as it was")]
    Outrun(EpisodeKey),
}

/// Withdraws an episode; called again after a crash it goes on where it was.
///
/// # Errors
/// When there is none, or the index or the store refuse.
pub fn withdraw(
    store: &dyn Store,
    index: &dyn Index,
    key: &EpisodeKey,
    why: &str,
    name: Name,
    now: Timestamp,
) -> Result<Withdrawn, WithdrawError> {
    if why.len() > WHY_BYTES_MAX {
        return Err(WithdrawError::LongWhy(why.len()));
    }
    // A tombstone that somebody took out of the index is put back first: what follows is about a name that is not free.
    if let Some(Missed::Withdrawn { .. }) = index.missed(key)? {
        let lost = index.lost_tombstones()?.into_iter().filter(|row| row.key() == *key);
        index.append(&lost.collect::<Vec<_>>())?;
    }
    let known = index.find(key)?;
    let stored = store.stat(key)?;
    let Some(row) = known.clone().map(Ok).or_else(|| stored.map(|_| row_of(store, key, now))).transpose()? else {
        return match name {
            Name::Kept => Err(WithdrawError::NotThere(key.clone())),
            // It is as it was to be, maybe since a call that nobody saw the end of.
            Name::Free => Ok(Withdrawn { key: key.clone(), aside: None, is_new: false }),
        };
    };
    let tombstone = Row { received_at_wall: now, ..row };
    let mut aside = None;
    let is_new = match name {
        Name::Kept => {
            // The index knows whether there is anything to say, also where rows of it are missed.
            let tombstone = Row { withdrawn: Some(why.to_owned()), removed: None, ..tombstone };
            let is_new = index.append(&[tombstone])?.first() == Some(&Appended::New);
            if stored.is_some() || store.stat(key)?.is_some() {
                aside = Some(store.quarantine(key, &format!("withdrawn: {why}"))?);
            }
            is_new
        }
        Name::Free => {
            if stored.is_some() {
                aside = Some(store.quarantine(key, &format!("withdrawn, its name is free: {why}"))?);
            }
            // Both: it ends whatever withdrew the name before, wherever that stands, as nothing else does.
            let tombstone = Row { removed: Some(why.to_owned()), withdrawn: Some(MADE_FREE.to_owned()), ..tombstone };
            let mut still = |row: &Row| match store.stat(&row.key()) {
                Ok(stored) => Ok(stored.is_none()),
                Err(error) => Err(IndexError::Unsure(Box::new(error))),
            };
            match index.append_where(&[tombstone], &mut still)?.first() {
                Some(Appended::Outrun) => return Err(WithdrawError::Outrun(key.clone())),
                became => became == Some(&Appended::New),
            }
        }
    };
    Ok(Withdrawn { key: key.clone(), aside, is_new })
}

/// A row of an episode that has none.
fn row_of(store: &dyn Store, key: &EpisodeKey, now: Timestamp) -> Result<Row, WithdrawError> {
    let (sha256, size_bytes) = hash(store, key)?.ok_or_else(|| WithdrawError::NotThere(key.clone()))?;
    Ok(Row {
        backfilled: true,
        commit: None::<Commit>,
        content_sha256: None,
        episode_id: key.episode.clone(),
        gate: None,
        host_id: key.host.clone(),
        received_at_wall: now,
        removed: None,
        schema_version: SCHEMA_VERSION,
        sha256,
        size_bytes,
        withdrawn: None,
    })
}
