//! Uploads that broke off and may go on. Owns what a store promises of them: what it says is there would survive a power cut, and how
//! much of one that a crash left can be trusted is told by its own hashes.

use std::fmt;
use std::str::FromStr;

use highwater_fs::{Changed, FileId, Stat};
use jiff::Timestamp;
use sha2::Digest as _;

use super::{Staging, StoreError};
use crate::digest::Sha256Digest;

/// How long the name of an upload is, in hexadecimal digits.
const ID_DIGITS: usize = 32;

/// What an upload is called. Not a secret: whoever asks must be the one who began it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Box<str>);

/// A text that names no upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {ID_DIGITS} hexadecimal digits in lower case")]
pub struct UploadIdError;

impl UploadId {
    /// The name that is this number.
    #[must_use]
    pub fn new(number: u128) -> Self {
        Self(format!("{number:032x}").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if plain && text.len() == ID_DIGITS { Ok(Self(text.into())) } else { Err(UploadIdError) }
    }
}

/// The bytes of an upload so far: how many, their hash, and how their file was when they were all that was in it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    hash: sha2::Sha256,
    bytes: u64,
    file: Option<Box<Seen>>,
}

/// How a file was. One that is as long and seen the same holds the bytes that it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: FileId,
    changed: Changed,
}

impl Seen {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { id: stat.id, changed: stat.changed }
    }
}

impl Progress {
    /// How many bytes there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of all of them.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        Sha256Digest::new(self.hash.clone().finalize().into())
    }

    pub(super) fn file(&self) -> Option<Seen> {
        self.file.as_deref().copied()
    }

    /// The same, of a file that is as it was seen.
    pub(super) fn of_file(self, seen: Seen) -> Self {
        Self { file: Some(Box::new(seen)), ..self }
    }

    /// Goes on by these.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

/// An upload as it was found when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub id: UploadId,
    /// What was kept with it.
    pub about: String,
    /// When it was last known to go on; `None` where it never did.
    pub touched_at: Option<Timestamp>,
    /// How many bytes of it there were then.
    pub marked_bytes: Option<u64>,
    /// Its bytes are gone: they are an episode's, or never were durable.
    pub retired: bool,
}

/// Keeps uploads that broke off. Its calls wait for a disk or a server. Of one upload one caller at a time does anything.
pub trait Partials: Send + Sync + fmt::Debug {
    /// Begins an upload; `about` is one line that is kept with it. Durable when it returns.
    ///
    /// # Errors
    /// The store cannot be written, or `about` is no line or too long.
    fn begin(&self, id: &UploadId, about: &str) -> Result<(), StoreError>;

    /// Every upload that there is. One whose record is damaged is set aside.
    ///
    /// # Errors
    /// The store cannot be read.
    fn found(&self) -> Result<Vec<Found>, StoreError>;

    /// Opens an upload to go on with it: from where its last caller [knows](Partials::known) it to be, or else, also where somebody changed
    /// its bytes since, as far as it can be trusted. All that it says is there is durable. `None` where there is no such upload.
    ///
    /// # Errors
    /// The store cannot be used.
    fn resume(
        &self,
        id: &UploadId,
        known: Option<Progress>,
        at: Timestamp,
    ) -> Result<Option<Box<dyn Partial>>, StoreError>;

    /// How far an upload is, for the next who [goes on](Partials::resume) with it: to be asked when all of it is durable. `None` where its
    /// bytes lie elsewhere by now, so that they are to be read again.
    ///
    /// # Errors
    /// The store cannot be read.
    fn known(&self, id: &UploadId, progress: Progress) -> Result<Option<Progress>, StoreError>;

    /// Gives up an upload's bytes, which are an episode's now, and keeps that there was one.
    ///
    /// # Errors
    /// The store cannot be written.
    fn retire(&self, id: &UploadId) -> Result<(), StoreError>;

    /// Sets an upload aside that its keeper cannot read.
    ///
    /// # Errors
    /// The store cannot be written.
    fn set_aside(&self, id: &UploadId, why: &str) -> Result<(), StoreError>;

    /// Forgets an upload with all that came of it.
    ///
    /// # Errors
    /// The store cannot be written.
    fn forget(&self, id: &UploadId) -> Result<(), StoreError>;
}

/// An upload that is open. As a copy it can be placed; it stays where it is when the copy is discarded.
pub trait Partial: Staging {
    /// The bytes that it has.
    fn progress(&self) -> &Progress;

    /// Whether what comes may be trusted before [`Partial::settle`]: not where it may have to be taken back.
    fn trust_as_it_comes(&mut self, yes: bool);

    /// Makes all that came durable.
    ///
    /// # Errors
    /// The store cannot be written. What came cannot be trusted then: the upload is to be forgotten.
    fn settle(&mut self, at: Timestamp) -> Result<(), StoreError>;

    /// Takes back what came since it was so far.
    ///
    /// # Errors
    /// The store cannot be written.
    fn back_to(&mut self, before: Progress) -> Result<(), StoreError>;

    /// The same upload as the copy that it is.
    fn into_staging(self: Box<Self>) -> Box<dyn Staging>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_upload_is_one_plain_component_of_a_path() {
        let id = UploadId::new(0xab);
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id.as_str().len(), ID_DIGITS);
        for bad in ["", "..", "../../../../../../../../etc/passw", &"A".repeat(32), &"a".repeat(31), &"a".repeat(33)] {
            assert_eq!(bad.parse::<UploadId>(), Err(UploadIdError), "{bad:?}");
        }
    }
}
