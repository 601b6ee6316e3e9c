//! Commits that an operator lets in although they have left the window: a file of lines, the last of a commit counting. Owns the
//! file; that a person did it is an event of the ledger too, which is the command's to write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::Commit;

/// Largest file that is read, in bytes.
pub const ALLOWED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most lines that are read.
pub const ALLOWED_LINES_MAX: usize = 10_000;

/// A commit that is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Which.
    pub commit: Commit,
    /// Until when; a time that is past takes it back.
    pub until: Timestamp,
    /// When it was allowed.
    pub at: Timestamp,
    /// Who allowed it.
    pub who: String,
    /// Why.
    pub why: String,
}

impl Allowed {
    /// Whether it holds now.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AllowedError {
    /// The disk says no.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// It is larger than a list of commits would be.
    #[error("{} has more than {ALLOWED_LINES_MAX} lines or {ALLOWED_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is not one of ours.
    #[error("{} line {line}: no commit that is allowed", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What is allowed, the last line of each commit; empty where there is no file.
///
/// # Errors
/// When the file cannot be read, is too large, or has a line that is none of ours. A last line without its end is one that is
/// being written, and is not read yet.
pub fn read(path: &Path) -> Result<Vec<Allowed>, AllowedError> {
    let failed = |source| AllowedError::Io { path: path.to_path_buf(), source };
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(ALLOWED_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    if text.len() as u64 > ALLOWED_BYTES_MAX || whole.lines().count() > ALLOWED_LINES_MAX {
        return Err(AllowedError::TooLarge { path: path.to_path_buf() });
    }
    let mut allowed: Vec<Allowed> = Vec::new();
    for (number, line) in whole.lines().enumerate() {
        let new: Allowed = serde_json::from_str(line).map_err(|source| AllowedError::Line {
            path: path.to_path_buf(),
            line: number + 1,
            source,
        })?;
        allowed.retain(|old| old.commit != new.commit);
        allowed.push(new);
    }
    Ok(allowed)
}

/// Adds a line, durably; the caller holds whatever keeps two of them apart.
///
/// # Errors
/// When the file cannot be written.
pub fn allow(path: &Path, allowed: &Allowed) -> Result<(), AllowedError> {
    let failed = |source| AllowedError::Io { path: path.to_path_buf(), source };
    let mut line = serde_json::to_string(allowed).expect("invariant: it is words and times");
    line.push('\n');
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    if is_new {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    Ok(())
}
