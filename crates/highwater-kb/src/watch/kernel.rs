//! inotify: which directories it watches, and what it tells of them. Owns that a directory is watched once, by the name it has.
//!
//! # Source
//! inotify(7)

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use walkdir::WalkDir;

use super::hints::{Hint, WATCHED_DIRS_MAX};
use crate::add::scan::{DEPTH_MAX, is_passed_over};

/// What is read of events at a time, in bytes.
const EVENT_BYTES: usize = 64 * 1024;

/// What is watched.
#[derive(Debug)]
pub(super) struct Watches {
    fd: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    paths: HashMap<i32, PathBuf>,
    directories: HashSet<PathBuf>,
}

impl Watches {
    pub(super) fn begin() -> io::Result<Self> {
        Ok(Self { fd: inotify::init(CreateFlags::CLOEXEC)?, watched: Mutex::default() })
    }

    /// Watches a place and what is below it; says why where not all of it is.
    pub(super) fn watch(&self, place: &Path, base: &Path) -> Result<(), String> {
        if !place.is_dir() {
            return place.parent().map_or(Ok(()), |directory| self.watch_one(directory));
        }
        let wanted = |entry: &walkdir::DirEntry| {
            entry.file_type().is_dir() && (entry.depth() == 0 || !is_passed_over(entry.path(), base))
        };
        let below = WalkDir::new(place).max_depth(DEPTH_MAX).follow_root_links(true).into_iter().filter_entry(wanted);
        // What cannot be read is not looked at either.
        below.flatten().try_for_each(|entry| self.watch_one(entry.path()))
    }

    fn watch_one(&self, directory: &Path) -> Result<(), String> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.directories.contains(directory) {
            return Ok(());
        }
        if watched.paths.len() >= WATCHED_DIRS_MAX {
            return Err(format!("there are more than {WATCHED_DIRS_MAX} directories"));
        }
        let tells = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.fd, directory, tells) {
            Ok(watch) => {
                watched.directories.insert(directory.to_owned());
                // One directory has one watch; where it was moved, it is known by its new name from now on.
                if let Some(old) = watched.paths.insert(watch, directory.to_owned()).filter(|old| old != directory) {
                    watched.directories.remove(&old);
                }
                Ok(())
            }
            // It went, or is none any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
            Err(errno) => Err(format!("{}: {}", directory.display(), io::Error::from(errno))),
        }
    }

    pub(super) fn has(&self, directory: &Path) -> bool {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).directories.contains(directory)
    }

    /// What the kernel tells: waits for the first event that matters, and takes all that has come with it.
    pub(super) fn told(&self) -> io::Result<Hint> {
        let mut directories = BTreeSet::new();
        let mut everywhere = false;
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        while (directories.is_empty() && !everywhere) || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                everywhere = true;
                continue;
            }
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(path) = watched.paths.get(&event.wd()).cloned() else { continue };
            let went = ReadFlags::IGNORED | ReadFlags::MOVE_SELF;
            if event.events().intersects(went) {
                // Where it is now is found by who looks at its parent.
                watched.paths.remove(&event.wd());
                watched.directories.remove(&path);
                if !event.events().contains(ReadFlags::IGNORED) {
                    let _ = inotify::remove_watch(&self.fd, event.wd());
                }
            }
            // What a program hides, it has not finished.
            if event.file_name().is_none_or(|name| !name.to_bytes().starts_with(b".")) {
                directories.insert(path);
            }
        }
        Ok(if everywhere { Hint::Everywhere } else { Hint::In(directories) })
    }
}
