//! Removing an episode from a shelf: from `shipped/` what the receiver has, from `episodes/` what is in `shipped/` too. Owns that what goes
//! is what was looked at before, whatever somebody writes to it meanwhile, and that each step may be killed and made again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::with_causes;
use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};
use rustix::io::Errno;

use super::{COPYING_DIR, REMOVING_DIR, RetireError, Shelves, found, there, unread};
use crate::archive::{Look, PackError, TreeLimits, content_of, look_at};
use crate::name::EpisodeId;
use crate::ship::holds::Receipt;
use crate::ship::scan::{MARKER, check_root, sync_dir};

/// Behind the name of an episode that is looked at once more before it goes: what a kill leaves under such a name goes back to its place.
const IN_QUESTION: &str = " in question";
/// Behind the name of one that was edited meanwhile, and whose place was taken: a person sees to it.
const WAS_EDITED: &str = " was edited";
/// Most things that are told of those which cannot be removed.
const LEFT_TOLD_MAX: usize = 5;

/// What became of an episode that was to be removed from a shelf.
enum Went {
    /// It is gone.
    Away,
    /// It changed since it was looked at, and is in its place.
    Back,
    /// So it did, and another one has its place: where it lies.
    Aside(PathBuf),
}

/// What removing a shipped one came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// It is gone.
    Removed {
        /// How much was read to see that it is what was sent.
        read_bytes: u64,
    },
    /// It was not there.
    Gone,
    /// One of its name is in `episodes/`: it may be on its way here still.
    Held,
    /// It is not what was sent, and stays.
    Differs {
        /// How much was read to see that.
        read_bytes: u64,
    },
}

/// A shipped episode that is what was sent, as it was when that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsSent {
    look: Look,
    read_bytes: u64,
}

impl AsSent {
    /// How much was read to see it, where a look did not show it. That takes its time.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }
}

impl Shelves {
    /// Why a shipped episode stays, or is gone, whatever the receiver says; `None` where its directory is there to be removed.
    ///
    /// # Errors
    /// What the disk says: then nobody knows whether it is there.
    pub fn stays(&self, episode: &EpisodeId) -> Result<Option<Cleared>, RetireError> {
        Ok(match found(&self.to(episode))? {
            None => Some(Cleared::Gone),
            Some(_) if there(&self.from(episode))? => Some(Cleared::Held),
            Some(metadata) => (!metadata.is_dir()).then_some(Cleared::Differs { read_bytes: 0 }),
        })
    }

    /// Looks whether a shipped episode still is what was sent. Its files are read where a look does not show it, unless their number alone
    /// says that they are others. The inner error is why it is not removed.
    ///
    /// # Errors
    /// What the disk says, or that nothing can be removed.
    pub fn as_sent(&self, episode: &EpisodeId, sent: &Receipt) -> Result<Result<AsSent, Cleared>, RetireError> {
        if let Some(stays) = self.stays(episode)? {
            return Ok(Err(stays));
        }
        let shipped = self.to(episode);
        let look = match look_at(&shipped, episode, TreeLimits::default()) {
            Ok(look) => look,
            Err(error @ PackError::Read { .. }) => return Err(unread(&shipped)(error)),
            Err(_) => return Ok(Err(Cleared::Differs { read_bytes: 0 })),
        };
        if sent.holds.is_still(&look) {
            return Ok(Ok(AsSent { look, read_bytes: 0 }));
        }
        let may_be = (look.files, look.bytes) == (sent.holds.files, sent.holds.bytes);
        let Some(content) = sent.content_sha256.filter(|_| may_be) else {
            return Ok(Err(Cleared::Differs { read_bytes: 0 }));
        };
        // Before much is read for nothing.
        removing_dir(&self.shipped)?;
        let read_bytes = look.bytes;
        match content_of(&shipped, episode, TreeLimits::default()) {
            Ok(now) if now.content_sha256 == content => Ok(Ok(AsSent { look: now.look, read_bytes })),
            Err(error @ PackError::Read { .. }) => Err(unread(&shipped)(error)),
            _ => Ok(Err(Cleared::Differs { read_bytes })),
        }
    }

    /// Removes a shipped episode that is as it was when it was looked at; the caller knows that the receiver has it. Called again after a
    /// kill, or followed by [`Shelves::tidy_all`], it goes on where it was.
    ///
    /// # Errors
    /// What the disk says, or that it changed since: then it stays in its place.
    pub fn remove_shipped(&self, episode: &EpisodeId, seen: &AsSent) -> Result<Cleared, RetireError> {
        if let Some(stays) = self.stays(episode)? {
            return Ok(stays);
        }
        match remove_as(&self.shipped, episode, &seen.look)? {
            Went::Away => Ok(Cleared::Removed { read_bytes: seen.read_bytes }),
            Went::Back => Err(RetireError::Edited { path: self.to(episode) }),
            Went::Aside(path) => Err(RetireError::Edited { path }),
        }
    }

    /// Removes an episode from `episodes/` that is elsewhere as it was then; one that somebody wrote to since goes back to its place.
    pub(super) fn remove_as(&self, episode: &EpisodeId, before: &Look) -> Result<(), RetireError> {
        match remove_as(&self.episodes, episode, before)? {
            Went::Away => Ok(()),
            Went::Back => Err(RetireError::Changed { path: self.from(episode) }),
            Went::Aside(path) => Err(RetireError::Edited { path }),
        }
    }

    /// Removes what a kill left of this episode.
    pub(super) fn tidy(&self, episode: &EpisodeId) {
        clear_or_leave(&self.episodes.join(REMOVING_DIR).join(episode.as_str()));
        clear_or_leave(&self.shipped.join(COPYING_DIR).join(episode.as_str()));
    }

    /// Removes what kills left of all episodes. What cannot be removed is of no episode that is still to be sent, so it holds up none: it is
    /// said which that is, with why, the first few of it.
    pub fn tidy_all(&self) -> Vec<RetireError> {
        let mut left = Vec::new();
        for (shelf, dir) in
            [(&self.episodes, REMOVING_DIR), (&self.shipped, REMOVING_DIR), (&self.shipped, COPYING_DIR)]
        {
            left.extend(tidied(&shelf.join(dir)).unwrap_or_else(|error| vec![error]));
        }
        left.truncate(LEFT_TOLD_MAX);
        left
    }
}

/// Removes an episode from a shelf, where it is as it was then: under another name first, so that a half removed one is never taken for an
/// episode.
fn remove_as(shelf: &Path, episode: &EpisodeId, before: &Look) -> Result<Went, RetireError> {
    let (from, dir) = (shelf.join(episode.as_str()), removing_dir(shelf)?);
    let (removing, question) = (dir.join(episode.as_str()), dir.join(format!("{episode}{IN_QUESTION}")));
    clear(&removing)?;
    one_mount(&from)?;
    fs::rename(&from, &question).map_err(|error| match error.kind() {
        io::ErrorKind::CrossesDevices => RetireError::Removing {
            path: dir.clone(),
            found: "is on another mount than the episodes".to_owned(),
            next: "unmount it",
        },
        _ => removal(&from)(error),
    })?;
    let is_still = look_at(&question, episode, TreeLimits::default()).is_ok_and(|now| now.sha256 == before.sha256);
    if !is_still {
        let back = |to: &Path| renameat_with(CWD, &question, CWD, to, RenameFlags::NOREPLACE);
        return match back(&from) {
            Ok(()) => Ok(Went::Back),
            // Somebody made another of its name meanwhile: under a name that no episode has it is nobody's to remove.
            Err(Errno::EXIST) => {
                let aside = dir.join(format!("{episode}{WAS_EDITED}"));
                back(&aside).map_err(|errno| removal(&question)(errno.into()))?;
                Ok(Went::Aside(aside))
            }
            Err(errno) => Err(removal(&question)(errno.into())),
        };
    }
    fs::rename(&question, &removing).map_err(removal(&question))?;
    sync_dir(shelf).map_err(removal(shelf))?;
    clear_or_leave(&removing);
    Ok(Went::Away)
}

fn removal(path: &Path) -> impl FnOnce(io::Error) -> RetireError {
    let path = path.to_path_buf();
    move |source| RetireError::Remove { path, source }
}

/// The directory of a shelf in which lies what is being removed, made where it is not there; what a symlink leads to is none.
fn removing_dir(shelf: &Path) -> Result<PathBuf, RetireError> {
    let dir = shelf.join(REMOVING_DIR);
    let unfit = |found: String, next| RetireError::Removing { path: dir.clone(), found, next };
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unfit(
                format!("cannot be made: {error}"),
                "let this user write to the directory that it lies in",
            ));
        }
        _ => {}
    }
    let kind = fs::symlink_metadata(&dir).map_err(removal(&dir))?.file_type();
    if !kind.is_dir() {
        let is = if kind.is_symlink() { "is a symlink" } else { "is no directory" };
        return Err(unfit(is.to_owned(), "move it away"));
    }
    match access(&dir, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(dir),
        Err(errno) => Err(unfit(format!("cannot be written: {errno}"), "let this user write to it")),
    }
}

/// Removes what lies in a directory of ours; what cannot be removed, the first few of it.
fn tidied(dir: &Path) -> Result<Vec<RetireError>, RetireError> {
    let mut left = Vec::new();
    if !there(dir)? {
        return Ok(left);
    }
    check_root(dir).map_err(|error| removal(dir)(io::Error::other(error)))?;
    for entry in fs::read_dir(dir).map_err(removal(dir))? {
        let entry = entry.map_err(removal(dir))?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let tidied = match name.strip_suffix(IN_QUESTION) {
            Some(episode) if EpisodeId::new(episode).is_ok() => put_back(dir, &entry.path(), episode),
            _ if EpisodeId::new(name).is_ok() => clear(&entry.path()),
            _ if name.ends_with(WAS_EDITED) => Err(RetireError::Edited { path: entry.path() }),
            _ => Ok(()),
        };
        if let Err(error) = tidied
            && left.len() < LEFT_TOLD_MAX
        {
            left.push(error);
        }
    }
    Ok(left)
}

/// Gives one back its place that a kill left before it was looked at once more: somebody may have written to it.
fn put_back(dir: &Path, question: &Path, episode: &str) -> Result<(), RetireError> {
    let shelf = dir.parent().unwrap_or(dir);
    match renameat_with(CWD, question, CWD, shelf.join(episode), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(RetireError::Edited { path: question.to_path_buf() }),
        Err(errno) => Err(removal(question)(errno.into())),
    }
}

/// Removes what lies where nothing is looked for but by [`Shelves::tidy_all`], which tells what stays.
fn clear_or_leave(path: &Path) {
    if let Err(error) = clear(path) {
        tracing::warn!("what is left of a shipped episode stays: {}", with_causes(&error));
    }
}

/// Removes a directory, its marker first: what is left of one that is removed partly is no finished episode, wherever somebody moves it.
pub(super) fn clear(path: &Path) -> Result<(), RetireError> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        one_mount(path)?;
        let marker = path.join(MARKER);
        match fs::remove_file(&marker) {
            Ok(()) => sync_dir(path).map_err(removal(path))?,
            Err(error) if is_none(error.kind()) => {}
            Err(error) => return Err(removal(&marker)(error)),
        }
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(removal(path)(error)),
        _ => Ok(()),
    }
}

/// Whether it says that there is no marker: none, or something that is no file.
fn is_none(error: io::ErrorKind) -> bool {
    matches!(error, io::ErrorKind::NotFound | io::ErrorKind::IsADirectory)
}

/// That nothing is mounted below a directory: what lies on another mount is no part of an episode.
fn one_mount(dir: &Path) -> Result<(), RetireError> {
    let mount = mount_of(dir).map_err(removal(dir))?;
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        if mount_of(&dir).map_err(removal(&dir))? != mount {
            return Err(RetireError::Mounted { path: dir });
        }
        for entry in fs::read_dir(&dir).map_err(removal(&dir))? {
            let entry = entry.map_err(removal(&dir))?;
            if entry.file_type().map_err(removal(&dir))?.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Which file system a directory is on, and by which mount, where the system says so.
#[cfg(target_os = "linux")]
fn mount_of(dir: &Path) -> io::Result<(u64, u64)> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    use std::os::unix::fs::MetadataExt as _;

    let mount = match statx(CWD, dir, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID) {
        Ok(stat) if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 => stat.stx_mnt_id,
        // An older system does not say it.
        Ok(_) | Err(Errno::NOSYS) => 0,
        Err(errno) => return Err(errno.into()),
    };
    Ok((fs::symlink_metadata(dir)?.dev(), mount))
}

/// Which file system a directory is on.
#[cfg(not(target_os = "linux"))]
fn mount_of(dir: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;

    Ok(fs::symlink_metadata(dir)?.dev())
}
