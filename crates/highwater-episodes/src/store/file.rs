//! The store in a directory: `episodes/HOST/EPISODE.tar.zst`. Owns these names, and the order in which a copy becomes one of them.
//!
//! Copies are made in `episodes/.staging`, in the same file system, and linked into place; where somebody took that away, it is
//! made again. What a crash left there is removed when the store is opened to be written, so one process at a time may do that;
//! uploads that may go on stay. A name that begins with a dot is never an episode's.

mod partial;

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use highwater_fs::{FileId, Fs, FsError, FsFile, Kind, Mode, Op, Quarantine, RelPath, Stat, collect_stale, ensure_dir};

use super::{ELSEWHERE_NEXT, Oddities, Oddity, OtherDisk, Partials, Placement, Staging, Standing, Store, StoreError};
use crate::name::{EpisodeId, EpisodeKey, HostId};
use crate::odd::Odd;
use crate::shut::Shut;

/// The directory of episodes in the receiver's root.
pub const EPISODES_DIR: &str = "episodes";
/// The directory of copies that are being made, in [`EPISODES_DIR`].
pub const STAGING_DIR: &str = ".staging";
/// Which directory of episodes it is, in [`EPISODES_DIR`]: one that is not mounted has no such file.
pub const MARK_FILE: &str = ".highwater-store";
/// What it says to whoever finds it.
const MARK_TEXT: &[u8] =
    b"The episodes below have rows in index.jsonl. Where they are not and this file is not, no receiver starts.\n";
/// How an episode's file ends.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// How a copy's file ends.
const COPY_SUFFIX: &str = ".partial";

/// A store in a directory.
pub struct FileStore<F> {
    fs: F,
    episodes: RelPath,
    staging: RelPath,
    quarantine: RelPath,
    next_copy: AtomicU64,
    /// Which directory the episodes were in when it was opened to be written; of one that is read nobody says.
    opened: Option<FileId>,
    /// Another one was in its place when that was looked at last, which was told.
    is_away: AtomicBool,
    /// Hosts whose directory's own name is durable.
    settled: Mutex<HashSet<HostId>>,
}

impl<F: Fs> FileStore<F> {
    /// Opens the store to read: makes and removes nothing.
    ///
    /// # Errors
    /// Never where `root` can hold the names of a store.
    pub fn open(fs: F, root: &RelPath, quarantine: RelPath) -> Result<Self, StoreError> {
        let episodes = below(&fs, root, EPISODES_DIR)?;
        Self::open_at(fs, episodes, quarantine)
    }

    /// The same where the directory of episodes has another name.
    ///
    /// # Errors
    /// Never where `episodes` can hold the names of a store.
    pub fn open_at(fs: F, episodes: RelPath, quarantine: RelPath) -> Result<Self, StoreError> {
        let staging = below(&fs, &episodes, STAGING_DIR)?;
        Ok(Self {
            fs,
            episodes,
            staging,
            quarantine,
            next_copy: AtomicU64::new(0),
            opened: None,
            is_away: AtomicBool::new(false),
            settled: Mutex::default(),
        })
    }

    /// Opens the store to write: makes its directories, and removes the copies that a crash left. The caller is the only one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open_to_write(fs: F, root: &RelPath, quarantine: RelPath) -> Result<Self, StoreError> {
        let mut store = Self::open(fs, root, quarantine)?;
        store.can_hold_copies()?;
        ensure_dir(&store.fs, &store.staging, Mode::Umask)?;
        let mut next_copy = 0;
        for entry in store.fs.list(&store.staging)? {
            let Some(name) = entry.name.to_str().filter(|_| entry.kind == Kind::File) else { continue };
            let Some(number) = name.strip_suffix(COPY_SUFFIX) else { continue };
            // One who had the store before and is ending may discard it just now: it is no new copy's name, and may be gone.
            next_copy = number.parse().map_or(next_copy, |number: u64| next_copy.max(number.saturating_add(1)));
            match store.fs.unlink(&store.copy(name)?) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        store.next_copy = AtomicU64::new(next_copy);
        store.opened = store.fs.stat(&store.episodes)?.map(|stat| stat.id);
        collect_stale(&store.fs, &store.staging)?;
        store.sweep_partials()?;
        Ok(store)
    }

    /// That nothing else has the place of the directory of copies; one that is not there can be made.
    fn can_hold_copies(&self) -> Result<(), StoreError> {
        match self.fs.stat(&self.staging)?.filter(|stat| stat.kind != Kind::Dir) {
            None => Ok(()),
            Some(stat) => {
                let path = self.fs.locate(&self.staging);
                Err(StoreError::NoCopies(Odd { path, found: stat.kind, belongs: Kind::Dir, rows: None }))
            }
        }
    }

    /// Makes a file in the directory of copies. One that somebody took away is made again, and what is made is tried once more.
    fn create_copy(&self, copy: &RelPath) -> Result<FsFile, StoreError> {
        let create = || self.fs.create(copy, Mode::Umask);
        match create() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // Nothing is made below the mount point of a disk that went away.
                self.in_its_place()?;
                match self.fs.mkdir(&self.staging, Mode::Umask) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
                    _ => self.fs.sync_dir(&self.episodes)?,
                }
                let path = self.fs.locate(&self.staging);
                tracing::warn!(path = %path.display(), "the directory of copies was taken away, and is made again");
                Ok(create()?)
            }
            Err(error) => Err(self.can_hold_copies().err().unwrap_or_else(|| error.into())),
            Ok(file) => Ok(file),
        }
    }

    /// Where another directory lies than the one that it was opened with: in the place of the root, or of the episodes.
    fn elsewhere(&self) -> Result<Option<RelPath>, StoreError> {
        let Some(opened) = self.opened else { return Ok(None) };
        if !self.fs.is_in_its_place()? {
            return Ok(Some(RelPath::root()));
        }
        let is_there = self.fs.stat(&self.episodes)?.is_some_and(|stat| stat.id == opened);
        Ok((!is_there).then(|| self.episodes.clone()))
    }

    /// Whether an episode was ever put here: a directory in whose place another file system belongs has no mark. Only a plain file is one:
    /// what a symlink leads to may lie anywhere.
    ///
    /// # Errors
    /// What the disk says.
    pub fn is_marked(&self) -> Result<bool, StoreError> {
        let found = self.fs.stat(&self.below(&self.episodes, MARK_FILE)?)?;
        Ok(found.is_some_and(|found| found.kind == Kind::File))
    }

    /// Says that episodes are put here. What it says is of use, and durable with the next name that is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn mark(&self) -> Result<(), StoreError> {
        if self.is_marked()? {
            return Ok(());
        }
        match self.fs.create(&self.below(&self.episodes, MARK_FILE)?, Mode::Umask) {
            Ok(mut mark) => Ok(mark.append(MARK_TEXT)?),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Without a mark it is known by its rows, which keeps nothing from being received.
                if !self.is_marked()? {
                    let path = self.fs.locate(&self.episodes).join(MARK_FILE);
                    tracing::warn!(path = %path.display(), "what lies there is no plain file, and is no mark of a store: move it away");
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where a person finds an episode.
    ///
    /// # Errors
    /// Never: a key's names are plain.
    pub fn path_of(&self, key: &EpisodeKey) -> Result<RelPath, StoreError> {
        self.below(&self.host_dir(&key.host)?, &format!("{}{ARCHIVE_SUFFIX}", key.episode))
    }

    fn host_dir(&self, host: &HostId) -> Result<RelPath, StoreError> {
        self.below(&self.episodes, host.as_str())
    }

    fn apart(&self, host: &HostId) -> Result<OtherDisk, StoreError> {
        Ok(OtherDisk { path: self.fs.locate(&self.host_dir(host)?), copies: self.fs.locate(&self.staging) })
    }

    /// What has an episode's place, or its host's, and is neither.
    fn odd_at(&self, key: &EpisodeKey) -> Result<Option<Odd>, StoreError> {
        let host = self.host_dir(&key.host)?;
        let odd = match self.fs.stat(&host)? {
            None => return Ok(None),
            Some(stat) if stat.kind != Kind::Dir => Some((host, stat.kind, Kind::Dir)),
            Some(_) => {
                let path = self.path_of(key)?;
                let stat = self.fs.stat(&path)?.filter(|stat| stat.kind != Kind::File);
                stat.map(|stat| (path, stat.kind, Kind::File))
            }
        };
        Ok(odd.map(|(path, found, belongs)| Odd { path: self.fs.locate(&path), found, belongs, rows: None }))
    }

    /// What an episode's place was asked, or that something odd has it, which is why the disk refused.
    fn unless_odd<T>(&self, key: &EpisodeKey, done: Result<T, FsError>) -> Result<T, StoreError> {
        let Err(error) = done else { return Ok(done?) };
        match self.odd_at(key) {
            Ok(Some(odd)) => Err(odd.into()),
            _ => Err(error.into()),
        }
    }

    /// What was read of a host's, or that it alone cannot be, which is what the disk refused: its directory can be seen where it lies, so the
    /// store can be entered.
    fn unless_shut<T>(&self, host: &HostId, read: Result<T, StoreError>) -> Result<T, StoreError> {
        let Err(StoreError::Disk(FsError::Io { path, source, .. })) = &read else { return read };
        match Shut::of(path.clone(), source) {
            Some(shut) if matches!(self.fs.stat(&self.host_dir(host)?), Ok(Some(_))) => Err(shut.into()),
            _ => read,
        }
    }

    fn copy(&self, name: &str) -> Result<RelPath, StoreError> {
        self.below(&self.staging, name)
    }

    fn below(&self, dir: &RelPath, name: &str) -> Result<RelPath, StoreError> {
        below(&self.fs, dir, name)
    }
}

fn below(fs: &impl Fs, dir: &RelPath, name: &str) -> Result<RelPath, StoreError> {
    let refused =
        |error| FsError::Io { op: Op::Enter, path: fs.locate(dir).join(name), source: std::io::Error::other(error) };
    Ok(dir.join(name).map_err(refused)?)
}

impl<F: Fs> Store for FileStore<F> {
    fn stage(&self) -> Result<Box<dyn Staging>, StoreError> {
        let name = format!("{}{COPY_SUFFIX}", self.next_copy.fetch_add(1, Ordering::Relaxed));
        let file = self.create_copy(&self.copy(&name)?)?;
        Ok(Box::new(Copy { file, name }))
    }

    fn place(&self, staging: &dyn Staging, key: &EpisodeKey) -> Result<Placement, StoreError> {
        self.in_its_place()?;
        let (copy, target) = (self.copy(staging.name())?, self.path_of(key)?);
        let link = || match self.fs.link(&copy, &target) {
            Ok(()) => Ok(Placement::New),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Placement::AlreadyThere),
            Err(error) => Err(error),
        };
        let placed = match link() {
            // The first of its host, or somebody took the directory away.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let dir = self.host_dir(&key.host)?;
                match self.fs.mkdir(&dir, Mode::Umask) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
                    _ => {}
                }
                self.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.host);
                link()
            }
            placed => placed,
        };
        if placed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::CrossesDevices) {
            return Err(self.apart(&key.host)?.into());
        }
        let placed = self.unless_odd(key, placed)?;
        if placed == Placement::AlreadyThere
            && let Some(odd) = self.odd_at(key)?
        {
            return Err(odd.into());
        }
        Ok(placed)
    }

    fn discard(&self, staging: Box<dyn Staging>) {
        if staging.stays() {
            return;
        }
        if let Ok(copy) = self.copy(staging.name()) {
            // At worst a copy to remove when the store is opened again.
            let _ = self.fs.unlink(&copy);
        }
    }

    fn settle(&self, host: &HostId) -> Result<(), StoreError> {
        self.fs.sync_dir(&self.host_dir(host)?)?;
        let known = || self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if !known().contains(host) {
            self.mark()?;
            self.fs.sync_dir(&self.episodes)?;
            known().insert(host.clone());
        }
        Ok(())
    }

    fn stat(&self, key: &EpisodeKey) -> Result<Option<u64>, StoreError> {
        self.in_its_place()?;
        let found = self.unless_odd(key, self.fs.stat(&self.path_of(key)?));
        match self.unless_shut(&key.host, found)? {
            None => Ok(None),
            Some(stat) if stat.kind == Kind::File => Ok(Some(stat.len)),
            // It may have been moved away since.
            Some(_) => self.odd_at(key)?.map_or(Ok(None), |odd| Err(odd.into())),
        }
    }

    fn standing(&self, key: &EpisodeKey) -> Result<Option<Standing>, StoreError> {
        self.in_its_place()?;
        let found = self.unless_odd(key, self.fs.stat(&self.path_of(key)?));
        let found = self.unless_shut(&key.host, found)?;
        Ok(found.map(|Stat { kind, len, id, changed, .. }| {
            // A copy that loses its other name, as each does that is placed, is the same one: when it was touched does not count.
            Standing(format!("{kind:?} {} {} {len} {}", id.device, id.inode, changed.written_nanos))
        }))
    }

    fn read(&self, key: &EpisodeKey, from_byte: u64) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        self.in_its_place()?;
        match self.fs.reader_from(&self.path_of(key)?, from_byte) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => self.unless_shut(&key.host, self.unless_odd(key, opened)).map(Some),
        }
    }

    fn read_staged(&self, staging: &dyn Staging, from_byte: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(self.fs.reader_from(&self.copy(staging.name())?, from_byte)?)
    }

    fn hosts(&self) -> Result<Vec<HostId>, StoreError> {
        let entries = match self.fs.list(&self.episodes) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed?,
        };
        let hosts = entries.into_iter().filter(|entry| entry.kind == Kind::Dir);
        Ok(hosts.filter_map(|entry| HostId::new(entry.name.to_str()?).ok()).collect())
    }

    fn episodes(&self, host: &HostId) -> Result<Box<dyn Iterator<Item = EpisodeId> + Send>, StoreError> {
        let entries = match self.fs.list(&self.host_dir(host)?) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            listed => self.unless_shut(host, listed.map_err(StoreError::from))?,
        };
        let files = entries.into_iter().filter(|entry| entry.kind == Kind::File);
        Ok(Box::new(files.filter_map(|entry| EpisodeId::new(entry.name.to_str()?.strip_suffix(ARCHIVE_SUFFIX)?).ok())))
    }

    fn oddities(&self) -> Result<Oddities, StoreError> {
        let listed = |dir: &RelPath| match self.fs.list(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        };
        let Oddities { odd: mut all, mut shut } = Oddities::default();
        for entry in listed(&self.episodes)? {
            let Some(host) = entry.name.to_str().and_then(|name| HostId::new(name).ok()) else { continue };
            let dir = self.host_dir(&host)?;
            let odd = |path: &RelPath, found, belongs| Odd { path: self.fs.locate(path), found, belongs, rows: None };
            match entry.kind {
                // A note that somebody left beside them: it is in nobody's way until a host is called so.
                Kind::File => {}
                Kind::Symlink | Kind::Other => {
                    let odd = odd(&dir, entry.kind, Kind::Dir);
                    all.push(Oddity { host, episode: None, odd });
                }
                Kind::Dir => {
                    let entries = match self.unless_shut(&host, listed(&dir).map_err(StoreError::from)) {
                        Err(StoreError::Shut(why)) => {
                            shut.push((host, why));
                            continue;
                        }
                        entries => entries?,
                    };
                    for entry in entries.into_iter().filter(|entry| entry.kind != Kind::File) {
                        let name = entry.name.to_str().and_then(|name| name.strip_suffix(ARCHIVE_SUFFIX));
                        let Some(episode) = name.and_then(|name| EpisodeId::new(name).ok()) else { continue };
                        let path = self.path_of(&EpisodeKey { host: host.clone(), episode: episode.clone() })?;
                        let odd = odd(&path, entry.kind, Kind::File);
                        all.push(Oddity { host: host.clone(), episode: Some(episode), odd });
                    }
                }
            }
        }
        Ok(Oddities { odd: all, shut })
    }

    fn other_disks(&self, hosts: &[HostId]) -> Result<Vec<OtherDisk>, StoreError> {
        let copies = match self.fs.stat(&self.staging)? {
            None => self.fs.stat(&self.episodes)?,
            copies => copies,
        };
        let Some(copies) = copies else { return Ok(Vec::new()) };
        let mut apart = Vec::new();
        for host in hosts {
            let dir = self.fs.stat(&self.host_dir(host)?)?.filter(|stat| stat.kind == Kind::Dir);
            // A directory of the same file system that is mounted there is apart too, and is told of when something is sent.
            if dir.is_some_and(|dir| dir.id.device != copies.id.device) {
                apart.push(self.apart(host)?);
            }
        }
        Ok(apart)
    }

    fn quarantine(&self, key: &EpisodeKey, why: &str) -> Result<String, StoreError> {
        let aside = Quarantine::new(&self.fs, self.quarantine.clone()).set_aside(&self.path_of(key)?, why)?;
        Ok(self.fs.locate(&aside.path).display().to_string())
    }

    fn room_bytes(&self) -> Result<u64, StoreError> {
        self.in_its_place()?;
        self.can_hold_copies()?;
        // The index and what is set aside lie beside the episodes, which may be a file system of their own.
        let root = self.episodes.parent().unwrap_or_default();
        Ok(self.fs.room_bytes(&self.episodes)?.min(self.fs.room_bytes(&root)?))
    }

    /// Also where its disk went away since: what is below a mount point is no part of it, and nothing may be put there. What somebody moved
    /// away is none either: who is told that something is stored does not look for it there.
    fn in_its_place(&self) -> Result<(), StoreError> {
        let elsewhere = self.elsewhere()?.map(|path| StoreError::Elsewhere { path: self.fs.locate(&path) });
        let was_away = self.is_away.swap(elsewhere.is_some(), Ordering::Relaxed);
        match elsewhere {
            None if was_away => {
                tracing::info!(path = %self.fs.locate(&self.episodes).display(), "the directory of the store is in its place again");
                Ok(())
            }
            None => Ok(()),
            Some(error) => {
                // Told once: each request asks.
                if !was_away {
                    tracing::error!("nothing is received: {error} next: {ELSEWHERE_NEXT}");
                }
                Err(error)
            }
        }
    }

    fn partials(&self) -> Option<&dyn Partials> {
        Some(self)
    }
}

impl<F> fmt::Debug for FileStore<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("episodes", &self.episodes).finish_non_exhaustive()
    }
}

/// A copy in the directory of copies.
#[derive(Debug)]
struct Copy {
    file: FsFile,
    name: String,
}

impl Staging for Copy {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.file.append(bytes)?)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(self.file.sync()?)
    }

    fn name(&self) -> &str {
        &self.name
    }
}
