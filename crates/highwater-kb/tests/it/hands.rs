//! Somebody's hand on what a base does to its disk: a line of code that is left out, two in another order, a check that is not made,
//! or a person who writes in the very moment. Owns how a hand comes between; whose they are is said in `controls` and `moments`.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use highwater_fs::{Entry, Fs, FsError, FsFile, Mode, Op, RawFile, RelPath, Stat};
use highwater_testkit::sim_fs::SimFs;

/// What comes between a base and its disk.
pub(crate) trait Hand: Send + Sync + fmt::Debug {
    /// Before an operation that changes something, or a sync. Whether it is done; one that is not says that all is well.
    fn lets(&self, _: &SimFs, _: Op, _: &RelPath) -> bool {
        true
    }
    /// In the place of an exchange.
    fn exchange(&self, fs: &SimFs, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        fs.exchange(a, b)
    }
    /// In the place of a move to a name that is free.
    fn rename_new(&self, fs: &SimFs, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        fs.rename_new(from, to)
    }
    /// In the place of a look at a name.
    fn stat(&self, fs: &SimFs, path: &RelPath) -> Result<Option<Stat>, FsError> {
        fs.stat(path)
    }
    /// In the place of opening a file to read.
    fn reader(&self, fs: &SimFs, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        fs.reader(path)
    }
    /// After a COMMIT.
    fn committed(&self, _: &SimFs) {}
}

thread_local! {
    static HAND: RefCell<Option<Arc<dyn Hand>>> = const { RefCell::new(None) };
}

/// Does something with a hand between every base that is opened meanwhile, by this thread, and its disk.
pub(crate) fn with_hand<T>(hand: &Arc<dyn Hand>, act: impl FnOnce() -> T) -> T {
    HAND.set(Some(Arc::clone(hand)));
    let done = act();
    HAND.set(None);
    done
}

/// The hand that is between now.
pub(crate) fn hand() -> Option<Arc<dyn Hand>> {
    HAND.with_borrow(Clone::clone)
}

/// A disk with a hand before it.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) fs: SimFs,
    pub(crate) hand: Arc<dyn Hand>,
}

impl Handled {
    fn act(&self, op: Op, path: &RelPath, act: impl FnOnce() -> Result<(), FsError>) -> Result<(), FsError> {
        if self.hand.lets(&self.fs, op, path) { act() } else { Ok(()) }
    }

    fn file(&self, path: &RelPath, file: FsFile) -> FsFile {
        let file = HandledFile { fs: self.fs.clone(), hand: Arc::clone(&self.hand), path: path.clone(), file };
        FsFile::new(self.fs.locate(path), Box::new(file))
    }
}

impl Fs for Handled {
    fn locate(&self, path: &RelPath) -> PathBuf {
        self.fs.locate(path)
    }
    fn create(&self, path: &RelPath, mode: Mode) -> Result<FsFile, FsError> {
        self.hand.lets(&self.fs, Op::Create, path);
        Ok(self.file(path, self.fs.create(path, mode)?))
    }
    fn append(&self, path: &RelPath) -> Result<FsFile, FsError> {
        Ok(self.file(path, self.fs.append(path)?))
    }
    fn reader(&self, path: &RelPath) -> Result<Box<dyn Read + Send>, FsError> {
        self.hand.reader(&self.fs, path)
    }
    fn mkdir(&self, path: &RelPath, mode: Mode) -> Result<(), FsError> {
        self.act(Op::Mkdir, path, || self.fs.mkdir(path, mode))
    }
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Rename, to, || self.fs.rename(from, to))
    }
    fn rename_new(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Rename, to, || self.hand.rename_new(&self.fs, from, to))
    }
    fn exchange(&self, a: &RelPath, b: &RelPath) -> Result<(), FsError> {
        self.act(Op::Exchange, b, || self.hand.exchange(&self.fs, a, b))
    }
    fn link(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        self.act(Op::Link, to, || self.fs.link(from, to))
    }
    fn unlink(&self, path: &RelPath) -> Result<(), FsError> {
        self.act(Op::Unlink, path, || self.fs.unlink(path))
    }
    fn sync_dir(&self, dir: &RelPath) -> Result<(), FsError> {
        self.act(Op::SyncDir, dir, || self.fs.sync_dir(dir))
    }
    fn list(&self, dir: &RelPath) -> Result<Vec<Entry>, FsError> {
        self.fs.list(dir)
    }
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.hand.stat(&self.fs, path)
    }
}

struct HandledFile {
    fs: SimFs,
    hand: Arc<dyn Hand>,
    path: RelPath,
    file: FsFile,
}

impl Write for HandledFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hand.lets(&self.fs, Op::Write, &self.path);
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawFile for HandledFile {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len).map_err(io::Error::other)
    }
    fn sync(&mut self) -> io::Result<()> {
        if self.hand.lets(&self.fs, Op::Sync, &self.path) { self.file.sync().map_err(io::Error::other) } else { Ok(()) }
    }
}
