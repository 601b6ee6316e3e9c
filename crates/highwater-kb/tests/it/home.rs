//! A base on a simulated disk: its rows are SQLite in memory, whose image becomes durable at COMMIT, whole or not at all.

use std::io;
use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{Error, migrate};
use highwater_fs::{Fs, FsError, RelPath};
use highwater_kb::base::MIGRATIONS;
use highwater_kb::{Base, BaseLock, FilePath, Home, KbError};
use highwater_testkit::sim_fs::SimFs;
use jiff::Timestamp;

/// The most bytes of an image.
const IMAGE_BYTES_MAX: u64 = 1 << 24;

#[derive(Debug)]
pub(crate) struct Simulated(pub(crate) SimFs);

impl Simulated {
    pub(crate) fn home(fs: &SimFs) -> Arc<dyn Home> {
        Arc::new(Self(fs.clone()))
    }
}

impl Home for Simulated {
    fn fs(&self) -> &dyn Fs {
        &self.0
    }

    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        let told = |source| Error::from_sqlite("kb.db".as_ref(), source);
        let mut rows = Connection::open_in_memory().map_err(told)?;
        rows.set_prepared_statement_cache_capacity(64);
        match self.0.read(&image(), IMAGE_BYTES_MAX) {
            Ok(bytes) => {
                rows.deserialize_read_exact("main", bytes.as_slice(), bytes.len(), false).map_err(told)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // An image is copied at each COMMIT and hashed at each crash.
                rows.pragma_update(None, "page_size", 512).map_err(told)?;
                migrate(&mut rows, MIGRATIONS, now, |_| Ok(()))?;
                self.settle(&mut rows)?;
            }
            Err(error) => return Err(refused(error)),
        }
        Ok(rows)
    }

    fn open_reader(&self) -> Result<Connection, Error> {
        self.open(now())
    }

    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        let bytes = rows.serialize("main").map_err(|source| Error::from_sqlite("kb.db".as_ref(), source))?.to_vec();
        self.0.save(&image(), &bytes).map_err(refused)
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
