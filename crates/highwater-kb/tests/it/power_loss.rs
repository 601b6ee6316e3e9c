//! A real file system whose power is cut at each operation of a change.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_db::sqlite::Error;
use highwater_db::sqlite::rusqlite::Connection;
use highwater_fs::{Entry, Fs, FsError, FsFile, Mode, RealFs, RelPath, Stat};
use highwater_kb::{Base, BaseLock, Directory, Home, KbError, Snapshot};
use highwater_testkit::power_loss::{Disk, FileSystem};
use jiff::Timestamp;

use crate::home::{file, now, opened};
use crate::story::{Act, State, Story, acts_done};

/// More operations than a change of this test has.
const OPERATIONS_MAX: usize = 200;

/// A directory on a disk whose power goes before one of the operations that change something.
#[derive(Debug)]
struct Doomed {
    inner: Directory,
    fs: Counted,
}

#[derive(Debug)]
struct Counted {
    real: RealFs,
    left: AtomicUsize,
    disk: Arc<Disk>,
}

impl Counted {
    fn count(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.disk.cut_power().unwrap();
        }
    }
}

impl Fs for Counted {
    fn locate(&self, path: &RelPath) -> PathBuf {
        self.real.locate(path)
    }
    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        self.count();
        self.real.create(path, mode)
    }
    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        self.real.append(path)
    }
    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        self.real.reader(path)
    }
    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.count();
        self.real.mkdir(path, mode)
    }
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.rename(from, to)
    }
    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.rename_new(from, to)
    }
    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.exchange(a, b)
    }
    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.link(from, to)
    }
    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.unlink(path)
    }
    fn sync_files(&self, files: &mut [&mut FsFile]) -> Result<(), FsError> {
        self.count();
        self.real.sync_files(files)
    }
    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
        self.count();
        self.real.sync_dir(dir)
    }
    fn sync_dirs(&self, dirs: &[&RelPath]) -> Result<(), FsError> {
        self.count();
        self.real.sync_dirs(dirs)
    }
    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        self.real.list(dir)
    }
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.real.stat(path)
    }
}

impl Home for Doomed {
    fn fs(&self) -> &dyn Fs {
        &self.fs
    }
    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        self.inner.open(now)
    }
    fn open_reader(&self) -> Result<Connection, Error> {
        self.inner.open_reader()
    }
    /// Before the COMMIT is built upon, and after it: another moment for the power to go.
    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        self.fs.count();
        self.inner.settle(rows)
    }
    fn try_lock(&self) -> io::Result<Option<BaseLock>> {
        self.inner.try_lock()
    }
}

/// Files, and whether they are there.
type Files = [(&'static str, Option<&'static str>)];

const FIRST: &Files = &[("wiki/concepts/a.md", Some("a1\n")), ("wiki/s.md", Some("s1\n")), ("raw/d.txt", Some("d\n"))];
const SECOND: &Files = &[("wiki/concepts/a.md", Some("a2\n")), ("wiki/s.md", None), ("wiki/new/b.md", Some("b\n"))];

fn write(base: &mut Base, held: &BaseLock, op: &str, files: &Files) -> Result<(), KbError> {
    let committed = base.commit(held, now(), op, "a test", |draft| {
        files.iter().try_for_each(|(path, text)| match text {
            Some(text) => draft.write(file(path), text.as_bytes()),
            None => {
                draft.remove(file(path));
                Ok(())
            }
        })
    })?;
    assert!(committed.is_some());
    Ok(())
}

/// What changes the base: 1 adds and removes, 2 goes back.
fn change(base: &mut Base, held: &BaseLock, step: u32) -> Result<(), KbError> {
    match step {
        1 => write(base, held, "add", SECOND),
        _ => base.undo(held, now(), 1).map(|committed| assert!(committed.is_some())),
    }
}

/// Cuts the power before the n-th operation of a change, or after its last.
fn cut(disk: &Arc<Disk>, n: usize, step: u32) {
    let root = disk.path().join(format!("base-{step}-{n}"));
    std::fs::create_dir(&root).unwrap();
    std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    let plain: Arc<dyn Home> = Arc::new(Directory::open(&root).unwrap());
    let mut base = Base::init(plain.clone(), now()).unwrap();
    let held = plain.try_lock().unwrap().unwrap();
    write(&mut base, &held, "add", FIRST).unwrap();
    (1..step).for_each(|step| change(&mut base, &held, step).unwrap());
    drop((base, held, plain));

    let fs = Counted { real: RealFs::open(&root).unwrap(), left: AtomicUsize::new(n), disk: disk.clone() };
    let doomed: Arc<dyn Home> = Arc::new(Doomed { inner: Directory::open(&root).unwrap(), fs });
    let acknowledged = opened(&doomed).is_ok_and(|(mut base, held)| change(&mut base, &held, step).is_ok());
    drop(doomed);
    // Again, for one that came to its end; nobody minds the second.
    let _ = disk.cut_power();
    disk.restore_power().unwrap();

    let home: Arc<dyn Home> = Arc::new(Directory::open(&root).unwrap());
    let (base, _held) = opened(&home).unwrap_or_else(|error| panic!("after operation {n}: {error}"));
    let head = base.head().unwrap().unwrap().number;
    assert!(head == step || head == step + 1, "after operation {n}: generation {head}");
    assert!(!acknowledged || head == step + 1, "after operation {n}: an answer was taken back");
    let first = |path: &str| FIRST.iter().find(|(name, _)| *name == path).and_then(|(_, text)| *text);
    let second = |path: &str| SECOND.iter().find(|(name, _)| *name == path).map_or(first(path), |(_, text)| *text);
    for (path, _) in FIRST.iter().chain(SECOND) {
        let expected = if head == 2 { second(path) } else { first(path) };
        let stands = std::fs::read_to_string(root.join(path)).ok();
        assert_eq!(stands.as_deref(), expected, "after operation {n}: {path} of generation {head}");
        let has = base.read(&file(path)).unwrap();
        assert_eq!(has.as_deref(), expected.map(str::as_bytes), "after operation {n}: {path} of generation {head}");
    }
}

/// Cuts the power before the n-th operation of the last act of a story, or after it.
fn cut_act(disk: &Arc<Disk>, story: &Story, n: usize) {
    let (last, before) = story.acts().split_last().expect("there is one");
    let root = disk.path().join(format!("story-{}-{n}", before.len()));
    drop(made(disk, &root, before));

    let fs = Counted { real: RealFs::open(&root).unwrap(), left: AtomicUsize::new(n), disk: disk.clone() };
    let doomed: Arc<dyn Home> = Arc::new(Doomed { inner: Directory::open(&root).unwrap(), fs });
    let acknowledged = opened(&doomed).is_ok_and(|(mut base, held)| last.make(&mut base, &held).is_ok());
    drop(doomed);
    let _ = disk.cut_power();
    disk.restore_power().unwrap();

    let home: Arc<dyn Home> = Arc::new(Directory::open(&root).unwrap());
    let (base, _held) = opened(&home).unwrap_or_else(|error| panic!("{last:?} after operation {n}: {error}"));
    let done = acts_done(&base).unwrap();
    assert!(done == before.len() || done == before.len() + 1, "{last:?} after operation {n}: {done} acts");
    assert!(!acknowledged || done == before.len() + 1, "{last:?} after operation {n}: an answer was taken back");
    let state = State::with(&base, &Snapshot::open(home.clone()).unwrap()).unwrap();
    let paths = |state: &State| state.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&state), paths(story.after(done)), "{last:?} after operation {n}: {done} acts");
    assert!(state == *story.after(done), "{last:?} after operation {n}: {done} acts");
    for (path, bytes) in &state.files {
        let stands = std::fs::read(root.join(path)).ok();
        assert_eq!(stands.as_ref(), Some(bytes), "{last:?} after operation {n}: {path} after {done} acts");
    }
    for gone in story.after(before.len()).files.keys().filter(|path| !state.files.contains_key(*path)) {
        assert!(!root.join(gone).exists(), "{last:?} after operation {n}: {gone} after {done} acts");
    }
    // The disk is small.
    std::fs::remove_dir_all(&root).unwrap();
}

/// A base to which this was done.
fn made(disk: &Arc<Disk>, root: &std::path::Path, acts: &[Act]) -> (Base, BaseLock) {
    std::fs::create_dir(root).unwrap();
    std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    let home: Arc<dyn Home> = Arc::new(Directory::open(root).unwrap());
    let mut base = Base::init(home.clone(), now()).unwrap();
    let held = home.try_lock().unwrap().unwrap();
    base.commit(&held, now(), "init", "a test", highwater_kb::fold::furnish).unwrap();
    acts.iter().for_each(|act| assert!(act.make(&mut base, &held).unwrap()));
    (base, held)
}

/// How many operations the last act of a story has.
fn operations_of(disk: &Arc<Disk>, story: &Story) -> usize {
    let (last, before) = story.acts().split_last().expect("there is one");
    let root = disk.path().join(format!("story-{}", before.len()));
    drop(made(disk, &root, before));
    let fs = Counted { real: RealFs::open(&root).unwrap(), left: AtomicUsize::new(usize::MAX), disk: disk.clone() };
    let home = Arc::new(Doomed { inner: Directory::open(&root).unwrap(), fs });
    let lent: Arc<dyn Home> = home.clone();
    let (mut base, held) = opened(&lent).unwrap();
    let before = home.fs.left.load(Ordering::Relaxed);
    assert!(last.make(&mut base, &held).unwrap());
    before - home.fs.left.load(Ordering::Relaxed)
}

/// How many operations a change has.
fn operations(disk: &Arc<Disk>, step: u32) -> usize {
    let root = disk.path().join(format!("rehearsal-{step}"));
    std::fs::create_dir(&root).unwrap();
    let inner = Directory::open(&root).unwrap();
    let fs = Counted { real: RealFs::open(&root).unwrap(), left: AtomicUsize::new(usize::MAX), disk: disk.clone() };
    let home = Arc::new(Doomed { inner, fs });
    let lent: Arc<dyn Home> = home.clone();
    let mut base = Base::init(lent, now()).unwrap();
    let held = home.try_lock().unwrap().unwrap();
    write(&mut base, &held, "add", FIRST).unwrap();
    (1..step).for_each(|step| change(&mut base, &held, step).unwrap());
    let before = home.fs.left.load(Ordering::Relaxed);
    change(&mut base, &held, step).unwrap();
    before - home.fs.left.load(Ordering::Relaxed)
}

#[test]
fn r05_a_change_is_whole_or_not_at_all_wherever_real_power_is_cut() {
    const TEST: &str = "r05_a_change_is_whole_or_not_at_all_wherever_real_power_is_cut";
    for file_system in FileSystem::ALL {
        let disk = match Disk::mount(file_system) {
            Ok(disk) => Arc::new(disk),
            Err(not_here) => {
                not_here.say(&format!("{TEST} on {}", file_system.name()));
                continue;
            }
        };
        for step in [1, 2] {
            let operations = operations(&disk, step);
            eprintln!("{}: {operations} operations in change {step}", file_system.name());
            assert!((20..OPERATIONS_MAX).contains(&operations), "{operations}");
            (1..=operations + 1).for_each(|n| cut(&disk, n, step));
        }
    }
}

#[test]
fn r05_a_document_goes_is_made_anew_or_comes_back_whole_or_not_at_all_wherever_real_power_is_cut() {
    const TEST: &str = "r05_a_document_goes_is_made_anew_or_comes_back_whole_or_not_at_all_wherever_real_power_is_cut";
    const ACTS: &[Act] =
        &[Act::Add("a", 1), Act::Add("b", 2), Act::Recompile("a", 3), Act::Remove("a", false), Act::Undo(3)];
    let story = Story::of(ACTS);
    assert_eq!(story.acts(), ACTS);
    for file_system in FileSystem::ALL {
        let disk = match Disk::mount(file_system) {
            Ok(disk) => Arc::new(disk),
            Err(not_here) => {
                not_here.say(&format!("{TEST} on {}", file_system.name()));
                continue;
            }
        };
        for (n, act) in ACTS.iter().enumerate().skip(2) {
            let story = story.act(n);
            let operations = operations_of(&disk, &story);
            eprintln!("{}: {operations} operations in {act:?}", file_system.name());
            assert!((20..OPERATIONS_MAX).contains(&operations), "{operations}");
            (1..=operations + 1).for_each(|n| cut_act(&disk, &story, n));
        }
    }
}
