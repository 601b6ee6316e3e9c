//! What a refusal must leave as it was: every file, what the ledger knows of work, and all rows of spools and catalogues. Not
//! the row of the refused pass, nor an empty database that was made for what then did not come.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::rig::{Ended, Rig};

/// Tables that say nothing of work: of passes, and what a plan that came to nothing had asked the target.
const NOT_WORK: [&str; 8] =
    ["pass", "resource", "ticket", "notice", "notice_change", "schema_migration", "job", "have"];
const JOB: &str = "SELECT name, worklist, drained, halted_at, paused_at FROM job
                   WHERE worklist IS NOT NULL OR drained OR halted_at IS NOT NULL OR paused_at IS NOT NULL";
/// What must never reach a person: a panic, and the way Rust prints a value for its authors.
const RUST_WORDS: [&str; 8] =
    ["panicked", "RUST_BACKTRACE", "Error(", "Error {", "Err(", "Some(", "Os {", "SqliteFailure"];

/// What is there, by its name.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept(BTreeMap<String, String>);

impl Kept {
    /// What is there now.
    pub(crate) fn of(rig: &Rig) -> Self {
        let mut kept = Self(BTreeMap::new());
        kept.walk(rig.dir.path());
        kept
    }

    fn walk(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                self.walk(&path);
            } else if name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with(".lock") {
                // SQLite's own, and files that are nothing but locks.
            } else if !name.ends_with(".db") || !self.rows(&path) {
                let bytes = fs::read(&path).unwrap();
                self.0.insert(name, hex::encode(Sha256::digest(bytes)));
            }
        }
    }

    /// Every row that says something of work; false where this is no database.
    fn rows(&mut self, path: &Path) -> bool {
        let Ok(db) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return false };
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let Ok(tables) = strings(&db, tables) else { return false };
        let name = path.display();
        for table in tables.iter().filter(|table| !NOT_WORK.contains(&table.as_str())) {
            let Ok(rows) = strings(&db, &format!("SELECT * FROM \"{table}\"")) else { continue };
            // Discovered and never pinned is no work.
            let rows = rows.into_iter().filter(|row| !row.contains("discovering"));
            self.0.extend(rows.enumerate().map(|(no, row)| (format!("{name}: {table}: {no}"), row)));
        }
        let jobs = strings(&db, JOB).unwrap_or_default();
        self.0.extend(jobs.into_iter().enumerate().map(|(no, row)| (format!("{name}: job: {no}"), row)));
        true
    }

    /// Asserts that all of it is as it was before.
    pub(crate) fn assert_same(&self, after: &Self, case: &str) {
        for name in self.0.keys().chain(after.0.keys()) {
            assert_eq!(self.0.get(name), after.0.get(name), "{case}: {name} was changed");
        }
    }
}

fn strings(db: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|at| Ok(text(row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>()
    };
    statement.query_map([], row)?.map(|row| Ok(row?.join("|"))).collect()
}

/// Calls the binary, and expects that it says no with this exit code and changes nothing. Gives what it said, without what
/// differs from call to call.
pub(crate) fn refused(rig: &Rig, code: i32, args: &[&str]) -> String {
    let case = args.join(" ");
    let before = Kept::of(rig);
    let ended = rig.run(args);
    let said = said(rig, &ended);
    assert_eq!(ended.code, code, "{case}: {said}");
    assert_well_told(&case, &said);
    before.assert_same(&Kept::of(rig), &case);
    said
}

/// What a call said, without what differs from call to call.
pub(crate) fn said(rig: &Rig, ended: &Ended) -> String {
    let real = rig.dir.path().canonicalize().unwrap();
    let text = format!("{}{}", ended.stdout, ended.stderr);
    text.replace(&real.display().to_string(), "[DIR]").replace(&rig.dir.path().display().to_string(), "[DIR]")
}

/// Every error has a next step, and none is told in the words of Rust.
pub(crate) fn assert_well_told(case: &str, said: &str) {
    for word in RUST_WORDS {
        assert!(!said.contains(word), "{case}: {word:?} reached a person: {said}");
    }
    let told = said.matches("error[HW-").count();
    let by_clap = said.starts_with("error: ") && said.contains("--help");
    assert!(told > 0 || by_clap, "{case}: no error is told: {said}");
    assert_eq!(told, said.matches("\n  next: ").count(), "{case}: an error without a next step: {said}");
}
