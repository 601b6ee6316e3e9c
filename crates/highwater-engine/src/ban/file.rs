//! The ban file: a resource's ban as one RFC 3339 line, for programs that keep no ledger of ours. Owns how it is read, and that
//! it is only ever extended (R2), but by a person's `lift`. It is never deleted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_fs::{Mode, publish_at};
use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::clock::{SharedClock, later};
use crate::diagnosis::{Diagnosis, with_causes};

/// Most of the file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// How often the lock beside the file is tried before that is an error.
const LOCK_TRIES_MAX: u32 = 100;
/// The wait between two tries, in milliseconds.
const LOCK_TRY_MS: u64 = 20;

/// A file that holds a ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanFile {
    path: PathBuf,
}

impl BanFile {
    /// The ban file at a path; nothing needs to be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When the ban ends that it holds; `None` without a file, or with an empty one. A ban longer than `max`, counted from when
    /// the file was written, is cut to that.
    ///
    /// # Errors
    /// A refusal where there is a file that cannot be read as a ban: nobody is contacted while it is unknown whether that is
    /// allowed.
    pub fn read(&self, max: Duration) -> Result<Option<Timestamp>, Diagnosis> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(&format!("it cannot be read: {error}"))),
        };
        let mut bytes = Vec::new();
        let read = (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).and_then(|_| file.metadata());
        let written = read.and_then(|meta| meta.modified()).map_err(|e| self.unreadable(&e.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let until: Timestamp = text
            .parse()
            .map_err(|_| self.unreadable(&format!("found {:?}", text.chars().take(80).collect::<String>())))?;
        let Ok(written) = Timestamp::try_from(written) else { return Ok(Some(until)) };
        let longest = later(written, max);
        if until > longest {
            tracing::warn!(file = %self.path.display(), %until, %longest, "the ban in the file is longer than `ban-max` and is cut");
        }
        Ok(Some(until.min(longest)))
    }

    /// Writes a later end of the ban; an earlier one changes nothing.
    ///
    /// # Errors
    /// [`Diagnosis`] when the file can be neither read nor written.
    pub async fn extend(&self, until: Timestamp, max: Duration, clock: &SharedClock) -> Result<(), Diagnosis> {
        let _lock = self.lock(clock).await?;
        if self.read(max)?.is_some_and(|stands| stands >= until) {
            return Ok(());
        }
        // Rounded up: a second too long is no contact, a second too short is one.
        self.write(until.as_second() + i64::from(until.subsec_nanosecond() > 0), until)
    }

    /// A person's word that the ban is over: the end becomes `now`. Says whether one stood.
    ///
    /// # Errors
    /// [`Diagnosis`] when the file can be neither read nor written.
    pub async fn lift(&self, now: Timestamp, max: Duration, clock: &SharedClock) -> Result<bool, Diagnosis> {
        let _lock = self.lock(clock).await?;
        // What cannot be read as a ban is what a person wants to be rid of.
        if self.read(max).is_ok_and(|stands| stands.is_none_or(|until| until <= now)) {
            return Ok(false);
        }
        self.write(now.as_second(), now)?;
        Ok(true)
    }

    /// Other programs read no fractions of a second.
    fn write(&self, second: i64, else_at: Timestamp) -> Result<(), Diagnosis> {
        let until = Timestamp::from_second(second).unwrap_or(else_at);
        publish_at(&self.path, format!("{until}\n").as_bytes(), Mode::Umask)
            .map_err(|e| self.unwritable(&with_causes(&e)))
    }

    /// A lock beside the file, so that of two writers the later end wins.
    async fn lock(&self, clock: &SharedClock) -> Result<File, Diagnosis> {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
        let file = open().map_err(|error| self.unwritable(&error.to_string()))?;
        for _ in 0..LOCK_TRIES_MAX {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) => clock.sleep(Duration::from_millis(LOCK_TRY_MS)).await,
                Err(error) => return Err(self.unwritable(&error.to_string())),
            }
        }
        Err(self.unwritable("the lock beside it stays held"))
    }

    fn unreadable(&self, what: &str) -> Diagnosis {
        Diagnosis::refusal(
            "HW-BAN-001",
            format!("{what}; expected one line such as 2026-11-20T12:00:00Z, or no file"),
            "correct the file, or `highwater lift RESOURCE --why …`; until then nothing is contacted",
        )
        .in_file(&self.path)
        .at_field("ban-file")
    }

    fn unwritable(&self, what: &str) -> Diagnosis {
        Diagnosis::failure(
            "HW-BAN-002",
            format!("the ban cannot be written: {what}"),
            "make its directory and let this user write there; the ledger knows the ban, other programs do not",
        )
        .in_file(&self.path)
        .at_field("ban-file")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use std::fs;

    use super::*;
    use crate::clock::SystemClock;

    const MAX: Duration = Duration::from_secs(30 * 24 * 3600);

    fn scratch() -> (tempfile::TempDir, BanFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = BanFile::new(dir.path().join("retry-after"));
        (dir, file)
    }

    #[tokio::test]
    async fn r02_the_ban_in_the_file_is_only_ever_extended() {
        let (_dir, file) = scratch();
        let clock = SystemClock::shared();
        let now = clock.now();
        let (sooner, later) = (later(now, Duration::from_secs(60)), later(now, Duration::from_secs(600)));
        assert_eq!(file.read(MAX).unwrap(), None);
        file.extend(later, MAX, &clock).await.unwrap();
        let stands = file.read(MAX).unwrap().unwrap();
        assert!(stands >= later, "rounded up");
        file.extend(sooner, MAX, &clock).await.unwrap();
        assert_eq!(file.read(MAX).unwrap(), Some(stands));
        assert!(fs::read_to_string(file.path()).unwrap().trim_end().ends_with('Z'));
        // A person ends it; the file stays.
        assert!(file.lift(now, MAX, &clock).await.unwrap());
        assert!(file.read(MAX).unwrap().unwrap() <= now);
        assert!(file.path().exists());
    }

    #[test]
    fn a_file_that_is_no_ban_is_refused_and_an_empty_one_is_none() {
        let (_dir, file) = scratch();
        fs::write(file.path(), "\n").unwrap();
        assert_eq!(file.read(MAX).unwrap(), None);
        fs::write(file.path(), "tomorrow\n").unwrap();
        let refused = file.read(MAX).unwrap_err();
        assert!(refused.code == "HW-BAN-001" && refused.message.contains("\"tomorrow\""), "{refused}");
    }

    #[test]
    fn r02_a_ban_in_the_file_beyond_the_longest_is_cut_from_when_it_was_written() {
        let (_dir, file) = scratch();
        fs::write(file.path(), "9999-01-01T00:00:00Z\n").unwrap();
        let first = file.read(MAX).unwrap().unwrap();
        assert!(first < "9999-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(file.read(MAX).unwrap(), Some(first), "the end does not move");
    }
}
