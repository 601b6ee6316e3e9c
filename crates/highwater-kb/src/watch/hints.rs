//! What the kernel tells of directories as it happens. Owns what was heard and not yet asked for; a hint is never more than a
//! directory in which something may have happened.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

#[cfg(target_os = "linux")]
use super::kernel::Watches;

/// The most directories that are watched; what happens in others is found by the next look at everything.
pub const WATCHED_DIRS_MAX: usize = 65_536;

/// What was heard.
#[derive(Debug, Default)]
struct Heard {
    directories: BTreeSet<PathBuf>,
    /// Events were lost, or whoever listened has ended.
    everywhere: bool,
    lacks: Option<String>,
}

/// What the kernel tells.
#[derive(Debug)]
pub struct Hints {
    heard: Arc<Mutex<Heard>>,
    woken: Arc<Notify>,
    watches: Arc<Watches>,
}

/// What was heard since the last time.
#[derive(Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something may have happened in these directories.
    In(BTreeSet<PathBuf>),
    /// Anything may have happened anywhere.
    Everywhere,
}

impl Hints {
    /// Begins to listen, on a thread that ends with the process; nothing is watched yet.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where it has no such thing.
    pub fn begin() -> io::Result<Self> {
        let (heard, woken, watches) =
            (Arc::<Mutex<Heard>>::default(), Arc::new(Notify::new()), Arc::new(Watches::begin()?));
        let (to, wake, from) = (Arc::clone(&heard), Arc::clone(&woken), Arc::clone(&watches));
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            loop {
                let told = from.told();
                let mut heard = to.lock().unwrap_or_else(PoisonError::into_inner);
                let ended = told.is_err();
                match told {
                    Ok(Hint::In(directories)) => heard.directories.extend(directories),
                    Ok(Hint::Everywhere) => heard.everywhere = true,
                    Err(error) => {
                        heard.everywhere = true;
                        heard.lacks = Some(error.to_string());
                    }
                }
                drop(heard);
                wake.notify_one();
                if ended {
                    return;
                }
            }
        })?;
        Ok(Self { heard, woken, watches })
    }

    /// Watches a directory and those below it; of a file, the directory it lies in. What cannot be watched is left to looks at
    /// everything.
    pub(super) fn watch(&self, place: &Path, base: &Path) {
        if let Err(why) = self.watches.watch(place, base) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).lacks = Some(why);
        }
    }

    /// Whether a directory is watched.
    pub(super) fn watches(&self, directory: &Path) -> bool {
        self.watches.has(directory)
    }

    /// Ends once something was heard.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// What was heard since the last time; `None` where nothing was.
    #[must_use]
    pub fn heard(&self) -> Option<Hint> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let directories = std::mem::take(&mut heard.directories);
        match std::mem::take(&mut heard.everywhere) {
            true => Some(Hint::Everywhere),
            false => (!directories.is_empty()).then_some(Hint::In(directories)),
        }
    }

    /// Why not everything is watched, said once.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).lacks.take()
    }
}

/// Where a system tells nothing, there is nothing to begin.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Watches;

#[cfg(not(target_os = "linux"))]
impl Watches {
    fn begin() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn told(&self) -> io::Result<Hint> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn watch(&self, _: &Path, _: &Path) -> Result<(), String> {
        Ok(())
    }

    fn has(&self, _: &Path) -> bool {
        false
    }
}
