//! `file:` locks: flock(2), exclusive, close-on-exec, on a path that util-linux `flock` and other programs share. Owns how
//! such a file is opened and checked. It is never unlinked.

use std::any::Any;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::FlockOperation;

use super::{Held, Lock, LockIdentity, Probe};
use crate::diagnosis::{Diagnosis, LIMITED, mends_limit};
use crate::job::Stop;

/// How often a lock is taken again because its file was unlinked in between.
pub const HELD_TRIES_MAX: usize = 16;

/// A lock on a file.
#[derive(Debug, Clone)]
pub struct FileLock {
    path: PathBuf,
    network_allowed: bool,
}

impl FileLock {
    /// A lock on `path`, which is made when it is not there. `network_allowed` takes file systems on which flock may not hold.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, network_allowed: bool) -> Self {
        Self { path: path.into(), network_allowed }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of network file system it lies on, or would be made on: there flock may not keep other hosts out.
    #[must_use]
    pub fn network_file_system(&self) -> Option<&'static str> {
        let there = self.path.ancestors().find_map(|path| File::open(path).ok())?;
        network_file_system(&there)
    }

    /// Opened without creating first: in a sticky directory the kernel refuses O_CREAT on another user's file.
    fn open(&self) -> io::Result<File> {
        match OpenOptions::new().read(true).open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)
            }
            opened => opened,
        }
    }

    fn cannot(&self, code: &'static str, what: &str, error: &io::Error) -> Diagnosis {
        if let Some(mend) = mends_limit(error) {
            return Diagnosis::failure(LIMITED, format!("the lock file cannot be {what}: {error}"), mend)
                .in_file(&self.path)
                .at_field("lock");
        }
        let next = match error.kind() {
            io::ErrorKind::NotFound => "make its directory, or name another path in `lock`",
            io::ErrorKind::PermissionDenied => {
                "let this user read the lock file (and write its directory while it is not there), or name another path in `lock`"
            }
            _ => "name a path on a local file system in `lock`",
        };
        Diagnosis::refusal(code, format!("the lock file cannot be {what}: {error}"), next)
            .in_file(&self.path)
            .at_field("lock")
    }

    fn refuse_network(&self, file: &File) -> Result<(), Diagnosis> {
        match network_file_system(file) {
            Some(name) if !self.network_allowed => Err(Diagnosis::refusal(
                "HW-LCK-002",
                format!("the lock file lies on {name}, where flock may not keep other hosts out; expected a local file system"),
                "name a local path in `lock`, or set `allow-network-fs = true` if you know that flock holds there",
            )
            .in_file(&self.path)
            .at_field("lock")),
            _ => Ok(()),
        }
    }
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    a.dev() == b.dev() && a.ino() == b.ino()
}

#[cfg(target_os = "linux")]
fn network_file_system(file: &File) -> Option<&'static str> {
    // From statfs(2).
    const NETWORK: [(u32, &str); 8] = [
        (0x6969, "NFS"),
        (0x517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x5346_414F, "AFS"),
        (0x7375_7245, "Coda"),
        (0x0102_1997, "9P"),
        (0x00C3_6400, "Ceph"),
    ];
    let magic = u32::try_from(rustix::fs::fstatfs(file).ok()?.f_type & 0xFFFF_FFFF).ok()?;
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &File) -> Option<&'static str> {
    None
}

#[async_trait]
impl Lock for FileLock {
    fn describe(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn identity(&self) -> Result<LockIdentity, Diagnosis> {
        match std::fs::metadata(&self.path) {
            Ok(meta) => Ok(LockIdentity::Inode { device: meta.dev(), inode: meta.ino() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                // A directory that is not there yet has one name only: its path.
                let parent = parent.canonicalize().or_else(|_| std::path::absolute(parent));
                let parent = parent.map_err(|e| self.cannot("HW-LCK-001", "found", &e))?;
                Ok(LockIdentity::Path(parent.join(self.path.file_name().unwrap_or_default())))
            }
            Err(e) => Err(self.cannot("HW-LCK-001", "read", &e)),
        }
    }

    async fn try_take(&self) -> Result<Option<Box<dyn Held>>, Stop> {
        for _ in 0..HELD_TRIES_MAX {
            let file = self.open().map_err(|e| self.cannot("HW-LCK-001", "opened", &e))?;
            self.refuse_network(&file)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(self.cannot("HW-LCK-001", "locked", &e.into()).into()),
            }
            let meta = file.metadata().map_err(|e| self.cannot("HW-LCK-001", "read", &e))?;
            // Someone may have unlinked it between open and flock: then the next one would lock another file.
            if std::fs::metadata(&self.path).is_ok_and(|now| same_file(&now, &meta)) {
                return Ok(Some(Box::new(HeldFile { path: self.path.clone(), meta, file, session: () })));
            }
        }
        Err(Diagnosis::failure(
            "HW-LCK-003",
            format!("the lock file was replaced {HELD_TRIES_MAX} times while it was being locked"),
            "find the program that unlinks it: a lock file must stay",
        )
        .in_file(&self.path)
        .into())
    }

    /// Reads /proc/locks, where the kernel names the process that locked this inode.
    fn holder_hint(&self) -> Option<String> {
        let meta = std::fs::metadata(&self.path).ok()?;
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let wanted = format!("{major:02x}:{minor:02x}:{}", meta.ino());
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let line = locks.lines().find(|l| l.contains("FLOCK") && l.split_whitespace().any(|w| w == wanted))?;
        let pid: u32 = line.split_whitespace().nth(4)?.parse().ok().filter(|pid| *pid > 0)?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(if name.is_empty() { format!("process {pid}") } else { format!("process {pid} ({})", name.trim()) })
    }
}

struct HeldFile {
    path: PathBuf,
    meta: Metadata,
    file: File,
    session: (),
}

/// Unlocks in so many words: a process that is being spawned meanwhile has a copy of the descriptor until it execs, and
/// closing ours alone would leave the lock held that long.
impl Drop for HeldFile {
    fn drop(&mut self) {
        // If it fails, closing the file lets go of it.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl Held for HeldFile {
    fn probe(&self) -> Probe {
        let (path, meta) = (self.path.clone(), self.meta.clone());
        Box::new(move || std::fs::metadata(&path).is_ok_and(|now| same_file(&now, &meta)))
    }

    fn session(&mut self) -> &mut (dyn Any + Send) {
        &mut self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        let dir = std::env::temp_dir().join(format!("highwater-lock-{}-{}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&dir).unwrap();
        dir
    }

    #[tokio::test]
    async fn r01_a_lock_is_held_once_and_its_file_stays() {
        let dir = scratch();
        let lock = FileLock::new(dir.join("a.lock"), false);
        let held = lock.try_take().await.unwrap().expect("free");
        assert!(lock.try_take().await.unwrap().is_none());
        assert!(lock.holder_hint().is_some_and(|hint| hint.contains(&std::process::id().to_string())));
        drop(held);
        assert!(lock.path().exists());
        assert!(lock.try_take().await.unwrap().is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn r16_an_unlinked_lock_is_known_as_lost() {
        let dir = scratch();
        let lock = FileLock::new(dir.join("a.lock"), false);
        let held = lock.try_take().await.unwrap().expect("free");
        let probe = held.probe();
        assert!(probe());
        std::fs::remove_file(lock.path()).unwrap();
        assert!(!probe());
        let second = lock.try_take().await.unwrap().expect("a new file");
        assert!(!probe() && second.probe()());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn two_names_of_one_inode_are_one_lock() {
        let dir = scratch();
        std::fs::write(dir.join("a"), "").unwrap();
        std::fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
        std::os::unix::fs::symlink("a", dir.join("c")).unwrap();
        let id = |name: &str| FileLock::new(dir.join(name), false).identity().unwrap();
        assert_eq!(id("a"), id("b"));
        assert_eq!(id("a"), id("c"));
        assert_ne!(id("a"), id("not-there"));
        assert_eq!(id("not-there"), id("./not-there"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
