//! The real disk with somebody between: one who leaves the syncs out, so that a large base is made in little time; one who writes down what
//! a commit asks of it, to ask the bare disk the same; and one who breaks it off.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use highwater_db::sqlite::Error;
use highwater_db::sqlite::rusqlite::Connection;
use highwater_fs::{Entry, FileId, Fs, FsError, FsFile, Mode, Op, RawFile, RealFs, RelPath, Stat};
use highwater_kb::{BaseLock, Directory, Home};
use jiff::Timestamp;

/// What an operation asked for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Create(RelPath),
    Write(RelPath, usize),
    Sync(RelPath),
    /// So many syncs that follow, together.
    Together(usize),
    Rename(RelPath, RelPath),
    Exchange(RelPath, RelPath),
    Unlink(RelPath),
    SyncDir(RelPath),
    /// Together.
    SyncDirs(Vec<RelPath>),
    Mkdir(RelPath),
    /// A COMMIT of the rows.
    Commit,
}

/// What is between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    LeavesSyncsOut,
    WritesDown,
    /// Refuses to move anything to `wiki/`.
    BreaksOff,
}

/// A base in a directory, with somebody between it and the disk.
#[derive(Debug)]
pub(crate) struct Between {
    inner: Directory,
    fs: Disk,
}

#[derive(Debug)]
struct Disk {
    real: RealFs,
    does: Does,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Between {
    pub(crate) fn open(root: &Path, does: Does) -> Arc<Self> {
        let fs = Disk { real: RealFs::open(root).expect("a directory"), does, asked: Arc::default() };
        Arc::new(Self { inner: Directory::open(root).expect("a directory"), fs })
    }

    /// What was written down since the last time.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.fs.asked.lock().expect("nobody panicked"))
    }
}

impl Disk {
    fn note(&self, asked: impl FnOnce() -> Asked) {
        if self.does == Does::WritesDown {
            self.asked.lock().expect("nobody panicked").push(asked());
        }
    }

    fn broken(&self, path: &RelPath) -> Result<(), FsError> {
        if self.does == Does::BreaksOff && path.to_string().starts_with("wiki") {
            return Err(FsError::Io {
                op: Op::Rename,
                path: self.locate(path),
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        Ok(())
    }
}

impl Fs for Disk {
    fn locate(&self, path: &RelPath) -> PathBuf {
        self.real.locate(path)
    }
    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        self.note(|| Asked::Create(path.clone()));
        let file = self.real.create(path, mode)?;
        let raw = File { file, path: path.clone(), does: self.does, asked: Arc::clone(&self.asked) };
        Ok(FsFile::new(self.locate(path), Box::new(raw)))
    }
    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        self.real.append(path)
    }
    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        self.real.reader(path)
    }
    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.note(|| Asked::Mkdir(path.clone()));
        self.real.mkdir(path, mode)
    }
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.note(|| Asked::Rename(from.clone(), to.clone()));
        self.real.rename(from, to)
    }
    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.broken(to)?;
        self.note(|| Asked::Rename(from.clone(), to.clone()));
        self.real.rename_new(from, to)
    }
    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.broken(b)?;
        self.note(|| Asked::Exchange(a.clone(), b.clone()));
        self.real.exchange(a, b)
    }
    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.real.link(from, to)
    }
    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        self.note(|| Asked::Unlink(path.clone()));
        self.real.unlink(path)
    }
    fn sync_files(&self, files: &mut [&mut FsFile]) -> Result<(), FsError> {
        self.note(|| Asked::Together(files.len()));
        self.real.sync_files(files)
    }
    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
        self.note(|| Asked::SyncDir(dir.clone()));
        if self.does == Does::LeavesSyncsOut { Ok(()) } else { self.real.sync_dir(dir) }
    }
    fn sync_dirs(&self, dirs: &[&RelPath]) -> Result<(), FsError> {
        self.note(|| Asked::SyncDirs(dirs.iter().copied().cloned().collect()));
        if self.does == Does::LeavesSyncsOut { Ok(()) } else { self.real.sync_dirs(dirs) }
    }
    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        self.real.list(dir)
    }
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.real.stat(path)
    }
}

struct File {
    file: FsFile,
    path: RelPath,
    does: Does,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.does == Does::WritesDown {
            let asked = Asked::Write(self.path.clone(), bytes.len());
            self.asked.lock().expect("nobody panicked").push(asked);
        }
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawFile for File {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len).map_err(io::Error::other)
    }
    fn sync(&mut self) -> io::Result<()> {
        match self.does {
            Does::LeavesSyncsOut => return Ok(()),
            Does::WritesDown => {
                self.asked.lock().expect("nobody panicked").push(Asked::Sync(self.path.clone()));
            }
            Does::BreaksOff => {}
        }
        self.file.sync().map_err(io::Error::other)
    }
}

impl Home for Between {
    fn fs(&self) -> &dyn Fs {
        &self.fs
    }
    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        let rows = self.inner.open(now)?;
        if self.fs.does == Does::LeavesSyncsOut {
            rows.pragma_update(None, "synchronous", "OFF")
                .map_err(|error| Error::from_sqlite("kb.db".as_ref(), error))?;
        }
        Ok(rows)
    }
    fn open_reader(&self) -> Result<Connection, Error> {
        self.inner.open_reader()
    }
    fn has_rows(&self) -> bool {
        self.inner.has_rows()
    }
    fn which_rows(&self) -> Option<FileId> {
        self.inner.which_rows()
    }
    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        self.fs.note(|| Asked::Commit);
        self.inner.settle(rows)
    }
    fn try_lock(&self) -> io::Result<Option<BaseLock>> {
        self.inner.try_lock()
    }
}

/// Asks a bare disk the same: each file as large, each sync, each name, and a COMMIT of one page for each COMMIT.
pub(crate) struct Bare {
    fs: RealFs,
    rows: Connection,
    page: i64,
}

impl Bare {
    /// On a disk that has the same directories; `root` must be empty.
    pub(crate) fn new(root: &Path) -> Self {
        let rows = Connection::open(root.join("bare.db")).expect("a database");
        rows.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE page (n INTEGER PRIMARY KEY, bytes BLOB) STRICT;",
        )
        .expect("a schema");
        Self { fs: RealFs::open(root).expect("a directory"), rows, page: 0 }
    }

    /// Puts there what operations will find: directories, and the files that are replaced or removed.
    pub(crate) fn furnish(&self, asked: &[Asked]) {
        let (mut made, mut needed): (std::collections::BTreeSet<RelPath>, Vec<RelPath>) = Default::default();
        for asked in asked {
            match asked {
                Asked::Create(path) | Asked::Mkdir(path) => drop(made.insert(path.clone())),
                Asked::Rename(from, to) => {
                    needed.extend((!made.contains(from)).then(|| from.clone()));
                    made.insert(to.clone());
                }
                Asked::Exchange(a, b) => {
                    needed.extend([a, b].into_iter().filter(|path| !made.contains(*path)).cloned())
                }
                Asked::Unlink(path) => needed.extend((!made.contains(path)).then(|| path.clone())),
                Asked::SyncDir(path) => drop(highwater_fs::ensure_dir(&self.fs, path, Mode::Umask)),
                Asked::SyncDirs(paths) => {
                    paths.iter().for_each(|path| drop(highwater_fs::ensure_dir(&self.fs, path, Mode::Umask)));
                }
                _ => {}
            }
            if let Asked::Create(path) | Asked::Rename(_, path) | Asked::Exchange(_, path) = asked {
                let directory = path.parent().expect("a file lies somewhere");
                highwater_fs::ensure_dir(&self.fs, &directory, Mode::Umask).expect("a directory");
            }
        }
        for path in needed {
            highwater_fs::ensure_dir(&self.fs, &path.parent().expect("a file lies somewhere"), Mode::Umask)
                .expect("a directory");
            drop(self.fs.create(&path, Mode::Umask));
        }
    }

    pub(crate) fn ask(&mut self, asked: &[Asked]) {
        let mut open: std::collections::BTreeMap<RelPath, FsFile> = Default::default();
        let mut asked = asked.iter();
        while let Some(one) = asked.next() {
            match one {
                Asked::Create(path) => {
                    drop(open.insert(path.clone(), self.fs.create(path, Mode::Umask).expect("a file")))
                }
                Asked::Write(path, bytes) => {
                    open.get_mut(path).expect("an open file").append(&vec![b'x'; *bytes]).expect("it is written");
                }
                Asked::Sync(path) => open.remove(path).expect("an open file").sync().expect("it is synced"),
                Asked::Together(count) => {
                    let mut files: Vec<FsFile> = asked
                        .by_ref()
                        .take(*count)
                        .map(|one| match one {
                            Asked::Sync(path) => open.remove(path).expect("an open file"),
                            other => panic!("{other:?} among syncs that are together"),
                        })
                        .collect();
                    self.fs.sync_files(&mut files.iter_mut().collect::<Vec<_>>()).expect("they are synced");
                }
                Asked::Rename(from, to) => self.fs.rename(from, to).expect("it is renamed"),
                Asked::Exchange(a, b) => self.fs.exchange(a, b).expect("they are exchanged"),
                // What was never there was to be cleared away all the same.
                Asked::Unlink(path) => drop(self.fs.unlink(path)),
                Asked::SyncDir(path) => self.fs.sync_dir(path).expect("it is synced"),
                Asked::SyncDirs(paths) => {
                    self.fs.sync_dirs(&paths.iter().collect::<Vec<_>>()).expect("they are synced");
                }
                Asked::Mkdir(path) => drop(self.fs.mkdir(path, Mode::Umask)),
                Asked::Commit => {
                    self.page += 1;
                    let page = (self.page, vec![0_u8; 4096]);
                    self.rows.execute("INSERT INTO page VALUES (?1, ?2)", page).expect("a row");
                }
            }
        }
    }
}
