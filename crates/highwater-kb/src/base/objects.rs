//! Bytes by their hash, in `.highwater/objects/`. Owns how they get there whole, and that nobody is given bytes that are not those
//! they are called by.

mod held;

use std::fmt;
use std::io::{self, Read, Write};

use highwater_fs::{Fs, FsError, Kind, Mode, Quarantine, RelPath, Staged, is_partial};
use rustix::io::Errno;

pub(super) use self::held::Held;
use super::home::Home;
use super::layout;
use super::project::QUARANTINE;
use crate::content::ContentId;
use crate::error::KbError;

/// Where they are.
pub(super) const OBJECTS: &str = ".highwater/objects";

/// The most bytes of a manifest.
const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the name of a manifest begins with; its generation follows.
const MANIFEST: &str = "generation-";

/// What is being done where bytes are stored.
const STORE: &str = "store what was prepared";

/// Why one is set aside.
const NOT_ITS_BYTES: &str = "its bytes are not those that it is called by";
const UNREADABLE: &str = "its bytes cannot be read";

/// How much of a stream is held while it is stored.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a name among the objects stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Bytes that are called so.
    Object(ContentId),
    /// What this generation changed.
    Manifest(u32),
    /// One of these on its way, or what a crash left of it.
    Partial,
    /// None of ours.
    Other,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        if is_partial(name) {
            return Self::Partial;
        }
        let id = name.parse().ok().filter(|id: &ContentId| id.to_string() == name);
        let generation = || name.strip_prefix(MANIFEST).and_then(|number| number.parse().ok());
        id.map_or_else(|| generation().map_or(Self::Other, Self::Manifest), Self::Object)
    }
}

/// What is there instead of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Bytes that are called so.
    Bytes(ContentId),
    /// No file.
    Odd(Kind),
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(found) => write!(f, "its bytes are called {found}"),
            Self::Odd(Kind::File) => f.write_str("it cannot be read"),
            Self::Odd(Kind::Dir) => f.write_str("a directory has its place"),
            Self::Odd(Kind::Symlink) => f.write_str("a symlink has its place"),
            Self::Odd(Kind::Other) => f.write_str("what is no file has its place"),
        }
    }
}

/// How an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there and, if that was looked at, whole.
    There,
    Missing,
    /// Its bytes are others, or no file has its place.
    Damaged,
    /// It is there, and neither this user nor the disk gives its bytes.
    Unreadable,
}

impl Standing {
    /// What is wrong with it, where something is.
    pub(crate) fn wrong(self) -> Option<&'static str> {
        match self {
            Self::There => None,
            Self::Missing => Some("is not there"),
            Self::Damaged => Some("is damaged"),
            Self::Unreadable => Some("cannot be read"),
        }
    }
}

/// The objects of a base.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    fs: &'a dyn Fs,
    /// Where what is stored goes first, or instead.
    held: Option<&'a Held>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(fs: &'a dyn Fs) -> Self {
        Self { fs, held: None }
    }

    /// The same, with what is stored in memory, for good or until it goes to the disk with others.
    pub(super) fn with(fs: &'a dyn Fs, held: &'a Held) -> Self {
        Self { fs, held: Some(held) }
    }

    /// Those of a base, for who stores beside the one that commits.
    #[must_use]
    pub fn of(home: &'a dyn Home) -> Self {
        Self::new(home.fs())
    }

    /// Brings all that `store` puts to the disk together, beside the one that commits: durable once [`Objects::settle`] has returned.
    ///
    /// # Errors
    /// As `store`, and what the disk says.
    pub fn together(home: &dyn Home, store: impl FnOnce(Objects<'_>) -> Result<(), KbError>) -> Result<(), KbError> {
        let waiting = Held::waiting();
        let objects = Objects::with(home.fs(), &waiting);
        store(objects)?;
        objects.place_waiting(None)
    }

    /// Stores bytes. They and their name are durable once [`Objects::settle`] has returned.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, bytes: &[u8]) -> Result<ContentId, KbError> {
        let id = ContentId::of(bytes);
        self.place(id, bytes.len() as u64, |to| to.write_all(bytes).map_err(KbError::io(STORE)))?;
        Ok(id)
    }

    /// The same for what may be too large to hold: it is opened twice, to learn what it is called and to copy it.
    ///
    /// # Errors
    /// What the disk says, and [`KbError::Changed`] for a source that was written to meanwhile.
    pub fn put_stream<R: Read>(&self, open: impl Fn() -> io::Result<R>) -> Result<(ContentId, u64), KbError> {
        let (first, bytes) = ContentId::of_stream(open().map_err(KbError::Source)?).map_err(KbError::Source)?;
        self.place(first, bytes, |to| {
            let mut copy = Tee { from: open().map_err(KbError::Source)?, to };
            let (then, _) = ContentId::of_stream(&mut copy).map_err(KbError::Source)?;
            if then == first { Ok(()) } else { Err(KbError::Changed { first, then }) }
        })?;
        Ok((first, bytes))
    }

    /// Whether there is such an object; its bytes are not looked at.
    ///
    /// # Errors
    /// What the disk says.
    pub fn has(&self, id: ContentId) -> Result<bool, KbError> {
        Ok(self.held_len(id).is_some() || self.fs.stat(&path_of(id))?.is_some())
    }

    /// Stores what a generation changed, in the place of an attempt that never came to its COMMIT, and with it what waits.
    pub(super) fn put_manifest(&self, generation: u32, bytes: &[u8]) -> Result<ContentId, KbError> {
        if self.fs.stat(&manifest_of(generation))?.is_some_and(|there| there.kind != Kind::File) {
            let kept = self.set_manifest_aside(generation, "it is no file, and a generation is to have its place")?;
            tracing::warn!(generation, %kept, "what is no file gives way to a generation");
        }
        self.place_waiting(Some((generation, bytes)))?;
        Ok(ContentId::of(bytes))
    }

    /// What a generation changed; `None` where there is no such generation. What is no file in its place is damaged.
    pub(super) fn manifest(&self, generation: u32) -> Result<Option<Vec<u8>>, KbError> {
        let path = manifest_of(generation);
        match self.fs.read(&path, MANIFEST_BYTES_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => match self.fs.stat(&path) {
                Ok(Some(there)) if there.kind != Kind::File => Err(KbError::ManifestDamaged { generation }),
                _ => Err(error.into()),
            },
        }
    }

    /// Whether an object is there, and whole; without `verify` its bytes are not looked at.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn standing(&self, id: ContentId, verify: bool) -> Result<Standing, KbError> {
        if self.held_len(id).is_some() {
            return Ok(Standing::There);
        }
        self.compare(&path_of(id), id, verify)
    }

    /// The same of what a generation changed.
    pub(crate) fn manifest_standing(&self, generation: u32, id: ContentId, verify: bool) -> Result<Standing, KbError> {
        self.compare(&manifest_of(generation), id, verify)
    }

    fn compare(&self, path: &RelPath, id: ContentId, verify: bool) -> Result<Standing, KbError> {
        if !verify {
            return Ok(match self.fs.stat(path)? {
                Some(there) if there.kind == Kind::File => Standing::There,
                Some(_) => Standing::Damaged,
                None => Standing::Missing,
            });
        }
        let reader = match self.fs.reader(path).map_err(|error| self.unread(id, path, error)) {
            Ok(reader) => reader,
            Err(KbError::ObjectMissing { .. }) => return Ok(Standing::Missing),
            Err(KbError::ObjectDamaged { .. }) => return Ok(Standing::Damaged),
            Err(KbError::Fs(error)) if is_refused(error.kind(), error.raw_os_error()) => {
                return Ok(Standing::Unreadable);
            }
            Err(error) => return Err(error),
        };
        match ContentId::of_stream(reader) {
            Ok((found, _)) if found == id => Ok(Standing::There),
            Ok(_) => Ok(Standing::Damaged),
            Err(error) if is_refused(error.kind(), error.raw_os_error()) => Ok(Standing::Unreadable),
            Err(error) => Err(KbError::io("read an object")(error)),
        }
    }

    /// Puts bytes in the place of an object that is missing, damaged or cannot be read: what is there is kept aside.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn restore<R: Read>(&self, id: ContentId, open: impl Fn() -> io::Result<R>) -> Result<(), KbError> {
        let (found, _) = self.put_stream(open)?;
        if found == id { self.settle() } else { Err(KbError::Changed { first: id, then: found }) }
    }

    /// How large an object is; `None` where it is not there.
    pub(crate) fn len(&self, id: ContentId) -> Result<Option<u64>, KbError> {
        if let Some(bytes) = self.held_len(id) {
            return Ok(Some(bytes));
        }
        Ok(self.fs.stat(&path_of(id))?.map(|there| there.len))
    }

    /// The disk that they are on.
    pub(crate) fn fs(&self) -> &'a dyn Fs {
        self.fs
    }

    /// Whether nothing was ever stored.
    pub(super) fn is_empty(&self) -> Result<bool, KbError> {
        match self.fs.list(&layout(OBJECTS)) {
            Ok(entries) => Ok(entries.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is stored what this generation, or an attempt at it, changed.
    pub(super) fn has_manifest(&self, generation: u32) -> Result<bool, KbError> {
        Ok(self.fs.stat(&manifest_of(generation))?.is_some())
    }

    /// The generations of which it is stored what they changed, in order.
    pub(crate) fn generations(&self) -> Result<Vec<u32>, KbError> {
        let numbers = self.fs.list(&layout(OBJECTS))?.into_iter();
        let mut numbers: Vec<u32> =
            numbers.filter_map(|entry| entry.name.to_str()?.strip_prefix(MANIFEST)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Takes what was to be a generation back: its COMMIT never came.
    pub(super) fn take_manifest_back(&self, generation: u32) -> Result<(), KbError> {
        self.fs.unlink(&manifest_of(generation))?;
        Ok(self.fs.sync_dir(&layout(OBJECTS))?)
    }

    /// Takes what a generation changed aside.
    pub(super) fn set_manifest_aside(&self, generation: u32, why: &str) -> Result<RelPath, KbError> {
        Ok(Quarantine::new(self.fs, layout(QUARANTINE)).set_aside(&manifest_of(generation), why)?.path)
    }

    /// Takes an object aside, so that its bytes can be stored again.
    pub(super) fn set_aside(&self, id: ContentId, why: &str) -> Result<RelPath, KbError> {
        Ok(Quarantine::new(self.fs, layout(QUARANTINE)).set_aside(&path_of(id), why)?.path)
    }

    /// Makes all that was put durable, and its names.
    ///
    /// # Errors
    /// What the disk says.
    pub fn settle(&self) -> Result<(), KbError> {
        self.place_waiting(None)?;
        Ok(self.fs.sync_dir(&layout(OBJECTS))?)
    }

    /// The bytes of an object, of at most `bytes_max`.
    ///
    /// # Errors
    /// What the disk says, and an object that is missing or damaged.
    pub fn read(&self, id: ContentId, bytes_max: u64) -> Result<Vec<u8>, KbError> {
        if let Some(bytes) = self.held.and_then(|held| held.get(id)) {
            return Ok(bytes);
        }
        let path = path_of(id);
        let bytes = self.fs.read(&path, bytes_max).map_err(|error| self.unread(id, &path, error))?;
        is_called(id, ContentId::of(&bytes))?;
        Ok(bytes)
    }

    /// An object's bytes one after another, whatever its size; who reads them finds out whether they are those it is called by.
    ///
    /// # Errors
    /// What the disk says, and an object that is missing.
    pub fn reader(&self, id: ContentId) -> Result<Box<dyn Read + Send>, KbError> {
        if let Some(bytes) = self.held.and_then(|held| held.get(id)) {
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        let path = path_of(id);
        self.fs.reader(&path).map_err(|error| self.unread(id, &path, error))
    }

    /// The name of every file there, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, KbError> {
        let entries = self.fs.list(&layout(OBJECTS))?.into_iter().filter(|entry| entry.kind == Kind::File);
        Ok(entries.filter_map(|entry| entry.name.into_string().ok()).collect())
    }

    /// How large the file of this name is; nothing where there is none.
    pub(super) fn bytes_of(&self, name: &str) -> Result<u64, KbError> {
        Ok(self.fs.stat(&named(name))?.map_or(0, |there| there.len))
    }

    /// Removes the file of this name, and says how large it was; durable after [`Objects::settle`].
    pub(super) fn discard(&self, name: &str) -> Result<u64, KbError> {
        let bytes = self.bytes_of(name)?;
        match self.fs.unlink(&named(name)) {
            Ok(()) => Ok(bytes),
            // One on its way came to its end.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies an object elsewhere, whatever its size.
    ///
    /// # Errors
    /// What either disk says, and an object that is missing or damaged; then what was written is not to be used.
    pub(super) fn copy(&self, id: ContentId, to: &mut dyn Write) -> Result<(), KbError> {
        let from = self.reader(id)?;
        let (found, _) = ContentId::of_stream(Tee { from, to }).map_err(KbError::Source)?;
        is_called(id, found)
    }

    /// What it means that an object could not be read.
    fn unread(&self, id: ContentId, path: &RelPath, error: FsError) -> KbError {
        if error.kind() == io::ErrorKind::NotFound {
            return KbError::ObjectMissing { id };
        }
        match self.fs.stat(path) {
            Ok(Some(there)) if there.kind != Kind::File => {
                KbError::ObjectDamaged { id, found: Instead::Odd(there.kind) }
            }
            _ => error.into(),
        }
    }

    fn place(
        &self,
        id: ContentId,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<(), KbError>,
    ) -> Result<(), KbError> {
        let held = self.held.filter(|held| held.takes(bytes));
        if held.is_none_or(Held::waits) && self.stands(id)? {
            return Ok(());
        }
        if let Some(held) = held {
            let mut written = Vec::new();
            write(&mut written)?;
            held.keep(id, written);
            return if held.is_full() { self.place_waiting(None) } else { Ok(()) };
        }
        let mut staged = Staged::create(self.fs, &path_of(id), Mode::Umask)?;
        write(&mut staged)?;
        Ok(staged.place()?)
    }

    /// Brings what waits to the disk, and after it what a generation changed: written one after the other, synced together, and only then
    /// named. What could not be brought still waits, and is written to new files the next time.
    fn place_waiting(&self, manifest: Option<(u32, &[u8])>) -> Result<(), KbError> {
        let mut together = Vec::new();
        let mut write = |path: &RelPath, bytes: &[u8]| {
            let mut staged = Staged::create(self.fs, path, Mode::Umask)?;
            staged.write_all(bytes).map_err(KbError::io(STORE))?;
            together.push(staged);
            Ok::<(), KbError>(())
        };
        self.held.map_or(Ok(()), |held| held.each_waiting(|id, bytes| write(&path_of(id), bytes)))?;
        if let Some((generation, bytes)) = manifest {
            write(&manifest_of(generation), bytes)?;
        }
        Staged::place_together(self.fs, together)?;
        if let Some(held) = self.held {
            held.let_go();
        }
        Ok(())
    }

    /// Whether an object is there and whole, or waits. What has its name and is damaged is kept aside, and gives way to what is stored next:
    /// its name and its length are no word on its bytes.
    fn stands(&self, id: ContentId) -> Result<bool, KbError> {
        let standing = self.standing(id, true)?;
        let why = match standing {
            Standing::Damaged => Some(NOT_ITS_BYTES),
            Standing::Unreadable => Some(UNREADABLE),
            Standing::There | Standing::Missing => None,
        };
        if let Some(why) = why {
            let path = path_of(id);
            let is_file = self.fs.stat(&path)?.is_some_and(|there| there.kind == Kind::File);
            let kept = if is_file {
                Quarantine::new(self.fs, layout(QUARANTINE)).keep_file(&path, why)?.path
            } else {
                self.set_aside(id, why)?
            };
            tracing::warn!(object = %id, %kept, "a damaged object is stored again");
        }
        Ok(standing == Standing::There)
    }

    fn held_len(&self, id: ContentId) -> Option<u64> {
        self.held.and_then(|held| held.len_of(id)).map(|bytes| bytes as u64)
    }
}

/// Whether an error says that the bytes of what is there are not given.
pub(crate) fn is_refused(kind: io::ErrorKind, os: Option<i32>) -> bool {
    kind == io::ErrorKind::PermissionDenied || os == Some(Errno::IO.raw_os_error())
}

fn path_of(id: ContentId) -> RelPath {
    named(&id.to_string())
}

pub(crate) fn manifest_of(generation: u32) -> RelPath {
    named(&format!("{MANIFEST}{generation:010}"))
}

fn named(name: &str) -> RelPath {
    layout(OBJECTS).join(name).expect("invariant: what is listed there, and what things there are called, is one name")
}

fn is_called(id: ContentId, found: ContentId) -> Result<(), KbError> {
    if found == id { Ok(()) } else { Err(KbError::ObjectDamaged { id, found: Instead::Bytes(found) }) }
}

/// Writes what is read from it.
struct Tee<'t, R> {
    from: R,
    to: &'t mut dyn Write,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(BUFFER_BYTES);
        let read = self.from.read(&mut buffer[..most])?;
        self.to.write_all(&buffer[..read])?;
        Ok(read)
    }
}
