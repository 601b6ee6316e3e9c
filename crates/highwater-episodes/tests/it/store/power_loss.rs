//! What lies in a store after a power cut (R9): a settled episode, and, as the control, not one whose directory was never synced. As
//! root, on ext4 and XFS; named as not run elsewhere.

use std::io::Read;
use std::path::PathBuf;

use highwater_episodes::store::{FileStore, Store as _};
use highwater_fs::{Entry, Fs, FsError, FsFile, Mode, RealFs, RelPath, Stat};
use highwater_testkit::power_loss::{Disk, FileSystem};

use super::put;
use crate::rows::{key, path};

/// A disk on which directories are never synced, whatever is asked.
#[derive(Debug)]
struct Unsynced(RealFs);

impl Fs for Unsynced {
    fn sync_dir(&self, _: &RelPath) -> Result<(), FsError> {
        Ok(())
    }

    fn locate(&self, path: &RelPath) -> PathBuf {
        self.0.locate(path)
    }

    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        self.0.create(path, mode)
    }

    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        self.0.append(path)
    }

    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        self.0.reader(path)
    }

    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.0.mkdir(path, mode)
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.0.rename(from, to)
    }

    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.0.rename_new(from, to)
    }

    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.0.exchange(a, b)
    }

    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.0.link(from, to)
    }

    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        self.0.unlink(path)
    }

    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        self.0.list(dir)
    }

    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.0.stat(path)
    }
}

/// How many of some episodes are there after a power cut, each with its bytes.
fn left<F: Fs + 'static>(disk: &Disk, below: &str, open: impl Fn(RealFs) -> F) -> usize {
    const EPISODES: usize = 5;
    let root = disk.path().join(below);
    std::fs::create_dir(&root).unwrap();
    std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    let store = || {
        let fs = open(RealFs::open(&root).unwrap());
        FileStore::open_to_write(fs, &RelPath::root(), path("quarantine")).unwrap()
    };
    let names: Vec<String> = (0..EPISODES).map(|n| format!("lab/ep-{n}")).collect();
    let before = store();
    for name in &names {
        put(&before, name, name.as_bytes());
    }
    drop(before);
    disk.lose_power().unwrap();
    let after = store();
    let bytes = |name: &&String| after.stat(&key(name)).unwrap() == Some(name.len() as u64);
    names.iter().filter(bytes).count()
}

#[test]
fn r09_a_settled_episode_outlives_the_power_and_one_in_a_directory_that_was_never_synced_does_not() {
    const TEST: &str = "r09_a_settled_episode_outlives_the_power_and_one_in_a_directory_that_was_never_synced_does_not";
    for file_system in FileSystem::ALL {
        match Disk::mount(file_system) {
            Ok(disk) => {
                assert_eq!(left(&disk, "synced", |fs| fs), 5, "{}", file_system.name());
                let lost = 5 - left(&disk, "unsynced", Unsynced);
                assert!(lost > 0, "{}: this test would not see it", file_system.name());
            }
            Err(not_here) => not_here.say(&format!("{TEST} on {}", file_system.name())),
        }
    }
}
