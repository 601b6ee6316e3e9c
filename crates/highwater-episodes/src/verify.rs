//! Whether what is stored is what the rows say. Owns what is compared, and that several are at a time and told in their order; changes
//! nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_engine::diagnosis::with_causes;

use crate::archive::meta::contradiction;
use crate::archive::{Archive, Limits, ReadError, Reader};
use crate::digest::Sha256Digest;
use crate::index::Row;
use crate::store::{Store, StoreError, extent, hash};

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
    /// Its bytes are those of the row, and no archive of the episode: why.
    NoArchive(String),
    /// Its bytes are those of the row, and what is in them is something else: what.
    Contradicts(String),
    /// It was withdrawn, and is stored all the same.
    Left,
    /// Something that is none has its place: what.
    Odd(String),
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

/// How much of what is stored is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its size and the SHA-256 of its bytes.
    Bytes,
    /// Those, and what is in it: that it is an archive, its content hash, and what its `meta.json` says.
    Contents,
}

/// Compares rows with what is stored, one after the other, with the buffers of the first.
#[derive(Debug)]
pub struct Comparer {
    reader: Option<Reader>,
}

impl Comparer {
    /// One that looks so deep.
    ///
    /// # Errors
    /// When there is no memory to read archives with.
    pub fn new(depth: Depth) -> Result<Self, ReadError> {
        let reader = match depth {
            Depth::Bytes => None,
            Depth::Contents => Some(Reader::new(Limits::default())?),
        };
        Ok(Self { reader })
    }

    /// Compares one row with what is stored.
    pub fn standing(&mut self, store: &dyn Store, row: &Row) -> Standing {
        let key = row.key();
        let stored = match extent(store, &key) {
            Ok(stored) => stored,
            Err(StoreError::Odd(odd)) => return Standing::Odd(format!("{odd}: move it away")),
            Err(error) => return unread(&error),
        };
        match (stored, &mut self.reader) {
            (None, _) if row.withdrawn.is_some() => Standing::Agrees,
            (Some(_), _) if row.withdrawn.is_some() => Standing::Left,
            // One of another size is another one, whatever it holds.
            (Some(extent), Some(reader)) if extent.size_bytes == row.size_bytes => match store.read(&key, 0) {
                Ok(None) => Standing::Missing,
                Err(error) => unread(&error),
                Ok(Some(source)) => match reader.read_whole(source, extent, &row.episode_id) {
                    Ok(archive) => held(row, &archive),
                    Err(error) if error.is_of_archive() => match by_bytes(store, row) {
                        Standing::Agrees => Standing::NoArchive(with_causes(&error)),
                        other => other,
                    },
                    Err(error) => Standing::Unread(with_causes(&error)),
                },
            },
            _ => by_bytes(store, row),
        }
    }
}

/// An archive that was read to its end.
fn held(row: &Row, archive: &Archive) -> Standing {
    if (archive.sha256, archive.size_bytes) != (row.sha256, row.size_bytes) {
        return Standing::Differs { sha256: archive.sha256, size_bytes: archive.size_bytes };
    }
    if let Some(content) = row.content_sha256.filter(|content| *content != archive.content_sha256) {
        return Standing::Contradicts(format!(
            "its content has sha256 {}; the row says {content}",
            archive.content_sha256
        ));
    }
    let contradiction = archive.meta.as_deref().and_then(|meta| contradiction(meta, row));
    contradiction.map_or(Standing::Agrees, Standing::Contradicts)
}

fn by_bytes(store: &dyn Store, row: &Row) -> Standing {
    match hash(store, &row.key()) {
        Ok(None) => Standing::Missing,
        Ok(Some(found)) if found == (row.sha256, row.size_bytes) => Standing::Agrees,
        Ok(Some((sha256, size_bytes))) => Standing::Differs { sha256, size_bytes },
        Err(error) => unread(&error),
    }
}

/// Whoever tells of it says that it cannot be read.
fn unread(error: &StoreError) -> Standing {
    Standing::Unread(match error {
        StoreError::Shut(shut) => format!("{}: {}", shut.path.display(), shut.why),
        error => with_causes(error),
    })
}

/// Compares rows with what is stored, so many at a time as there are comparers; the answers are in the order of the rows.
pub fn standings(store: &dyn Store, rows: &[Row], comparers: &mut [Comparer]) -> Vec<Standing> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Standing::Missing; rows.len()]);
    std::thread::scope(|threads| {
        for comparer in comparers.iter_mut().take(rows.len()) {
            threads.spawn(|| {
                while let Some((at, row)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    rows.get(at).map(|row| (at, row))
                } {
                    let standing = comparer.standing(store, row);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[at] = standing;
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
