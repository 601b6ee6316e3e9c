//! What an episode's directory held when it was packed, as far as a look shows it, and the receipt that the ledger keeps of it. Owns
//! how both are written, and that only what cannot be told apart counts as the same.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::archive::{Content, Look};
use crate::digest::Sha256Digest;
use crate::name::HostId;

/// What the detail of an episode that was received begins with.
const RECEIVED: &str = "the receiver has it: ";

/// What a directory holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Regular files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// When the last of them was written, in seconds since 1970.
    pub written_secs: i64,
    /// What [`Look::sha256`] is of; an older version noted none, and then nothing shows that the directory is as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_sha256: Option<Sha256Digest>,
}

impl Holds {
    /// What was packed.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        let Look { files, bytes, written_secs, sha256 } = content.look;
        Self { files, bytes, written_secs, look_sha256: Some(sha256) }
    }

    /// Whether a look shows that the directory is as it was. Where it does not, its files must be read.
    #[must_use]
    pub fn is_still(&self, now: &Look) -> bool {
        self.look_sha256 == Some(now.sha256)
    }
}

/// What the ledger keeps of an episode that the receiver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// How its directory was when it was sent.
    pub holds: Holds,
    /// What it held; an older version kept none.
    pub content_sha256: Option<Sha256Digest>,
    /// Under whose name it was sent: an older version kept none.
    pub host: Option<HostId>,
}

impl Receipt {
    /// Reads the detail of an outcome; `None` where it is no receipt.
    #[must_use]
    pub fn read(detail: &str) -> Option<Self> {
        detail.strip_prefix(RECEIVED)?.parse().ok()
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holds { files, bytes, written_secs, look_sha256 } = self.holds;
        let written = Timestamp::from_second(written_secs).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{RECEIVED}{files} files of {bytes} bytes, the last written at {written}")?;
        // Nothing is said without what it held.
        let Some(content) = self.content_sha256 else { return Ok(()) };
        write!(f, "; content {content}")?;
        look_sha256.iter().try_for_each(|look| write!(f, ", look {look}"))?;
        self.host.iter().try_for_each(|host| write!(f, ", host {host}"))
    }
}

/// A text that is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected files, bytes, a time, and the SHA-256 of what they hold")]
pub struct ReceiptError;

impl FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        let read = || {
            let (text, hashes) = match text.split_once("; content ") {
                Some((text, hashes)) => (text, Some(hashes)),
                None => (text, None),
            };
            let (files, rest) = text.split_once(" files of ")?;
            let (bytes, written) = rest.split_once(" bytes, the last written at ")?;
            let written: Timestamp = written.parse().ok()?;
            let mut hashes = hashes.into_iter().flat_map(|hashes| hashes.split(", "));
            let content_sha256 = hashes.next().map(str::parse).transpose().ok()?;
            let (mut look_sha256, mut host) = (None, None);
            for named in hashes {
                match named.split_once(' ')? {
                    ("look", hash) => look_sha256 = Some(hash.parse().ok()?),
                    ("host", name) => host = Some(HostId::new(name).ok()?),
                    // Of another version.
                    _ => {}
                }
            }
            let (files, bytes, written_secs) = (files.parse().ok()?, bytes.parse().ok()?, written.as_second());
            let holds = Holds { files, bytes, written_secs, look_sha256 };
            Some(Self { holds, content_sha256, host })
        };
        read().ok_or(ReceiptError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_reads_back_and_nothing_else_is_one() {
        let (look, content) = (Sha256Digest::of(b"look"), Sha256Digest::of(b"content"));
        let holds = Holds { files: 3, bytes: 12_345, written_secs: 1_700_000_000, look_sha256: None };
        for (holds, content_sha256) in [
            (holds, None),
            (holds, Some(content)),
            (Holds { look_sha256: Some(look), ..holds }, Some(content)),
            (Holds::default(), None),
            (Holds { files: 1, bytes: u64::MAX, written_secs: -5, look_sha256: Some(look) }, Some(content)),
        ] {
            let host = content_sha256.map(|_| HostId::new("lab-1.de").unwrap());
            let receipt = Receipt { holds, content_sha256, host };
            assert_eq!(Receipt::read(&receipt.to_string()), Some(receipt.clone()), "{receipt}");
        }
        // What older versions wrote.
        let older = "the receiver has it: 3 files of 12345 bytes, the last written at 2023-11-14T22:13:20Z";
        assert_eq!(Receipt::read(older), Some(Receipt { holds, content_sha256: None, host: None }));
        let older =
            format!("{older}; content {content}, archive {look}, host lab-1, received 2026-11-20T12:00:00.000001Z");
        let host = Some(HostId::new("lab-1").unwrap());
        assert_eq!(Receipt::read(&older), Some(Receipt { holds, content_sha256: Some(content), host }));
        for detail in [
            "",
            "it was in `shipped` already",
            "the receiver has it",
            "the receiver has it: 3 files of x bytes",
            "the receiver has it: 3 files of 5 bytes, the last written at 2023-11-14T22:13:20Z; content x",
        ] {
            assert_eq!(Receipt::read(detail), None, "{detail}");
        }
    }
}
