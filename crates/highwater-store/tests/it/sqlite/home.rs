//! A ledger in a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use highwater_engine::ledger::Ledger;
use highwater_store::{Access, SqliteLedger};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::conformance::Home;
use crate::conformance::world::at;

pub(crate) struct SqliteHome {
    directory: TempDir,
}

impl SqliteHome {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory().join("ledger.db")
    }

    pub(crate) fn ledger(&self) -> SqliteLedger {
        SqliteLedger::open(self.path(), at(0), Access::ReadWrite).unwrap()
    }

    /// A connection past the ledger, to do what the ledger never does.
    pub(crate) fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

#[async_trait]
impl Home for SqliteHome {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(self.ledger())
    }
}
