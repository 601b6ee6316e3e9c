//! The ledger's file: newer, of something else, or damaged. It is told, and left as it is, byte for byte.
//!
//! An older one is migrated, with a backup first. There is one migration so far, so that no ledger with content can be older:
//! what is shown here is the oldest there can be, a file that was born and never migrated; that the backup comes before the
//! first statement is shown where migrations are (`highwater-db`, `tests/it/migration.rs`).

use std::fs;

use rusqlite::Connection;

use super::call::{Leaves, call};
use crate::rig::Rig;

const OK: &str = "echo $1 >>log";
const LEDGER: &str = ".highwater-state/ledger.db";
/// Enough that the pages of items are in the middle of the file.
const ITEMS: usize = 200;

/// A place with a ledger of drained items.
fn drained() -> Rig {
    let items: Vec<String> = (0..ITEMS).map(|n| format!("item-{n:04}-{}", "x".repeat(100))).collect();
    let rig = Rig::load(&items.iter().map(String::as_str).collect::<Vec<_>>(), OK, "concurrency = 8");
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig
}

fn sql(rig: &Rig, statement: &str) {
    Connection::open(rig.path(LEDGER)).unwrap().execute_batch(statement).unwrap();
}

/// A place where `bytes` lie where the ledger should.
fn instead(bytes: &[u8]) -> Rig {
    let rig = Rig::load(&["a"], OK, "");
    fs::create_dir(rig.path(".highwater-state")).unwrap();
    fs::write(rig.path(LEDGER), bytes).unwrap();
    rig
}

/// Both to a pass and to one who only looks.
fn told(rig: &Rig, case: &str, code: i32) {
    call(rig, &["run", "load"]).ends(case, code, Leaves::Nothing);
    call(rig, &["status"]).ends(&format!("{case}_to_look"), code, Leaves::Nothing);
}

#[test]
fn r15_a_newer_ledger_is_left_to_the_newer_program() {
    let rig = drained();
    sql(&rig, "INSERT INTO schema_migration VALUES (99, 'later', 'x', 'x')");
    told(&rig, "ledger_newer", 2);
}

#[test]
fn r15_a_ledger_whose_migration_is_another() {
    let rig = drained();
    sql(&rig, &format!("UPDATE schema_migration SET sha256 = '{}'", "0".repeat(64)));
    told(&rig, "ledger_of_other_migrations", 2);
}

#[test]
fn r15_another_programs_database_in_its_place() {
    let rig = Rig::load(&["a"], OK, "");
    fs::create_dir(rig.path(".highwater-state")).unwrap();
    sql(&rig, "CREATE TABLE bookmarks (url TEXT)");
    told(&rig, "ledger_foreign", 2);
}

#[test]
fn r15_what_is_no_database_in_its_place() {
    told(&instead(&b"id;title\n1;Emma\n".repeat(300)), "ledger_a_text", 1);
    told(&instead(b""), "ledger_empty", 1);
    let rig = Rig::load(&["a"], OK, "");
    fs::create_dir_all(rig.path(LEDGER)).unwrap();
    told(&rig, "ledger_a_directory", 1);
}

#[test]
fn r14_a_damaged_ledger_is_told_with_the_backup_that_is_whole() {
    let rig = drained();
    let whole = fs::read(rig.path(LEDGER)).unwrap();
    let mut bytes = whole.clone();
    let (from, to) = (bytes.len() / 3, bytes.len());
    bytes[from..to].fill(0xA5);
    fs::write(rig.path(LEDGER), &bytes).unwrap();
    call(&rig, &["items", "load"]).fails("ledger_damaged_to_list");
    call(&rig, &["run", "load"]).fails("ledger_damaged");
    let log = rig.log();
    // The way out that the error names.
    let backups = fs::read_dir(rig.path(".highwater-state/backups")).unwrap();
    let newest = backups.map(|entry| entry.unwrap().path()).max().unwrap();
    fs::copy(newest, rig.path(LEDGER)).unwrap();
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    assert_eq!(rig.log(), log);
}

#[test]
fn r15_a_ledger_whose_first_page_is_destroyed() {
    let rig = drained();
    let mut bytes = fs::read(rig.path(LEDGER)).unwrap();
    bytes[..4096].fill(0);
    fs::write(rig.path(LEDGER), &bytes).unwrap();
    told(&rig, "ledger_without_its_first_page", 1);
    bytes.truncate(2000);
    fs::write(rig.path(LEDGER), &bytes).unwrap();
    told(&rig, "ledger_torn", 1);
}

#[test]
fn r15_a_bare_ledger_that_is_none() {
    let rig = Rig::new("");
    call(&rig, &["--ledger", "nowhere.db", "status"]).refused("bare_ledger_missing");
    rig.write("ids.txt", "a\n");
    call(&rig, &["--ledger", "ids.txt", "status"]).fails("bare_ledger_a_list");
    rig.script("load", OK);
    rig.ok(&["exec", "-w", "ids.txt", "--", "./load"]);
    call(&rig, &["--ledger", "ids.txt.highwater.db", "run", "exec"]).refused("bare_ledger_to_run");
    call(&rig, &["--ledger", "ids.txt.highwater.db", "items", "load"]).refused("bare_ledger_of_another_job");
}

#[test]
fn an_older_ledger_is_brought_up_to_date() {
    let rig = Rig::load(&["a"], OK, "");
    fs::create_dir(rig.path(".highwater-state")).unwrap();
    sql(&rig, "PRAGMA application_id = 1213680711; PRAGMA journal_mode = WAL");
    call(&rig, &["status"]).refused("ledger_older_to_look");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a"]);
}
