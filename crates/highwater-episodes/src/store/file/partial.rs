//! Broken-off uploads in the directory of copies: `ID.upload` holds the bytes, `ID.record` what is known of them. Owns the record: its
//! first line is what was kept with the upload, each further one a mark, how many bytes there were and their hash.
//!
//! After a crash a file may be longer than what is on the disk of it. The bytes up to the last mark that they still hash to are
//! trusted, the rest is cut off: so marks need no sync of their own while bytes come, and nothing that was told is lost.

use std::io::{self, Read as _};

use highwater_fs::{Fs, FsError, FsFile, Kind, Mode, Op, Quarantine, RelPath, Stat, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FileStore;
use crate::digest::Sha256Digest;
use crate::store::partial::Seen;
use crate::store::{Found, Partial, Partials, Progress, Staging, Store as _, StoreError, UploadId};

/// How the file ends that holds an upload's bytes.
const BYTES_SUFFIX: &str = ".upload";
/// How its record ends.
const RECORD_SUFFIX: &str = ".record";
/// Longest line that is kept with an upload, in bytes.
const ABOUT_BYTES_MAX: usize = 16 * 1024;
/// Largest record that goes on; a larger one is written anew with its last mark alone.
const RECORD_BYTES_MAX: u64 = 256 * 1024;
/// Largest record that is read: what one opening may add to one that goes on.
const RECORD_READ_BYTES_MAX: u64 = 4 << 20;
/// While bytes come, there is a mark after so many.
const MARK_EVERY_BYTES: u64 = 4 << 20;
/// After so many marks of one opening they are twice as far apart.
const MARKS_BEFORE_DOUBLE: u64 = 512;
/// Most marks of one opening.
const MARKS_MAX: u64 = 8 * MARKS_BEFORE_DOUBLE;
/// How much of an upload is read at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// A line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at: Timestamp,
    bytes: u64,
    sha256: Sha256Digest,
}

impl Mark {
    fn of(progress: &Progress, at: Timestamp) -> Self {
        Self { at, bytes: progress.bytes(), sha256: progress.sha256() }
    }

    fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("invariant: a mark is numbers and digits");
        line.push('\n');
        line
    }
}

/// A record, as far as it can be read.
struct Record {
    about: String,
    /// Each of more bytes than the one before it.
    marks: Vec<Mark>,
}

impl Record {
    /// `None` where even its first line is none.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let about = std::str::from_utf8(&bytes[..end]).ok()?.to_owned();
        // What is torn is at the end; what is behind it says nothing.
        let whole = bytes[end + 1..].split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let mut marks: Vec<Mark> = Vec::new();
        for mark in whole.map_while(|line| serde_json::from_slice::<Mark>(line).ok()) {
            // What was taken back since.
            while marks.last().is_some_and(|last| last.bytes >= mark.bytes) {
                marks.pop();
            }
            marks.push(mark);
        }
        Some(Self { about, marks })
    }
}

impl<F: Fs> FileStore<F> {
    fn bytes_of(&self, id: &UploadId) -> Result<RelPath, StoreError> {
        self.copy(&format!("{id}{BYTES_SUFFIX}"))
    }

    fn record_of(&self, id: &UploadId) -> Result<RelPath, StoreError> {
        self.copy(&format!("{id}{RECORD_SUFFIX}"))
    }

    /// The uploads that have such a file.
    fn ids(&self, suffix: &str) -> Result<Vec<UploadId>, StoreError> {
        let entries = match self.fs.list(&self.staging) {
            // Somebody took it away, and them with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed?,
        };
        let files = entries.into_iter().filter(|entry| entry.kind == Kind::File);
        Ok(files.filter_map(|entry| entry.name.to_str()?.strip_suffix(suffix)?.parse().ok()).collect())
    }

    /// Removes the bytes of uploads that have no record: nobody was told of them, or they were given up.
    pub(super) fn sweep_partials(&self) -> Result<(), StoreError> {
        for id in self.ids(BYTES_SUFFIX)? {
            if self.fs.stat(&self.record_of(&id)?)?.is_none() {
                self.remove(&self.bytes_of(&id)?)?;
            }
        }
        Ok(())
    }

    fn remove(&self, path: &RelPath) -> Result<(), StoreError> {
        match self.fs.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn record(&self, id: &UploadId) -> Result<Option<Record>, StoreError> {
        match self.fs.read(&self.record_of(id)?, RECORD_READ_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Record::read(&read?)),
        }
    }

    /// As much of an upload as hashes to one of the marks.
    fn trusted(&self, path: &RelPath, marks: &[Mark]) -> Result<Progress, StoreError> {
        let mut reader = self.fs.reader(path)?;
        let (mut trusted, mut running) = (Progress::default(), Progress::default());
        let mut chunk = vec![0; CHUNK_BYTES];
        for mark in marks {
            while running.bytes() < mark.bytes {
                let left = usize::try_from(mark.bytes - running.bytes()).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
                match reader.read(&mut chunk[..left]) {
                    Ok(0) => return Ok(trusted),
                    Ok(read) => running.update(&chunk[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(source) => return Err(self.failed(Op::Read, path, source)),
                }
            }
            // One that does not fit may be of what was taken back; a later one counts as well.
            if running.sha256() == mark.sha256 {
                trusted = running.clone();
            }
        }
        Ok(trusted)
    }

    fn failed(&self, op: Op, path: &RelPath, source: io::Error) -> StoreError {
        FsError::Io { op, path: self.fs.locate(path), source }.into()
    }

    /// Makes what is trusted of an upload all that there is of it, durably, with a record of one mark.
    fn cut(&self, id: &UploadId, about: &str, trusted: &Progress, at: Timestamp) -> Result<(), StoreError> {
        let mut file = self.fs.append(&self.bytes_of(id)?)?;
        file.truncate(trusted.bytes())?;
        if let Err(error) = file.sync() {
            // A second sync would succeed, and save nothing.
            self.forget(id)?;
            return Err(error.into());
        }
        let text = format!("{about}\n{}", Mark::of(trusted, at).to_line());
        Ok(publish(&self.fs, &self.record_of(id)?, text.as_bytes(), Mode::Umask)?)
    }
}

impl<F: Fs> Partials for FileStore<F> {
    fn begin(&self, id: &UploadId, about: &str) -> Result<(), StoreError> {
        if about.len() > ABOUT_BYTES_MAX || about.contains('\n') {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "what is kept with an upload is one short line");
            return Err(self.failed(Op::Create, &self.record_of(id)?, source));
        }
        self.in_its_place()?;
        drop(self.create_copy(&self.bytes_of(id)?)?);
        // The directory is synced with it, and that makes both names durable.
        Ok(publish(&self.fs, &self.record_of(id)?, format!("{about}\n").as_bytes(), Mode::Umask)?)
    }

    fn found(&self) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for id in self.ids(RECORD_SUFFIX)? {
            let Some(Record { about, marks }) = self.record(&id)? else {
                self.set_aside(&id, "its record has no first line")?;
                continue;
            };
            let retired = self.fs.stat(&self.bytes_of(&id)?)?.is_none();
            let last = marks.last();
            let (touched_at, marked_bytes) = (last.map(|mark| mark.at), last.map(|mark| mark.bytes));
            found.push(Found { id, about, touched_at, marked_bytes, retired });
        }
        Ok(found)
    }

    fn resume(
        &self,
        id: &UploadId,
        known: Option<Progress>,
        at: Timestamp,
    ) -> Result<Option<Box<dyn Partial>>, StoreError> {
        self.in_its_place()?;
        let (bytes, record) = (self.bytes_of(id)?, self.record_of(id)?);
        let (Some(bytes_stat), Some(record_stat)) = (self.fs.stat(&bytes)?, self.fs.stat(&record)?) else {
            return Ok(None);
        };
        // Whoever writes into the file, or puts another in its place, changes what is seen of it, be it as long; of none there is nothing to know.
        let is_as_known = |known: &Progress| match known.file() {
            _ if known.bytes() != bytes_stat.len => false,
            Some(file) => file == Seen::of(&bytes_stat),
            None => known.bytes() == 0,
        };
        let known = known.filter(is_as_known);
        let progress = match known {
            Some(known) if record_stat.len <= RECORD_BYTES_MAX => known,
            known => {
                let Some(Record { about, marks }) = self.record(id)? else { return Ok(None) };
                let trusted = match known {
                    Some(known) => known,
                    None => self.trusted(&bytes, &marks)?,
                };
                self.cut(id, &about, &trusted, at)?;
                trusted
            }
        };
        let Some(seen) = self.fs.stat(&bytes)? else { return Ok(None) };
        let progress = progress.of_file(Seen::of(&seen));
        Ok(Some(Box::new(OpenPartial {
            name: format!("{id}{BYTES_SUFFIX}"),
            file: self.fs.append(&bytes)?,
            record: self.fs.append(&record)?,
            at,
            marked_bytes: progress.bytes(),
            marks: 0,
            settled_bytes: progress.bytes(),
            trusting: true,
            progress,
        })))
    }

    fn known(&self, id: &UploadId, progress: Progress) -> Result<Option<Progress>, StoreError> {
        let stat = self.fs.stat(&self.bytes_of(id)?)?.filter(|stat| stat.len == progress.bytes());
        let is_same = |stat: &Stat| progress.file().is_some_and(|file| file.id == stat.id);
        Ok(stat.filter(is_same).map(|stat| progress.of_file(Seen::of(&stat))))
    }

    fn retire(&self, id: &UploadId) -> Result<(), StoreError> {
        self.remove(&self.bytes_of(id)?)
    }

    fn set_aside(&self, id: &UploadId, why: &str) -> Result<(), StoreError> {
        let quarantine = Quarantine::new(&self.fs, self.quarantine.clone());
        let record = quarantine.set_aside(&self.record_of(id)?, why)?;
        let bytes = self.bytes_of(id)?;
        if self.fs.stat(&bytes)?.is_some() {
            quarantine.set_aside(&bytes, why)?;
        }
        tracing::warn!(upload.id = %id, record = %self.fs.locate(&record.path).display(), why, "an upload is set aside");
        Ok(())
    }

    fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        // The record first, durably: bytes without one are swept, a record without its bytes says that they came to an end.
        self.remove(&self.record_of(id)?)?;
        match self.fs.sync_dir(&self.staging) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            synced => synced?,
        }
        self.remove(&self.bytes_of(id)?)
    }
}

/// An upload that is open.
#[derive(Debug)]
struct OpenPartial {
    name: String,
    file: FsFile,
    record: FsFile,
    progress: Progress,
    at: Timestamp,
    /// Where the last mark is.
    marked_bytes: u64,
    /// How many were written since it was opened.
    marks: u64,
    /// Where it was when all of it was durable.
    settled_bytes: u64,
    trusting: bool,
}

impl OpenPartial {
    fn mark(&mut self) -> Result<(), StoreError> {
        self.record.append(Mark::of(&self.progress, self.at).to_line().as_bytes())?;
        self.marked_bytes = self.progress.bytes();
        Ok(())
    }
}

impl Staging for OpenPartial {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.append(bytes)?;
        self.progress.update(bytes);
        let every_bytes = MARK_EVERY_BYTES << (self.marks / MARKS_BEFORE_DOUBLE);
        if self.trusting && self.marks < MARKS_MAX && self.progress.bytes() - self.marked_bytes >= every_bytes {
            self.marks += 1;
            self.mark()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.settle(self.at)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn stays(&self) -> bool {
        true
    }
}

impl Partial for OpenPartial {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn trust_as_it_comes(&mut self, yes: bool) {
        self.trusting = yes;
    }

    fn settle(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.at = at;
        if self.settled_bytes == self.progress.bytes() {
            return Ok(());
        }
        self.file.sync()?;
        self.mark()?;
        self.record.sync()?;
        self.settled_bytes = self.progress.bytes();
        Ok(())
    }

    fn back_to(&mut self, before: Progress) -> Result<(), StoreError> {
        self.file.truncate(before.bytes())?;
        self.marked_bytes = self.marked_bytes.min(before.bytes());
        self.settled_bytes = self.settled_bytes.min(before.bytes());
        self.progress = before;
        Ok(())
    }

    fn into_staging(self: Box<Self>) -> Box<dyn Staging> {
        self
    }
}
