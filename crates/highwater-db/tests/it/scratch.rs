//! A database in a directory of its own, with rows in it.

use highwater_db::sqlite::rusqlite::{Connection, params};
use highwater_db::sqlite::{ApplicationId, Database};
use tempfile::TempDir;

pub(crate) const ID: ApplicationId = ApplicationId(*b"HWts");

/// Rows of [`Scratch::with_rows`], enough for several hundred pages.
pub(crate) const ROWS: i64 = 10_000;

pub(crate) struct Scratch {
    pub(crate) directory: TempDir,
    pub(crate) database: Database,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let database = Database::new(directory.path().join("ledger.db"), ID);
        Self { directory, database }
    }

    pub(crate) fn with_rows() -> Self {
        let scratch = Self::new();
        insert_rows(&mut scratch.database.read_write().unwrap());
        scratch
    }

    /// The names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.directory.path())
    }
}

pub(crate) fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn insert_rows(connection: &mut Connection) {
    let transaction = connection.transaction().unwrap();
    transaction.execute_batch("CREATE TABLE item (key TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT").unwrap();
    for row in 0..ROWS {
        let key = format!("item-{row}");
        transaction.execute("INSERT INTO item VALUES (?1, ?2)", params![key, "n".repeat(100)]).unwrap();
    }
    transaction.commit().unwrap();
}

pub(crate) fn count_rows(connection: &Connection) -> i64 {
    connection.query_one("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
}
