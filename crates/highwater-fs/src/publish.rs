//! One file in place, whole or not at all.
//!
//! A file is written under a temporary name beside its target, synced, renamed (or linked, where
//! it must not replace anything), and its directory synced. A crash leaves the old file or the new
//! one, and at worst a *partial*, which [`collect_stale`] recognises by its name.
//!
//! Owns the order of these steps and the names of partials; not who may publish when.

use std::io::{self, Read, Write};
use std::path::Path;

use rustix::io::Errno;

use crate::{Fs, FsError, FsFile, Kind, Mode, Op, RealFs, RelPath};

/// How partials end: `report.md` is written as `.report.md.0.hw-partial`.
const PARTIAL_SUFFIX: &str = ".hw-partial";

/// How many partials of one target may lie about before that is an error.
const PARTIALS_OF_ONE_MAX: u32 = 1024;

/// How much of a file is held while it is copied.
const COPY_BUFFER_BYTES: usize = 64 * 1024;

/// Replaces `target` by `bytes`, durably, or leaves it as it was.
///
/// The directory must be there and durable: see [`ensure_dir`].
///
/// # Errors
/// What the disk says. The target is then the old or the new file, whole; it is the old one unless
/// the failure was in syncing the directory.
pub fn publish(fs: &dyn Fs, target: &RelPath, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
    let mut staged = Staged::create(fs, target, mode)?;
    staged.file.append(bytes)?;
    staged.publish()
}

/// The same for a path on the real disk, outside any tree of ours: a marker, a file that other programs read.
///
/// # Errors
/// What the disk says, and a path that ends in no file's name.
pub fn publish_at(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
    let unnamed = || FsError::Io {
        op: Op::Create,
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "it is no file's path"),
    };
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| RelPath::new(name).ok());
    let name = name.ok_or_else(unnamed)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    publish(&RealFs::open(directory)?, &name, bytes, mode)
}

/// Puts `bytes` at `target`, durably, unless something is there already.
///
/// Of any number of callers at once, exactly one places its bytes.
///
/// # Errors
/// What the disk says. At the target is then what was there, nothing, or the new file, whole.
pub fn publish_new(fs: &dyn Fs, target: &RelPath, bytes: &[u8], mode: Mode) -> Result<Placed, FsError> {
    let mut staged = Staged::create(fs, target, mode)?;
    staged.file.append(bytes)?;
    staged.publish_new()
}

/// What [`publish_new`] found at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Placed {
    /// Nothing: the new file is there now.
    New,
    /// Something, which is as it was. Its name is durable; its content is the caller's to compare.
    AlreadyThere,
}

/// A file on its way to its target: what is written to it is seen by nobody until it is published.
///
/// For content that is too large to hold, or that comes from another disk: a copy across file
/// systems is [`io::copy`] into one of these. Dropped unpublished, it is removed.
#[derive(Debug)]
pub struct Staged<'a> {
    fs: &'a dyn Fs,
    target: RelPath,
    /// Where it is until then; `None` once that name is gone.
    partial: Option<RelPath>,
    file: FsFile,
}

impl<'a> Staged<'a> {
    /// Begins a file that is to become `target`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(fs: &'a dyn Fs, target: &RelPath, mode: Mode) -> Result<Self, FsError> {
        let (partial, file) = with_partial(fs, target, |partial| fs.create(partial, mode))?;
        Ok(Self { fs, target: target.clone(), partial: Some(partial), file })
    }

    /// Puts the file at its target, replacing what is there.
    ///
    /// # Errors
    /// As for [`publish`]. A failed sync is final: this takes the file, and none is synced twice.
    pub fn publish(mut self) -> Result<(), FsError> {
        self.place()?;
        self.fs.sync_dir(&parent(&self.target))
    }

    /// Puts the file at its target unless something is there.
    ///
    /// # Errors
    /// As for [`publish_new`].
    pub fn publish_new(mut self) -> Result<Placed, FsError> {
        self.file.sync()?;
        let placed = match &self.partial {
            Some(partial) => match self.fs.link(partial, &self.target) {
                Ok(()) => Placed::New,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Placed::AlreadyThere,
                Err(error) => return Err(error),
            },
            None => Placed::AlreadyThere,
        };
        self.discard();
        // Also when another was first: its caller may not have come to its sync, and ours is about
        // to be told that the file is there.
        self.fs.sync_dir(&parent(&self.target))?;
        Ok(placed)
    }

    /// Puts the file at its target; the name is durable once its directory is synced.
    ///
    /// # Errors
    /// As for [`publish`].
    pub fn place(&mut self) -> Result<(), FsError> {
        self.file.sync()?;
        self.take_name()
    }

    /// Puts several files of one disk at their targets, in their order, once all of them are synced; the names are durable once their
    /// directories are synced. Each is an open file until then: who has many places some at a time.
    ///
    /// # Errors
    /// What the disk says. None is at its target where a sync failed, and some may be where it was a rename. Each that is not is gone:
    /// this takes the files, and none is synced twice.
    pub fn place_together(fs: &dyn Fs, mut together: Vec<Self>) -> Result<(), FsError> {
        let mut files: Vec<&mut FsFile> = together.iter_mut().map(|staged| &mut staged.file).collect();
        fs.sync_files(&mut files)?;
        together.iter_mut().try_for_each(Self::take_name)
    }

    /// Gives the synced file its name.
    fn take_name(&mut self) -> Result<(), FsError> {
        if let Some(partial) = &self.partial {
            self.fs.rename(partial, &self.target)?;
        }
        self.partial = None;
        Ok(())
    }

    /// Removes the partial name; a failure leaves a partial to collect, and nothing worse.
    fn discard(&mut self) {
        if let Some(partial) = self.partial.take() {
            let _ = self.fs.unlink(&partial);
        }
    }
}

impl Write for Staged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Makes a directory and those above it, all of them durable, if they are not there yet.
///
/// Directories that are there are synced too: that they can be seen does not mean that they would
/// survive. So this belongs to the start of a program rather than to each file.
///
/// # Errors
/// `NotADirectory` when something else has the name; else what the disk says.
pub fn ensure_dir(fs: &dyn Fs, dir: &RelPath, mode: Mode) -> Result<(), FsError> {
    let above: Vec<_> = dir.ancestors().collect();
    let below_root = above.iter().rev().skip(1).chain([dir]);
    for dir in below_root.filter(|dir| dir.parent().is_some()) {
        make_dir(fs, dir, mode)?;
    }
    above.iter().rev().try_for_each(|dir| fs.sync_dir(dir))
}

/// Makes one directory if it is not there; it is durable once its parent is synced.
pub(crate) fn make_dir(fs: &dyn Fs, dir: &RelPath, mode: Mode) -> Result<(), FsError> {
    match fs.mkdir(dir, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs.stat(dir)? {
            Some(stat) if stat.kind == Kind::Dir => Ok(()),
            _ => Err(FsError::Io { op: Op::Mkdir, path: fs.locate(dir), source: Errno::NOTDIR.into() }),
        },
        made => made,
    }
}

/// Removes the partials that crashes left in a directory, and says how many.
///
/// To be called while nobody publishes there: a living partial looks no different.
///
/// # Errors
/// What the disk says.
pub fn collect_stale(fs: &dyn Fs, dir: &RelPath) -> Result<usize, FsError> {
    let mut collected = 0;
    for entry in fs.list(dir)? {
        if entry.kind == Kind::File && is_partial(&entry.name) {
            let partial = dir.join(&entry.name).map_err(|error| FsError::Io {
                op: Op::Unlink,
                path: fs.locate(dir).join(&entry.name),
                source: io::Error::other(error),
            })?;
            fs.unlink(&partial)?;
            collected += 1;
        }
    }
    Ok(collected)
}

/// Whether this is the name of a partial: `.NAME.N.hw-partial`.
pub fn is_partial(name: impl AsRef<std::ffi::OsStr>) -> bool {
    let middle = name
        .as_ref()
        .as_encoded_bytes()
        .strip_prefix(b".")
        .and_then(|name| name.strip_suffix(PARTIAL_SUFFIX.as_bytes()));
    let Some(dot) = middle.and_then(|m| m.iter().rposition(|byte| *byte == b'.')) else {
        return false;
    };
    let digits = middle.map(|m| &m[dot + 1..]).unwrap_or_default();
    dot > 0 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Removes the partials of one target that crashes left, however large its directory is.
pub(crate) fn collect_stale_of(fs: &dyn Fs, target: &RelPath) -> Result<(), FsError> {
    // They are numbered from 0 and each takes the first free number, so the first gap is the end.
    for n in 0..PARTIALS_OF_ONE_MAX {
        match fs.unlink(&partial_of(fs, target, n)?) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts the synced file `from` at `to` as well, replacing what is there, by a link or, where the
/// disk has none or `to` is on another, by a copy; the name is durable once its directory is synced.
pub(crate) fn duplicate(fs: &dyn Fs, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
    match with_partial(fs, to, |partial| fs.link(from, partial)) {
        Ok((partial, ())) => {
            let renamed = fs.rename(&partial, to);
            if renamed.is_err() {
                let _ = fs.unlink(&partial); // at worst a partial to collect
            }
            renamed
        }
        Err(error) if is_unlinkable(&error) => copy(fs, from, to),
        Err(error) => Err(error),
    }
}

/// Puts a synced copy of `from` at `to`; the name is durable once its directory is synced.
pub(crate) fn copy(fs: &dyn Fs, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
    let mode = fs.stat(from)?.map_or(Mode::Umask, |stat| Mode::Exact(stat.mode));
    let mut staged = Staged::create(fs, to, mode)?;
    let failed = |source| FsError::Io { op: Op::Read, path: fs.locate(from), source };
    pump(fs.reader(from)?, failed, |bytes| staged.file.append(bytes))?;
    staged.place()
}

/// Reads to the end, a buffer at a time.
pub(crate) fn pump<E>(
    mut from: impl Read,
    failed: impl Fn(io::Error) -> E,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => each(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Whether a link failed because this disk has none, or not to there.
pub(crate) fn is_unlinkable(error: &FsError) -> bool {
    [Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK, Errno::NOSYS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Makes something under the first free partial name of `target`.
fn with_partial<T>(
    fs: &dyn Fs,
    target: &RelPath,
    make: impl Fn(&RelPath) -> Result<T, FsError>,
) -> Result<(RelPath, T), FsError> {
    for n in 0..PARTIALS_OF_ONE_MAX {
        let partial = partial_of(fs, target, n)?;
        match make(&partial) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (partial, made)),
        }
    }
    let limit = u64::from(PARTIALS_OF_ONE_MAX);
    Err(FsError::TooLarge { path: fs.locate(&parent(target)), limit, unit: "partials of one file" })
}

fn partial_of(fs: &dyn Fs, target: &RelPath, n: u32) -> Result<RelPath, FsError> {
    target.sibling(".", &format!(".{n}{PARTIAL_SUFFIX}")).ok_or_else(|| FsError::Io {
        op: Op::Create,
        path: fs.locate(target),
        source: Errno::INVAL.into(),
    })
}

/// The directory of a target; the root has no partial, so it never comes here.
fn parent(target: &RelPath) -> RelPath {
    target.parent().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partial_looks_like_one() {
        for partial in [".report.md.0.hw-partial", ".a.1023.hw-partial", "..x.7.hw-partial"] {
            assert!(is_partial(partial), "{partial}");
        }
        for other in [
            "report.md",
            "report.md.0.hw-partial",
            ".hw-partial",
            "..hw-partial",
            "..0.hw-partial",
            ".report.md.hw-partial",
            ".report.md..hw-partial",
            ".report.md.x0.hw-partial",
            ".report.md.0.hw-partial~",
        ] {
            assert!(!is_partial(other), "{other}");
        }
    }
}
