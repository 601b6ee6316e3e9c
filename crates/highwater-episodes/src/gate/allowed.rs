//! Commits that an operator lets in although they have left the window: a file of lines, the last of a commit counting. Owns the
//! file; that a person did it is an event of the ledger too, which is the command's to write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use highwater_fs::{Quarantine, RealFs, RelPath};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::index::Commit;
use crate::odd::Odd;
use crate::receive::QUARANTINE_DIR;

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
    /// Something that is no file has its place.
    #[error("which commits are let in cannot be read")]
    Odd(#[from] Odd),
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
/// When the file cannot be read, is none, is too large, or has a line that is none of ours. A last line without its end is one that is
/// being written, and is not read yet.
pub fn read(path: &Path) -> Result<Vec<Allowed>, AllowedError> {
    let failed = |source| AllowedError::Io { path: path.to_path_buf(), source };
    let mut text = String::new();
    // A pipe would not be opened before somebody writes into it.
    Odd::is_none_in_place_of(path)?;
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

/// Adds a line, durably, beside others who do; what a crash left without its end is ended, or set aside in `quarantine` beside the
/// file.
///
/// # Errors
/// When the file cannot be written, or what is in it could not be read by the gate afterwards.
pub fn allow(path: &Path, allowed: &Allowed) -> Result<(), AllowedError> {
    let failed = |source| AllowedError::Io { path: path.to_path_buf(), source };
    let mut line = serde_json::to_string(allowed).expect("invariant: it is words and times");
    line.push('\n');
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
    retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)).map_err(|errno| failed(errno.into()))?;
    read(path)?;
    mend(&mut file, path, line.len())?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    if is_new {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Ends the last line where it lacks nothing but its end, else sets it aside: what is appended to it would be no line.
fn mend(file: &mut File, path: &Path, new_bytes: usize) -> Result<(), AllowedError> {
    let failed = |source| AllowedError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    file.take(ALLOWED_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    if lines >= ALLOWED_LINES_MAX || (bytes.len() + new_bytes) as u64 > ALLOWED_BYTES_MAX {
        return Err(AllowedError::TooLarge { path: path.to_path_buf() });
    }
    let torn = &bytes[whole..];
    if torn.is_empty() {
        return Ok(());
    }
    if serde_json::from_slice::<Allowed>(torn).is_ok() {
        return file.write_all(b"\n").map_err(failed);
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let quarantine = RelPath::new(QUARANTINE_DIR).expect("invariant: a plain name");
    let aside = RealFs::open(dir)
        .and_then(|fs| Quarantine::new(&fs, quarantine).keep(name, torn, "the torn end of what operators let in"));
    aside.map_err(|error| failed(io::Error::other(error)))?;
    file.set_len(whole as u64).map_err(failed)
}
