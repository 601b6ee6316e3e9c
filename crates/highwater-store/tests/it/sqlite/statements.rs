//! The SQL files: each prepares on a migrated ledger, each is used, and those that read pages follow an index.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::home::SqliteHome;

/// Run as it is when a worklist is discovered, instead of prepared.
const SCRATCH_SCHEMA: &str = "seen/schema.sql";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite")
}

/// Every statement, by its path below `src/sqlite`.
fn statements() -> Vec<(String, String)> {
    let folders = fs::read_dir(source()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut statements: Vec<(String, String)> = files
        .map(|path| {
            let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    statements.sort();
    assert!(statements.len() > 50, "found {} statements", statements.len());
    statements
}

/// A ledger with all tables, those of a discovery too.
fn migrated(home: &SqliteHome) -> Connection {
    drop(home.ledger());
    let db = home.raw();
    db.execute_batch("ATTACH DATABASE '' AS scratch").unwrap();
    db.execute_batch(&fs::read_to_string(source().join(SCRATCH_SCHEMA)).unwrap()).unwrap();
    db
}

#[test]
fn every_statement_prepares() {
    let home = SqliteHome::new();
    let db = migrated(&home);
    for (name, sql) in statements().into_iter().filter(|(name, _)| name != SCRATCH_SCHEMA) {
        assert!(!sql.contains(';'), "{name} holds more than one statement");
        db.prepare(&sql).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_statement_is_used() {
    let code: String = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for (name, _) in statements() {
        assert!(code.contains(&format!("\"{name}\"")), "{name} is included nowhere");
    }
}

#[test]
fn pages_and_outcomes_follow_an_index_and_sort_nothing() {
    let home = SqliteHome::new();
    let db = migrated(&home);
    let hot = |name: &str| {
        ["plan/", "item/", "standing/", "intent/", "control/"].iter().any(|folder| name.starts_with(folder))
    };
    for (name, sql) in statements().into_iter().filter(|(name, _)| hot(name)) {
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Without values: the plan is the same for all.
        let steps: Vec<String> = explain.raw_query().mapped(|row| row.get("detail")).map(Result::unwrap).collect();
        for step in steps {
            assert!(!step.contains("TEMP B-TREE"), "{name} sorts: {step}");
            assert!(!step.starts_with("SCAN "), "{name} reads a whole table: {step}");
        }
    }
}
