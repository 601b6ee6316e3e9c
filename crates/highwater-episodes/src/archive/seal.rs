//! The seal: the last frame of an archive that was packed here, which says of what is before it what reading all of it would show.
//! Owns its shape, and that it is believed only of bytes that hash to what it says.
//!
//! It is a zstd frame of the kind that decoders pass over, as long in every archive, and text: `tail -c 378`. With it an archive
//! is indexed anew by hashing its bytes once, with nothing unpacked. It tells no more than the host's own request told the
//! receiver when the archive was uploaded, and detects damage as well as the unpacking would.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::ReadError;
use crate::digest::Sha256Digest;
use crate::index::Commit;
use crate::name::EpisodeId;

/// What zstd's format calls a frame to be passed over; the next four bytes are its length.
const MAGIC: [u8; 4] = [0x5e, 0x2a, 0x4d, 0x18];
/// What the text begins with.
const TAG: &str = "highwater-seal-1";
/// Longest name of an episode, in bytes, and longest commit: both are filled up with spaces.
const NAME_BYTES: usize = 128;
const COMMIT_BYTES: usize = 64;
/// Length of the text: the tag, and four fields, a line each.
const TEXT_BYTES: usize = 17 + (8 + NAME_BYTES + 1) + (7 + 64 + 1) + (15 + 64 + 1) + (7 + COMMIT_BYTES + 1);
/// Length of the whole frame, in bytes.
pub const SEAL_BYTES: usize = MAGIC.len() + size_of::<u32>() + TEXT_BYTES;
/// How much is read at a time, in bytes.
const PART_BYTES: usize = 256 << 10;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The episode that is in it.
    pub episode: EpisodeId,
    /// Of all bytes before the seal.
    pub before_sha256: Sha256Digest,
    /// What the episode holds.
    pub content_sha256: Sha256Digest,
    /// The commit of the code that recorded it, as its `meta.json` says.
    pub commit: Option<Commit>,
}

/// A sealed archive whose bytes are what its seal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Of all its bytes, the seal's among them.
    pub sha256: Sha256Digest,
    /// How many they are.
    pub size_bytes: u64,
}

impl Seal {
    /// The frame, as it ends an archive.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let commit = self.commit.as_ref().map_or("-", Commit::as_str);
        let text = format!(
            "{TAG}\nepisode {:<NAME_BYTES$}\nsha256 {}\ncontent-sha256 {}\ncommit {commit:<COMMIT_BYTES$}\n",
            self.episode.as_str(),
            self.before_sha256,
            self.content_sha256
        );
        let length = u32::try_from(text.len()).expect("invariant: it is as long as it always is");
        [&MAGIC[..], &length.to_le_bytes(), text.as_bytes()].concat()
    }

    /// The seal that these last [`SEAL_BYTES`] of an archive are; `None` where they are none.
    #[must_use]
    pub fn read(tail: &[u8]) -> Option<Self> {
        let text = tail.strip_prefix(&MAGIC)?;
        let (length, text) = text.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*length) as usize != TEXT_BYTES || text.len() != TEXT_BYTES {
            return None;
        }
        let mut lines = std::str::from_utf8(text).ok()?.strip_suffix('\n')?.split('\n');
        let mut field = |name: &str| lines.next()?.strip_prefix(name).map(|value| value.trim_end_matches(' '));
        field(TAG).filter(|rest| rest.is_empty())?;
        let seal = Self {
            episode: EpisodeId::new(field("episode ")?).ok()?,
            before_sha256: field("sha256 ")?.parse().ok()?,
            content_sha256: field("content-sha256 ")?.parse().ok()?,
            commit: match field("commit ")? {
                "-" => None,
                commit => Some(commit.parse().ok()?),
            },
        };
        // One form alone.
        (seal.frame() == tail).then_some(seal)
    }

    /// Hashes an archive of so many bytes, which ends with this seal.
    ///
    /// # Errors
    /// When it is sealed as another episode, when its bytes are not those that were sealed, or when they cannot be read.
    pub fn check(&self, mut source: impl Read, size_bytes: u64, episode: &EpisodeId) -> Result<Sealed, ReadError> {
        if self.episode != *episode {
            return Err(ReadError::SealedAs { episode: self.episode.to_string() });
        }
        let before = size_bytes.saturating_sub(SEAL_BYTES as u64);
        let (mut hash, mut part) =
            (Sha256::new(), vec![0; PART_BYTES.min(usize::try_from(size_bytes).unwrap_or(PART_BYTES))]);
        let read = hashed(&mut (&mut source).take(before), &mut hash, &mut part)?;
        let found = Sha256Digest::new(hash.clone().finalize().into());
        let mut tail = Vec::with_capacity(SEAL_BYTES);
        source.take(SEAL_BYTES as u64 + 1).read_to_end(&mut tail).map_err(ReadError::Io)?;
        if read != before || found != self.before_sha256 || tail != self.frame() {
            return Err(ReadError::Unsealed);
        }
        hash.update(&tail);
        Ok(Sealed { sha256: Sha256Digest::new(hash.finalize().into()), size_bytes })
    }
}

fn hashed(source: &mut impl Read, hash: &mut Sha256, part: &mut [u8]) -> Result<u64, ReadError> {
    let mut all = 0;
    loop {
        match source.read(part) {
            Ok(0) => return Ok(all),
            Ok(read) => {
                hash.update(&part[..read]);
                all += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(commit: Option<&str>) -> Seal {
        Seal {
            episode: EpisodeId::new("ep-2026.08.11_7").unwrap(),
            before_sha256: Sha256Digest::of(b"before"),
            content_sha256: Sha256Digest::of(b"content"),
            commit: commit.map(|commit| commit.parse().unwrap()),
        }
    }

    #[test]
    fn a_seal_is_read_as_it_is_written_and_always_as_long() {
        for commit in [None, Some("ab".repeat(20)), Some("cd".repeat(32))] {
            let seal = seal(commit.as_deref());
            let frame = seal.frame();
            assert_eq!(frame.len(), SEAL_BYTES);
            assert_eq!(Seal::read(&frame), Some(seal));
        }
    }

    #[test]
    fn what_differs_from_a_seal_in_one_byte_is_another_or_none() {
        let seal = seal(Some(&"ab".repeat(20)));
        let frame = seal.frame();
        for at in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 1;
            assert_ne!(Seal::read(&damaged), Some(seal.clone()), "{at}");
        }
        assert_eq!(Seal::read(&frame[1..]), None);
        assert_eq!(Seal::read(&[]), None);
    }

    #[test]
    fn a_seal_is_believed_of_the_bytes_that_were_sealed_alone() {
        let (sealed, before) = (seal(None), b"before");
        let bytes = [&before[..], &sealed.frame()].concat();
        let check =
            |bytes: &[u8], episode: &str| sealed.check(bytes, bytes.len() as u64, &EpisodeId::new(episode).unwrap());
        let good = check(&bytes, "ep-2026.08.11_7").unwrap();
        assert_eq!((good.sha256, good.size_bytes), (Sha256Digest::of(&bytes), bytes.len() as u64));
        assert!(matches!(check(&bytes, "ep-8"), Err(ReadError::SealedAs { .. })));
        let mut damaged = bytes.clone();
        damaged[2] ^= 1;
        for bytes in [&damaged[..], &bytes[1..], &bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat()] {
            assert!(matches!(check(bytes, "ep-2026.08.11_7"), Err(ReadError::Unsealed)));
        }
    }
}
