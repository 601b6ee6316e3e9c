//! Damaged things, set aside rather than thrown away (R14).
//!
//! Owns the names in the quarantine directory and the order that never leaves a thing in neither
//! place; not what counts as damaged. `index.jsonl` becomes `quarantine/index.jsonl.0`, with
//! `quarantine/index.jsonl.0.reason` beside it, which is written first: a crash can leave a reason
//! without its thing, never a thing without its reason.

use std::ffi::OsStr;
use std::io;

use rustix::io::Errno;

use crate::publish::{copy, is_unlinkable};
use crate::{Entry, FileId, Fs, FsError, Kind, Mode, Op, RelPath, ensure_dir, publish};

/// How the files end that say why.
const REASON_SUFFIX: &str = ".reason";

/// How much of a thing's own name is kept, so that number and suffix fit.
const KEPT_NAME_BYTES_MAX: usize = 200;

/// How often a name that was free is found taken, by another process, before that is an error.
const NAME_TRIES_MAX: u64 = 64;

/// A directory where damaged things are set aside, each under a name of its own.
#[derive(Clone, Debug)]
pub struct Quarantine<'a> {
    fs: &'a dyn Fs,
    dir: RelPath,
}

/// Where a thing lies that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The thing itself.
    pub path: RelPath,
    /// The file beside it that says why.
    pub reason: RelPath,
}

impl<'a> Quarantine<'a> {
    /// The quarantine in `dir`, which is made when it is first needed.
    pub fn new(fs: &'a dyn Fs, dir: RelPath) -> Self {
        Self { fs, dir }
    }

    /// Moves a file, a symlink or a whole directory into quarantine.
    ///
    /// A file is never in neither place: it is linked (or copied, from another file system), and
    /// only then removed. After a crash it may be in both; setting it aside again finds the one
    /// that is there. A directory is renamed, which must be within one file system.
    ///
    /// # Errors
    /// What the disk says; the thing is then in its place, in quarantine, or in both.
    pub fn set_aside(&self, what: &RelPath, why: &str) -> Result<Quarantined, FsError> {
        let missing = || self.refused(Op::Stat, what, Errno::NOENT);
        let (parent, name) = what.split().ok_or_else(|| self.refused(Op::Rename, what, Errno::INVAL))?;
        let stat = self.fs.stat(what)?.ok_or_else(missing)?;
        ensure_dir(self.fs, &self.dir, Mode::Umask)?;

        let name = short(name);
        let taken = self.taken(&name)?;
        let place = match self.same_file(&name, &taken, stat.id)? {
            Some(place) => place,
            None => {
                let place = self.reserve(&name, &taken, &format!("{what}: {why}"))?;
                match stat.kind {
                    Kind::File => match self.fs.link(what, &place.path) {
                        Err(error) if is_unlinkable(&error) => copy(self.fs, what, &place.path)?,
                        linked => linked?,
                    },
                    _ => self.fs.rename(what, &place.path)?,
                }
                place
            }
        };
        self.fs.sync_dir(&self.dir)?;
        if stat.kind == Kind::File {
            self.fs.unlink(what)?;
        }
        self.fs.sync_dir(&parent)?;
        Ok(place)
    }

    /// Keeps a file in quarantine that stays where it is, too, as long as it is left there: under a second name (or as a copy, where a
    /// file has but one). Whoever writes into it there writes into both; whoever replaces it leaves this one as it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_file(&self, what: &RelPath, why: &str) -> Result<Quarantined, FsError> {
        let (_, name) = what.split().ok_or_else(|| self.refused(Op::Link, what, Errno::INVAL))?;
        let stat = self.fs.stat(what)?.ok_or_else(|| self.refused(Op::Stat, what, Errno::NOENT))?;
        ensure_dir(self.fs, &self.dir, Mode::Umask)?;
        let name = short(name);
        let taken = self.taken(&name)?;
        let place = match self.same_file(&name, &taken, stat.id)? {
            Some(place) => place,
            None => {
                let place = self.reserve(&name, &taken, &format!("{what}: {why}"))?;
                match self.fs.link(what, &place.path) {
                    Err(error) if is_unlinkable(&error) => copy(self.fs, what, &place.path)?,
                    linked => linked?,
                }
                place
            }
        };
        self.fs.sync_dir(&self.dir)?;
        Ok(place)
    }

    /// Keeps bytes in quarantine that were part of something, such as a torn last line, under a
    /// name that tells of what.
    ///
    /// # Errors
    /// What the disk says; also when `name` is not one plain name.
    pub fn keep(&self, name: &str, bytes: &[u8], why: &str) -> Result<Quarantined, FsError> {
        let refused = |error| FsError::Io {
            op: Op::Create,
            path: self.fs.locate(&self.dir).join(name),
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        };
        let one = RelPath::new(name).map_err(refused)?;
        let name = match one.split() {
            Some((parent, name)) if parent.parent().is_none() && parent == RelPath::root() => short(name),
            _ => return Err(self.refused(Op::Create, &one, Errno::INVAL)),
        };
        ensure_dir(self.fs, &self.dir, Mode::Umask)?;
        let place = self.reserve(&name, &self.taken(&name)?, why)?;
        if let Err(error) = publish(self.fs, &place.path, bytes, Mode::Umask) {
            self.give_back(&place);
            return Err(error);
        }
        Ok(place)
    }

    /// What lies here under `name` and a number: the number, and whether it is the thing itself.
    fn taken(&self, name: &str) -> Result<Vec<(u64, bool)>, FsError> {
        Ok(self.fs.list(&self.dir)?.iter().filter_map(|entry| numbered(entry, name)).collect())
    }

    /// The file with this id, if a crash left it here and where it was.
    fn same_file(&self, name: &str, taken: &[(u64, bool)], id: FileId) -> Result<Option<Quarantined>, FsError> {
        for (n, _) in taken.iter().filter(|(_, thing)| *thing) {
            let place = self.place(name, *n)?;
            if self.fs.stat(&place.path)?.is_some_and(|stat| stat.id == id) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Takes a name for a thing by writing, durably, why it is here.
    fn reserve(&self, name: &str, taken: &[(u64, bool)], why: &str) -> Result<Quarantined, FsError> {
        let free = taken.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
        for n in free..free.saturating_add(NAME_TRIES_MAX) {
            let place = self.place(name, n)?;
            let mut reason = match self.fs.create(&place.reason, Mode::Umask) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            let written = reason.append(format!("{}\n", why.trim_end()).as_bytes()).and_then(|()| reason.sync());
            if let Err(error) = written.and_then(|()| self.fs.sync_dir(&self.dir)) {
                self.give_back(&place);
                return Err(error);
            }
            return Ok(place);
        }
        Err(self.refused(Op::Create, &self.dir, Errno::EXIST))
    }

    /// Gives a name back under which nothing came to lie, so that one who tries again and again, as on a full disk, leaves nothing.
    fn give_back(&self, place: &Quarantined) {
        // Where it is not known whether something lies there, its reason stays beside it.
        if let Ok(None) = self.fs.stat(&place.path) {
            let _ = self.fs.unlink(&place.reason);
        }
    }

    fn place(&self, name: &str, n: u64) -> Result<Quarantined, FsError> {
        let path = |name: String| {
            self.dir.join(&name).map_err(|error| FsError::Io {
                op: Op::Create,
                path: self.fs.locate(&self.dir).join(name),
                source: io::Error::new(io::ErrorKind::InvalidInput, error),
            })
        };
        let thing = format!("{name}.{n}");
        Ok(Quarantined { reason: path(format!("{thing}{REASON_SUFFIX}"))?, path: path(thing)? })
    }

    fn refused(&self, op: Op, path: &RelPath, errno: Errno) -> FsError {
        FsError::Io { op, path: self.fs.locate(path), source: errno.into() }
    }
}

fn short(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    name[..name.floor_char_boundary(KEPT_NAME_BYTES_MAX)].to_owned()
}

/// Reads `NAME.7` as (7, true) and `NAME.7.reason` as (7, false).
fn numbered(entry: &Entry, name: &str) -> Option<(u64, bool)> {
    let rest = entry.name.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
    let (digits, thing) = match rest.strip_suffix(REASON_SUFFIX) {
        Some(digits) => (digits, false),
        None => (rest, true),
    };
    digits.parse().ok().map(|n| (n, thing))
}
