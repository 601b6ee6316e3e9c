//! A base on a simulated disk: its rows are SQLite in memory, whose image becomes durable at COMMIT, whole or not at all.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use highwater_db::sqlite::Error;
use highwater_db::sqlite::rusqlite::Connection;
use highwater_fs::{Fs, FsError, RelPath};
use highwater_kb::base::rebuild;
use highwater_kb::{Base, BaseLock, FilePath, Home, KbError, Snapshot};
use highwater_testkit::sim_fs::SimFs;
use jiff::Timestamp;

use crate::connections::{self, Rows};
use crate::hands::{Handled, hand};

/// Where a simulated base lies.
#[derive(Debug)]
pub(crate) struct Simulated {
    disk: SimFs,
    /// The same disk with somebody's hand before it.
    handled: Option<Handled>,
    /// Of the connections that it gave.
    files: Mutex<Vec<Rows>>,
}

impl Simulated {
    /// A base there, in whose way nothing is but what [`crate::hands::with_hand`] put there.
    pub(crate) fn home(fs: &SimFs) -> Arc<dyn Home> {
        Arc::new(Self::new(fs))
    }

    fn new(fs: &SimFs) -> Self {
        let handled = hand().map(|hand| Handled { fs: fs.clone(), hand });
        Self { disk: fs.clone(), handled, files: Mutex::default() }
    }

    fn gives(&self, (rows, file): (Connection, Rows)) -> Connection {
        self.files.lock().unwrap().push(file);
        rows
    }

    /// Keeps a connection that it gave for the next.
    fn takes_back(&self, rows: Connection) {
        let mut files = self.files.lock().unwrap();
        let at = files.iter().position(|file| file.are_of(&rows)).expect("it is one that was given");
        connections::give_back(rows, files.swap_remove(at));
    }
}

impl Home for Simulated {
    fn fs(&self) -> &dyn Fs {
        match &self.handled {
            Some(handled) => handled,
            None => &self.disk,
        }
    }

    fn open(&self, _: Timestamp) -> Result<Connection, Error> {
        match self.disk.load(&image()) {
            Ok(image) => Ok(self.gives(connections::with(&image)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut rows = self.gives(connections::with_nothing()?);
                self.settle(&mut rows)?;
                Ok(rows)
            }
            Err(error) => Err(refused(error)),
        }
    }

    fn open_reader(&self) -> Result<Connection, Error> {
        self.open(now())
    }

    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        let told = |source: io::Error| Error::Io { path: "kb.db".into(), action: "read", source: source.into() };
        self.disk.save(&image(), &connections::image_of(rows).map_err(told)?).map_err(refused)?;
        if let Some(handled) = &self.handled {
            handled.hand.committed(&handled.fs);
        }
        Ok(())
    }

    fn try_lock(&self) -> io::Result<Option<BaseLock>> {
        Ok(Some(BaseLock::new(())))
    }
}

fn image() -> RelPath {
    RelPath::new(".highwater/kb.db").unwrap()
}

fn refused(error: FsError) -> Error {
    Error::Io { path: "kb.db".into(), action: "write", source: io::Error::other(error).into() }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn file(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

/// Opens a base and finishes what a crash left, as every command does first.
pub(crate) fn opened(home: &Arc<dyn Home>) -> Result<(Base, BaseLock), KbError> {
    let mut base = Base::open(home.clone(), now())?;
    let held = home.try_lock().unwrap().expect("nobody else is here");
    base.finish(&held)?;
    Ok((base, held))
}

/// The same for who opens a hundred thousand: its connection is kept for the next.
pub(crate) fn lent(fs: &SimFs) -> Result<Lent, KbError> {
    let home = Arc::new(Simulated::new(fs));
    let base = Base::open(Arc::clone(&home) as Arc<dyn Home>, now())?;
    let mut lent = Lent { home, base: Some(base), held: BaseLock::new(()) };
    let (base, held) = lent.both();
    base.finish(held)?;
    Ok(lent)
}

/// The same of a base whose rows are made again.
pub(crate) fn remade(fs: &SimFs) -> Result<Lent, KbError> {
    let (home, held) = (Arc::new(Simulated::new(fs)), BaseLock::new(()));
    let base = rebuild(Arc::clone(&home) as Arc<dyn Home>, &held, now())?.base;
    Ok(Lent { home, base: Some(base), held })
}

/// A base that is open, and the lock of it.
#[derive(Debug)]
pub(crate) struct Lent {
    home: Arc<Simulated>,
    base: Option<Base>,
    held: BaseLock,
}

impl Lent {
    /// The base and its lock.
    pub(crate) fn both(&mut self) -> (&mut Base, &BaseLock) {
        (self.base.as_mut().expect("it is lent"), &self.held)
    }
}

impl Deref for Lent {
    type Target = Base;
    fn deref(&self) -> &Base {
        self.base.as_ref().expect("it is lent")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Base {
        self.base.as_mut().expect("it is lent")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.takes_back(self.base.take().expect("it is lent").into_rows());
    }
}

/// Looks at the newest generation of a base as one who only reads it.
pub(crate) fn looked<T>(fs: &SimFs, look: impl FnOnce(&Snapshot) -> Result<T, KbError>) -> Result<T, KbError> {
    let home = Arc::new(Simulated::new(fs));
    let snapshot = Snapshot::open(Arc::clone(&home) as Arc<dyn Home>)?;
    let seen = look(&snapshot);
    home.takes_back(snapshot.into_rows());
    seen
}
