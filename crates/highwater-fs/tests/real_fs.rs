//! The real disk: that nothing leads out of the root, and that what is made looks as it should.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use highwater_fs::{
    Fs, FsError, FsFile, Journal, Kind, Mode, Placed, Quarantine, RawFile, RealFs, Recovery, RelPath, Staged,
    collect_stale, ensure_dir, publish, publish_new,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

/// A root, and beside it what nobody may touch.
struct World {
    dir: TempDir,
    fs: RealFs,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/sub")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        let fs = RealFs::open(dir.path().join("root")).unwrap();
        Self { dir, fs }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    fn outside_is_untouched(&self) -> bool {
        let outside = self.dir.path().join("outside");
        let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names == ["secret"] && fs::read(outside.join("secret")).unwrap() == b"secret"
    }
}

/// Everything that could reach through `link` (a symlink to a directory outside), and did not.
fn reaches(fs: &dyn Fs, link: &str) -> Vec<String> {
    let below = path(link).join("secret").unwrap();
    let new = path(link).join("new").unwrap();
    let inside = path("inside");
    publish(fs, &inside, b"x", Mode::Umask).unwrap();
    let attempts: [(&str, Result<(), FsError>); 17] = [
        ("read", fs.read(&below, 100).map(|_| ())),
        ("append", fs.append(&below).map(|_| ())),
        ("create", fs.create(&new, Mode::Umask).map(|_| ())),
        ("mkdir", fs.mkdir(&new, Mode::Umask)),
        ("unlink", fs.unlink(&below)),
        ("rename out", fs.rename(&inside, &new)),
        ("rename in", fs.rename(&below, &path("stolen"))),
        ("link out", fs.link(&inside, &new)),
        ("link in", fs.link(&below, &path("stolen"))),
        ("exchange", fs.exchange(&inside, &below)),
        ("rename_new", fs.rename_new(&inside, &new)),
        ("list", fs.list(&path(link)).map(|_| ())),
        ("stat", fs.stat(&below).map(|_| ())),
        ("sync_dir", fs.sync_dir(&path(link))),
        ("publish", publish(fs, &below, b"x", Mode::Umask)),
        ("publish_new", publish_new(fs, &new, b"x", Mode::Umask).map(|_| ())),
        ("ensure_dir", ensure_dir(fs, &new, Mode::Umask)),
    ];
    attempts.into_iter().filter(|(_, result)| result.is_ok()).map(|(what, _)| what.to_owned()).collect()
}

#[test]
fn nothing_reaches_through_a_symlink_to_a_directory() {
    let world = World::new();
    symlink(world.dir.path().join("outside"), world.root("link")).unwrap();
    symlink("../../outside", world.root("sub/link")).unwrap();
    assert_eq!(reaches(&world.fs, "link"), [""; 0]);
    assert_eq!(reaches(&world.fs, "sub/link"), [""; 0]);
    assert!(world.outside_is_untouched());
}

#[test]
fn a_symlink_at_the_end_is_itself_and_never_what_it_leads_to() {
    let world = World::new();
    let link = path("link");
    symlink(world.dir.path().join("outside/secret"), world.root("link")).unwrap();
    assert!(world.fs.read(&link, 100).is_err());
    assert!(world.fs.append(&link).is_err());
    assert_eq!(world.fs.create(&link, Mode::Umask).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(world.fs.stat(&link).unwrap().unwrap().kind, Kind::Symlink);
    assert_eq!(publish_new(&world.fs, &link, b"x", Mode::Umask).unwrap(), Placed::AlreadyThere);
    publish(&world.fs, &link, b"mine", Mode::Umask).unwrap();
    assert_eq!(world.fs.stat(&link).unwrap().unwrap().kind, Kind::File, "it was replaced, not followed");
    assert!(world.outside_is_untouched());
}

#[test]
fn r14_a_forged_or_diverted_intent_cannot_write_outside() {
    let world = World::new();
    let home = world.root("journal");
    let journal = || Journal::open(&world.fs, path("journal"), Quarantine::new(&world.fs, path("quarantine"))).unwrap();
    let forge = |target: &str| {
        journal();
        fs::write(home.join("staged-0"), "evil").unwrap();
        let body = format!("highwater-journal 1\nwrite 4 {} {target}\n", hex::encode(Sha256::digest(b"evil")));
        fs::write(home.join("intent"), format!("{body}end {}\n", hex::encode(Sha256::digest(&body)))).unwrap();
    };
    let absolute = world.dir.path().join("outside/secret").display().to_string();
    for target in ["../outside/secret", "sub/../../outside/secret", &absolute, "%2e%2e/outside/secret"] {
        forge(target);
        assert!(matches!(journal().recover().unwrap(), Recovery::SetAside { .. }), "{target}");
        assert!(world.outside_is_untouched(), "{target}");
        assert_eq!(journal().recover().unwrap(), Recovery::Clean);
    }
    // A directory that has become a symlink since the commit is for a person to mend; then it goes on.
    symlink(world.dir.path().join("outside"), world.root("wiki")).unwrap();
    forge("wiki/secret");
    let error = journal().recover().unwrap_err().to_string();
    assert_eq!(error, format!("cannot enter {}", world.root("wiki").display()));
    assert!(world.outside_is_untouched());
    fs::remove_file(world.root("wiki")).unwrap();
    assert_eq!(journal().recover().unwrap(), Recovery::Finished { files: 1 });
    assert_eq!(fs::read(world.root("wiki/secret")).unwrap(), b"evil");
    assert!(world.outside_is_untouched());
}

#[test]
fn a_journal_and_a_quarantine_work_on_the_real_disk() {
    let world = World::new();
    fs::write(world.root("sub/old"), "old").unwrap();
    let journal =
        Journal::open(&world.fs, path(".hw/journal"), Quarantine::new(&world.fs, path(".hw/quarantine"))).unwrap();
    let change = journal.begin().unwrap().write(&path("wiki/new.md"), Mode::Exact(0o640), &b"new"[..]).unwrap();
    change.remove(&path("sub/old")).unwrap().commit().unwrap();
    assert_eq!(fs::read(world.root("wiki/new.md")).unwrap(), b"new");
    assert_eq!(mode_of(&world.root("wiki/new.md")), 0o640);
    assert!(!world.root("sub/old").exists());
    assert_eq!(world.fs.list(&path(".hw/journal")).unwrap(), []);
    let aside = Quarantine::new(&world.fs, path(".hw/quarantine")).set_aside(&path("wiki"), "why").unwrap();
    assert_eq!(fs::read(world.root(&aside.path.to_string()).join("new.md")).unwrap(), b"new");
}

#[test]
fn a_pipe_is_refused_and_does_not_hang() {
    let world = World::new();
    let made = Command::new("mkfifo").arg(world.root("pipe")).status().unwrap();
    assert!(made.success());
    let pipe = path("pipe");
    assert!(world.fs.read(&pipe, 1).is_err());
    assert!(world.fs.append(&pipe).is_err());
    assert_eq!(world.fs.stat(&pipe).unwrap().unwrap().kind, Kind::Other);
}

#[test]
fn what_is_created_has_the_mode_of_any_other_file() {
    let world = World::new();
    fs::write(world.root("ours"), "").unwrap();
    fs::create_dir(world.root("our-dir")).unwrap();
    publish(&world.fs, &path("file"), b"", Mode::Umask).unwrap();
    world.fs.mkdir(&path("dir"), Mode::Umask).unwrap();
    assert_eq!(mode_of(&world.root("file")), mode_of(&world.root("ours")));
    assert_eq!(mode_of(&world.root("dir")), mode_of(&world.root("our-dir")));
    // More than any usual umask lets through, and less.
    for mode in [0o666, 0o600] {
        publish(&world.fs, &path("file"), b"", Mode::Exact(mode)).unwrap();
        assert_eq!(mode_of(&world.root("file")), mode);
    }
    world.fs.mkdir(&path("open"), Mode::Exact(0o777)).unwrap();
    assert_eq!(mode_of(&world.root("open")), 0o777);
}

#[test]
fn a_file_moves_to_a_free_name_and_to_no_other() {
    let world = World::new();
    fs::write(world.root("a"), "a").unwrap();
    fs::write(world.root("sub/b"), "b").unwrap();
    let taken = world.fs.rename_new(&path("a"), &path("sub/b")).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(world.root("sub/b")).unwrap(), b"b");
    world.fs.rename_new(&path("a"), &path("sub/c")).unwrap();
    assert_eq!(fs::read(world.root("sub/c")).unwrap(), b"a");
    assert!(!world.root("a").exists());
}

#[test]
fn two_files_change_places_at_once() {
    let world = World::new();
    fs::write(world.root("a"), "a").unwrap();
    fs::write(world.root("sub/b"), "b").unwrap();
    world.fs.exchange(&path("a"), &path("sub/b")).unwrap();
    assert_eq!(
        (fs::read(world.root("a")).unwrap(), fs::read(world.root("sub/b")).unwrap()),
        (b"b".into(), b"a".into())
    );
}

#[test]
fn an_error_names_the_operation_and_the_place() {
    let world = World::new();
    let root = world.dir.path().join("root");
    let told = |error: FsError| error.to_string().replace(root.to_str().unwrap(), "ROOT");
    fs::write(world.root("file"), "0123456789").unwrap();
    assert_eq!(told(world.fs.read(&path("gone"), 1).unwrap_err()), "cannot read ROOT/gone");
    assert_eq!(told(world.fs.read(&path("gone/x"), 1).unwrap_err()), "cannot enter ROOT/gone");
    assert_eq!(told(world.fs.read(&path("file"), 9).unwrap_err()), "ROOT/file holds more than 9 bytes");
    assert_eq!(told(world.fs.read(&path("sub"), 9).unwrap_err()), "cannot read ROOT/sub");
    let renamed = world.fs.rename(&path("gone"), &path("file")).unwrap_err();
    assert_eq!(told(renamed), "cannot rename ROOT/gone to ROOT/file");
    assert_eq!(told(ensure_dir(&world.fs, &path("file"), Mode::Umask).unwrap_err()), "cannot make directory ROOT/file");
    assert_eq!(told(world.fs.unlink(&RelPath::root()).unwrap_err()), "cannot unlink ROOT");
    assert!(RealFs::open(root.join("nowhere")).unwrap_err().to_string().ends_with("root/nowhere"));
}

#[test]
fn a_listing_is_sorted_and_stale_partials_are_collected_from_it() {
    let world = World::new();
    for name in ["b", "a", ".b.0.hw-partial", ".b.12.hw-partial", ".hw-partial"] {
        fs::write(world.root(name), "").unwrap();
    }
    symlink("a", world.root("link")).unwrap();
    assert_eq!(collect_stale(&world.fs, &RelPath::root()).unwrap(), 2);
    let names: Vec<_> = world.fs.list(&RelPath::root()).unwrap().into_iter().map(|e| (e.name, e.kind)).collect();
    let expected = [
        (".hw-partial", Kind::File),
        ("a", Kind::File),
        ("b", Kind::File),
        ("link", Kind::Symlink),
        ("sub", Kind::Dir),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name.into(), kind)));
}

#[test]
fn a_stale_partial_does_not_stop_its_successor() {
    let world = World::new();
    fs::write(world.root(".f.0.hw-partial"), "half").unwrap();
    publish(&world.fs, &path("f"), b"whole", Mode::Umask).unwrap();
    let mut text = String::new();
    world.fs.reader(&path("f")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "whole");
    assert!(world.root(".f.0.hw-partial").exists());
}

#[test]
fn what_is_long_is_whole_in_whatever_pieces_it_came() {
    const PIECE: usize = 3 << 20;
    let world = World::new();
    let piece = |n: u8| vec![n; PIECE];
    let mut file = world.fs.create(&path("long"), Mode::Umask).unwrap();
    (1..=7).for_each(|n| file.append(&piece(n)).unwrap());
    file.truncate(6 * PIECE as u64).unwrap();
    file.sync().unwrap();
    drop(file);
    let mut file = world.fs.append(&path("long")).unwrap();
    (8..=12).for_each(|n| file.append(&piece(n)).unwrap());
    file.sync().unwrap();
    let whole: Vec<u8> = (1..=6).chain(8..=12).flat_map(piece).collect();
    assert!(fs::read(world.root("long")).unwrap() == whole);
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_read_from_the_middle_and_not_beyond_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let fs = std::sync::Arc::new(RealFs::open(dir.path()).unwrap());
    publish(&fs, &path("rows"), b"one\ntwo\n", Mode::Umask).unwrap();
    let from = |offset| {
        let mut text = String::new();
        fs.reader_from(&path("rows"), offset).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!((from(4).as_str(), from(8).as_str(), from(99).as_str()), ("two\n", "", ""));
    assert!((1..u64::MAX).contains(&fs.room_bytes(&RelPath::root()).unwrap()));
    // Of which directory is asked by walking to it, as everything is.
    std::os::unix::fs::symlink("/", dir.path().join("out")).unwrap();
    assert_eq!(fs.room_bytes(&path("out")).unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
    assert_eq!(fs.room_bytes(&path("nowhere")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

/// A file whose sync is this.
struct Syncs(Box<dyn FnMut() -> io::Result<()> + Send>);

impl Syncs {
    fn file(name: impl Into<PathBuf>, sync: impl FnMut() -> io::Result<()> + Send + 'static) -> FsFile {
        FsFile::new(name.into(), Box::new(Self(Box::new(sync))))
    }
}

impl Write for Syncs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawFile for Syncs {
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        (self.0)()
    }
}

fn synced_together(fs: &RealFs, files: &mut [FsFile]) -> Result<(), FsError> {
    fs.sync_files(&mut files.iter_mut().collect::<Vec<_>>())
}

#[test]
fn files_are_synced_at_once_each_once_and_no_more_than_eight_at_a_time() {
    const FILES: usize = 40;
    let world = World::new();
    // Neither comes back before the other was begun.
    let both = Arc::new(Barrier::new(2));
    let mut pair: Vec<FsFile> = (0..2)
        .map(|n| {
            let both = Arc::clone(&both);
            Syncs::file(n.to_string(), move || {
                both.wait();
                Ok(())
            })
        })
        .collect();
    synced_together(&world.fs, &mut pair).unwrap();

    let (now, most, all) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut many: Vec<FsFile> = (0..FILES)
        .map(|n| {
            let (now, most, all) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&all));
            Syncs::file(n.to_string(), move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                all.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .collect();
    synced_together(&world.fs, &mut many).unwrap();
    assert_eq!((now.load(Ordering::SeqCst), all.load(Ordering::SeqCst)), (0, FILES));
    assert!(most.load(Ordering::SeqCst) <= 8, "{most:?}");
}

#[test]
fn of_files_that_are_synced_together_the_first_that_failed_is_told_and_all_were_tried() {
    let world = World::new();
    let last_failed = Arc::new(Barrier::new(2));
    let mut files: Vec<FsFile> = (0..12)
        .map(|n| {
            let last_failed = Arc::clone(&last_failed);
            Syncs::file(format!("file-{n}"), move || match n {
                // It fails after the last one.
                3 | 11 => {
                    last_failed.wait();
                    Err(io::Error::other("the disk is broken"))
                }
                _ => Ok(()),
            })
        })
        .collect();
    assert_eq!(synced_together(&world.fs, &mut files).unwrap_err().to_string(), "cannot sync file-3");
    for (n, file) in files.iter_mut().enumerate() {
        assert_eq!(file.append(b"more").is_err(), n == 3 || n == 11, "{n}");
    }
    let again = synced_together(&world.fs, &mut files).unwrap_err();
    assert_eq!(again.to_string(), "file-3 cannot be trusted: an earlier sync of it failed");
}

#[test]
fn a_single_file_is_synced_by_who_asks_for_it() {
    let world = World::new();
    let here = thread::current().id();
    let mut file = [Syncs::file("alone", move || {
        assert_eq!(thread::current().id(), here);
        Ok(())
    })];
    synced_together(&world.fs, &mut file).unwrap();
    synced_together(&world.fs, &mut []).unwrap();
}

#[test]
fn files_that_are_placed_together_are_all_there() {
    let world = World::new();
    let together = (0..20).map(|n| {
        let mut staged = Staged::create(&world.fs, &path(&format!("file-{n}")), Mode::Umask).unwrap();
        staged.write_all(format!("text {n}").as_bytes()).unwrap();
        staged
    });
    Staged::place_together(&world.fs, together.collect()).unwrap();
    for n in 0..20 {
        assert_eq!(fs::read_to_string(world.root(&format!("file-{n}"))).unwrap(), format!("text {n}"));
    }
    assert_eq!(collect_stale(&world.fs, &RelPath::root()).unwrap(), 0);
}

#[test]
fn directories_are_synced_together_and_the_first_that_cannot_be_is_told() {
    let world = World::new();
    let dirs: Vec<RelPath> = (0..20).map(|n| path(&format!("sub-{n:02}"))).collect();
    for dir in &dirs {
        world.fs.mkdir(dir, Mode::Umask).unwrap();
    }
    world.fs.sync_dirs(&dirs.iter().collect::<Vec<_>>()).unwrap();
    world.fs.sync_dirs(&[]).unwrap();
    for gone in ["sub-03", "sub-17"] {
        fs::remove_dir(world.root(gone)).unwrap();
    }
    let error = world.fs.sync_dirs(&dirs.iter().collect::<Vec<_>>()).unwrap_err();
    assert!(error.to_string().contains("sub-03"), "{error}");
}
