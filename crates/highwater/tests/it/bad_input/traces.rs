//! What a call could change: every file below a place, and what its ledgers say of work. Owns which of it a refused pass may
//! touch: its row, its lock files, the epoch of its resources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use highwater_testkit::small_disk::SmallDisk;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::call::Leaves;

/// What the ledger knows of work; a pass's own row and a discovery that was not pinned are no such thing.
const WORK: [&str; 9] = [
    "SELECT name, worklist, drained, halted_at, paused_at, marker, revision FROM job
     WHERE worklist IS NOT NULL OR drained OR halted_at IS NOT NULL OR paused_at IS NOT NULL",
    "SELECT * FROM worklist WHERE state <> 'discovering'",
    "SELECT item.* FROM item JOIN worklist ON worklist.id = item.worklist WHERE worklist.state <> 'discovering'",
    TRIED,
    "SELECT * FROM intent",
    "SELECT * FROM watermark",
    "SELECT * FROM event",
    "SELECT * FROM quarantine",
    "SELECT name, ban_until, ban_by, ban_why FROM resource WHERE ban_until IS NOT NULL",
];
const TRIED: &str = "SELECT * FROM standing";

/// The directories that a pass makes for itself.
const OWN_DIRECTORIES: [&str; 6] = [".highwater-state", "state", "backups", "locks", "job", "resource"];

/// What is there, by its name.
#[derive(Debug, PartialEq)]
pub(super) struct Traces(BTreeMap<String, String>);

impl Traces {
    /// What is below directories, as far as a call that `leaves` so much must leave it as it is.
    pub(super) fn of<'d>(directories: impl Iterator<Item = &'d Path>, leaves: Leaves) -> Self {
        let mut traces = Self(BTreeMap::new());
        if leaves != Leaves::Work {
            directories.for_each(|directory| traces.walk(directory, leaves));
        }
        traces
    }

    fn walk(&mut self, directory: &Path, leaves: Leaves) {
        // One that this user may not list is a case of its own, and keeps its secret.
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let meta = path.symlink_metadata().unwrap();
            let own = meta.is_dir() && (OWN_DIRECTORIES.contains(&&*name) || name.ends_with(".backups"));
            let ledger = meta.is_file() && name.ends_with(".db");
            // SQLite's own, which even a reader needs: empty, or made anew from the log.
            let beside_ledger = name.ends_with("-shm") || (name.ends_with("-wal") && meta.len() == 0);
            match leaves {
                _ if beside_ledger => {}
                Leaves::Row | Leaves::Halt if ledger => self.work(&path, leaves),
                Leaves::Row | Leaves::Halt
                    if own || name.ends_with("-wal") || (name.ends_with(".lock") && meta.len() == 0) => {}
                _ => self.file(&path),
            }
            if meta.is_dir() {
                self.walk(&path, leaves);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
        let target = fs::read_link(path).unwrap_or_default();
        let hash = hex::encode(Sha256::digest(bytes));
        let seen = format!("{:o} {} {} {hash} {}", meta.mode(), meta.uid(), meta.gid(), target.display());
        self.0.insert(path.display().to_string(), seen);
    }

    fn work(&mut self, ledger: &Path, leaves: Leaves) {
        let db = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let of_work = WORK.iter().filter(|sql| leaves != Leaves::Halt || **sql == TRIED);
        for (no, sql) in of_work.enumerate() {
            for (row, seen) in rows(&db, sql).into_iter().enumerate() {
                self.0.insert(format!("{}: {no}: {row}", ledger.display()), seen);
            }
        }
    }

    /// Asserts that all of it is as it was before.
    pub(super) fn assert_same(&self, after: &Self, case: &str) {
        let names: BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        for name in names {
            assert_eq!(self.0.get(name), after.0.get(name), "{case}: {name} was changed");
        }
    }
}

fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let rows = statement
        .query_map([], |row| (0..columns).map(|at| Ok(text(row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>());
    rows.unwrap().map(|row| row.unwrap().join("|")).collect()
}

/// A small disk of one's own; `None`, named, where this user may not mount.
pub(super) fn small_disk(size_bytes: u64, test: &str) -> Option<SmallDisk> {
    SmallDisk::mount(size_bytes).inspect_err(|not_here| not_here.say(test)).ok()
}
