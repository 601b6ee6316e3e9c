//! A look into a ledger file that a killed program left. Owns what the command line does not tell: what a kill left in hand,
//! and whether the file is sound.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use highwater_engine::clock::{Clock, SystemClock};
use highwater_store::{Access, SqliteLedger};
use rusqlite::{Connection, OpenFlags};

/// A file as SQLite reads it, beside whoever writes it.
pub(crate) struct Inside(Connection);

impl Inside {
    /// `None` while there is no ledger with tables in it.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let has_tables = db.prepare("SELECT * FROM worklist").is_ok();
        has_tables.then_some(Self(db))
    }

    fn pairs(&self, sql: &str) -> Vec<(u64, u64)> {
        let mut select = self.0.prepare_cached(sql).unwrap();
        let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap();
        rows.map(|row| row.unwrap()).map(|(a, b)| (u64::try_from(a).unwrap(), u64::try_from(b).unwrap())).collect()
    }

    fn number(&self, sql: &str) -> u64 {
        self.pairs(sql)[0].0
    }

    /// The newest pass; 0 before the first.
    pub(crate) fn newest_pass(&self) -> u64 {
        self.number("SELECT ifnull(max(id), 0), 0 FROM pass")
    }

    /// How many outcomes are durable.
    pub(crate) fn recorded(&self) -> u64 {
        self.number("SELECT ifnull(sum(recorded), 0), 0 FROM worklist")
    }

    /// Rows of items, whoever may see them, and how many of those a worklist claims that is not pinned.
    pub(crate) fn items(&self) -> (u64, u64) {
        (self.number("SELECT count(*), 0 FROM item"), self.number("SELECT ifnull(sum(unpinned), 0), 0 FROM worklist"))
    }

    /// Positions whose intent is of this kind: `started`, `judged`.
    pub(crate) fn intents(&self, kind: &str) -> BTreeSet<u64> {
        let sql = format!("SELECT position, 0 FROM intent WHERE kind = '{kind}'");
        self.pairs(&sql).into_iter().map(|(position, _)| position).collect()
    }

    /// How many outcomes each position has had, those too that are known and wait for their turn.
    pub(crate) fn outcomes(&self) -> BTreeMap<u64, u64> {
        let mut outcomes: BTreeMap<u64, u64> =
            self.pairs("SELECT position, attempts + deferrals FROM standing").into_iter().collect();
        for position in self.intents("judged") {
            *outcomes.entry(position).or_default() += 1;
        }
        outcomes
    }
}

/// Holds a copy of the ledger, as it lies there, to its own figures: whoever comes next finds what the kill left, not what this
/// look made of it.
pub(crate) fn assert_sound(path: &Path) {
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("ledger.db");
    std::fs::copy(path, &copy).unwrap();
    if beside(path, "-wal").exists() {
        std::fs::copy(beside(path, "-wal"), beside(&copy, "-wal")).unwrap();
    }
    let db = Connection::open(&copy).unwrap();
    let said: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    drop(db);
    let ledger = SqliteLedger::open(&copy, SystemClock::new().now(), Access::ReadWrite).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = runtime.block_on(ledger.check()).unwrap();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
}

/// `ledger.db-wal` of `ledger.db`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
