//! What an episode's directory held when it was packed, as far as a look shows it, and the receipt that the ledger keeps of it. Owns
//! how both are written and what a look costs: no file is read.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::archive::{Content, TreeLimits};

/// What the detail of an episode that was received begins with.
const RECEIVED: &str = "the receiver has it: ";
/// Most directories below each other that are looked into.
const DEPTH_MAX: usize = 64;

/// What a directory holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Regular files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// When the last of them was written, in seconds since 1970.
    pub written_secs: i64,
}

impl Holds {
    /// What was packed.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        Self { files: content.files, bytes: content.bytes, written_secs: content.written_secs }
    }

    /// Looks at a directory. `None` where it holds what no episode may: a symlink, a device, more than may be packed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn look(dir: &Path) -> io::Result<Option<Self>> {
        let (mut holds, mut entries) = (Self::default(), 0);
        Ok(look(dir, 0, &mut entries, &mut holds)?.then_some(holds))
    }

    /// What the ledger keeps of an episode that the receiver has.
    #[must_use]
    pub fn receipt(&self) -> String {
        format!("{RECEIVED}{self}")
    }

    /// Reads what [`Holds::receipt`] wrote.
    #[must_use]
    pub fn from_receipt(detail: &str) -> Option<Self> {
        detail.strip_prefix(RECEIVED)?.parse().ok()
    }
}

fn look(dir: &Path, depth: usize, entries: &mut u64, holds: &mut Holds) -> io::Result<bool> {
    if depth == DEPTH_MAX {
        return Ok(false);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        *entries += 1;
        let metadata = entry.metadata()?;
        let is_odd = if metadata.is_dir() {
            !look(&entry.path(), depth + 1, entries, holds)?
        } else {
            holds.written_secs =
                if holds.files == 0 { metadata.mtime() } else { holds.written_secs.max(metadata.mtime()) };
            holds.files += 1;
            holds.bytes = holds.bytes.saturating_add(metadata.len());
            !metadata.is_file()
        };
        if is_odd || *entries > TreeLimits::default().entries {
            return Ok(false);
        }
    }
    Ok(true)
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, bytes, written_secs } = self;
        let written = Timestamp::from_second(*written_secs).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{files} files of {bytes} bytes, the last written at {written}")
    }
}

/// A text that tells of no directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected files, bytes and a time")]
pub struct HoldsError;

impl FromStr for Holds {
    type Err = HoldsError;

    fn from_str(text: &str) -> Result<Self, HoldsError> {
        let read = || {
            let (files, rest) = text.split_once(" files of ")?;
            let (bytes, written) = rest.split_once(" bytes, the last written at ")?;
            let written: Timestamp = written.parse().ok()?;
            Some(Self { files: files.parse().ok()?, bytes: bytes.parse().ok()?, written_secs: written.as_second() })
        };
        read().ok_or(HoldsError)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_receipt_reads_back_and_nothing_else_is_one() {
        for holds in [
            Holds { files: 3, bytes: 12_345, written_secs: 1_700_000_000 },
            Holds { files: 0, bytes: 0, written_secs: 0 },
            Holds { files: 1, bytes: u64::MAX, written_secs: -5 },
        ] {
            assert_eq!(Holds::from_receipt(&holds.receipt()), Some(holds), "{}", holds.receipt());
        }
        for detail in
            ["", "it was in `shipped` already", "the receiver has it", "the receiver has it: 3 files of x bytes"]
        {
            assert_eq!(Holds::from_receipt(detail), None, "{detail}");
        }
    }

    #[test]
    fn a_look_follows_no_symlink_and_sees_what_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sub/empty")).unwrap();
        let write = |name: &str, text: &str, secs: u64| {
            fs::write(dir.path().join(name), text).unwrap();
            let file = fs::File::options().append(true).open(dir.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
        };
        assert_eq!(Holds::look(dir.path()).unwrap(), Some(Holds::default()));
        write("a", "123", 10);
        write("sub/b", "45", 20);
        let holds = Holds { files: 2, bytes: 5, written_secs: 20 };
        assert_eq!(Holds::look(dir.path()).unwrap(), Some(holds));
        write("a", "321", 30);
        assert_eq!(Holds::look(dir.path()).unwrap(), Some(Holds { written_secs: 30, ..holds }));
        symlink("/", dir.path().join("sub/root")).unwrap();
        assert_eq!(Holds::look(dir.path()).unwrap(), None);
    }
}
