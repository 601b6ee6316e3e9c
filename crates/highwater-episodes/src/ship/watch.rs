//! When there may be a finished episode: the kernel tells of markers as they appear. Owns what is watched; that something is
//! finished is the scan's to say, which also finds what nobody told of, as on a network file system.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::scan::MARKER;

/// Most directories that are watched; what is recorded beyond them is found by the next scan.
pub const WATCHED_DIRS_MAX: usize = 1_024;
/// What is read of events at a time, in bytes.
const EVENT_BYTES: usize = 16 * 1024;

/// A directory of episodes that is watched, by a thread that ends with the process.
#[derive(Debug)]
pub struct Watch(mpsc::Receiver<io::Result<()>>);

/// What the thread has.
#[derive(Debug)]
struct Watched {
    fd: OwnedFd,
    root: PathBuf,
    root_watch: i32,
    /// Directories without a marker.
    recording: HashMap<i32, PathBuf>,
}

impl Watch {
    /// Begins to watch: what is finished from here on is told of.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(root: &Path) -> io::Result<Self> {
        let mut watched = Watched::begin(root)?;
        let (wake, woken) = mpsc::channel(1);
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            loop {
                let told = watched.told().and_then(|told| watched.heed(told));
                let ends = told.is_err();
                let wakes = told.map(|any| any.then_some(())).transpose();
                // One who is woken looks at everything: to wake them twice is as good as once.
                let gone = wakes.is_some_and(|wakes| matches!(wake.try_send(wakes), Err(TrySendError::Closed(_))));
                if gone || ends {
                    return;
                }
            }
        })?;
        Ok(Self(woken))
    }

    /// Ends once something may be finished.
    ///
    /// # Errors
    /// What the system says; nothing is told of any more then.
    pub async fn finished(&mut self) -> io::Result<()> {
        self.0.recv().await.unwrap_or_else(|| Err(io::Error::other("whoever watched has ended")))
    }
}

impl Watched {
    fn begin(root: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC)?;
        let of_root = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        // Another may be made in its place, of which this watch would tell nothing.
        let of_root = of_root | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        let root_watch = inotify::add_watch(&fd, root, of_root)?;
        let mut watched = Self { fd, root: root.to_path_buf(), root_watch, recording: HashMap::new() };
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                watched.look_into(&entry.file_name())?;
            }
        }
        Ok(watched)
    }

    /// Watches a directory in the root; whether its marker is there already.
    fn look_into(&mut self, name: &OsStr) -> io::Result<bool> {
        if name.as_bytes().starts_with(b".") {
            return Ok(false);
        }
        let dir = self.root.join(name);
        let marker = dir.join(MARKER);
        if marker.exists() {
            return Ok(true);
        }
        if self.recording.len() >= WATCHED_DIRS_MAX {
            return Ok(false);
        }
        let of_dir = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        match inotify::add_watch(&self.fd, &dir, of_dir) {
            Ok(watch) => drop(self.recording.insert(watch, dir)),
            // It went, or is no directory any more.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            // What is in it is found by the scan, once it can be: it keeps none of the others from being watched.
            Err(errno @ (Errno::ACCESS | Errno::NOSPC)) => {
                tracing::info!(directory = %dir.display(), %errno, "a directory cannot be watched, and is left to the scan");
                return Ok(false);
            }
            Err(errno) => return Err(errno.into()),
        }
        // It may have come between the two looks.
        Ok(marker.exists())
    }

    /// What the kernel tells: waits for the first, and takes all that has come with it.
    fn told(&self) -> io::Result<Vec<Told>> {
        let mut told = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        while told.is_empty() || !reader.is_buffer_empty() {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_os_string());
                    told.push(Told { watch: event.wd(), events: event.events(), name });
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(told)
    }

    /// What events come to: whether something may be finished.
    fn heed(&mut self, told: Vec<Told>) -> io::Result<bool> {
        let mut any = false;
        for Told { watch, events, name } in told {
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                any = true;
            } else if watch == self.root_watch
                && events.intersects(ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF | ReadFlags::IGNORED)
            {
                return Err(io::Error::other("it was moved away or removed"));
            } else if events.contains(ReadFlags::IGNORED) {
                self.recording.remove(&watch);
            } else if let Some(name) = name {
                if watch == self.root_watch {
                    any |= self.look_into(&name)?;
                } else if name == *MARKER {
                    // Its directory moves away once it is shipped, and the watch would go with it.
                    self.recording.remove(&watch);
                    let _ = inotify::remove_watch(&self.fd, watch);
                    any = true;
                }
            }
        }
        Ok(any)
    }
}

/// One event.
struct Told {
    watch: i32,
    events: ReadFlags,
    name: Option<OsString>,
}
