//! Whether what is stored is what the rows say. Owns how they are compared, several at a time and told in their order; changes nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_engine::diagnosis::with_causes;

use crate::digest::Sha256Digest;
use crate::index::Row;
use crate::store::Store;
use crate::withdraw::hash;

/// How an episode stands to its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is what the row says.
    Agrees,
    /// It is not stored.
    Missing,
    /// It is something else.
    Differs {
        /// The SHA-256 of what is stored.
        sha256: Sha256Digest,
        /// Its size.
        size_bytes: u64,
    },
    /// It was withdrawn, and is stored all the same.
    Left,
    /// It cannot be read.
    Unread(String),
}

impl Standing {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        *self == Self::Agrees
    }
}

/// Compares one row with what is stored.
pub fn standing(store: &dyn Store, row: &Row) -> Standing {
    let key = row.key();
    if row.withdrawn.is_some() {
        return match store.stat(&key) {
            Ok(None) => Standing::Agrees,
            Ok(Some(_)) => Standing::Left,
            Err(error) => Standing::Unread(with_causes(&error)),
        };
    }
    match hash(store, &key) {
        Ok(None) => Standing::Missing,
        Ok(Some(found)) if found == (row.sha256, row.size_bytes) => Standing::Agrees,
        Ok(Some((sha256, size_bytes))) => Standing::Differs { sha256, size_bytes },
        Err(error) => Standing::Unread(with_causes(&error)),
    }
}

/// Compares rows with what is stored, so many at a time; the answers are in the order of the rows.
pub fn standings(store: &dyn Store, rows: &[Row], at_once: usize) -> Vec<Standing> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Standing::Missing; rows.len()]);
    std::thread::scope(|threads| {
        for _ in 0..at_once.clamp(1, rows.len().max(1)) {
            threads.spawn(|| {
                while let Some((at, row)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    rows.get(at).map(|row| (at, row))
                } {
                    let standing = standing(store, row);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[at] = standing;
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
