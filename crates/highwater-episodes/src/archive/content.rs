//! The content hash: what an episode holds, whatever packed it. Owns which facts of a file count and how they are written down
//! to be hashed; `docs/episodes-format.md` tells others how to compute it.
//!
//! It is the SHA-256 of a tag and, for each regular file in the order of the paths' bytes, five fields, each ended by a NUL: path,
//! `x` or `-`, size, SHA-256, modification time in whole seconds. A path holds no NUL and the other fields are of known letters, so
//! that no two episodes are written alike.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use crate::digest::Sha256Digest;

/// Stands in front, so that a later way to write it down gives another hash.
pub const CONTENT_TAG: &[u8] = b"highwater-content-1\0";

/// A regular file, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentFile<'p> {
    /// Below the episode's own directory, its names separated by `/`.
    pub path: &'p [u8],
    /// Whether its owner may execute it.
    pub executable: bool,
    /// In bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// When it was last changed, in seconds since 1970, rounded down.
    pub mtime_secs: i64,
}

/// The content hash of these files, in whatever order they come.
#[must_use]
pub fn content_sha256<'p>(files: impl IntoIterator<Item = ContentFile<'p>>) -> Sha256Digest {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_unstable();
    let mut hasher = ContentHasher::default();
    files.iter().for_each(|file| hasher.file(file));
    hasher.finish()
}

/// The content hash of files that come in the order of their paths' bytes.
#[derive(Debug, Clone)]
pub(super) struct ContentHasher {
    hash: Sha256,
    line: Vec<u8>,
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self { hash: Sha256::new_with_prefix(CONTENT_TAG), line: Vec::new() }
    }
}

impl ContentHasher {
    pub(super) fn file(&mut self, file: &ContentFile<'_>) {
        let ContentFile { path, executable, size, sha256, mtime_secs } = *file;
        let bit = if executable { 'x' } else { '-' };
        self.line.clear();
        self.line.extend_from_slice(path);
        let written = write!(self.line, "\0{bit}\0{size}\0{sha256}\0{mtime_secs}\0");
        written.expect("invariant: memory takes what is written");
        self.hash.update(&self.line);
    }

    pub(super) fn finish(self) -> Sha256Digest {
        Sha256Digest::new(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &[u8]) -> ContentFile<'_> {
        ContentFile { path, executable: false, size: 3, sha256: Sha256Digest::of(b"abc"), mtime_secs: 1_700_000_000 }
    }

    #[test]
    fn it_is_written_down_as_documented() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!("highwater-content-1\0a\0x\x003\0{abc}\0-5\0b/c\0-\x003\0{abc}\x001700000000\0",);
        let a = ContentFile { executable: true, mtime_secs: -5, ..file(b"a") };
        assert_eq!(content_sha256([file(b"b/c"), a]), Sha256Digest::of(text.as_bytes()));
        assert_eq!(content_sha256([]), Sha256Digest::of(CONTENT_TAG));
    }

    #[test]
    fn each_fact_counts_and_the_order_in_which_files_come_does_not() {
        let one = file(b"one");
        let first = content_sha256([one, file(b"two")]);
        assert_eq!(first, content_sha256([file(b"two"), one]));
        for other in [
            ContentFile { path: b"One", ..one },
            ContentFile { executable: true, ..one },
            ContentFile { size: 4, ..one },
            ContentFile { sha256: Sha256Digest::of(b""), ..one },
            ContentFile { mtime_secs: 1_700_000_001, ..one },
        ] {
            assert_ne!(first, content_sha256([other, file(b"two")]), "{other:?}");
        }
    }
}
