//! The store in a directory.

mod power_loss;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;

use highwater_episodes::store::{FileStore, Placement, Store, StoreError};
use highwater_fs::{RealFs, RelPath};
use highwater_testkit::bind_mount::BindMount;
use highwater_testkit::small_disk::SmallDisk;
use tempfile::TempDir;

use crate::rows::{key, path};

fn open(dir: &TempDir) -> FileStore<RealFs> {
    FileStore::open_to_write(RealFs::open(dir.path()).unwrap(), &RelPath::root(), path("quarantine")).unwrap()
}

fn put(store: &dyn Store, at: &str, bytes: &[u8]) -> Placement {
    let mut copy = store.stage().unwrap();
    copy.append(bytes).unwrap();
    copy.sync().unwrap();
    let placed = store.place(&*copy, &key(at)).unwrap();
    store.discard(copy);
    store.settle(&key(at).host).unwrap();
    placed
}

fn read(store: &dyn Store, at: &str, from: u64) -> Option<String> {
    let mut text = String::new();
    store.read(&key(at), from).unwrap()?.read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn an_episode_is_placed_once_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert_eq!((store.stat(&key("lab/a")).unwrap(), read(&store, "lab/a", 0)), (None, None));
    assert_eq!(put(&store, "lab/a", b"first"), Placement::New);
    assert_eq!(put(&store, "lab/a", b"second"), Placement::AlreadyThere);
    assert_eq!(put(&store, "lab2/a", b"third"), Placement::New);
    assert_eq!(read(&store, "lab/a", 0).as_deref(), Some("first"));
    assert_eq!(read(&store, "lab/a", 2).as_deref(), Some("rst"));
    assert_eq!(store.stat(&key("lab/a")).unwrap(), Some(5));
    assert!(dir.path().join("episodes/lab/a.tar.zst").is_file());
    assert_eq!(fs::read_dir(dir.path().join("episodes/.staging")).unwrap().count(), 0);
}

#[test]
fn only_what_has_an_episodes_name_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    put(&store, "lab/b", b"b");
    put(&store, "lab/a", b"a");
    let host = dir.path().join("episodes/lab");
    for other in [".c.tar.zst", ".d.tar.zst.0.hw-partial", "e.tar.zst.partial", "f.tar", "g h.tar.zst", ".tar.zst"] {
        fs::write(host.join(other), b"").unwrap();
    }
    fs::create_dir(host.join("dir.tar.zst")).unwrap();
    symlink("/etc/passwd", host.join("link.tar.zst")).unwrap();
    fs::create_dir(dir.path().join("episodes/.hidden")).unwrap();
    fs::write(dir.path().join("episodes/file"), b"").unwrap();
    let hosts: Vec<_> = store.hosts().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["lab"]);
    let episodes: Vec<_> = store.episodes(&key("lab/x").host).unwrap().map(|id| id.to_string()).collect();
    assert_eq!(episodes, ["a", "b"]);
    let odd = |name: &str| matches!(store.stat(&key(name)), Err(StoreError::Odd(_)));
    assert!(odd("lab/link") && odd("lab/dir"), "neither is an episode, nor is nothing there");
    symlink("lab", dir.path().join("episodes/lab-9")).unwrap();
    assert!(odd("lab-9/a") && odd("file/a"));
    let named: Vec<_> = store.oddities().unwrap().odd.iter().map(|oddity| oddity.odd.to_string()).collect();
    let at = |place: &str, is: &str| format!("{}/episodes/{place} {is} belongs", dir.path().display());
    assert_eq!(
        named,
        [
            at("lab/dir.tar.zst", "is a directory, where a file"),
            at("lab/link.tar.zst", "is a symlink, where a file"),
            at("lab-9", "is a symlink, where a directory")
        ]
    );
    assert!(store.read(&key("lab/link"), 0).is_err());
}

#[test]
fn a_host_that_is_a_link_to_elsewhere_is_not_written_through() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&dir);
    symlink(elsewhere.path(), dir.path().join("episodes/lab")).unwrap();
    let mut copy = store.stage().unwrap();
    copy.append(b"x").unwrap();
    assert!(store.place(&*copy, &key("lab/a")).is_err());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn what_a_crash_left_of_copies_is_gone_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let mut copy = store.stage().unwrap();
    copy.append(b"half").unwrap();
    store.place(&*copy, &key("lab/a")).unwrap();
    drop((copy, store));
    let staging = dir.path().join("episodes/.staging");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
    let store = open(&dir);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    assert_eq!(read(&store, "lab/a", 0).as_deref(), Some("half"), "its other name is the episode");
}

#[test]
fn a_copy_of_before_that_is_discarded_late_is_not_taken_for_a_new_one() {
    // As by the thread that sweeps, of a receiver whose successor has the directory already.
    let dir = tempfile::tempdir().unwrap();
    let before = open(&dir);
    let spent = [before.stage().unwrap(), before.stage().unwrap()];
    let after = open(&dir);
    let copy = after.stage().unwrap();
    for spent in spent {
        before.discard(spent);
    }
    assert_eq!(after.place(&*copy, &key("lab/a")).unwrap(), Placement::New);
}

#[test]
fn an_episode_is_set_aside_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    put(&store, "lab/a", b"a");
    let place = store.quarantine(&key("lab/a"), "polluted").unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"a");
    assert_eq!(fs::read_to_string(format!("{place}.reason")).unwrap(), "episodes/lab/a.tar.zst: polluted\n");
    assert_eq!(store.stat(&key("lab/a")).unwrap(), None);
}

#[test]
fn room_is_what_the_disk_says() {
    let dir = tempfile::tempdir().unwrap();
    assert!((1..u64::MAX).contains(&open(&dir).room_bytes().unwrap()));
}

/// Far less than any disk has that tests run on.
const SMALL_BYTES: u64 = 256 * 1024;

#[test]
fn how_much_can_be_stored_is_said_by_the_fullest_of_the_disks_of_the_root_and_of_the_episodes() {
    const TEST: &str = "how_much_can_be_stored_is_said_by_the_fullest_of_the_disks_of_the_root_and_of_the_episodes";
    let mounted = |of_episodes: bool| {
        let (small, large) = (SmallDisk::mount(SMALL_BYTES)?, tempfile::tempdir().unwrap());
        let (root, episodes) = if of_episodes { (large.path(), small.path()) } else { (small.path(), large.path()) };
        fs::create_dir(root.join("episodes")).unwrap();
        let mount = BindMount::mount(episodes, &root.join("episodes"))?;
        let root = RealFs::open(root).unwrap();
        let store = FileStore::open_to_write(root, &RelPath::root(), path("quarantine")).unwrap();
        let before = store.room_bytes().unwrap();
        small.fill().unwrap();
        let full = store.room_bytes().unwrap();
        drop((store, mount));
        Ok((before, full))
    };
    for (what, of_episodes) in [("the episodes' disk is small", true), ("the root's disk is small", false)] {
        match mounted(of_episodes) {
            Ok((before, full)) => assert!((1..=SMALL_BYTES).contains(&before) && full == 0, "{what}: {before} {full}"),
            Err(not_here) => {
                let not_here: highwater_testkit::not_here::NotHere = not_here;
                return not_here.say(TEST);
            }
        }
    }
}
