//! `Upload-Checksum`: the digest of one request's bytes. Owns which algorithms are known and how a chunk is held against its own.
//!
//! # Source
//! tus 1.0.0, Checksum: every server knows `sha1`.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;

use super::bad_field;
use crate::receive::problem::{Problem, known};

/// The algorithms that are known.
pub(super) const ALGORITHMS: &str = "sha256,sha1";
/// Where it is said.
const UPLOAD_CHECKSUM_HEADER: &str = "upload-checksum";

/// A chunk's digest as it was said, and as it becomes.
#[derive(Debug, Clone)]
pub(super) struct Checksum {
    said: Vec<u8>,
    hash: Hash,
}

#[derive(Debug, Clone)]
enum Hash {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Checksum {
    /// Reads the header.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut lines = headers.get_all(UPLOAD_CHECKSUM_HEADER).iter();
        let Some(value) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(bad_field(format!("expected {UPLOAD_CHECKSUM_HEADER} once, found it twice")));
        }
        let unread =
            || bad_field(format!("expected {UPLOAD_CHECKSUM_HEADER}: one of {ALGORITHMS}, and a digest in base64"));
        let (algorithm, said) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(unread)?;
        let (hash, bytes) = match algorithm {
            "sha1" => (Hash::Sha1(sha1::Sha1::default()), 20),
            "sha256" => (Hash::Sha256(sha2::Sha256::default()), 32),
            _ => return Err(unread()),
        };
        let said = BASE64_STANDARD.decode(said.trim()).ok().filter(|said| said.len() == bytes).ok_or_else(unread)?;
        Ok(Some(Self { said, hash }))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha1(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
    }

    /// Whether the bytes are what was said.
    pub(super) fn holds(&self) -> bool {
        match &self.hash {
            Hash::Sha1(hash) => hash.clone().finalize()[..] == self.said,
            Hash::Sha256(hash) => hash.clone().finalize()[..] == self.said,
        }
    }
}

/// A chunk is not what it was said to be.
pub(super) fn mismatch() -> Problem {
    Problem::new(&known::CHECKSUM_MISMATCH).detail("nothing of it was kept").remediation("send the chunk again")
}
